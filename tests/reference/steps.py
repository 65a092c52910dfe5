"""Reference implementation of byte pair encoding in plain Python, slow and readable."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from reference.splits import split_r50k


def encode_piece(piece: bytes, ranks: dict[bytes, int]) -> list[int]:
    """Encode one piece: its own id if it is a token, even one that no merge produces; else merge it.

    >>> encode_piece(b"abc", {b"a": 0, b"b": 1, b"c": 2, b"abc": 3})
    [3]
    """
    return [ranks[piece]] if piece in ranks else merge(piece, ranks)


def merge(piece: bytes, ranks: dict[bytes, int]) -> list[int]:
    """Encode one piece by merging: the pair of lowest rank first, the leftmost of equal ones.

    >>> ranks = {b"a": 0, b"b": 1, b"c": 2, b"bc": 3, b"ab": 4}
    >>> merge(b"abc", ranks)  # b and c before a and b
    [0, 3]
    """
    parts = [piece[i : i + 1] for i in range(len(piece))]
    while True:
        pairs = [a + b for a, b in itertools.pairwise(parts)]
        lowest = min((pair for pair in pairs if pair in ranks), key=ranks.__getitem__, default=None)
        if lowest is None:
            return [ranks[part] for part in parts]
        at = pairs.index(lowest)
        parts[at : at + 2] = [lowest]


def encode(
    text: str, ranks: dict[bytes, int], split: Callable[[str], list[str]] = split_r50k
) -> list[int]:
    """Encode `text` as ordinary text, in quadratic time per piece.

    >>> encode("ab c", {b"a": 0, b"b": 1, b" ": 2, b"c": 3, b"ab": 4})
    [4, 2, 3]
    """
    return [i for piece in split(text) for i in encode_piece(piece.encode("utf-8"), ranks)]
