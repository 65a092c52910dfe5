"""Window positions, views of windows, and the compiled copy of them."""

from __future__ import annotations

import subprocess
import sys
from array import array
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastprep.errors import InvalidWindow
from fastprep.windows.sliding import num_windows, sliding_windows, window_starts
from fastprep_ext.windows import BatchMaker, GatheredRows, TokenShards

DTYPES = ["uint8", "uint16", "uint32", "int32", "int64"]
sizes = st.integers(1, 12)


def a_store(*shards: list[int], dtype: str = "uint16") -> Any:
    arrays = tuple(np.array(shard, dtype) for shard in shards)
    return SimpleNamespace(shards=arrays, num_tokens=sum(map(len, arrays)))


def gather(
    core: TokenShards, starts: Any, inputs: Any, targets: Any, fill: int | None = None
) -> None:
    """The windows at `starts`, taken from all windows at stride 1."""
    length = inputs.shape[1]
    rows = GatheredRows(core, max(0, core.num_tokens - (length if fill is None else 0)), 1)
    maker = BatchMaker([rows], length, input_fill=fill or 0)
    maker.make(starts.tolist(), (inputs.ctypes.data, targets.ctypes.data, 0, 0, 0))


@given(st.integers(0, 60), sizes, sizes)
def test_full_windows_are_those_of_the_notebook(n: int, max_length: int, stride: int) -> None:
    expected = list(range(0, n - max_length, stride))
    assert list(window_starts(n, max_length, stride)) == expected
    assert num_windows(n, max_length, stride) == max(0, -((max_length - n) // stride))


@given(st.integers(0, 60), sizes, sizes)
def test_pad_last_adds_a_window_exactly_if_it_predicts_a_token_no_other_does(
    n: int, max_length: int, stride: int
) -> None:
    def predicted(start: int) -> set[int]:
        return {place for place in range(start + 1, start + max_length + 1) if place < n}

    full = list(range(0, n - max_length, stride))
    known = set().union(*map(predicted, full)) if full else set()
    candidate = len(full) * stride
    expected = full + ([candidate] if n - 1 in predicted(candidate) - known else [])
    assert list(window_starts(n, max_length, stride, pad_last=True)) == expected


@given(st.integers(2, 200), sizes, sizes)
def test_pad_last_leaves_no_token_unpredicted_unless_the_stride_jumps_over_it(
    n: int, max_length: int, stride: int
) -> None:
    stride = min(stride, max_length)
    starts = window_starts(n, max_length, stride, pad_last=True)
    seen = {place for start in starts for place in range(start + 1, start + max_length + 1)}
    assert seen >= set(range(1, n))


def test_window_arithmetic_does_not_overflow() -> None:
    n = 3 * 2**40
    starts = window_starts(n, 1024, 1)
    assert len(starts) == n - 1024
    assert starts[-1] == n - 1025


@pytest.mark.parametrize("bad", [0, -1, 1.0, "4", None])
def test_size_must_be_a_positive_integer(bad: Any) -> None:
    with pytest.raises(InvalidWindow, match="max_length is"):
        window_starts(10, bad, 1)
    with pytest.raises(InvalidWindow, match="stride is"):
        num_windows(10, 1, bad)
    with pytest.raises(InvalidWindow, match="stride is"):
        sliding_windows(np.arange(5), 2, bad)


@pytest.mark.parametrize("dtype", DTYPES)
def test_sliding_windows_share_the_memory_and_cannot_be_written(dtype: str) -> None:
    tokens = np.arange(50, dtype=dtype)
    windows = sliding_windows(tokens, 7, 3)
    assert windows.dtype == dtype
    assert windows.tolist() == [tokens[i : i + 8].tolist() for i in range(0, 50 - 7, 3)]
    assert np.shares_memory(windows, tokens)
    with pytest.raises(ValueError, match="read-only"):
        windows[0, 0] = 1


def test_sliding_windows_of_every_other_token_are_a_view_too() -> None:
    tokens = np.arange(20)[::2]
    windows = sliding_windows(tokens, 3, 2)
    assert windows.tolist() == [[0, 2, 4, 6], [4, 6, 8, 10], [8, 10, 12, 14], [12, 14, 16, 18]]
    assert np.shares_memory(windows, tokens)


@pytest.mark.parametrize("n", [0, 1, 3])
def test_too_few_tokens_have_no_sliding_windows(n: int) -> None:
    windows = sliding_windows(np.arange(n, dtype=np.uint16), 3, 1)
    assert windows.shape == (0, 4)
    assert windows.dtype == np.uint16
    assert not windows.flags.writeable


def test_sliding_windows_of_a_store_need_one_shard() -> None:
    assert sliding_windows(a_store([], [1, 2, 3], []), 1, 1).tolist() == [[1, 2], [2, 3]]
    assert sliding_windows(a_store(), 1, 1).shape == (0, 2)
    with pytest.raises(InvalidWindow, match=r"2 shards.*WindowDataset"):
        sliding_windows(a_store([1, 2], [3]), 1, 1)


@pytest.mark.parametrize("offset", [2**31, 2**32])
def test_offsets_beyond_31_and_32_bits_are_exact(tmp_path: Path, offset: int) -> None:
    path = tmp_path / "sparse.bin"
    marks = np.arange(1, 9, dtype=np.uint16)
    with path.open("wb") as file:
        file.seek((offset - 4) * 2)
        file.write(marks.tobytes())
    tokens = np.memmap(path, np.uint16, "r")
    last = sliding_windows(tokens, 4, 1)[-1]
    assert last.tolist() == [4, 5, 6, 7, 8]

    inputs, targets = np.empty((2, 4), np.int64), np.empty((2, 4), np.int64)
    gather(TokenShards([tokens]), np.array([offset - 4, offset - 1]), inputs, targets)
    assert inputs.tolist() == [[1, 2, 3, 4], [4, 5, 6, 7]]
    assert targets.tolist() == [[2, 3, 4, 5], [5, 6, 7, 8]]


def test_the_arithmetic_and_the_core_do_without_torch() -> None:
    code = "import sys, fastprep.windows.sliding, fastprep_ext.windows; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ---- the compiled copy -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_windows_run_across_the_borders_of_shards(dtype: str) -> None:
    rng = np.random.default_rng(7)
    for _ in range(60):
        counts = rng.integers(0, 9, size=rng.integers(1, 9))
        tokens = rng.integers(0, np.iinfo(dtype).max, counts.sum(), dtype=dtype, endpoint=True)
        shards = np.split(tokens, np.cumsum(counts)[:-1])
        length = int(rng.integers(1, 9))
        if len(tokens) <= length:
            continue
        starts = rng.integers(0, len(tokens) - length, size=5)
        inputs, targets = np.empty((5, length), np.int64), np.empty((5, length), np.int64)
        gather(TokenShards(shards), starts, inputs, targets)
        assert inputs.tolist() == [tokens[s : s + length].tolist() for s in starts]
        assert targets.tolist() == [tokens[s + 1 : s + 1 + length].tolist() for s in starts]


@given(
    st.lists(st.lists(st.integers(0, 65535), max_size=6), min_size=1, max_size=5),
    st.integers(1, 20),
)
def test_a_window_that_runs_past_the_end_is_filled_up(shards: list[list[int]], length: int) -> None:
    tokens = [token for shard in shards for token in shard]
    core = TokenShards([array("H", shard) for shard in shards])
    assert core.num_tokens == len(tokens)
    for start in range(len(tokens)):
        inputs, targets = np.zeros((1, length), np.int64), np.zeros((1, length), np.int64)
        gather(core, np.array([start]), inputs, targets, 7)
        padded = tokens[start : start + length]
        shifted = tokens[start + 1 : start + 1 + length]
        assert inputs[0].tolist() == padded + [7] * (length - len(padded))
        assert targets[0].tolist() == shifted + [-100] * (length - len(shifted))


@pytest.mark.parametrize("start", [-1, 3, 2**62, -(2**63)])
def test_a_window_outside_the_sequence_is_refused(start: int) -> None:
    core = TokenShards([np.arange(5, dtype=np.uint16)])
    rows = np.full((2, 2), -1, np.int64)
    with pytest.raises(IndexError, match=f"window {start} of a dataset that has 3"):
        gather(core, np.array([0, start]), rows, rows.copy())
    assert (rows == -1).all()


def test_with_a_fill_the_last_token_is_the_last_start() -> None:
    core = TokenShards([np.arange(5, dtype=np.uint16)])
    rows = np.zeros((1, 2), np.int64)
    gather(core, np.array([4]), rows, rows.copy(), 0)
    with pytest.raises(IndexError, match="window 5 of a dataset that has 5"):
        gather(core, np.array([5]), rows, rows.copy(), 0)


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize("position", [3, 4, 7])
def test_a_negative_id_is_named_with_its_position(dtype: str, position: int) -> None:
    tokens = np.arange(10, dtype=dtype)
    tokens[position] = -5
    core = TokenShards([tokens[:5], tokens[5:]])
    inputs, targets = np.zeros((2, 4), np.int64), np.zeros((2, 4), np.int64)
    with pytest.raises(InvalidWindow, match=f"position {position} is -5"):
        gather(core, np.array([0, 3]), inputs, targets)


def test_no_rows_and_empty_sequences_are_fine() -> None:
    none = np.zeros((0, 3), np.int64)
    gather(TokenShards([]), np.zeros(0, np.int64), none, none)
    with pytest.raises(IndexError, match="window 0 of a dataset that has 0"):
        gather(TokenShards([]), np.zeros(1, np.int64), *np.zeros((2, 1, 3), np.int64))


@pytest.mark.parametrize(
    ("shards", "message"),
    [
        ([np.zeros(3, np.float32)], "must be uint8"),
        ([np.zeros(3, ">u2")], "byte order"),
        ([np.zeros(3, np.int16)], "must be uint8"),
        ([np.zeros(3, np.uint64)], "must be uint8"),
        ([np.zeros((3, 3), np.uint16)], "contiguous row"),
        ([np.zeros(6, np.uint16)[::2]], "contiguous row"),
        ([np.zeros(3, np.uint16), np.zeros(3, np.uint32)], "must have one type"),
    ],
)
def test_buffers_that_hold_no_ids_are_refused(shards: list[Any], message: str) -> None:
    with pytest.raises(InvalidWindow, match=message):
        TokenShards(shards)


def test_eight_threads_gather_what_one_does() -> None:
    tokens = np.random.default_rng(2).integers(0, 50257, 100_000).astype(np.uint16)
    core = TokenShards(np.array_split(tokens, 7))
    starts = np.random.default_rng(4).integers(0, 100_000 - 257, (64, 32))

    def batch(row: int) -> list[Any]:
        inputs, targets = np.empty((2, 32, 256), np.int64)
        gather(core, starts[row], inputs, targets)
        return [inputs.tolist(), targets.tolist()]

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(batch, range(64))) == [batch(row) for row in range(64)]


def test_the_core_holds_its_buffers() -> None:
    tokens = array("H", [1, 2, 3])
    core = TokenShards([tokens])
    with pytest.raises(BufferError):
        tokens.append(4)
    del core
    tokens.append(4)
