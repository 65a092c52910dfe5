"""Several sources in exact proportions."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from fastprep.errors import InvalidWindow
from fastprep.windows.tokens import Tokens

# Products of a position (below 2**62) and a weight are taken in 128 bits.
_MOST = 1 << 62
_FINEST = 1 << 61


class Mixture:
    """Sources of tokens and how often each is drawn from.

    Of the first p windows of any order a source with the share w has w * p, give or take fewer
    than two, for every p; nothing is drawn at random. A source that runs out begins its next
    epoch, in another order if the loader shuffles.

    Parameters
    ----------
    weights
        a mapping from source to weight, or pairs ``(source, weight)`` where sources cannot be
        keys, such as arrays. A source is what :class:`~fastprep.training.dataset.WindowDataset` takes.
        Weights are ints, fractions or floats above 0, of any sum; a float counts as the decimal
        that it is printed as, or, where those are finer together, to 2**-61 of the sum.
    num_windows
        how many windows make an epoch of the mixture; if not given as many as the sources have
        together. Epochs go on in each source where the one before stopped.

    Attributes
    ----------
    sources
        tuple of the sources.
    shares
        tuple of :class:`fractions.Fraction`, which add up to 1.

    Raises
    ------
    InvalidWindow
        for no source, or a weight that is not above 0.

    Notes
    -----
    Positions are shared out by a binary tree: a node gives the nearest integer to its share of the
    first p positions to the left and the rest to the right, so no error ever adds up. The tree is
    Huffman's, which keeps the few roundings above a source small. Finding the source of a position
    takes the depth of the tree, whatever the position.

    Examples
    --------
    >>> mixture = Mixture({"store/prose": 0.7, "store/code": 0.3})
    >>> mixture.shares
    (Fraction(7, 10), Fraction(3, 10))
    >>> [mixture.counts(p) for p in (1, 2, 3, 10)]
    [[1, 0], [1, 1], [2, 1], [7, 3]]
    """

    def __init__(
        self,
        weights: Mapping[Any, float | Fraction] | Iterable[tuple[Tokens, float | Fraction]],
        *,
        num_windows: int | None = None,
    ) -> None:
        pairs = list(weights.items() if isinstance(weights, Mapping) else weights)
        if not pairs:
            raise InvalidWindow("a mixture needs at least one source")
        self.sources: tuple[Tokens, ...] = tuple(source for source, _ in pairs)
        weighed = [weight for _, weight in pairs]
        integers = _whole([_exact(weight) for weight in weighed])
        if sum(integers) >= _MOST and any(isinstance(weight, float) for weight in weighed):
            integers = _whole([Fraction(weight * _FINEST, sum(integers)) for weight in integers], 1)
        if sum(integers) >= _MOST or not all(integers):
            raise InvalidWindow(
                "these weights have no common measure above 2**-62 of their sum; round them, or "
                "leave out what is drawn next to never"
            )
        self.shares = tuple(Fraction(weight, sum(integers)) for weight in integers)
        if num_windows is not None and num_windows < 1:
            raise InvalidWindow(f"num_windows must be at least 1; found {num_windows}")
        self.num_windows = num_windows
        self.splits = _huffman(integers)

    def counts(self, positions: int) -> list[int]:
        """How many of the first `positions` windows come from each source."""
        counts = [0] * len(self.sources)
        waiting = [(0 if self.splits else -1, positions)]
        while waiting:
            node, reached = waiting.pop()
            if node < 0:
                counts[-1 - node] = reached
                continue
            share, total, left, right = self.splits[node]
            gone = (reached * share + total // 2) // total
            waiting += [(left, gone), (right, reached - gone)]
        return counts

    def __repr__(self) -> str:
        parts = zip(self.sources, self.shares, strict=True)
        return f"Mixture({', '.join(f'{source!r}: {share}' for source, share in parts)})"


def _exact(weight: float | Fraction) -> Fraction:
    try:
        exact = Fraction(str(weight) if isinstance(weight, float) else weight)
    except (TypeError, ValueError, OverflowError):
        raise InvalidWindow(f"a weight must be a number above 0; found {weight!r}") from None
    if exact <= 0:
        raise InvalidWindow(f"a weight must be above 0; found {weight!r}; leave the source out")
    return exact


def _whole(weights: list[Fraction], measure: int | None = None) -> list[int]:
    """Integers in the same proportions; with a `measure`, the nearest multiples of it."""
    common = measure or math.lcm(*(weight.denominator for weight in weights))
    integers = [round(weight * common) for weight in weights]
    divisor = math.gcd(*integers) or 1
    return [weight // divisor for weight in integers]


def _huffman(weights: list[int]) -> list[tuple[int, int, int, int]]:
    """The nodes ``(weight of the left, weight, left, right)`` of the tree, its root first.

    A child below 0 is source ``-1 - child``.
    """
    ticket = itertools.count()  # decides between equal weights, so that the tree is always one
    heap = [(weight, next(ticket), -1 - source) for source, weight in enumerate(weights)]
    heapq.heapify(heap)
    made: list[tuple[int, int, int, int]] = []
    while len(heap) > 1:
        small, _, right = heapq.heappop(heap)
        large, _, left = heapq.heappop(heap)
        heapq.heappush(heap, (small + large, next(ticket), len(made)))
        made.append((large, small + large, left, right))
    last = len(made) - 1
    return [
        (share, total, *(last - child if child >= 0 else child for child in (left, right)))  # type: ignore[misc]
        for share, total, left, right in reversed(made)
    ]
