"""Passes over arrays agree with numpy and with Python, for all lengths."""

from __future__ import annotations

import random
from array import array
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastprep_ext.base import (
    Rows,
    count_newlines,
    is_increasing,
    largest,
    occurs_exactly_at,
    shift_ends,
    uninitialized,
)

UINT64 = st.integers(0, 2**64 - 1)


@given(st.lists(st.integers(0, 65535), max_size=200))
def test_the_largest_id_is_numpys(ids: list[int]) -> None:
    for kind in (np.uint16, np.uint32):
        expected = max(ids, default=-1)
        assert largest(np.array(ids, kind)) == expected
    assert largest(np.array([*ids, 2**32 - 1], np.uint32)) == 2**32 - 1


def test_newlines_are_counted_as_bytes_count_them() -> None:
    rng = random.Random(4)
    text = bytes(rng.choice(b"\n\n\x0b\x0aab") for _ in range(70_000)) + b"\n" * 40_000
    for _ in range(300):
        start, stop = sorted(rng.randrange(len(text) + 70) for _ in range(2))
        assert count_newlines(text, start, stop) == text.count(b"\n", start, stop)
    assert (
        count_newlines(text, 5, 5) == count_newlines(b"", 0, 9) == count_newlines(text, 9, 5) == 0
    )


@given(st.lists(UINT64, max_size=40), UINT64, st.booleans())
def test_ends_increase_if_each_is_above_the_one_before(
    ends: list[int], before: int, strictly: bool
) -> None:
    for some in (ends, sorted(ends)):
        pairs = pairwise([before, *some])
        expected = all(last < end or (last == end and not strictly) for last, end in pairs)
        assert is_increasing(array("Q", some), before, strictly) is expected


@given(st.lists(st.integers(0, 3), max_size=60), st.integers(0, 99), st.randoms())
def test_id_occurs_exactly_at_given_positions(
    ids: list[int], offset: int, rng: random.Random
) -> None:
    places = [place + offset for place, one in enumerate(ids) if one == 3]
    for kind in ("H", "I"):
        some = array(kind, ids)
        assert occurs_exactly_at(some, 3, array("Q", places), offset)
        assert occurs_exactly_at(some, 2**40, array("Q"), offset)
        if places:
            gone = rng.randrange(len(places))
            assert not occurs_exactly_at(
                some, 3, array("Q", [*places[:gone], *places[gone + 1 :]]), offset
            )
            for wrong in (places[gone] + 1, offset - 1, offset + len(ids), 2**64 - 1):
                moved = [*places[:gone], wrong, *places[gone + 1 :]]
                if wrong >= 0 and wrong not in places:
                    assert not occurs_exactly_at(some, 3, array("Q", moved), offset)


@given(st.lists(st.integers(2**20, 2**63), max_size=20), st.integers(-(2**20), 2**40))
def test_ends_are_shifted_by_any_number(ends: list[int], by: int) -> None:
    moved = array("Q", ends)
    shift_ends(moved, by)
    assert moved.tolist() == [end + by for end in ends]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.integers(0, 30))
def test_rows_are_grouped_in_runs_of_limited_size(sizes: list[int], most: int) -> None:
    edges = np.cumsum([0, *sizes], dtype=np.int64)
    rows = Rows(b"x" * int(edges[-1]), edges[:-1], edges[1:])
    first = 0
    while first < len(rows):
        last, size = rows.reach(first, most)
        assert size == sum(sizes[first:last])
        assert last > first
        assert size <= most or last == first + 1
        assert last == len(rows) or size + sizes[last] > most
        first = last
    with pytest.raises(IndexError):
        rows.reach(len(rows), most)


def test_uninitialized_buffer_has_the_requested_size() -> None:
    assert [len(uninitialized(size)) for size in (0, 1, 1 << 20)] == [0, 1, 1 << 20]
    with pytest.raises(ValueError, match="-1 bytes"):
        uninitialized(-1)
