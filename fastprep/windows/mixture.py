"""Mixture of several token sources in exact proportions."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from fastprep.errors import InvalidWindow
from fastprep.windows.tokens import Tokens

# Products of a position (below 2**62) and a weight are computed in 128 bits.
_MAX_WEIGHT_SUM = 1 << 62
# Floats are rounded to this fraction of the sum where their exact ratio would be finer.
_FLOAT_STEPS = 1 << 61


class Mixture:
    """Token sources, each with the share of windows to draw from it.

    Of the first p windows of any order, a source with the share w has w * p, to within less than
    two, for every p; nothing is drawn at random. A source that runs out starts its next epoch, in
    another order if the loader shuffles.

    Parameters
    ----------
    weights
        a mapping from source to weight, or pairs ``(source, weight)`` where sources cannot be
        keys, such as arrays. A source is anything that
        :class:`~fastprep.training.dataset.WindowDataset` takes. Weights are ints, fractions or
        floats above 0, of any sum. A float counts as the decimal that it prints as, rounded to
        2**-61 of the sum if the decimals together are finer.
    num_windows
        windows per epoch of the mixture; by default as many as the sources have together. A
        source continues into the next epoch of the mixture where it stopped in this one.

    Attributes
    ----------
    sources
        tuple of the sources.
    shares
        tuple of :class:`fractions.Fraction`, one per source; they add up to 1.

    Raises
    ------
    InvalidWindow
        if there is no source, or a weight is not above 0.

    Notes
    -----
    Positions are distributed by a binary tree: a node gives its left child the nearest integer to
    its share of the first p positions and its right child the rest, so errors never add up. The
    tree is Huffman's, which keeps the number of roundings above a source small. Finding the
    source of a position takes the depth of the tree, whatever the position.

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
        given = [weight for _, weight in pairs]
        integers = _to_integers([_to_fraction(weight) for weight in given])
        if sum(integers) >= _MAX_WEIGHT_SUM and any(isinstance(weight, float) for weight in given):
            total = sum(integers)
            integers = _to_integers([Fraction(one * _FLOAT_STEPS, total) for one in integers], 1)
        if sum(integers) >= _MAX_WEIGHT_SUM or not all(integers):
            raise InvalidWindow(
                "these weights have no common measure above 2**-62 of their sum; round them, or "
                "leave out the sources that would hardly ever be drawn"
            )
        self.shares: tuple[Fraction, ...] = tuple(
            Fraction(weight, sum(integers)) for weight in integers
        )
        if num_windows is not None and num_windows < 1:
            raise InvalidWindow(f"num_windows must be at least 1; found {num_windows}")
        self.num_windows = num_windows
        self.splits: list[tuple[int, int, int, int]] = _huffman_tree(integers)

    def counts(self, positions: int) -> list[int]:
        """Count how many of the first `positions` windows come from each source."""
        counts = [0] * len(self.sources)
        stack = [(0 if self.splits else -1, positions)]
        while stack:
            node, count = stack.pop()
            if node < 0:
                counts[-1 - node] = count
                continue
            share, total, left, right = self.splits[node]
            to_left = (count * share + total // 2) // total
            stack += [(left, to_left), (right, count - to_left)]
        return counts

    def __repr__(self) -> str:
        parts = zip(self.sources, self.shares, strict=True)
        return f"Mixture({', '.join(f'{source!r}: {share}' for source, share in parts)})"


def _to_fraction(weight: float | Fraction) -> Fraction:
    try:
        exact = Fraction(str(weight) if isinstance(weight, float) else weight)
    except (TypeError, ValueError, OverflowError):
        raise InvalidWindow(f"a weight must be a number above 0; found {weight!r}") from None
    if exact <= 0:
        raise InvalidWindow(f"a weight must be above 0; found {weight!r}; leave the source out")
    return exact


def _to_integers(weights: list[Fraction], denominator: int | None = None) -> list[int]:
    """Return coprime integers in the same proportions; with `denominator`, rounded to its parts."""
    common = denominator or math.lcm(*(weight.denominator for weight in weights))
    integers = [round(weight * common) for weight in weights]
    divisor = math.gcd(*integers) or 1
    return [weight // divisor for weight in integers]


def _huffman_tree(weights: list[int]) -> list[tuple[int, int, int, int]]:
    """Return the nodes ``(weight of the left child, weight, left, right)``, the root first.

    A child below 0 is the source ``-1 - child``.
    """
    ticket = itertools.count()  # breaks ties between equal weights, so that the tree is unique
    heap = [(weight, next(ticket), -1 - source) for source, weight in enumerate(weights)]
    heapq.heapify(heap)
    nodes: list[tuple[int, int, int, int]] = []
    while len(heap) > 1:
        small, _, right = heapq.heappop(heap)
        large, _, left = heapq.heappop(heap)
        heapq.heappush(heap, (small + large, next(ticket), len(nodes)))
        nodes.append((large, small + large, left, right))
    last = len(nodes) - 1
    return [
        (share, total, *(last - child if child >= 0 else child for child in (left, right)))  # type: ignore[misc]
        for share, total, left, right in reversed(nodes)
    ]
