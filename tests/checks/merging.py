"""Checks of all ways to merge a piece against the reference."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
from reference.steps import encode_piece, merge

from checks import Found
from fastprep_ext.bpe import MERGE_METHODS, PATTERNS, Encoder

PIECES_EACH = 500  # of a random vocabulary
# 16 to 64: lanes of few.h; above 32 a piece is cut.
THRESHOLDS = (16, 32, 64, MERGE_METHODS["few"], MERGE_METHODS["search"])


def random_ranks(rnd: random.Random, letters: bytes, size: int) -> dict[bytes, int]:
    """Return a vocabulary whose tokens need not come from merges: any strings over a few letters."""
    tokens = {bytes([i]) for i in range(256)}
    while len(tokens) < 256 + size:
        tokens.add(bytes(rnd.choices(letters, k=rnd.randrange(2, 9))))
    order = sorted(tokens)
    rnd.shuffle(order)
    return {token: rank for rank, token in enumerate(order)}


def merged_ranks(rnd: random.Random, letters: bytes, size: int) -> dict[bytes, int]:
    """Return a vocabulary whose tokens are each a concatenation of two others, as merges make them."""
    tokens = [bytes([i]) for i in range(256)]
    growing = [bytes([letter]) for letter in letters]
    for _ in range(100 * size):
        token = rnd.choice(growing) + rnd.choice(growing)
        if token not in tokens and len(token) < 40:
            tokens.append(token)
            growing.append(token)
        if len(tokens) == 256 + size:
            break
    return {token: rank for rank, token in enumerate(tokens)}


VOCABULARIES = (random_ranks, merged_ranks)


def encoder(ranks: dict[bytes, int]) -> Encoder:
    """Return an encoder for these ranks."""
    tokens = sorted(ranks, key=ranks.__getitem__)
    ends = np.cumsum([len(token) for token in tokens], dtype=np.uint64)
    ids = np.array([ranks[token] for token in tokens], np.uint32)
    return Encoder(b"".join(tokens), ends, ids, PATTERNS["r50k"])


def ways_for(size: int) -> list[str]:
    """Return the ways to merge that accept a piece of this size."""
    return [way for way, most in MERGE_METHODS.items() if size <= most]


def random_size(rnd: random.Random) -> int:
    """Return 1 to 300 bytes: one in eight at a threshold, the others mostly short."""
    if rnd.random() < 0.125:
        return rnd.choice(THRESHOLDS) + rnd.randrange(-1, 2)
    return rnd.randrange(1, 1 + rnd.choice((24, 24, 24, 110, 110, 300)))


def merge_paths(seed: int, cases: int) -> Iterator[Found]:
    """Compare pieces of random vocabularies."""
    rnd = random.Random(seed)
    differing = at_threshold = 0
    vocabularies = max(1, cases // PIECES_EACH)
    for number in range(vocabularies):
        letters = rnd.choice((b"ab", b"abc", b"abcd", b"etaoin ", bytes(range(256))))
        ranks = VOCABULARIES[number % 2](rnd, letters, rnd.randrange(1, 20 * len(letters[:8])))
        compiled = encoder(ranks)
        for _ in range(PIECES_EACH):
            size = random_size(rnd)
            piece = bytes(rnd.choices(letters + b"z"[: number % 2], k=size))
            expected = merge(piece, ranks)
            differing += (
                any(compiled.merge_piece(piece, way) != expected for way in ways_for(size))
                or compiled.encode_piece(piece) != encode_piece(piece, ranks)
            )  # fmt: skip
            at_threshold += min(abs(size - at) for at in THRESHOLDS) <= 1
    figures = {"vocabularies": vocabularies, "thresholds": THRESHOLDS, "at_threshold": at_threshold}
    yield Found("merge paths", vocabularies * PIECES_EACH, differing, figures)
