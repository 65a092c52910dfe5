"""The ways to merge agree with one another and with the reference."""

from __future__ import annotations

import random

import pytest
from checks.merging import VOCABULARIES, encoder, merge_paths, merged_ranks, random_ranks
from reference.steps import encode_piece, merge

from fastprep.encoding.encoding import Encoding
from fastprep.registry import get_encoding


def test_all_ways_are_the_references_way_on_random_vocabularies():
    for found in merge_paths(4, 20_000):
        assert found.differing == 0
        assert found.figures["at_threshold"] > 1_000


def test_windows_give_what_the_heap_gives_on_long_pieces():
    rnd = random.Random(6)
    for _ in range(300):
        compiled = encoder(random_ranks(rnd, b"ab", rnd.randrange(1, 40)))
        for letters in (b"a", b"ab", b"aab", b"abc"):
            size = rnd.randrange(97, 3_000)
            piece = bytes(rnd.choices(letters, k=size))
            repeated = (piece[: rnd.randrange(1, 40)] * size)[:size]
            for long in (piece, repeated):
                expected = compiled.merge_piece(long, "heap")
                assert compiled.merge_piece(long, "windows") == expected
                assert compiled.merge_piece(long, "cuts") == expected


@pytest.mark.parametrize("make", VOCABULARIES)
def test_runs_of_one_byte_are_merged_as_one_by_one(make):
    rnd = random.Random(7)
    for _ in range(400):
        letters = rnd.choice((b"a", b"ab", b"abc"))
        ranks = make(rnd, letters, rnd.randrange(1, 7 if letters == b"a" else 60))
        compiled = encoder(ranks)
        for _ in range(10):
            piece = b"".join(
                bytes([rnd.choice(letters)]) * rnd.choice((1, 2, 3, 64, rnd.randrange(1, 700)))
                for _ in range(rnd.randrange(1, 7))
            )
            assert compiled.merge_piece(piece, "whole") == compiled.merge_piece(piece, "heap")
        run = b"a" * rnd.randrange(65, 200)
        assert compiled.merge_piece(run, "whole") == merge(run, ranks)


def test_a_run_whose_merges_make_pairs_of_lower_rank():
    # "aaa" comes before "aa": after the first merge its token goes on with the next letter.
    ranks = {bytes([i]): i for i in range(256)} | {b"aaa": 256, b"aa": 257, b"aaaaaa": 258}
    for size in range(65, 90):
        run = b"a" * size
        assert encoder(ranks).merge_piece(run, "whole") == merge(run, ranks)


@pytest.mark.parametrize("name", ["r50k_base", "cl100k_base", "o200k_base"])
def test_published_vocabularies_merge_runs_as_one_by_one(name: str):
    compiled = get_encoding(name)._encoder
    rnd = random.Random(10)
    for byte in b" \n\t=-_#*0aAz/.\xe2\x80\x00":
        for size in (65, 96, 97, 1_023, rnd.randrange(100, 3_000)):
            for piece in (
                bytes([byte]) * size,
                bytes([byte]) * size + b"\n",
                b" " * size + bytes([byte]) * size,
            ):
                assert compiled.merge_piece(piece, "whole") == compiled.merge_piece(piece, "heap")


def test_no_token_spans_a_cut(gpt2: Encoding):
    rnd = random.Random(8)
    for size in (2, 3, 4, 63, 64, 65, 66, 67, 127, 128, 129, 200):
        for letters in ("日本語のテキスト中文", "Привет мир", "abcxyzqjk", "=-_#"):
            piece = "".join(rnd.choices(letters, k=size)).encode()[:size]
            crossed = {
                at
                for begin in range(size)
                for end in range(begin + 2, min(size, begin + 128) + 1)
                if piece[begin:end] in gpt2._mergeable_ranks
                for at in range(begin + 1, end)
            }
            assert not crossed & set(gpt2._encoder.cuts(piece))


def test_text_without_spaces_is_cut_in_many_places(gpt2: Encoding):
    piece = "機械学習のための高速なトークン化".encode()
    assert len(gpt2._encoder.cuts(piece)) > len(piece) // 4


def test_one_pair_per_token_is_enough_if_tokens_are_made_of_tokens():
    rnd = random.Random(9)
    for _ in range(200):
        ranks = merged_ranks(rnd, b"abc", rnd.randrange(1, 120))
        compiled = encoder(ranks)
        for token in ranks:
            assert compiled.encode_piece(token) == [ranks[token]]
            assert compiled.merge_piece(token, "cuts") == merge(token, ranks)


@pytest.mark.parametrize(
    "size", [1, 2, 3, 16, 31, 32, 33, 34, 95, 96, 97, 98, 300, 511, 512, 513, 600]
)
def test_pieces_around_the_threshold_have_the_references_ids(gpt2, size):
    rnd = random.Random(size)
    for letters in (b"a", b"ab", b"=-", b"etaoin", bytes(range(256))):
        for _ in range(10):
            piece = bytes(rnd.choices(letters, k=size))
            assert gpt2._encoder.encode_piece(piece) == encode_piece(piece, gpt2._mergeable_ranks)


def test_gaps_between_ids_are_kept():
    ranks = random_ranks(random.Random(5), b"xyz", 40)
    gapped = {token: 3 * rank + 7 for token, rank in ranks.items()}
    compiled = encoder(gapped)
    for piece in (b"xyzzy", b"zzzzyyyxxx" * 20):
        assert compiled.encode_piece(piece) == encode_piece(piece, gapped)


def test_a_piece_that_is_a_token_is_that_token_even_if_no_merge_makes_it():
    ranks = {bytes([i]): i for i in range(256)} | {b"abc": 256}
    assert encoder(ranks).encode_piece(b"abc") == [256]
    assert encoder(ranks).encode_piece(b"abcabc") == [*b"abcabc"]


@pytest.mark.parametrize("letter", ["a", " ", "=", "é", "\n"])
def test_a_million_of_one_character_round_trips(gpt2: Encoding, letter: str):
    text = letter * 1_000_000
    ids = gpt2.encode_to_numpy(text)
    assert gpt2.decode(ids) == text


def test_more_spaces_than_tiktoken_can_take(gpt2: Encoding):
    # tiktoken fails with "Max stack size exceeded", so the reference is the oracle.
    ids = gpt2.encode_ordinary(" " * 1_200_000 + "a")
    assert ids[-1] == gpt2.encode_single_token(" a")
    assert gpt2.decode(ids) == " " * 1_200_000 + "a"
    assert ids[:-1] == gpt2.encode_ordinary(" " * 1_199_999)
