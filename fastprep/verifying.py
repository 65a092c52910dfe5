"""verify: read a whole store again and hold it against its manifest, or against another library."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from os import PathLike
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from fastprep.comparing import compare
from fastprep.errors import InvalidInput, InvalidStore
from fastprep.manifest import BlockChecksum, ShardRecord, block_ranges, shard_path
from fastprep.oracles import ORACLES, check_made_with
from fastprep.store import TokenStore
from fastprep.store_encoding import StoreEncoding, encoding_of_store

_MEND = "restore it from a copy, or run `fastprep prepare` again with --overwrite"
# Of 16 MiB each, and as much again for what is found in them.
_BLOCKS_AT_A_TIME = 4


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
    with ThreadPoolExecutor(min(_BLOCKS_AT_A_TIME, os.cpu_count() or 1)) as pool:
        for index, record in enumerate(opened.manifest.shards):
            _check_ends(opened, index, record, report)
            _check_ids(opened, index, record, report, pool)
    compared = 0
    if against is not None and encoding is not None:
        compared = compare(opened, against, ORACLES[against](encoding), sample)
    return Verified(opened.num_tokens, opened.num_documents, compared)


def _check_ends(
    store: TokenStore, index: int, record: ShardRecord, report: Callable[[int], object]
) -> None:
    path = shard_path(store.path, index, "ends")
    # With an end token no document is without tokens, so each end is above the one before it.
    too_early = np.less if store.eot_token is None else np.less_equal
    before = 0
    with path.open("rb") as file:
        for number, (start, stop) in enumerate(block_ranges(record.documents, 8)):
            ends = _read_block(file, path, np.dtype("<u8"), start, stop, record.ends_crc32[number])
            report(ends.nbytes)
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


def _check_ids(
    store: TokenStore,
    index: int,
    record: ShardRecord,
    report: Callable[[int], object],
    pool: ThreadPoolExecutor,
) -> None:
    path = shard_path(store.path, index, "bin")
    block = _Block(store, path, index, record)
    largest = -1
    for number, found in enumerate(_in_turn(pool, block.check, len(block.ranges))):
        largest = max(largest, found)
        start, stop = block.ranges[number]
        report((stop - start) * store.dtype.itemsize)
    recorded = -1 if record.max_id is None else record.max_id
    if largest != recorded:
        raise InvalidStore(
            f"{path}: its largest id is {largest}, but the manifest says {recorded}; {_MEND}"
        )


class _Block:
    """The blocks of one shard's ids, each looked at on its own."""

    def __init__(self, store: TokenStore, path: Path, index: int, record: ShardRecord) -> None:
        self._store = store
        self._path = path
        self._checksums = record.bin_crc32
        self._ends = store._shard_ends(index)
        self.ranges = block_ranges(record.tokens, store.dtype.itemsize)

    def check(self, number: int) -> int:
        """The largest id of a block in which all is right."""
        store, (start, stop) = self._store, self.ranges[number]
        with self._path.open("rb", buffering=0) as file:
            file.seek(start * store.dtype.itemsize)
            ids = _read_block(file, self._path, store.dtype, start, stop, self._checksums[number])
        largest = int(ids.max())
        if largest >= store.n_vocab:
            place = int((ids >= store.n_vocab).argmax())
            raise InvalidStore(
                f"{self._path}: token {start + place} is {ids[place]}, outside the vocabulary of "
                f"{store.n_vocab} ids; {_MEND}"
            )
        if store.eot_token is not None:
            self._check_end_tokens(ids, store.eot_token, start, stop)
        return largest

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


def _in_turn(pool: ThreadPoolExecutor, check: Callable[[int], int], count: int) -> Iterator[int]:
    """What each of some blocks gives, in order, so that the first fault is the one that is told."""
    waiting: deque[Future[int]] = deque()
    try:
        for number in range(count):
            waiting.append(pool.submit(check, number))
            if len(waiting) == _BLOCKS_AT_A_TIME:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _read_block(
    file: Any, path: Path, dtype: np.dtype[Any], start: int, stop: int, expected: int
) -> Any:
    """The next items of a file, from ``start`` to ``stop``, after their checksum is found right."""
    # Read, not mapped: a failing disk is then an OSError and not the end of the process.
    content = file.read((stop - start) * dtype.itemsize)
    checksum = BlockChecksum()
    checksum.update(content)
    if len(content) != (stop - start) * dtype.itemsize or checksum.values() != [expected]:
        first = start * dtype.itemsize
        found = ", ".join(f"{value:08x}" for value in checksum.values()) or "nothing"
        raise InvalidStore(
            f"{path}: bytes {first} to {stop * dtype.itemsize} are damaged: their crc32 is "
            f"{found}, but the manifest says {expected:08x}; {_MEND}"
        )
    return np.frombuffer(content, dtype)
