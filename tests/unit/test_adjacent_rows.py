"""Windows that follow each other are widened together, with the results and errors of single rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastprep.errors import IdOutOfRange, InvalidWindow
from fastprep_ext.windows import BatchMaker, GatheredRows, TokenShards


def make(
    shards: list[np.ndarray[Any, Any]], windows: list[int], length: int, stride: int, **options: Any
) -> np.ndarray[Any, Any]:
    """Return the inputs and targets of some windows."""
    tokens = TokenShards(shards)
    rows = -(-(tokens.num_tokens - 1) // stride)
    maker = BatchMaker([GatheredRows(tokens, rows, stride)], length, **options)
    found = np.full((2, len(windows), length), -7, np.int64)
    maker.make(windows, (found.ctypes.data, found[1].ctypes.data, 0, 0, 0))
    return found


def expected(ids: np.ndarray[Any, Any], windows: list[int], length: int, stride: int) -> Any:
    """Return the same row by row, padded as the maker does."""
    found = np.full((2, len(windows), length), -100, np.int64)
    found[0] = 0
    for row, window in enumerate(windows):
        part = ids[window * stride : window * stride + length + 1]
        found[0, row, : min(length, len(part))] = part[:length]
        found[1, row, : len(part) - 1] = part[1:]
    return found


@pytest.mark.parametrize("sizes", [(1000,), (301, 0, 399, 300), (1,) * 300 + (700,)])
@pytest.mark.parametrize(("length", "stride"), [(7, 7), (7, 5), (5, 7), (64, 64), (999, 999)])
@pytest.mark.parametrize("first", [0, 3])
def test_rows_in_order_are_those_of_single_rows(
    sizes: tuple[int, ...], length: int, stride: int, first: int
) -> None:
    ids = np.random.default_rng(2).integers(0, 60_000, 1000, np.uint16)
    shards = np.split(ids, np.cumsum(sizes)[:-1])
    windows = [*range(first, -(-999 // stride))]
    if not windows:
        return
    found = make(shards, windows, length, stride)
    assert np.array_equal(found, expected(ids, windows, length, stride))


def test_gaps_and_several_sources_are_not_joined() -> None:
    ids = [np.arange(100, dtype=np.uint32) + 1000 * k for k in range(2)]
    maker = BatchMaker([GatheredRows(TokenShards([each]), 10, 9) for each in ids], 9)
    windows = [8, 9, 10, 11, 12, 14, 15]
    found = np.empty((2, len(windows), 9), np.int64)
    maker.make(windows, (found.ctypes.data, found[1].ctypes.data, 0, 0, 0))
    assert found[0, :, 0].tolist() == [72, 81, 1000, 1009, 1018, 1036, 1045]
    assert (found[1] == found[0] + 1).all()
    windows = [*range(7, 13)]  # in order, across the two
    maker.make(windows, (found.ctypes.data, found[1].ctypes.data, 0, 0, 0))
    assert found[0, :6, 0].tolist() == [63, 72, 81, 1000, 1009, 1018]


@pytest.mark.parametrize("place", [0, 100, 511, 512, 640])
def test_an_id_out_of_range_is_named_by_its_place(place: int) -> None:
    ids = np.zeros(641, np.int64)
    ids[place] = 99
    with pytest.raises(IdOutOfRange, match=f"position {place} is 99"):
        make([ids], [*range(10)], 64, 64, vocab_size=99)
    ids[place] = -1
    with pytest.raises(InvalidWindow, match=f"position {place} is -1"):
        make([ids], [*range(10)], 64, 64)
