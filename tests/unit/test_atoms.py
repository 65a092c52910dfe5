"""Merging that begins with characters gives what merging from bytes gives."""

import random
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from checks.merging import encoder, merged_ranks, random_ranks
from reference.steps import encode_piece, merge

from fastprep_ext.bpe import PATTERNS, Encoder

ALPHABETS = ("αβ", "αβ a", "กข", "กขเ ", "の日本", "の日 a", "é日β", "\u07ff\u0800\uffff")


def random_pieces(rnd: random.Random, alphabet: str, count: int) -> list[bytes]:
    """Return pieces of characters, a quarter of them with bytes that are no characters."""
    pieces = []
    for _ in range(count):
        text = "".join(rnd.choices(alphabet, k=rnd.choice((1, 2, 3, 5, 8, 13, 30, 60, 140))))
        piece = bytearray(text.encode())
        for _ in range(rnd.choice((0, 0, 0, 1, 3))):
            at = rnd.randrange(len(piece))
            if rnd.random() < 0.5:
                piece.insert(at, rnd.choice(piece))
            else:
                del piece[at]
            if not piece:
                piece = bytearray(b"\xe0")
        pieces.append(bytes(piece))
    return pieces


@pytest.mark.parametrize("ranks_of", [merged_ranks, random_ranks])
@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_pieces_of_characters_merge_as_the_reference_says(
    ranks_of: Callable[[random.Random, bytes, int], dict[bytes, int]], alphabet: str
) -> None:
    rnd = random.Random(alphabet)
    letters = bytes(sorted(set(alphabet.encode())))
    for size in (5, 20, 60, 150):
        ranks = ranks_of(rnd, letters, size)
        compiled = encoder(ranks)
        for piece in random_pieces(rnd, alphabet, 40):
            assert compiled.merge_piece(piece, "cuts") == merge(piece, ranks)
            assert compiled.encode_piece(piece) == encode_piece(piece, ranks)


def random_merges(rnd: random.Random, letters: bytes, size: int) -> list[tuple[bytes, bytes]]:
    """Return merges, of which some come after merges that need what they make."""
    tokens = [bytes([letter]) for letter in letters]
    merges: list[tuple[bytes, bytes]] = []
    while len(merges) < size:
        pair = rnd.choice(tokens), rnd.choice(tokens)
        if pair not in merges and len(pair[0] + pair[1]) < 20:
            merges.append(pair)
            tokens.append(pair[0] + pair[1])
    for _ in range(rnd.choice((0, 2, size))):
        a, b = rnd.randrange(size), rnd.randrange(size)
        merges[a], merges[b] = merges[b], merges[a]
    return merges


def merge_by_list(piece: bytes, merges: dict[tuple[bytes, bytes], int]) -> list[bytes]:
    """Merge the leftmost pair of the lowest rank until none is left."""
    parts = [bytes([byte]) for byte in piece]
    while True:
        pairs = [
            (merges[pair], place) for place, pair in enumerate(pairwise(parts)) if pair in merges
        ]
        if not pairs:
            return parts
        _, at = min(pairs)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]


@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_lists_of_merges_in_any_order_merge_as_they_say(alphabet: str) -> None:
    rnd = random.Random(alphabet)
    letters = bytes(sorted(set(alphabet.encode())))
    for size in (3, 8, 20, 60) * 3:
        merges = random_merges(rnd, letters, size)
        tokens = sorted({bytes([i]) for i in range(256)} | {left + right for left, right in merges})
        row = {token: number for number, token in enumerate(tokens)}
        compiled = Encoder(
            b"".join(tokens),
            np.cumsum([len(token) for token in tokens], dtype=np.uint64),
            np.arange(len(tokens), dtype=np.uint32),
            PATTERNS["r50k"],
            merges=np.array(
                [[row[left], row[right], row[left + right]] for left, right in merges], np.uint32
            ).ravel(),
        )
        ranks = {pair: rank for rank, pair in enumerate(merges)}
        for piece in random_pieces(rnd, alphabet, 25):
            expected = [row[part] for part in merge_by_list(piece, ranks)]
            assert compiled.merge_piece(piece, "cuts") == expected
            assert compiled.encode_piece(piece) == expected
