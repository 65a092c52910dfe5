"""Memory of a loader's batches: a pool of reused buffers, or views of the mapped file itself."""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from fastprep.training.batch import (
    IGNORED_TARGET,
    Addresses,
    BatchBuffers,
    BatchFormat,
    BatchTensors,
)
from fastprep.windows.tokens import TokenSource

# Inputs, targets or labels, their addresses. The prefetcher holds a reference to the tuple while it
# fills them.
_PooledBuffers: TypeAlias = "tuple[NDArray[Any], NDArray[Any], Addresses]"
MAX_POOLED = 8
MAX_MAPPED = 64


class FileViews:
    """Batches that are views of a mapped file: adjacent windows, in place.

    Files are mapped when their first batch is requested.

    Parameters
    ----------
    source
        the ids, in files.
    counts
        number of ids of each file.
    length
        L; windows do not overlap.
    whole
        whether a batch is one tensor ``[B, L + 1]``.
    """

    def __init__(
        self, source: TokenSource, counts: Iterable[int], length: int, whole: bool = False
    ) -> None:
        self._source = source
        self._length = length
        self._whole = whole
        self._bounds = [*accumulate(counts, initial=0)]
        self._mapped: dict[int, torch.Tensor] = {}

    def batch(self, positions: range) -> BatchTensors | None:
        """Return the windows at `positions`; None if they are not adjacent in one file."""
        if positions.step != 1 and len(positions) > 1:
            return None
        start = positions.start * self._length
        size = len(positions) * self._length
        shard = bisect_right(self._bounds, start) - 1
        if start + size >= self._bounds[shard + 1]:
            return None
        if shard not in self._mapped:
            # Copy on write: a tensor over a read-only map kills the process that writes to it.
            self._mapped[shard] = torch.from_numpy(self._source.writable_copy(shard))
            if len(self._mapped) > MAX_MAPPED:  # views that are in use keep their map
                del self._mapped[next(iter(self._mapped))]
        start -= self._bounds[shard]
        part = self._mapped[shard][start : start + size + 1]
        if self._whole:
            return part.unfold(0, self._length + 1, self._length)
        shape = (len(positions), self._length)
        return [part[:-1].view(shape), part[1:].view(shape)]


class BatchPool:
    """A pool of batch memory that is reused once no tensor refers to it any more.

    The kernel clears fresh memory page by page, which takes longer than filling it with a batch.
    A tensor made from an array holds a reference to it that all views of the tensor share, so the
    array's reference count tells when the last of them is gone. (Tried: a view per batch and a
    weak reference to it, which needs no counts but takes 1 microsecond more per batch, 5 to 10 per
    cent of one of 8,192 tokens.) Pinned memory is left to torch, which knows when the copies that
    read from it have ended.
    """

    def __init__(self, form: BatchFormat, pinned: bool) -> None:
        self._format = form
        self._pinned = pinned
        self._outputs = form.outputs
        self._reuses = form.is_plain and not pinned
        self._pool: list[_PooledBuffers] = []
        self._last = 0

    def allocate(self, rows: int) -> tuple[Addresses, _PooledBuffers | BatchBuffers]:
        """Return memory for a batch: its addresses, and what :meth:`to_batch` takes."""
        if not self._reuses:
            buffers = self._format.allocate(rows, pinned=self._pinned)
            return buffers.addresses, buffers
        for _ in range(len(self._pool)):
            self._last = (self._last + 1) % len(self._pool)
            entry = self._pool[self._last]
            if _reference_counts(entry) == _UNUSED and len(entry[0]) == rows:
                return entry[2], entry
        buffers = self._format.allocate(rows)
        ids = buffers.ids
        inputs, targets = self._format.columns(ids) if self._outputs == "dict" else ids
        entry = (inputs, targets, buffers.addresses)
        if len(self._pool) < MAX_POOLED:
            self._pool.append(entry)
        return buffers.addresses, entry

    def to_batch(
        self, memory: _PooledBuffers | BatchBuffers, num_seqlens: int, longest: int
    ) -> BatchTensors:
        """Return the batch in memory that has been filled."""
        if isinstance(memory, BatchBuffers):
            return memory.to_batch(num_seqlens, longest).tensors()
        if self._outputs == "pair":
            return [torch.from_numpy(memory[0]), torch.from_numpy(memory[1])]
        if self._outputs == "tokens":
            return torch.from_numpy(memory[0])
        memory[1][:, 0] = IGNORED_TARGET
        return {"input_ids": torch.from_numpy(memory[0]), "labels": torch.from_numpy(memory[1])}


def _reference_counts(entry: _PooledBuffers) -> tuple[int, int, int]:
    return sys.getrefcount(entry), sys.getrefcount(entry[0]), sys.getrefcount(entry[1])


def _unused_counts() -> tuple[int, int, int]:
    """Return what `_reference_counts` finds of an entry that only the pool refers to."""
    inputs, targets = np.empty((2, 1))
    pool = [(inputs, targets, (0, 0, 0, 0, 0))]
    del inputs, targets
    for k in range(len(pool)):
        entry = pool[k]
        counts = _reference_counts(entry)
    return counts


_UNUSED = _unused_counts()
