"""verify: read a whole store again and hold it against its manifest, or against another library."""

from __future__ import annotations

import os
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from fastprep.ahead import in_order
from fastprep.byte_order import from_file
from fastprep.errors import InvalidInput, InvalidStore
from fastprep.manifest import BlockChecksum, ShardRecord, block_ranges, itemsize_of, shard_path
from fastprep.store import TokenStore
from fastprep.store_encoding import StoreEncoding, encoding_of_store
from fastprep_ext.passes import largest, rises, stands_at

if TYPE_CHECKING:
    from fastprep.byte_order import Letter

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
    if against is not None:
        from fastprep.oracles import ORACLES

        if against not in ORACLES:
            known = ", ".join(ORACLES)
            raise InvalidInput(f"against is {against!r}; the known oracles are {known}")
    if sample is not None and sample < 0:
        raise InvalidInput(f"sample is {sample}; it must be at least 0")
    opened = store if isinstance(store, TokenStore) else TokenStore(store)
    if against is not None and encoding is None:
        encoding = encoding_of_store(opened)
    if encoding is not None:
        from fastprep.oracles import check_made_with

        check_made_with(opened, encoding)
    # In order, so that the first fault is the one that is told.
    threads = min(_BLOCKS_AT_A_TIME, os.cpu_count() or 1)
    for block in in_order(_Block.check, _blocks(opened, report), threads):
        block.finish(report)
    compared = 0
    if against is not None and encoding is not None:
        from fastprep.comparing import compare
        from fastprep.oracles import ORACLES

        compared = compare(opened, against, ORACLES[against](encoding), sample)
    return Verified(opened.num_tokens, opened.num_documents, compared)


def _check_ends(
    store: TokenStore, index: int, record: ShardRecord, report: Callable[[int], object]
) -> None:
    path = shard_path(store.path, index, "ends")
    # With an end token no document is without tokens, so each end is above the one before it.
    strictly = store.eot_token is not None
    before = 0
    with path.open("rb") as file:
        for number, (start, stop) in enumerate(block_ranges(record.documents, 8)):
            ends = _read_block(file, path, "Q", start, stop, record.ends_crc32[number])
            report(ends.nbytes)
            if not rises(ends, before, strictly):
                document, end = next(
                    (document, end)
                    for document, (end, last) in enumerate(zip(ends, [before, *ends], strict=False))
                    if end - last < strictly
                )
                raise InvalidStore(
                    f"{path}: document {start + document} ends at token {end}, too "
                    f"early after the document before it; {_MEND}"
                )
            before = ends[-1]
    if before != record.tokens:
        raise InvalidStore(
            f"{path}: the last document ends at token {before}, but the shard has "
            f"{record.tokens}; {_MEND}"
        )


def _blocks(store: TokenStore, report: Callable[[int], object]) -> Iterator[_Block]:
    """The blocks of all ids, those of a shard after a look at its document ends."""
    itemsize = itemsize_of(store.manifest.dtype)
    for index, record in enumerate(store.manifest.shards):
        _check_ends(store, index, record, report)
        ends = from_file(store._content(index, "ends", record.documents * 8), "Q")
        shard = _Shard(store, shard_path(store.path, index, "bin"), record, ends)
        for number, (start, stop) in enumerate(block_ranges(record.tokens, itemsize)):
            yield _Block(shard, start, stop, record.bin_crc32[number])


class _Shard:
    """What the blocks of one shard have in common."""

    def __init__(
        self, store: TokenStore, path: Path, record: ShardRecord, ends: memoryview[int]
    ) -> None:
        self.store = store
        self.path = path
        self.record = record
        self.ends = ends
        self.largest = -1


class _Block:
    """A block of ids, which is looked at on its own."""

    def __init__(self, shard: _Shard, start: int, stop: int, checksum: int) -> None:
        self._shard = shard
        self._start = start
        self._stop = stop
        self._checksum = checksum
        self._itemsize = itemsize_of(shard.store.manifest.dtype)
        self._largest = -1

    def finish(self, report: Callable[[int], object]) -> None:
        """Count the block; with a shard's last one, hold its largest id against the manifest's."""
        shard = self._shard
        report((self._stop - self._start) * self._itemsize)
        shard.largest = max(shard.largest, self._largest)
        recorded = shard.record.max_id
        if self._stop == shard.record.tokens and shard.largest != recorded:
            raise InvalidStore(
                f"{shard.path}: its largest id is {shard.largest}, but the manifest says {recorded}; "
                f"{_MEND}"
            )

    def check(self) -> _Block:
        """The block itself, if all is right in it."""
        shard, start, stop = self._shard, self._start, self._stop
        letter: Letter = "H" if self._itemsize == 2 else "I"
        with shard.path.open("rb", buffering=0) as file:
            file.seek(start * self._itemsize)
            ids = _read_block(file, shard.path, letter, start, stop, self._checksum)
        self._largest = largest(ids)
        n_vocab = shard.store.n_vocab
        if self._largest >= n_vocab:
            place = next(place for place, one in enumerate(ids) if one >= n_vocab)
            raise InvalidStore(
                f"{shard.path}: token {start + place} is {ids[place]}, outside the vocabulary of "
                f"{n_vocab} ids; {_MEND}"
            )
        if shard.store.eot_token is not None:
            self._check_end_tokens(ids, shard.store.eot_token)
        return self

    def _check_end_tokens(self, ids: memoryview[int], token: int) -> None:
        shard, start, stop = self._shard, self._start, self._stop
        # Where end tokens must stand, counted from `offset`, and whose the first one is.
        ends, offset = shard.ends, start
        expected: memoryview[int] | array[int]
        if shard.store.eot == "append":
            # The ends after `start` and not after `stop` close a document in this block.
            first, last = bisect_right(ends, start), bisect_right(ends, stop)
            expected, offset = ends[first:last], start + 1
        else:
            # A document begins where the one before it ends; the first one at 0.
            first, last = bisect_left(ends, start), bisect_left(ends, stop)
            expected = ends[first:last]
            if start == 0:
                expected = array("Q", [0])
                expected.frombytes(ends[:last].cast("B"))
            else:
                first += 1
        if stands_at(ids, token, expected, offset):
            return
        found = {place for place, one in enumerate(ids, offset) if one == token}
        for document, place in enumerate(expected, first):
            if place not in found:
                side = "opened" if shard.store.eot == "prepend" else "closed"
                raise InvalidStore(
                    f"{shard.path}: document {document} of the shard is not {side} by the end token "
                    f"{token}; {_MEND}"
                )
        inside = min(found - {*expected}) - offset + start
        raise InvalidStore(
            f"{shard.path}: the end token {token} stands inside a document, at token {inside}; {_MEND}"
        )


def _read_block(
    file: Any, path: Path, letter: Letter, start: int, stop: int, expected: int
) -> memoryview[int]:
    """The next items of a file, from ``start`` to ``stop``, after their checksum is found right."""
    itemsize = {"H": 2, "I": 4, "Q": 8}[letter]
    # Read, not mapped: a failing disk is then an OSError and not the end of the process.
    content = file.read((stop - start) * itemsize)
    checksum = BlockChecksum()
    checksum.update(content)
    if len(content) != (stop - start) * itemsize or checksum.values() != [expected]:
        found = ", ".join(f"{value:08x}" for value in checksum.values()) or "nothing"
        raise InvalidStore(
            f"{path}: bytes {start * itemsize} to {stop * itemsize} are damaged: their crc32 is "
            f"{found}, but the manifest says {expected:08x}; {_MEND}"
        )
    return from_file(content, letter)
