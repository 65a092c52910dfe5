"""Chains of patterns for runs of characters split as the tokenizers library and the machine split."""

from __future__ import annotations

import random
from itertools import accumulate

import pytest
from texts import corpus_documents, dense_texts, mixed_texts
from tokenizers import Regex, pre_tokenizers

from fastprep.encoding.encoders import chain_splitter
from fastprep.vocabulary.patterns import (
    BYTE_LEVEL_PATTERN,
    DIGIT_PATTERN,
    OF_BYTES,
    PUNCTUATION_PATTERN,
)
from fastprep.vocabulary.regex_program import compile_tokenizers
from fastprep.vocabulary.run_rules import run_splitter
from fastprep_ext.bpe import RunSplitter, split_pieces

CODER = (r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+", DIGIT_PATTERN)
BLOOM = (r" ?[^(\s|[.,!?…。，、।۔،])]+",)
FALCON = (
    f"{PUNCTUATION_PATTERN}+",
    BYTE_LEVEL_PATTERN,
    f"{OF_BYTES}{DIGIT_PATTERN}+",
    f"{OF_BYTES}[0-9][0-9][0-9]",
)
CHAINS = {"coder": CODER, "bloom": BLOOM, "falcon": FALCON}
THEIRS = {
    "coder": pre_tokenizers.Sequence(
        [
            *(pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in CODER[:-1]),
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    ),
    "bloom": pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(BLOOM[0]), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    ),
    "falcon": pre_tokenizers.Sequence(
        [
            pre_tokenizers.Punctuation("contiguous"),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
            pre_tokenizers.Digits(individual_digits=False),
            pre_tokenizers.Split(Regex("[0-9][0-9][0-9]"), "isolated"),
        ]
    ),
}
CHARACTERS = "asé中1234²½٣ \n\t\u3000\u2003.,'!?、。$€+\u0301—ò(|\x01"
#: All code points to U+3000, and some of the large blocks.
SCALARS = [c for c in range(0x20000) if c < 0x3000 or c % 16 == 0 or 0xF900 <= c < 0x10200]
SCALARS = [c for c in [*SCALARS, *range(0x20000, 0x110000, 4093)] if not 0xD800 <= c < 0xE000]


def ends_of(name: str, text: str) -> list[int]:
    """Return the ends of the library's pieces, in which each letter stands for a byte."""
    pieces = THEIRS[name].pre_tokenize_str(text)
    return [*accumulate(len(piece) for piece, _ in pieces)]


def random_text(rnd: random.Random) -> str:
    return "".join(rnd.choices(CHARACTERS, k=rnd.randrange(1, 14)))


@pytest.mark.parametrize("name", CHAINS)
def test_chains_of_models_split_as_the_tokenizers_library_splits(name, full_size):
    splitter = chain_splitter(CHAINS[name])
    assert isinstance(splitter, RunSplitter)
    rnd = random.Random(21)
    count = 100_000 if full_size else 1_500
    texts = [random_text(rnd) for _ in range(count)]
    texts += [*mixed_texts(seed=22, count=count // 4), *dense_texts(seed=23, count=count // 4)]
    for text in texts:
        assert split_pieces(text.encode(), splitter) == ends_of(name, text), repr(text)


@pytest.mark.parametrize("context", ["a{}b", " {} ", "1{}23", "!{}?"])
@pytest.mark.parametrize("name", CHAINS)
def test_chains_of_models_split_every_character(name, context):
    splitter = chain_splitter(CHAINS[name])
    for at in range(0, len(SCALARS), 2048):
        text = "\n1\n".join(context.format(chr(point)) for point in SCALARS[at : at + 2048])
        assert split_pieces(text.encode(), splitter) == ends_of(name, text)


@pytest.mark.parametrize("corpus", ["prose", "code", "multi"])
@pytest.mark.parametrize("name", CHAINS)
def test_chains_of_models_split_corpora(name, corpus):
    splitter = chain_splitter(CHAINS[name])
    size = 0
    for text in corpus_documents(corpus):
        assert split_pieces(text.encode(), splitter) == ends_of(name, text)
        size += len(text)
        if size > 50_000:
            break


def random_chain(rnd: random.Random) -> tuple[str, ...]:
    """Return a chain of patterns of the supported kinds, or nearly so."""
    sets = [r"\p{L}", r"\p{P}", r"[a1 ]", r"[^\sa]", r"\s", r"\p{N}", "[é-中]", r"[^!'\n]"]
    patterns = []
    for _ in range(rnd.randint(1, 4)):
        run = rnd.choice(sets) + rnd.choice(["", "+", "+", "++"])
        before = rnd.choice(["", "", " ?", r"\s?", r"[\n'a]?"])
        patterns.append(before + run)
    if rnd.random() < 0.3:
        patterns.insert(rnd.randint(0, len(patterns)), BYTE_LEVEL_PATTERN)
    if rnd.random() < 0.2:
        patterns += FALCON[-2:]
    return tuple(patterns)


def test_random_chains_split_as_the_machine_splits(full_size):
    rnd = random.Random(24)
    found = 0
    for _ in range(30_000 if full_size else 250):
        chain = random_chain(rnd)
        splitter = run_splitter(chain)
        if splitter is None:
            continue
        found += 1
        machine = compile_tokenizers(chain)
        for _ in range(20):
            text = random_text(rnd).encode()
            assert split_pieces(text, splitter) == split_pieces(text, machine), (chain, text)
    assert found > 60


@pytest.mark.parametrize(
    "chain",
    [
        (r"[a-z]+|\d",),  # alternatives
        (r"[a-z]*",),
        (r"[a-z]+?",),
        (r"a?[a-z]+",),  # the one before may be of the run
        (BYTE_LEVEL_PATTERN,),  # contractions
        (r"\s?\p{L}+", r"\p{L}?\s+"),
        FALCON[-2:],
    ],
)
def test_other_chains_are_left_to_the_machine(chain):
    assert run_splitter(chain) is None


def test_texts_of_runs_are_split_in_any_number_of_calls():
    splitter = chain_splitter(FALCON)
    text = ("ò²1234 " * 5_000).encode()
    ends = split_pieces(text, splitter)
    assert ends[-1] == len(text)
    assert ends == split_pieces(text, compile_tokenizers(FALCON))
    assert split_pieces(b"", splitter) == []


@pytest.mark.parametrize("before", range(12))
@pytest.mark.parametrize("name", ["falcon", "coder"])
def test_batches_of_pieces_end_at_any_character(name: str, before: int) -> None:
    # Batches hold 512 pieces; a character of four digit bytes is cut into four.
    text = "a" * (before % 3) + "1." * (before // 3) + "\U00032032" * 256 + "\u00b2" * 7
    found = split_pieces(text.encode(), chain_splitter(CHAINS[name]))
    assert list(found) == ends_of(name, text)
