"""Splitters for the patterns of files agree with the tokenizers library, also on Unicode classes."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from reference import splits as reference
from texts import dense_texts, mixed
from tokenizers import Regex, normalizers, pre_tokenizers

from fastprep.vocabulary import code_points
from fastprep.vocabulary.nfc import nfc
from fastprep.vocabulary.patterns import DIGIT_PATTERN, HUGGING_FACE
from fastprep_ext.base import unicode_class
from fastprep_ext.bpe import PATTERNS, split_pieces

# All code points except the inner ones of large blocks of equal characters.
LARGE = [(0x3401, 0x4DBE), (0x4E01, 0x9FFE), (0xAC1D, 0xD7A2), (0xD800, 0xDFFF), (0xE001, 0xF8FE)]
LARGE += [(0x17001, 0x187F6), (0x20001, 0x2FFFD), (0x30001, 0x3FFFD), (0x40001, 0xE0000)]
LARGE += [(0xE0200, 0x10FFFD)]
POINTS = [c for c in range(0x110000) if not any(a <= c <= b for a, b in LARGE)]

REFERENCES: dict[str, Callable[[str], list[str]]] = {
    "llama3": reference.split_llama3,
    "qwen2": functools.partial(reference.split_llama3, digits=1),
    "qwen35": functools.partial(reference.split_llama3, digits=1, marks=True),
    "tekken": functools.partial(reference.split_o200k, digits=1, contractions=False),
    "starcoder": reference.split_starcoder,
    "deepseek3": reference.split_deepseek3,
    "nanochat": functools.partial(reference.split_llama3, digits=2),
    "kimi": functools.partial(reference.split_o200k, apart=code_points.named("Han") or ()),
}
#: One character for each class that a pattern distinguishes, and those that contractions need.
REPRESENTATIVES = {
    "qwen35": "aA1 \n'!sſ\u3000\u0301",
    "tekken": "aA中1 \n'!s/\u0301",
    "starcoder": "aé1½ \n'!s\u3000",
    "deepseek3": "aÉ1 \n!，\x01\u3000\u0301中・\u3040",
    "kimi": "aA中〇⺀\U00016ff0ʰ1 \n'!s/\u0301",
}
USUAL = "aA1 \n'!sſ/\u3000é\u0301中l"
CHAINS = [(family, chain) for family, chains in HUGGING_FACE.items() for chain in chains]


def ends_of(pieces: list[str]) -> list[int]:
    return list(itertools.accumulate(len(piece.encode()) for piece in pieces))


def splitter_of(chain: tuple[str, ...]) -> Any:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True)
            if pattern == DIGIT_PATTERN
            else pre_tokenizers.Split(Regex(pattern), "isolated")
            for pattern in chain
        ]
    )


def hard_texts(family: str, seed: int, count: int) -> Iterator[str]:
    """Yield texts of all classes that a family distinguishes, often at a block's edge."""
    rnd = random.Random(seed)
    characters = (
        3 * REPRESENTATIVES.get(family, USUAL)
        + 'bZ "\t\r234½٣。、ゝ\u3099゠🙂\ue000\xa0\x7f\u200d\x85'
    )
    for text in dense_texts(seed, count // 2):
        yield text
        padding = "a" * rnd.choice([0, 0, 55 + rnd.randrange(12)])
        yield padding + "".join(rnd.choices(characters, k=rnd.randrange(1, 12)))


@pytest.mark.parametrize(("family", "chain"), CHAINS)
def test_known_patterns_split_as_the_tokenizers_library_splits(family, chain, full_size):
    theirs = splitter_of(chain)
    characters = REPRESENTATIVES.get(family, USUAL)
    longest = 4 if full_size else 3
    short = itertools.chain.from_iterable(
        itertools.product(characters, repeat=length) for length in range(1, longest + 1)
    )
    count = 200_000 if full_size else 8_000
    for text in itertools.chain(map("".join, short), hard_texts(family, seed=11, count=count)):
        expected = [piece for piece, _ in theirs.pre_tokenize_str(text)]
        assert split_pieces(text.encode(), PATTERNS[family]) == ends_of(expected), repr(text)


@pytest.mark.parametrize("family", REFERENCES)
def test_known_patterns_split_as_the_reference_splits(family):
    characters = REPRESENTATIVES.get(family, USUAL)
    short = ("".join(c) for n in range(4) for c in itertools.product(characters, repeat=n))
    for text in itertools.chain(short, hard_texts(family, seed=12, count=4_000)):
        expected = ends_of(REFERENCES[family](text))
        assert split_pieces(text.encode(), PATTERNS[family]) == expected, repr(text)


@pytest.mark.parametrize("family", ["starcoder", "deepseek3", "kimi", "nanochat"])
@pytest.mark.parametrize("context", ["{}", "a{}b", " {}!", "中{}é", "\u200b{}\n", "1{}\u0301"])
def test_every_character_in_context(family, context):
    theirs = splitter_of(HUGGING_FACE[family][0])
    for at in range(0, len(POINTS), 2048):
        # Two newlines and a digit separate the cases within one text.
        points = map(chr, filter(is_scalar, POINTS[at : at + 2048]))
        text = "\n1\n".join(context.format(point) for point in points)
        expected = [piece for piece, _ in theirs.pre_tokenize_str(text)]
        assert split_pieces(text.encode(), PATTERNS[family]) == ends_of(expected)


def is_scalar(point: int) -> bool:
    return not 0xD800 <= point < 0xE000


def test_classes_of_characters_are_those_of_the_tokenizers_library():
    classes = {"L": ("LU", "LL", "LT", "LM", "LO"), "N": ("N",), "M": ("M",), "Lu": ("LU",)}
    classes |= {"Ll": ("LL",), "Lt": ("LT",), "P}\\p{S": ("SIGN",)}
    for name, ours in classes.items():
        splitter = pre_tokenizers.Split(Regex(rf"[\p{{{name}}}]"), "removed")
        others: set[str] = set()
        for at in range(0, len(POINTS), 4096):
            text = "".join(map(chr, POINTS[at : at + 4096]))
            for piece, _ in splitter.pre_tokenize_str(text):
                others.update(piece)
        theirs = {c for c in POINTS if chr(c) not in others}
        assert theirs == {c for c in POINTS if unicode_class(c) in ours}


def test_the_normal_form_is_that_of_the_tokenizers_library():
    theirs = normalizers.NFC()
    for at in range(0, len(POINTS), 512):
        for between in ("\u0301", "\u0323", "\u0345", "a\u0323"):
            text = between.join(map(chr, POINTS[at : at + 512]))
            assert nfc(text) == theirs.normalize_str(text), hex(POINTS[at])
    marks = [chr(c) for c in POINTS if c > 0x300 and not theirs_ignores(theirs, chr(c))]
    rnd = random.Random(12)
    for _ in range(3_000):
        text = mixed(rnd) + "".join(rnd.choices([*marks, "a", "e", "\u1100", "\uac00"], k=8))
        assert nfc(text) == theirs.normalize_str(text), ascii(text)


def theirs_ignores(normalizer: normalizers.NFC, character: str) -> bool:
    """Return whether normalization ignores a character: it is not reordered and reorders nothing."""
    text = "ʔ" + character + "\u0334\u0345" + character
    return normalizer.normalize_str(text) == text
