"""Drafts: the encoded documents of a task, before they are put in the order of the store.

A task of a job with drafts writes two files, which are removed when the store is made::

    shard-00007.draft    token ids, as in a shard; of conversations uint32, whose highest bit is
                         the mask
    shard-00007.index    three uint64 per document: its key, its end in tokens from the draft's
                         start, and the hash by which documents are drawn for validation, else 0

Documents are sorted by key in *runs* of 32 MiB of ids: as much as a task holds in memory. So the
documents with keys in a range are one contiguous piece of each run, and a shard of the store is read in
one piece per run.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from msgspec import UNSET

from fastprep.errors import InvalidStore
from fastprep.store.manifest import MASK_BIT, BlockChecksum, ShardRecord
from fastprep.store.order import order_keys
from fastprep.store.writer import BadDocuments, CheckedFile, OpenFiles
from fastprep.system.atomic import replacing
from fastprep.system.byte_order import BYTES_OF, empty_array, to_file
from fastprep.system.host import READ_FLAGS, read_at
from fastprep_ext.base import copy_bytes, copy_pieces, uninitialized

if TYPE_CHECKING:
    from typing import TypeAlias

    from fastprep.corpus.documents import Span
    from fastprep.store.order import Keys
    from fastprep.store.writer import Ends, Ids
    from fastprep.system.byte_order import Letter

    Entries: TypeAlias = npt.NDArray[Any]

INDEX = np.dtype([("key", "<u8"), ("end", "<u8"), ("hash", "<u8")])
# Ids in memory: of a run while it is filled, of a part of a shard while it is put in order.
RUN_BYTES = 32 << 20
# Documents of a run, and of a part of a shard: about 60 bytes of memory each.
MAX_DOCUMENTS = 1 << 19
# Of ids copied in order at a time: small enough to be in the core's cache when they are written.
_CHUNK_BYTES = 1 << 19
# Of a long document, or of an index, read at a time.
_READ_BYTES = 1 << 20
# Of a file compared with its checksums at a time: a multiple of an entry of the index.
_CHECK_BYTES = 24 * (10 << 10)
# The kernel copies to other addresses at a quarter of the speed.
_ALIGNMENT = 64
# Runs of fewer documents have an index that is read as a whole.
_MIN_DOCUMENTS_TO_SEARCH = 1 << 12


def draft_path(directory: Path, index: int, kind: Literal["draft", "index"]) -> Path:
    """Return the path of one file of a draft.

    >>> draft_path(Path("store"), 7, "index").as_posix()
    'store/shard-00007.index'
    """
    return directory / f"shard-{index:05d}.{kind}"


def draft_files(record: ShardRecord, itemsize: int) -> list[tuple[str, int, list[int]]]:
    """Return kind, size in bytes and checksums of the two files of a draft."""
    return [
        ("draft", record.tokens * itemsize, record.bin_crc32),
        ("index", record.documents * INDEX.itemsize, record.ends_crc32),
    ]


def drafts_of(seed: int | None, letter: Letter) -> OpenFiles:
    """Return the function that opens a task's draft for a :class:`~fastprep.store.writer.ShardWriter`.

    The record of a draft is that of a shard, with the checksums of the index as ``ends_crc32``.
    """
    return partial(DraftFiles, seed=seed, letter=letter)


class DraftFiles:
    """The two files of a draft while they are written; see :class:`fastprep.store.writer.Files`."""

    def __init__(
        self,
        directory: Path,
        index: int,
        stack: contextlib.ExitStack,
        *,
        seed: int | None,
        letter: Letter,
    ) -> None:
        draft, entries = (
            stack.enter_context(replacing(draft_path(directory, index, kind), sync_names=False))
            for kind in ("draft", "index")
        )
        self._draft = CheckedFile(draft)
        self._index = CheckedFile(entries)
        self._task = index
        self._seed = seed
        self._letter: Letter = letter
        self._itemsize = BYTES_OF[letter]
        self._room = RUN_BYTES // self._itemsize
        self._tokens = self._documents = 0  # in the files
        self._max_id = -1
        # The run: tokens, and the ends and hashes of the documents that end in them.
        self._run = empty_array(self._room, letter)
        self._filled = 0
        self._ends: list[Keys] = []
        self._hashes: list[Keys] = []
        self._waiting = 0
        # Whether the beginning of a document longer than a run is in the file already.
        self._continues = False

    def write(
        self,
        ids: Ids,
        ends: Ends,
        largest: int,
        hashes: Ends | None = None,
        mask: memoryview[int] | None = None,
        /,
    ) -> None:
        """See :class:`fastprep.store.writer.Files`."""
        if mask is not None:
            ids = with_mask(ids, mask)
        self._max_id = max(self._max_id, largest)
        # Copies, because the caller reuses its buffers.
        more = np.array(ends, np.uint64)
        more_hashes = np.zeros(len(more), np.uint64) if hashes is None else np.array(hashes)
        if self._filled + len(ids) > self._room or self._waiting + len(more) > MAX_DOCUMENTS:
            self._write_run()
            if self._filled and self._filled + len(ids) > self._room:
                self._write_ids(self._run[: self._filled])
                self._filled = 0
                self._continues = True
        if self._continues:
            stop = int(more[0]) if len(more) else len(ids)
            self._write_ids(ids[:stop])
            if not len(more):
                return
            self._write_entries(self._next_keys(1), np.array([self._tokens]), more_hashes[:1])
            self._continues = False
            ids, more, more_hashes = ids[stop:], more[1:] - np.uint64(stop), more_hashes[1:]
        if len(ids) > len(self._run):  # nothing is in it
            self._run = empty_array(len(ids), self._letter)
        at = self._filled * self._itemsize
        copy_bytes(to_file(ids), self._run.cast("B"), at)
        self._ends.append(more + np.uint64(self._filled))
        self._hashes.append(more_hashes)
        self._filled += len(ids)
        self._waiting += len(more)

    def record(self, inputs: list[Span], bad: BadDocuments) -> ShardRecord:
        """See :class:`fastprep.store.writer.Files`."""
        self._write_run()
        return ShardRecord(
            tokens=self._tokens,
            documents=self._documents,
            max_id=self._max_id if self._tokens else None,
            bin_crc32=self._draft.checksum.values(),
            ends_crc32=self._index.checksum.values(),
            inputs=inputs,
            bad_documents=bad.count,
            bad=bad.listed,
            passed_over=bad.passed.records() or UNSET,
        )

    def _write_run(self) -> None:
        """Write the documents that have ended; what is left is the beginning of one that has not."""
        if not self._waiting:
            return
        ends, hashes = np.concatenate(self._ends), np.concatenate(self._hashes)
        starts = np.concatenate([np.zeros(1, np.uint64), ends[:-1]])
        keys, stop = self._next_keys(len(ends)), int(ends[-1])
        before = np.uint64(self._tokens)
        if self._seed is None:
            self._write_ids(self._run[:stop])
        else:
            order = np.argsort(keys)
            keys, starts, ends, hashes = keys[order], starts[order], ends[order], hashes[order]
            for _, _, chunk in in_order(self._run.cast("B"), starts, ends, self._itemsize):
                self._write_ids(chunk.cast(self._letter))
        self._write_entries(keys, before + np.cumsum(ends - starts, dtype=np.uint64), hashes)
        left = self._run[stop : self._filled]
        if len(self._run) > self._room or len(left) > stop:
            self._run = empty_array(max(self._room, len(left)), self._letter)
        copy_bytes(to_file(left), self._run.cast("B"), 0)
        self._filled = len(left)
        self._ends, self._hashes, self._waiting = [], [], 0

    def _next_keys(self, count: int) -> Keys:
        return order_keys(self._seed, self._task, self._documents, count)

    def _write_ids(self, ids: Ids) -> None:
        self._draft.write(ids)
        self._tokens += len(ids)

    def _write_entries(self, keys: Keys, ends: npt.NDArray[Any], hashes: Keys) -> None:
        entries = np.empty(len(keys), INDEX)
        entries["key"], entries["end"], entries["hash"] = keys, ends, hashes
        self._index.write(memoryview(entries.view(np.uint8)))
        self._documents += len(keys)


def with_mask(ids: Ids, mask: memoryview[int]) -> Ids:
    """Return ids as uint32 with the mask in the highest bit.

    >>> from array import array
    >>> ids, mask = split_mask(with_mask(memoryview(array("H", [5, 6])), memoryview(b"\\0\\1")), "H")
    >>> ids.tolist(), mask.tolist()
    ([5, 6], [0, 1])
    """
    joined = np.asarray(ids).astype(np.uint32)
    joined |= np.asarray(mask).astype(np.uint32) << np.uint32(MASK_BIT)
    return memoryview(joined)


def split_mask(joined: Ids, letter: Letter) -> tuple[Ids, memoryview[int]]:
    """Return ids of a type, and their mask, from what :func:`with_mask` returned."""
    found = np.asarray(joined)
    ids = (found & np.uint32((1 << MASK_BIT) - 1)).astype(np.uint16 if letter == "H" else np.uint32)
    return memoryview(ids), memoryview((found >> np.uint32(MASK_BIT)).astype(np.uint8))


def in_order(
    source: memoryview[int], starts: Keys, stops: Keys, itemsize: int
) -> Iterator[tuple[int, int, memoryview[int]]]:
    """Yield pieces of a buffer in the order given, as many as fit in 512 KiB and one more at a time.

    Piece i is items ``starts[i]`` to ``stops[i]``. Yields the number of the first piece, of the one
    after the last, and their bytes.

    >>> starts, stops = np.array([3, 0], np.uint64), np.array([6, 3], np.uint64)
    >>> [(first, last, bytes(chunk)) for first, last, chunk in in_order(b"onetwo", starts, stops, 1)]
    [(0, 2, b'twoone')]
    """
    starts, stops = starts * np.uint64(itemsize), stops * np.uint64(itemsize)
    sizes = stops - starts
    chunks = (np.cumsum(sizes, dtype=np.uint64) - sizes) // np.uint64(_CHUNK_BYTES)
    edges = [0, *(np.flatnonzero(np.diff(chunks)) + 1).tolist(), len(sizes)]
    for first, last in pairwise(edges):
        target = uninitialized(int(sizes[first:last].sum()))
        copy_pieces(source, starts[first:last], stops[first:last], target)
        yield first, last, target


class Run(NamedTuple):
    """A run of a draft: its documents in the index, its first token, its smallest and largest key."""

    draft: int
    first: int
    documents: int
    start: int
    first_key: int
    last_key: int


class Documents(NamedTuple):
    """Documents of one run of a draft, with ascending keys: their tokens in the draft, their hashes."""

    draft: int
    keys: Keys
    starts: Keys
    stops: Keys
    hashes: Keys

    @property
    def tokens(self) -> int:
        """The number of their tokens, which are contiguous."""
        return int(self.stops[-1] - self.starts[0]) if len(self.keys) else 0

    def part(self, first: int, last: int) -> Documents:
        """Return the documents `first` to `last`, the latter excluded."""
        return Documents(self.draft, *(column[first:last] for column in self[1:]))


def check_draft(directory: Path, index: int, record: ShardRecord, itemsize: int) -> list[Run]:
    """Read a draft, compare it with its checksums, and return its runs.

    Raises InvalidStore, with the file, if a byte is not the one that was written.
    """
    (_, size, checksums), (_, index_size, index_checksums) = draft_files(record, itemsize)
    for _ in _checked_chunks(draft_path(directory, index, "draft"), size, checksums):
        pass
    runs: list[Run] = []
    number = end = 0
    path = draft_path(directory, index, "index")
    for chunk in _checked_chunks(path, index_size, index_checksums):
        entries = np.frombuffer(chunk, INDEX)
        keys = np.ascontiguousarray(entries["key"])
        edges = [0, *(np.flatnonzero(keys[1:] < keys[:-1]) + 1).tolist(), len(keys)]
        for first, last in pairwise(edges):
            low, high = int(keys[first]), int(keys[last - 1])
            start = int(entries["end"][first - 1]) if first else end
            if runs and first == 0 and low > runs[-1].last_key:
                runs[-1] = runs[-1]._replace(documents=runs[-1].documents + last, last_key=high)
            else:
                runs.append(Run(index, number + first, last - first, start, low, high))
        number += len(keys)
        end = int(entries["end"][-1])
    return runs


def entries_of(directory: Path, index: int) -> Iterator[Entries]:
    """Yield the index of a draft, a megabyte at a time."""
    with draft_path(directory, index, "index").open("rb", buffering=0) as file:
        while chunk := file.read(_READ_BYTES // INDEX.itemsize * INDEX.itemsize):
            yield np.frombuffer(chunk, INDEX)


def documents_between(directory: Path, runs: Sequence[Run], low: int, high: int) -> list[Documents]:
    """Return the documents with keys from `low` to below `high` in runs of one draft."""
    found: list[Documents] = []
    if not runs:
        return found
    with _opened(draft_path(directory, runs[0].draft, "index")) as index:
        for run in runs:
            if run.last_key < low or run.first_key >= high:
                continue
            documents = _in_run(index, run, low, high)
            if len(documents.keys):
                found.append(documents)
    return found


def read_tokens(
    directory: Path, documents: Sequence[Documents], itemsize: int
) -> tuple[memoryview[int], list[int]]:
    """Read the tokens of documents; return their bytes, and the token at which those of each begin."""
    sizes = [each.tokens * itemsize for each in documents]
    room = [-(-size // _ALIGNMENT) * _ALIGNMENT for size in sizes]
    # Of one size, so that the memory of the last one is used again.
    target = uninitialized(max(sum(room) + _ALIGNMENT, RUN_BYTES - _ALIGNMENT))
    filled = -np.frombuffer(target, np.uint8).ctypes.data % _ALIGNMENT
    places = []
    for each, size, step in zip(documents, sizes, room, strict=True):
        with _opened(draft_path(directory, each.draft, "draft")) as draft:
            _read_at(draft, target[filled : filled + size], int(each.starts[0]) * itemsize)
        places.append(filled // itemsize)
        filled += step
    return target, places


def read_document(
    directory: Path, document: Documents, letter: Letter
) -> Iterator[memoryview[int]]:
    """Yield the tokens of one document, a megabyte at a time."""
    start, stop = int(document.starts[0]), int(document.stops[0])
    step = _READ_BYTES // BYTES_OF[letter]
    with _opened(draft_path(directory, document.draft, "draft")) as draft:
        for first in range(start, stop, step):
            ids = empty_array(min(step, stop - first), letter)
            _read_at(draft, ids.cast("B"), first * BYTES_OF[letter])
            yield ids


def _in_run(index: int, run: Run, low: int, high: int) -> Documents:
    """Return the documents of a run with keys from `low` to below `high`; `index` is a descriptor."""
    # Keys are nearly uniform, so the places of two keys are known to a few times the root of the
    # number of documents: one read instead of a search.
    margin = run.documents
    if run.documents > _MIN_DOCUMENTS_TO_SEARCH:
        margin = 4 * int(run.documents**0.5)
    width = max(run.last_key - run.first_key, 1)
    while True:
        first = (max(low - run.first_key, 0) * (run.documents - 1)) // width - margin
        last = (min(high - run.first_key, width) * (run.documents - 1)) // width + margin + 1
        # One entry more, for the start of the first document.
        first, last = max(first - 1, 0), min(last, run.documents)
        buffer = uninitialized((last - first) * INDEX.itemsize)
        _read_at(index, buffer, (run.first + first) * INDEX.itemsize)
        entries = np.frombuffer(buffer, INDEX)
        keys = np.ascontiguousarray(entries["key"])
        if (first == 0 or keys[0] < low) and (last == run.documents or keys[-1] >= high):
            break
        margin *= 4
    begin, end = (
        int(np.searchsorted(keys, np.uint64(edge))) if edge <= run.last_key else len(keys)
        for edge in (low, high)
    )
    ends = np.ascontiguousarray(entries["end"])
    before = np.array([ends[begin - 1] if begin else run.start], np.uint64)
    return Documents(
        run.draft,
        keys[begin:end],
        np.concatenate([before, ends[begin : end - 1]]) if end > begin else keys[:0],
        ends[begin:end],
        np.ascontiguousarray(entries["hash"])[begin:end],
    )


def _checked_chunks(path: Path, size: int, checksums: list[int]) -> Iterator[memoryview[int]]:
    """Yield the content of a file, in a buffer that is reused.

    Raises InvalidStore unless size and checksums are those given.
    """
    checksum = BlockChecksum()
    # Whole pages: see _ALIGNMENT.
    buffer = memoryview(mmap.mmap(-1, _CHECK_BYTES))
    try:
        with _opened(path) as file:
            if os.fstat(file).st_size != size:
                raise InvalidStore(f"{path}: {os.fstat(file).st_size} bytes, not {size}")
            for first in range(0, size, _CHECK_BYTES):
                chunk = buffer[: size - first]
                _read_at(file, chunk, first)
                checksum.update(chunk)
                yield chunk
    except FileNotFoundError:
        raise InvalidStore(f"{path}: missing") from None
    if checksum.values() != checksums:
        raise InvalidStore(f"{path}: damaged, since its checksum is not the one recorded")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, READ_FLAGS)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _read_at(descriptor: int, target: memoryview[int], position: int) -> None:
    """Fill a buffer from a position of a file. Raises InvalidStore if the file ends before."""
    filled = 0
    while filled < len(target):
        got = read_at(descriptor, target[filled:], position + filled)
        if not got:
            raise InvalidStore(
                "a draft was truncated while it was read; run the same command again"
            )
        filled += got
