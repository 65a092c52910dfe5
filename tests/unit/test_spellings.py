"""Patterns that are spelled in another way get the splitter of the known one."""

from __future__ import annotations

import pytest
from texts import mixed_texts

from fastprep import Encoding
from fastprep.vocabulary.known_files import KIMI_PATTERN
from fastprep.vocabulary.patterns import (
    HUGGING_FACE,
    LLAMA3_PATTERN,
    NANOCHAT_PATTERN,
    R50K_PATTERN,
    TIKTOKEN,
)
from fastprep.vocabulary.regex_program import compile_tiktoken
from fastprep.vocabulary.spellings import equal_family
from fastprep_ext.bpe import PATTERNS, split_pieces

OTHERS = [
    (R50K_PATTERN.replace("[sdmt]", "[tsmd]").replace("L}++", "L}+"), "r50k"),
    (LLAMA3_PATTERN.replace("(?i:", "(?i:(?:").replace("'d)", "'d))"), "llama3"),
    (LLAMA3_PATTERN.replace(r"\p{L}+", r"[\p{L}]++").replace(r"[\r\n]*", r"[\n\r]*+"), "llama3"),
    (KIMI_PATTERN.replace(r"[\p{Han}]+|", r"\p{Han}++|"), "kimi"),
    (NANOCHAT_PATTERN.replace("{1,2}", "{1,2}+"), "nanochat"),
]


@pytest.mark.parametrize(("pattern", "family"), OTHERS)
def test_another_spelling_is_recognized(pattern, family):
    assert pattern not in TIKTOKEN
    assert equal_family((pattern,), "tiktoken") == family
    program = compile_tiktoken(pattern)
    for text in mixed_texts(seed=7, count=300):
        data = text.encode()
        assert split_pieces(data, program) == split_pieces(data, PATTERNS[family])


@pytest.mark.parametrize(
    "pattern",
    [
        LLAMA3_PATTERN.replace("{1,3}", "{1,4}"),
        LLAMA3_PATTERN.replace(r"\p{L}+", r"\p{L}+?"),
        LLAMA3_PATTERN.replace(r"\s*[\r\n]+", r"\s*+[\r\n]+"),
        R50K_PATTERN.replace(r"\s+(?!\S)", r"\s++(?!\S)"),
        "a",
    ],
)
def test_a_pattern_that_means_something_else_is_not(pattern):
    assert equal_family((pattern,), "tiktoken") is None


def test_known_spellings_of_two_families_are_never_equal():
    for pattern, family in TIKTOKEN.items():
        assert equal_family((pattern,), "tiktoken") == family
    for family, chains in HUGGING_FACE.items():
        assert all(equal_family(chain, "tokenizers") == family for chain in chains)


def test_an_encoding_takes_the_splitter_of_an_equal_pattern():
    ranks = {bytes([i]): i for i in range(256)}
    made = Encoding("x", pat_str=OTHERS[0][0], mergeable_ranks=ranks, special_tokens={})
    assert made._encoder.splitter == PATTERNS["r50k"]
    assert made.may_be_cut
