"""Mixture of several token sources in exact proportions."""

from __future__ import annotations

import bisect
import copy
import heapq
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Literal, TypeAlias

from fastprep.errors import InvalidWindow, WrongType
from fastprep.system.arguments import whole_number
from fastprep.windows.tokens import Tokens

# Products of a position (below 2**62) and a weight are computed in 128 bits.
_MAX_WEIGHT_SUM = 1 << 62
# Floats are rounded to this fraction of the sum where their exact ratio would be finer.
_FLOAT_STEPS = 1 << 61
_MAX_POSITION = (1 << 62) - 1

_Weight: TypeAlias = float | Fraction
_Weights: TypeAlias = Mapping[Any, _Weight] | Sequence[_Weight]
# Of the first p positions that reach a node, (p * share + remainder) // total go left: share, total,
# remainder, left, right.
Node: TypeAlias = tuple[int, int, int, int, int]
# First position, nodes, windows drawn from each source before.
Phase: TypeAlias = tuple[int, list[Node], list[int]]


class Mixture:
    """Token sources, each with the share of windows to draw from it.

    Of the first p windows of any order, a source with the share w has w * p, to within less than
    two, for every p; nothing is drawn at random. A source that runs out starts its next epoch, in
    another order if the loader shuffles.

    Parameters
    ----------
    weights
        a mapping from source to weight, or pairs ``(source, weight)`` where sources cannot be
        keys, such as arrays, or are equal, such as two copies of a store. A source is anything that
        :class:`~fastprep.training.dataset.WindowDataset` takes. Weights are ints, fractions or
        floats above 0, of any sum. A float counts as the decimal that it prints as, rounded to
        2**-61 of the sum if the decimals together are finer.
    num_windows
        windows per epoch of the mixture; by default as many as the sources have together. A
        source continues into the next epoch of the mixture where it stopped in this one.
    schedule
        weights that replace those before while training: a mapping, or pairs, from a position to
        the weights from there on. These are a mapping from every source to its weight, if no two
        sources are equal, or a sequence in the order of the sources. With a schedule, a weight may be 0.
    unit
        what positions of the schedule count, over all ranks and epochs: "windows", or "tokens",
        of which a window is `max_length`; a change within a window applies from the next one on.
        A step of training is ``batch_size * world_size`` windows.

    Attributes
    ----------
    sources
        tuple of the sources.
    shares
        tuple of :class:`fractions.Fraction`, one per source; they add up to 1. With a schedule,
        those before its first change.
    schedule
        tuple of ``(position, shares)``, in ascending order.

    Raises
    ------
    InvalidWindow
        if there is no source, a weight is not above 0, or a schedule does not fit the sources.

    Notes
    -----
    Positions are distributed by a binary tree: a node gives its left child the nearest integer to
    its share of the first p positions and its right child the rest, so errors never add up. The
    tree is Huffman's, which keeps the number of roundings above a source small. Finding the
    source of a position takes the depth of the tree, whatever the position.

    Under a schedule, of the first p windows a source has the sum of its shares over these p
    windows, within a few windows, for every p: at a change, what rounding has given a source too
    much or too little is carried on, so a ramp of a thousand small steps is as exact as constant
    weights. The source of a window remains a pure function of its position, so the state of a
    loader is as small as before. It has the changes before its own position only: a run may resume
    with other weights for what is still to come.

    Examples
    --------
    >>> mixture = Mixture({"store/prose": 0.7, "store/code": 0.3})
    >>> mixture.shares
    (Fraction(7, 10), Fraction(3, 10))
    >>> [mixture.counts(p) for p in (1, 2, 3, 10)]
    [[1, 0], [1, 1], [2, 1], [7, 3]]

    Half of each from the hundredth window on:

    >>> later = {100: {"store/prose": 1, "store/code": 1}}
    >>> mixture = Mixture({"store/prose": 0.7, "store/code": 0.3}, schedule=later)
    >>> [mixture.counts(p) for p in (100, 200)]
    [[70, 30], [120, 80]]
    """

    def __init__(
        self,
        weights: Mapping[Any, _Weight] | Iterable[tuple[Tokens, _Weight]],
        *,
        num_windows: int | None = None,
        schedule: Mapping[int, _Weights] | Iterable[tuple[int, _Weights]] | None = None,
        unit: Literal["windows", "tokens"] = "windows",
    ) -> None:
        for name, value in (("weights", weights), ("schedule", schedule)):
            if not isinstance(value, Iterable) and (value is not None or name == "weights"):
                raise WrongType(
                    f"{name} is {value!r:.80}; pass a mapping, or a list of pairs, as the class says"
                )
        pairs = list(weights.items() if isinstance(weights, Mapping) else weights)
        if not pairs:
            raise InvalidWindow("a mixture needs at least one source")
        if not all(isinstance(pair, (tuple, list)) and len(pair) == 2 for pair in pairs):
            raise InvalidWindow(
                "a mixture needs a weight for each source; write {source: weight, ...} or "
                "[(source, weight), ...]"
            )
        if unit not in ("windows", "tokens"):
            raise InvalidWindow(f"unit is {unit!r}; it must be 'windows' or 'tokens'")
        self.sources: tuple[Tokens, ...] = tuple(source for source, _ in pairs)
        changes = [] if schedule is None else self._changes(schedule)
        given = [(0, [weight for _, weight in pairs]), *changes]
        integers = [_proportions(ones, allow_zero=len(given) > 1) for _, ones in given]
        self.num_windows: int | None = (
            None
            if num_windows is None
            else whole_number(num_windows, "num_windows", most=_MAX_POSITION, error=InvalidWindow)
        )
        self._unit = unit
        self._set_phases([start for start, _ in given], integers)

    def _changes(self, schedule: Any) -> list[tuple[int, list[_Weight]]]:
        """Return the positions and weights of a schedule, in ascending order."""
        changes = []
        entries = list(schedule.items() if isinstance(schedule, Mapping) else schedule)
        if not all(
            isinstance(entry, (tuple, list))
            and len(entry) == 2
            and isinstance(entry[1], (Mapping, Sequence))
            for entry in entries
        ):
            raise InvalidWindow(
                "a schedule needs the weights for each position; write {position: weights, ...} or "
                "[(position, weights), ...]"
            )
        for at, ones in entries:
            start = whole_number(
                at, "a position of the schedule", most=_MAX_POSITION, error=InvalidWindow
            )
            if isinstance(ones, Mapping):
                try:
                    sources = set(self.sources)
                except TypeError:
                    raise InvalidWindow(
                        f"the schedule at {start} maps sources to weights, but arrays cannot be keys; "
                        "give the weights as a sequence"
                    ) from None
                if len(sources) < len(self.sources):
                    raise InvalidWindow(
                        f"the schedule at {start} maps sources to weights, but two of the sources are "
                        "equal, so it has one weight for both; give the weights as a sequence"
                    )
                wrong = [*(ones.keys() ^ sources)]
                weights = [] if wrong else [ones[source] for source in self.sources]
            else:
                weights, wrong = list(ones), []
            if len(weights) != len(self.sources):
                raise InvalidWindow(
                    f"the schedule at {start} must give each of the {len(self.sources)} sources a "
                    f"weight; found {ones!r}" + (f", which differs in {wrong}" if wrong else "")
                )
            changes.append((start, weights))
        changes.sort(key=lambda change: change[0])
        for (one, _), (other, _) in itertools.pairwise(changes):
            if one == other:
                raise InvalidWindow(f"the schedule has two entries at {one}; leave one out")
        return changes

    def _set_phases(self, starts: list[int], integers: list[list[int]]) -> None:
        self._starts, self._integers = starts, integers
        shares = [tuple(Fraction(one, sum(ones)) for one in ones) for ones in integers]
        self.shares: tuple[Fraction, ...] = shares[0]
        self.schedule: tuple[tuple[int, tuple[Fraction, ...]], ...] = tuple(
            zip(starts[1:], shares[1:], strict=True)
        )
        self.splits: list[tuple[int, int, int, int]] = _huffman_tree(integers[0])
        self.phases: list[Phase] = _phases(self.splits, starts, integers)

    def in_windows(self, max_length: int) -> Mixture:
        """Return the mixture with the positions of its schedule counted in windows.

        >>> mixture = Mixture({"a": 1, "b": 1}, schedule={1000: (1, 3)}, unit="tokens")
        >>> mixture.in_windows(256).schedule
        ((4, (Fraction(1, 4), Fraction(3, 4))),)
        """
        if self._unit == "windows" or not self.schedule:
            return self
        mixture = copy.copy(self)
        mixture._unit = "windows"
        mixture._set_phases([-(-start // max_length) for start in self._starts], self._integers)
        return mixture

    def counts(self, positions: int) -> list[int]:
        """Count how many of the first `positions` windows come from each source."""
        positions = whole_number(positions, "positions", 0, error=InvalidWindow)
        if self._unit == "tokens" and self.schedule:
            raise InvalidWindow("the schedule counts tokens; call in_windows(max_length) first")
        start, nodes, drawn = self.phases[bisect.bisect_right(self._starts, positions) - 1]
        return _add_counts(drawn, nodes, positions - start)

    def __repr__(self) -> str:
        parts = zip(self.sources, self.shares, strict=True)
        later = f"; {len(self.schedule)} changes" if self.schedule else ""
        return f"Mixture({', '.join(f'{source!r}: {share}' for source, share in parts)}{later})"

    def _repr_html_(self) -> str:
        from fastprep.encoding.shown import facts_html

        facts: list[tuple[str, object]] = [
            (f"{share} ({float(share):.1%})", f"{source!r:.200}")
            for source, share in zip(self.sources, self.shares, strict=True)
        ]
        if self.schedule:
            facts.append(
                ("changes", f"{len(self.schedule):,}, the first at {self.schedule[0][0]:,}")
            )
        return facts_html("Mixture", facts)


def _phases(
    tree: list[tuple[int, int, int, int]], starts: list[int], integers: list[list[int]]
) -> list[Phase]:
    """Return what :class:`fastprep_ext.windows.Order` takes: the phases of a mixture.

    All of them have the tree of the first. The remainder of a node is chosen so that its left child
    has the nearest integer to the exact sum of its shares over all positions that reached the node,
    also those of earlier phases. Sums are exact to 2**-61 per position.
    """
    size = len(integers[0])
    nodes: list[Node] = [
        (share, total or 1, total // 2, left, right) for share, total, left, right in tree
    ]
    drawn, exact = [0] * size, [0] * size
    phases = [(0, nodes, drawn)]
    for start, before, ones, last in zip(starts[1:], starts, integers[1:], integers, strict=False):
        drawn = _add_counts(drawn, nodes, start - before)
        for source, one in enumerate(last):
            exact[source] += (start - before) * (one * _FLOAT_STEPS // sum(last))
        weights, reached, expected = (_sums(tree, values) for values in (ones, drawn, exact))
        nodes = []
        for node, (_, _, left, right) in enumerate(tree):
            scale = max(1, _FLOAT_STEPS // (weights[node] or 1))
            share, total = weights[left] * scale, (weights[node] or 1) * scale
            # In units of half a _FLOAT_STEPS-th.
            missing = total * (2 * expected[left] + _FLOAT_STEPS * (1 - 2 * reached[left]))
            missing += 2 * share * (_FLOAT_STEPS * reached[node] - expected[node])
            remainder = min(max(missing // (2 * _FLOAT_STEPS), 0), total - 1)
            nodes.append((share, total, remainder, left, right))
        phases.append((start, nodes, drawn))
    return phases


def _sums(tree: list[tuple[int, int, int, int]], values: list[int]) -> dict[int, int]:
    """Return the sum of the values of the sources under each child and the root of a tree."""
    sums = {-1 - source: value for source, value in enumerate(values)}
    for node in reversed(range(len(tree))):
        _, _, left, right = tree[node]
        sums[node] = sums[left] + sums[right]
    return sums


def _add_counts(drawn: list[int], nodes: list[Node], positions: int) -> list[int]:
    """Return `drawn` plus how many of the first `positions` of a phase come from each source."""
    counts = list(drawn)
    stack = [(0 if nodes else -1, positions)]
    while stack:
        node, count = stack.pop()
        if node < 0:
            counts[-1 - node] += count
            continue
        share, total, remainder, left, right = nodes[node]
        to_left = (count * share + remainder) // total
        stack += [(left, to_left), (right, count - to_left)]
    return counts


def _proportions(given: list[_Weight], *, allow_zero: bool) -> list[int]:
    """Return integers in the proportions of weights; raise InvalidWindow if there are none."""
    fractions = [_to_fraction(weight, allow_zero) for weight in given]
    if not any(fractions):
        raise InvalidWindow("one of the weights must be above 0; found only 0")
    integers = _to_integers(fractions)
    if sum(integers) >= _MAX_WEIGHT_SUM and any(isinstance(weight, float) for weight in given):
        total = sum(integers)
        integers = _to_integers([Fraction(one * _FLOAT_STEPS, total) for one in integers], 1)
    if sum(integers) >= _MAX_WEIGHT_SUM or any(
        one and not integer for one, integer in zip(fractions, integers, strict=True)
    ):
        raise InvalidWindow(
            "these weights have no common measure above 2**-62 of their sum; round them, or "
            "leave out the sources that would hardly ever be drawn"
        )
    return integers


def _to_fraction(weight: _Weight, allow_zero: bool) -> Fraction:
    try:
        exact = Fraction(str(weight) if isinstance(weight, float) else weight)
    except (TypeError, ValueError, OverflowError):
        raise InvalidWindow(f"a weight must be a number above 0; found {weight!r}") from None
    if exact < 0 or (exact == 0 and not allow_zero):
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
