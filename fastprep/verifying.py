"""verify: read a whole store again and hold it against its manifest, or against another library."""

from __future__ import annotations

import mmap
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from fastprep.checksums import crc32
from fastprep.comparing import compare
from fastprep.errors import InvalidInput, InvalidStore
from fastprep.manifest import ShardRecord, block_ranges, shard_path
from fastprep.oracles import ORACLES, check_made_with
from fastprep.store import TokenStore
from fastprep.store_encoding import StoreEncoding, encoding_of_store

_MEND = "restore it from a copy, or run `fastprep prepare` again with --overwrite"
# More than this many threads would wait for memory, or for the disk.
_THREADS = 4
# Shards and blocks that are handed out before the first of them is done.
_STEPS_AHEAD = 2 * _THREADS
# So little that what was read is still in a core's cache when it is looked at.
_CHUNK_BYTES = 256 << 10


class Verified(NamedTuple):
    """What was looked at and found right: ``compared`` documents were encoded again."""

    tokens: int
    documents: int
    compared: int


def verify(
    store: TokenStore | str | PathLike[str],
    *,
    against: Literal["tiktoken", "tokenizers", "notebook"] | None = None,
    sample: int | None = None,
    encoding: StoreEncoding | None = None,
    report: Callable[[int], object] = lambda _: None,
) -> Verified:
    """Read every byte of a store and check it.

    Checked are the sizes and checksums of all files; that every id is inside the vocabulary and
    none above the largest one recorded; that document ends do not fall and the last one is the
    number of tokens; and that the end token, where there is one, stands at its end of each
    document and nowhere else. Blocks of 16 MiB are looked at on several threads.

    Parameters
    ----------
    store
        a store or its path.
    against
        ``"tiktoken"``, ``"tokenizers"`` or, for words, ``"notebook"`` also reads the recorded inputs
        again, encodes their documents with that library, from the encoding's own tables, and compares
        id by id.
    sample
        how many documents to compare, drawn with a fixed seed; by default all.
    encoding
        what the store was made with. Needed to compare where that is none of the published ones;
        wherever it is given it must have the tables, pattern and special tokens of the manifest.
    report
        is called with each number of bytes that was read.

    Raises
    ------
    InvalidStore
        for the first fault, naming file and place.
    InvalidInput
        when an input to compare with is missing or has changed its size, or the encoding is not
        the one that the store was made with.
    FastprepError
        when the library to compare with is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from fastprep.preparing import prepare
    >>> directory = Path(tempfile.mkdtemp())
    >>> _ = (directory / "two.txt").write_text("One.<|endoftext|>Two.")
    >>> store = prepare(directory / "two.txt", directory / "store", progress=False)
    >>> verify(store, against="tiktoken")
    Verified(tokens=6, documents=2, compared=2)
    """
    if against not in (None, *ORACLES):
        raise InvalidInput(f"against is {against!r}; the known oracles are {', '.join(ORACLES)}")
    if sample is not None and sample < 0:
        raise InvalidInput(f"sample is {sample}; it must be at least 0")
    opened = store if isinstance(store, TokenStore) else TokenStore(store)
    if against is not None and encoding is None:
        encoding = encoding_of_store(opened)
    if encoding is not None:
        check_made_with(opened, encoding)
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        largest = -1
        for step, found in _in_turn(pool, _steps(opened)):
            report(step.size)
            largest = max(largest, found)
            if step.is_last:
                step.shard.check_largest(largest)
                largest = -1
    compared = 0
    if against is not None and encoding is not None:
        compared = compare(opened, against, ORACLES[against](encoding), sample)
    return Verified(opened.num_tokens, opened.num_documents, compared)


class _Step(NamedTuple):
    """A part of a store that is looked at on its own: the ends of a shard, or a block of its ids."""

    check: Callable[[], int]  # the largest id of the block, -1 for ends
    shard: _Shard
    size: int
    is_last: bool


