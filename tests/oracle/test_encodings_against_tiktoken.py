"""The ids of every published encoding are tiktoken's, on every kind of text."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest
import tiktoken
from checks.round_trips import round_trips
from checks.shapes import shapes
from checks.small_stack import in_a_small_thread
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import DISTINCT, NAMES, theirs
from reference import splits, steps
from texts import MORE_ATOMS, corpus_documents, dense_texts

from fastprep import get_encoding
from fastprep.encoding.encoding import Encoding
from fastprep.vocabulary import patterns
from fastprep_ext.bpe import PATTERNS, split_pieces

SPLITS: dict[str, Callable[[str], list[str]]] = {
    "r50k": splits.split_r50k,
    "cl100k": splits.split_cl100k,
    "o200k": splits.split_o200k,
}


@pytest.mark.parametrize("name", NAMES)
def test_ids_of_generated_texts(name):
    ours, oracle = get_encoding(name), theirs(name)
    for text in dense_texts(seed=46137, count=20_000 if name in DISTINCT else 2_000):
        ids = ours.encode(text, disallowed_special=())
        assert ids == oracle.encode_ordinary(text), repr(text)
        assert ours.decode(ids) == text
        allowed = ours.encode(text, allowed_special="all")
        assert allowed == oracle.encode(text, allowed_special="all"), repr(text)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(DISTINCT),
    st.one_of(st.text(), st.lists(st.sampled_from(MORE_ATOMS)).map("".join)),
)
def test_ids_of_texts_that_hypothesis_finds(name, text):
    assert get_encoding(name).encode_ordinary(text) == theirs(name).encode_ordinary(text)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(DISTINCT), st.text(st.characters(codec=None, categories=["Cs", "L", "Zs"])))
def test_lone_surrogates_are_repaired_as_tiktoken_repairs_them(name, text):
    assert get_encoding(name).encode_ordinary(text) == theirs(name).encode_ordinary(text)
    assert get_encoding(name).encode(text) == theirs(name).encode(text)


@pytest.mark.parametrize("name", ["cl100k_base", "o200k_base"])
@pytest.mark.parametrize("context", ["{}", "A{}b", "!{}\n", " {}'s", "\n{} {}"])
def test_every_scalar_value_in_context(name, context):
    ours, oracle = get_encoding(name), theirs(name)
    points = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    for first in range(0, len(points), 0x1000):
        # A newline and a digit separate the cases within one text.
        text = "\n1".join(context.format(c, c) for c in points[first : first + 0x1000])
        assert ours.encode_to_numpy(text).tolist() == oracle.encode_ordinary(text), hex(first)


@pytest.mark.parametrize("name", DISTINCT)
@pytest.mark.parametrize("corpus", ["prose", "code", "multi"])
def test_documents_of_the_corpora(name, corpus, full_size):
    ours, oracle = get_encoding(name), theirs(name)
    differing = [
        number
        for number, text in enumerate(corpus_documents(corpus))
        if (full_size or number % 8 == 0)
        and ours.encode_to_numpy(text, disallowed_special=()).tolist()
        != oracle.encode_ordinary(text)
    ]
    assert differing == []


# -- the splitters ---------------------------------------------------------------------------------

#: One character for each class that a pattern distinguishes, and those that contractions need.
REPRESENTATIVES = {
    "r50k": "a1 \n'ls\u3000",
    "cl100k": "a1 \n'!ſL\u3000",
    "o200k": "aA中1 \n'!s/\u0301\u3000",
}


def ends_of(pieces: list[str]) -> list[int]:
    return list(itertools.accumulate(len(piece.encode()) for piece in pieces))


@pytest.mark.parametrize("family", SPLITS)
def test_pieces_of_generated_texts_are_the_references(family):
    for text in dense_texts(seed=31, count=4_000):
        assert split_pieces(text.encode(), PATTERNS[family]) == ends_of(SPLITS[family](text)), text


@pytest.mark.parametrize("family", SPLITS)
@pytest.mark.parametrize("before", ["", "b" * 62])
def test_pieces_of_all_short_strings_of_representatives(family, before, full_size):
    longest = 5 if full_size else 4
    for length in range(longest + 1):
        for characters in itertools.product(REPRESENTATIVES[family], repeat=length):
            text = before + "".join(characters)
            pieces = SPLITS[family](text)
            assert split_pieces(text.encode(), PATTERNS[family]) == ends_of(pieces), repr(text)


def pairs_vocabulary(seed: int) -> dict[bytes, int]:
    """Return all bytes and all pairs of them in random order, so that ids reveal the cuts of pieces."""
    pairs = [bytes(pair) for pair in itertools.product(range(256), repeat=2)]
    random.Random(seed).shuffle(pairs)
    return {token: i for i, token in enumerate([*(bytes([i]) for i in range(256)), *pairs])}


@pytest.mark.parametrize("pattern", patterns.TIKTOKEN)
def test_a_known_spelling_splits_as_tiktoken_runs_it(pattern):
    ranks = pairs_vocabulary(7)
    ours, oracle = (
        kind("pairs", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
        for kind in (Encoding, tiktoken.Encoding)
    )
    for text in dense_texts(seed=8, count=3_000):
        assert ours.encode_ordinary(text) == oracle.encode_ordinary(text), repr(text)
    for length in range(5):
        for characters in itertools.product("aA1 \n'ſ!/", repeat=length):
            text = "".join(characters)
            assert ours.encode_ordinary(text) == oracle.encode_ordinary(text), repr(text)


def test_patterns_are_the_published_ones():
    spelled = (patterns.R50K_PATTERN, patterns.R50K_PATTERN, patterns.CL100K_PATTERN)
    assert spelled == tuple(theirs(name)._pat_str for name in DISTINCT[:3])
    assert theirs("o200k_base")._pat_str == patterns.O200K_PATTERN


# -- where tiktoken fails -----------------------------------------------------------------------


@pytest.mark.parametrize("name", DISTINCT)
def test_more_spaces_than_tiktoken_can_take(name):
    text = " " * 1_200_000 + "a"
    with pytest.raises(BaseException, match="StackOverflow"):
        theirs(name).encode_ordinary(text)
    ours = get_encoding(name)
    ids = ours.encode_ordinary(text)
    # Two pieces: all spaces except the last, and the last one with the letter.
    assert ids[-1] == ours.encode_single_token(" a")
    assert ids[:-1] == ours._encode_single_piece(" " * 1_199_999)
    few = " " * 3_000 + "a"
    split = SPLITS[patterns.TIKTOKEN[ours._pat_str]]
    assert ours.encode_ordinary(few) == steps.encode(few, ours._mergeable_ranks, split)
    assert ours.decode(ids) == text


@pytest.mark.parametrize("name", DISTINCT)
def test_64_mib_without_a_newline_in_a_thread_with_a_small_stack(name):
    text = "a" * (32 << 20) + " b!" * (32 << 20 >> 2)
    ours = get_encoding(name)
    assert ours.decode(in_a_small_thread(ours.encode_to_numpy, text)) == text


# -- other comparisons, of which tests/full.py runs more -------------------------------------------


def test_bytes_come_back_and_have_tiktokens_ids():
    for found in round_trips(11, 20_000):
        assert found.differing == 0, found.what


def test_long_texts_of_every_shape_have_tiktokens_ids():
    for found in shapes(0, 0):
        assert found.differing == 0, found.what
