"""Reads of a store's files block by block, each checked against its checksum.

Exports and reports read through this module, so that a damaged byte is an error and not training data
of another program.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from fastprep.errors import InvalidStore
from fastprep.store.checksums import crc32
from fastprep.store.manifest import HOW_TO_FIX, FileKind, block_ranges
from fastprep.store.reader import TokenStore


def read_blocks(
    store: TokenStore,
    index: int,
    kind: FileKind,
    start: int = 0,
    stop: int | None = None,
) -> Iterator[npt.NDArray[Any]]:
    """Yield items ``[start, stop)`` of one file of a shard, in read-only arrays of at most 16 MiB.

    The file is read, not mapped: if it is truncated at that time, or the disk fails, that is an error
    and does not end the process. Raises InvalidStore, with file and bytes, for a block whose checksum
    is not the manifest's.

    >>> from fastprep import prepare
    >>> _ = (tmp / "two.txt").write_text("One.<|endoftext|>Two.")
    >>> store = prepare(tmp / "two.txt", tmp / "store", progress=False)
    >>> [block.tolist() for block in read_blocks(store, 0, "ends")]
    [[3, 6]]
    """
    record = store.record(index)
    dtype = {"bin": store.dtype, "ends": np.dtype("<u8"), "mask": np.dtype(np.uint8)}[kind]
    count = record.documents if kind == "ends" else record.tokens
    checksums = record.checksums(kind)
    stop = count if stop is None else stop
    store.fetch(index, kind)
    path = store.shard_file(index, kind)
    with path.open("rb", buffering=0) as file:
        for (first, last), expected in zip(
            block_ranges(count, dtype.itemsize), checksums, strict=True
        ):
            if last <= start or first >= stop:
                continue
            size = (last - first) * dtype.itemsize
            content = memoryview(bytearray(size))
            file.seek(first * dtype.itemsize)
            filled = 0
            while filled < size and (got := file.readinto(content[filled:])):
                filled += got
            if filled < size or crc32(content) != expected:
                raise InvalidStore(
                    f"{path}: bytes {first * dtype.itemsize} to {last * dtype.itemsize} do not have "
                    f"the checksum that the manifest records; {HOW_TO_FIX}"
                )
            block = np.frombuffer(content, dtype)
            block.flags.writeable = False
            yield block[max(start - first, 0) : min(stop, last) - first]


def read_tokens(store: TokenStore, start: int, stop: int) -> Iterator[npt.NDArray[Any]]:
    """Yield ids ``[start, stop)`` of a store, across its shards, like :func:`read_blocks`."""
    starts = store.token_starts
    shard = max(bisect.bisect_right(starts, start) - 1, 0)
    while start < stop:
        first, last = starts[shard], min(starts[shard + 1], stop)
        if last > start:
            yield from read_blocks(store, shard, "bin", start - first, last - first)
            start = last
        shard += 1