def _steps(store: TokenStore) -> Iterator[_Step]:
    """The parts of a whole store, in the order in which their faults are told."""
    for index, record in enumerate(store.manifest.shards):
        shard = _Shard(store, index, record)
        blocks = shard.ranges
        yield _Step(shard.check_ends, shard, 8 * record.documents, not blocks)
        for number, (start, stop) in enumerate(blocks):
            size = (stop - start) * store.dtype.itemsize
            check = partial(shard.check_ids, number)
            yield _Step(check, shard, size, number == len(blocks) - 1)


class _Shard:
    """The files of one shard, in steps that any thread may take."""

    def __init__(self, store: TokenStore, index: int, record: ShardRecord) -> None:
        self._store = store
        self._record = record
        self._path = shard_path(store.path, index, "bin")
        self._ends_path = shard_path(store.path, index, "ends")
        self._ends = store._shard_ends(index)
        self.ranges = block_ranges(record.tokens, store.dtype.itemsize)

    def check_ends(self) -> int:
        """Raise InvalidStore unless documents end one after another, the last with the shard."""
        path, record = self._ends_path, self._record
        # With an end token no document is without tokens, so each end is above the one before it.
        too_early = np.less if self._store.eot_token is None else np.less_equal
        before = 0
        for number, (start, stop) in enumerate(block_ranges(record.documents, 8)):
            ends = _read_block(path, np.dtype("<u8"), start, stop, record.ends_crc32[number])
            wrong = too_early(ends, np.concatenate([np.array([before], ends.dtype), ends[:-1]]))
            if wrong.any():
                document = int(wrong.argmax())
                raise InvalidStore(
                    f"{path}: document {start + document} ends at token {ends[document]}, too "
                    f"early after the document before it; {_MEND}"
                )
            before = int(ends[-1])
        if before != record.tokens:
            raise InvalidStore(
                f"{path}: the last document ends at token {before}, but the shard has "
                f"{record.tokens}; {_MEND}"
            )
        return -1

    def check_ids(self, number: int) -> int:
        """The largest id of a block in which all is right."""
        store, (start, stop) = self._store, self.ranges[number]
        checksum, largest, is_right = 0, -1, True
        token = store.eot_token
        places = None if token is None else self._end_token_places(start, stop)[0]
        at = start
        for ids in _read_chunks(self._path, store.dtype, start, stop):
            checksum = crc32(ids.view(np.uint8).data, checksum)
            largest = max(largest, int(ids.max()))
            if places is not None:
                here = np.array([at, at + len(ids)], np.uint64)
                low, high = np.searchsorted(places, here)
                is_end = ids == token
                is_right &= bool(is_end[places[low:high] - here[0]].all())
                is_right &= int(np.count_nonzero(is_end)) == high - low
            at += len(ids)
        expected = self._record.bin_crc32[number]
        if at == stop and checksum == expected and largest < store.n_vocab and is_right:
            return largest
        raise self._fault(number)

    def check_largest(self, largest: int) -> None:
        """Raise InvalidStore unless the manifest says so, too."""
        recorded = -1 if self._record.max_id is None else self._record.max_id
        if largest != recorded:
            raise InvalidStore(
                f"{self._path}: its largest id is {largest}, but the manifest says {recorded}; {_MEND}"
            )

    def _fault(self, number: int) -> InvalidStore:
        """What is wrong with a block, which is read once more to find the place."""
        store, (start, stop) = self._store, self.ranges[number]
        try:
            ids = _read_block(self._path, store.dtype, start, stop, self._record.bin_crc32[number])
            if int(ids.max()) >= store.n_vocab:
                place = int((ids >= store.n_vocab).argmax())
                raise InvalidStore(
                    f"{self._path}: token {start + place} is {ids[place]}, outside the vocabulary of "
                    f"{store.n_vocab} ids; {_MEND}"
                )
            if store.eot_token is not None:
                self._check_end_tokens(ids, store.eot_token, start, stop)
        except InvalidStore as fault:
            return fault
        return InvalidStore(
            f"{self._path}: the same bytes were not read twice from {start * store.dtype.itemsize} to "
            f"{stop * store.dtype.itemsize}: something writes to the file, or the disk fails; {_MEND}"
        )

    def _check_end_tokens(self, ids: Any, token: int, start: int, stop: int) -> None:
        expected, first = self._end_token_places(start, stop)
        found = np.flatnonzero(ids == token).astype(np.uint64) + np.uint64(start)
        if np.array_equal(found, expected):
            return
        without = np.flatnonzero(~np.isin(expected, found))
        if len(without):
            place = "opened" if self._store.eot == "prepend" else "closed"
            raise InvalidStore(
                f"{self._path}: document {first + int(without[0])} of the shard is not {place} by the "
                f"end token {token}; {_MEND}"
            )
        inside = found[~np.isin(found, expected)][0]
        raise InvalidStore(
            f"{self._path}: the end token {token} stands inside a document, at token {inside}; {_MEND}"
        )

    def _end_token_places(self, start: int, stop: int) -> tuple[Any, int]:
        """Where end tokens must stand from ``start`` to ``stop``, and whose the first one is."""
        ends = self._ends
        if self._store.eot == "append":
            # The ends after `start` and not after `stop` close a document in this block.
            low, high = np.searchsorted(ends, np.array([start, stop], np.uint64), "right")
            return ends[low:high] - np.uint64(1), int(low)
        # A document begins where the one before it ends; the first one at 0.
        low, high = np.searchsorted(ends, np.array([start, stop], np.uint64), "left")
        if start == 0:
            return np.concatenate([np.zeros(1, np.uint64), ends[:high]]), 0
        return ends[low:high], int(low) + 1


