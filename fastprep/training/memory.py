"""Where a loader's batches lie: memory that is used again, or the mapped file itself."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch

from fastprep.training.batch import Batch, BatchForm, Places, Windows


class FileViews:
    """Batches that are views of a mapped file: windows side by side, as they lie."""

    def __init__(self, files: Any, dtype: np.dtype[Any], length: int) -> None:
        self._length = length
        self._shards = []
        first = 0
        for path, offset, count in files:
            if count:
                # Copy on write: a tensor over a read-only map kills the process that writes to it.
                ids = np.memmap(path, dtype, "c", offset, (count,))
                self._shards.append((first, first + count, torch.from_numpy(ids)))
            first += count

    def batch(self, positions: range) -> Batch | None:
        """The windows at `positions`; None if they do not lie side by side in one file."""
        if positions.step != 1 and len(positions) > 1:
            return None
        start = positions.start * self._length
        size = len(positions) * self._length
        for first, end, ids in self._shards:
            if first <= start and start + size < end:
                part = ids[start - first : start - first + size + 1]
                shape = (len(positions), self._length)
                return [part[:-1].view(shape), part[1:].view(shape)]
        return None


class BatchPool:
    """Memory for batches, used again when nobody holds the batch any more.

    Fresh memory has to be cleared by the system page by page, which takes longer than to fill it.
    A tensor made of an array holds a reference to it, and every view of the tensor shares that;
    so the count of references tells when all of them are gone. Pinned memory is left to torch,
    which knows when the copies that read from it have ended.
    """

    def __init__(self, form: BatchForm, pinned: bool) -> None:
        self._form = form
        self._pinned = pinned
        self._plain = form.is_plain and not pinned
        # Inputs and targets each with the address; a tuple is held by who writes to it.
        self._kept: list[tuple[Any, Any, Places]] = []
        self._last = 0

    def memory(self, rows: int) -> tuple[Places, Any]:
        """Give memory for a batch: its addresses, and what :meth:`batch` wants back."""
        if not self._plain:
            blank = self._form.blank(rows, pinned=self._pinned)
            return blank.places, blank
        for _ in range(len(self._kept)):
            self._last = (self._last + 1) % len(self._kept)
            entry = self._kept[self._last]
            if _counts(entry) == _UNUSED and len(entry[0]) == rows:
                return entry[2], entry
        blank = self._form.blank(rows)
        inputs, targets = blank.ids
        entry = (inputs, targets, blank.places)
        if len(self._kept) < _MOST_KEPT:
            self._kept.append(entry)
        return blank.places, entry

    def batch(self, memory: Any, num_seqlens: int, longest: int) -> Batch:
        """Give the batch in memory that was filled."""
        if self._plain:
            return [torch.from_numpy(memory[0]), torch.from_numpy(memory[1])]
        windows: Windows = memory.windows(num_seqlens, longest)
        return windows.batch()


def _counts(entry: tuple[Any, Any, Places]) -> tuple[int, int, int]:
    return sys.getrefcount(entry), sys.getrefcount(entry[0]), sys.getrefcount(entry[1])


def _counts_unused() -> tuple[int, int, int]:
    """What `_counts` finds of an entry that nobody but the pool holds."""
    inputs, targets = np.empty((2, 1))
    kept = [(inputs, targets, (0, 0, 0, 0, 0))]
    del inputs, targets
    for k in range(len(kept)):
        entry = kept[k]
        counts = _counts(entry)
    return counts


_UNUSED = _counts_unused()
_MOST_KEPT = 8
