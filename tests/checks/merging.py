"""All ways to merge a piece agree with the reference's."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np

from checks import Found
from fastprep.reference import encode_piece, merge
from fastprep_ext.encode import Encoder
from fastprep_ext.splitters import PATTERNS

PIECES_EACH = 500  # of a random vocabulary


def random_ranks(rnd: random.Random, letters: bytes, size: int) -> dict[bytes, int]:
    """A vocabulary whose tokens need not come from merges: any strings over a few letters."""
    tokens = {bytes([i]) for i in range(256)}
    while len(tokens) < 256 + size:
        tokens.add(bytes(rnd.choices(letters, k=rnd.randrange(2, 9))))
    order = sorted(tokens)
    rnd.shuffle(order)
    return {token: rank for rank, token in enumerate(order)}


def encoder(ranks: dict[bytes, int]) -> Encoder:
    """What encodes with these."""
    tokens = sorted(ranks, key=ranks.__getitem__)
    ends = np.cumsum([len(token) for token in tokens], dtype=np.uint64)
    ids = np.array([ranks[token] for token in tokens], np.uint32)
    return Encoder(b"".join(tokens), ends, ids, PATTERNS["r50k"])


def longest_search() -> int:
    """The length up to which a piece is merged by a search."""
    compiled = encoder({bytes([i]): i for i in range(256)})
    for size in range(1, 1 << 16):
        try:
            compiled.merge_piece(bytes(size), "search")
        except ValueError:
            return size - 1
    raise AssertionError("no piece is too long for a search")


def random_size(rnd: random.Random, threshold: int) -> int:
    """1 to 300 bytes: one in eight at the threshold, of the others more that are short."""
    if rnd.random() < 0.125:
        return threshold + rnd.randrange(-1, 2)
    return rnd.randrange(1, 1 + rnd.choice((24, 24, 24, 110, 110, 300)))


def merge_paths(seed: int, cases: int) -> Iterator[Found]:
    """Pieces of random vocabularies."""
    rnd = random.Random(seed)
    threshold = longest_search()
    differing = at_threshold = 0
    vocabularies = max(1, cases // PIECES_EACH)
    for number in range(vocabularies):
        letters = rnd.choice((b"ab", b"abc", b"abcd", b"etaoin ", bytes(range(256))))
        ranks = random_ranks(rnd, letters, rnd.randrange(1, 20 * len(letters[:8])))
        compiled = encoder(ranks)
        for _ in range(PIECES_EACH):
            size = random_size(rnd, threshold)
            piece = bytes(rnd.choices(letters + b"z"[: number % 2], k=size))
            expected = merge(piece, ranks)
            ways = ["heap", "windows", *(["search"] if size <= threshold else [])]
            differing += (
                any(compiled.merge_piece(piece, way) != expected for way in ways)
                or compiled.encode_piece(piece) != encode_piece(piece, ranks)
            )  # fmt: skip
            at_threshold += abs(size - threshold) <= 1
    figures = {"vocabularies": vocabularies, "threshold": threshold, "at_threshold": at_threshold}
    yield Found("merge paths", vocabularies * PIECES_EACH, differing, figures)