def _in_turn(pool: ThreadPoolExecutor, steps: Iterator[_Step]) -> Iterator[tuple[_Step, int]]:
    """Steps and what they give, in order, so that the first fault is the one that is told."""
    waiting: deque[tuple[_Step, Future[int]]] = deque()
    try:
        for step in steps:
            waiting.append((step, pool.submit(step.check)))
            if len(waiting) == _STEPS_AHEAD:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
    finally:
        for _, future in waiting:
            future.cancel()


def _read_chunks(path: Path, dtype: np.dtype[Any], start: int, stop: int) -> Iterator[Any]:
    """Items ``[start, stop)`` of a file, or what there is of them, in one array that is filled again."""
    # Read, not mapped: a failing disk is then an OSError and not the end of the process.
    # Into pages of its own: to a place that is no multiple of 64 systems copy at a quarter of the speed.
    content = memoryview(mmap.mmap(-1, _CHUNK_BYTES))
    chunk = np.frombuffer(content, dtype)
    with path.open("rb", buffering=0) as file:
        file.seek(start * dtype.itemsize)
        while start < stop:
            size = min((stop - start) * dtype.itemsize, len(content))
            filled = 0
            while filled < size and (got := file.readinto(content[filled:size])):
                filled += got
            if filled < size:
                return
            yield chunk[: size // dtype.itemsize]
            start += size // dtype.itemsize


def _read_block(path: Path, dtype: np.dtype[Any], start: int, stop: int, expected: int) -> Any:
    """Items ``[start, stop)`` of a file, a block, after its checksum is found right."""
    size = (stop - start) * dtype.itemsize
    with path.open("rb") as file:
        file.seek(start * dtype.itemsize)
        content = file.read(size)
    checksum = crc32(content)
    if len(content) != size or checksum != expected:
        first = start * dtype.itemsize
        found = f"{checksum:08x}" if content else "nothing"
        raise InvalidStore(
            f"{path}: bytes {first} to {stop * dtype.itemsize} are damaged: their crc32 is "
            f"{found}, but the manifest says {expected:08x}; {_MEND}"
        )
    return np.frombuffer(content, dtype)
