"""A store's files block by block, each held against its checksum before anyone sees it.

What leaves a store (a file for another library, a page of figures) is read here, so that a damaged
byte is an error and not somebody else's training data.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fastprep.errors import InvalidStore
from fastprep.store.checksums import crc32
from fastprep.store.manifest import MEND, block_ranges, shard_path
from fastprep.store.reader import TokenStore


def read_blocks(
    store: TokenStore,
    index: int,
    kind: Literal["bin", "ends"],
    start: int = 0,
    stop: int | None = None,
) -> Iterator[npt.NDArray[Any]]:
    """Items ``[start, stop)`` of one file of a shard, in read-only arrays of at most 16 MiB.

    Read, not mapped: a file that is cut meanwhile, or a failing disk, is an error and not the end of
    the process.

    Raises
    ------
    InvalidStore
        for a block whose checksum is not the manifest's, naming file and bytes.

    Examples
    --------
    >>> from fastprep import prepare
    >>> _ = (tmp / "two.txt").write_text("One.<|endoftext|>Two.")
    >>> store = prepare(tmp / "two.txt", tmp / "store", progress=False)
    >>> [block.tolist() for block in read_blocks(store, 0, "ends")]
    [[3, 6]]
    """
    record = store.manifest.shards[index]
    if kind == "bin":
        dtype, count, checksums = store.dtype, record.tokens, record.bin_crc32
    else:
        dtype, count, checksums = np.dtype("<u8"), record.documents, record.ends_crc32
    stop = count if stop is None else stop
    path = shard_path(store.path, index, kind)
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
                    f"{path}: bytes {first * dtype.itemsize} to {last * dtype.itemsize} are not those "
                    f"that the manifest has the checksum of; {MEND}"
                )
            block = np.frombuffer(content, dtype)
            block.flags.writeable = False
            yield block[max(start - first, 0) : min(stop, last) - first]


def read_tokens(store: TokenStore, start: int, stop: int) -> Iterator[npt.NDArray[Any]]:
    """Ids ``[start, stop)`` of a whole store, across its shards, as :func:`read_blocks` gives them."""
    starts = store._token_starts
    shard = max(bisect.bisect_right(starts, start) - 1, 0)
    while start < stop:
        first, last = starts[shard], min(starts[shard + 1], stop)
        if last > start:
            yield from read_blocks(store, shard, "bin", start - first, last - first)
            start = last
        shard += 1


def token_start(store: TokenStore, document: int) -> int:
    """The first token of a document in the store; of the one behind the last, the number of tokens."""
    if document >= store.num_documents:
        return store.num_tokens
    shard = bisect.bisect_right(store._document_starts, document) - 1
    within = document - store._document_starts[shard]
    before = int(store._shard_ends(shard)[within - 1]) if within else 0
    return store._token_starts[shard] + before
