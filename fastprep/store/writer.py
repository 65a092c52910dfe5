"""Batches of documents to one shard on disk, whole or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from fastprep.corpus.documents import Bad, Batch, OnError, Span
from fastprep.errors import IdOutOfRange, InvalidUtf8
from fastprep.store.manifest import BlockChecksum, ShardRecord, dtype_for, shard_path
from fastprep.store.validation import Split
from fastprep.system.atomic import replacing
from fastprep.system.byte_order import room_for, to_file
from fastprep.system.threads import map_in_order
from fastprep_ext.base import Rows, largest, shift_ends

if TYPE_CHECKING:
    from typing import TypeAlias

    from fastprep.store.encodings import StoreEncoding
    from fastprep.system.byte_order import Letter

    Ids: TypeAlias = memoryview[int]  # uint16 or uint32
    Ends: TypeAlias = memoryview[int]  # uint64

# So many bad documents are listed; the others are only counted.
_MAX_LISTED = 1000

# Called with the bytes of text, the documents and the tokens that were written since the last call.
Report = Callable[[int, int, int], object]


class ShardWriter:
    """Encodes batches of documents and writes them as one shard.

    The files appear when :meth:`write` ends well, each under its name at once; nothing appears when it
    does not. The buffers are reused from batch to batch: two or four bytes for each byte of a batch,
    and 8 bytes a document, for each thread and two batches more.

    Parameters
    ----------
    encoding
        makes the ids; decides the dtype.
    end_token
        the id that stands at the end of each document, or None.
    end_token_first
        whether it stands at the beginning instead.
    on_error
        what becomes of a document that is not UTF-8. Unless it is ``"raise"``, each batch must hold
        whole documents.
    split
        draws documents for a second part of the corpus, of which each shard has its own files. Each
        batch must hold whole documents then, too.
    threads
        how many batches are encoded at once; the shard's bytes do not depend on it.
    """

    def __init__(
        self,
        encoding: StoreEncoding,
        end_token: int | None,
        *,
        end_token_first: bool = False,
        on_error: OnError = "raise",
        split: Split | None = None,
        threads: int = 1,
    ) -> None:
        self._encoding = encoding
        self._end_token = end_token
        self._first = end_token_first and end_token is not None
        self._on_error = on_error
        self._split = split
        self._n_vocab = encoding.n_vocab
        self._letter: Letter = "H" if dtype_for(encoding.n_vocab) == "uint16" else "I"
        self._threads = threads
        self._spare: list[tuple[Ids, Ends]] = []

    def write(
        self,
        directories: Sequence[Path],
        index: int,
        batches: Iterable[Batch],
        inputs: list[Span],
        report: Report = lambda size, documents, tokens: None,
    ) -> list[ShardRecord]:
        """Write shard ``index`` into a directory, or into one for each part.

        Returns
        -------
        list of ShardRecord
            the shard's entry in the manifest of each part. Bad documents, which belong to none, are
            in the first one's.

        Raises
        ------
        InvalidUtf8
            naming the file and the byte.
        IdOutOfRange
            when the encoding gives an id that its own vocabulary does not have.
        OSError
            as the system says.
        """
        bad = _BadDocuments()
        with contextlib.ExitStack() as stack:
            parts = [_PartFiles(directory, index, stack) for directory in directories]
            # Closed also where writing fails, so that no thread outlives this.
            encoded = stack.enter_context(
                contextlib.closing(self._encoded(self._jobs(batches, bad)))
            )
            for done in encoded:
                parts[done.part].write(done.ids, done.ends, done.largest)
                report(done.size, len(done.ends), len(done.ids))
                self._spare.append(done.memory)
        return [
            part.record(inputs, bad if number == 0 else _BadDocuments())
            for number, part in enumerate(parts)
        ]

    def count(self, batches: Iterable[Batch]) -> tuple[int, int]:
        """How many documents and tokens some batches would be, written nowhere.

        Raises
        ------
        InvalidUtf8, IdOutOfRange
            as :meth:`write`.
        """
        documents = tokens = 0
        for done in self._encoded(self._jobs(batches, _BadDocuments())):
            documents += len(done.ends)
            tokens += len(done.ids)
            self._spare.append(done.memory)
        return documents, tokens

    def _jobs(self, batches: Iterable[Batch], bad: _BadDocuments) -> Iterator[_Job]:
        """Yield what to encode, in order, without the documents that are left out."""
        open_parts = [False, False]
        for batch in batches:
            texts, wrong = self._checked(batch) if self._on_error != "raise" else (batch.texts, ())
            bad.add(batch.bad)
            bad.add(wrong)
            drawn = (texts,) if self._split is None else texts.draw(self._split.below)
            for part, share in enumerate(drawn):
                if len(share):
                    yield _Job(part, batch._replace(texts=share), open_parts[part])
                    open_parts[part] = not batch.closed

    def _encoded(self, jobs: Iterator[_Job]) -> Generator[_Done]:
        if self._threads == 1:
            yield from map(self._encode, jobs)
        else:
            yield from map_in_order(self._encode, jobs, self._threads)

    def _checked(self, batch: Batch) -> tuple[Rows, list[Bad]]:
        """Return the texts without those that are not UTF-8, or repaired with U+FFFD; and those."""
        texts = batch.texts
        bad, repaired = [], {}
        for index in texts.invalid():
            text = texts[index]
            try:
                text.decode()
            except UnicodeDecodeError as error:
                place, _ = batch.place(index, error.start)
                bad.append(Bad(place, f"0x{text[error.start]:02x} is not UTF-8 there"))
                repaired[index] = text.decode("utf-8", "replace").encode()
        if bad and self._on_error == "skip":
            return texts.without([*repaired]), bad
        return texts.replaced(repaired) if bad else texts, bad

    def _encode(self, job: _Job) -> _Done:
        """The ids of a batch and the ends of those documents that end in it."""
        batch = job.batch
        # And an end token for each.
        wanted = self._encoding.most_ids(batch.size, len(batch.texts)) + len(batch.texts) + 1
        ids, ends = (
            self._spare.pop() if self._spare else (room_for(0, self._letter), room_for(0, "Q"))
        )
        if len(ids) < wanted:
            ids = room_for(wanted, self._letter)
        if len(ends) < len(batch.texts):
            ends = room_for(len(batch.texts), "Q")
        memory = ids, ends
        # Tokens before documents are tokens behind the ones before them, all but the first and last.
        before = 0
        if self._first and self._end_token is not None and not job.begun:
            before = 1
            ids[0] = self._end_token
        try:
            count = self._encoding.encode_documents(
                batch.texts,
                ids[before:],
                ends,
                end_token=self._end_token,
                close_last=batch.closed and not self._first,
            )
        except InvalidUtf8 as error:
            place, position = batch.place(error.index, error.offset)
            raise InvalidUtf8.at(place, position) from None
        ids, ends = ids[: count + before], ends[: len(batch.texts)]
        if before:
            shift_ends(ends, 1)
        if self._first:
            shift_ends(ends[:-1], -1)
        if not batch.closed:
            ends = ends[:-1]
        return _Done(job.part, batch.size, ids, ends, self._largest(ids), memory)

    def _largest(self, ids: Ids) -> int:
        found = largest(ids)
        if found >= self._n_vocab:
            raise IdOutOfRange(
                f"{self._encoding.name} gave the id {found}, but its vocabulary has "
                f"{self._n_vocab}; this is a fault of the encoding: do not use it"
            )
        return found


class _Job(NamedTuple):
    """A batch for a part; ``begun`` says that its first text continues the one before it."""

    part: int
    batch: Batch
    begun: bool


class _Done(NamedTuple):
    """The ids of a batch for a part, its documents' ends, and the memory in which they lie."""

    part: int
    size: int
    ids: Ids
    ends: Ends
    largest: int
    memory: tuple[Ids, Ends]


class _BadDocuments:
    """How many documents were left out or mended, and the first of them."""

    def __init__(self) -> None:
        self.count = 0
        self.listed: list[Bad] = []

    def add(self, bad: Sequence[Bad]) -> None:
        """Some more."""
        self.count += len(bad)
        self.listed += bad[: _MAX_LISTED - len(self.listed)]


class _PartFiles:
    """The two files of a shard, in the making."""

    def __init__(self, directory: Path, index: int, stack: contextlib.ExitStack) -> None:
        # Names are synced once, with what says that the shard is finished.
        ids, ends = (
            stack.enter_context(replacing(shard_path(directory, index, kind), sync_names=False))
            for kind in ("bin", "ends")
        )
        self._ids_file = _CheckedFile(ids)
        self._ends_file = _CheckedFile(ends)
        self._tokens = self._documents = 0
        self._max_id = -1

    def write(self, ids: Ids, ends: Ends, largest: int) -> None:
        """Go on with the ids of a batch, and the ends of documents from the batch's start."""
        self._max_id = max(self._max_id, largest)
        shift_ends(ends, self._tokens)
        self._ids_file.write(ids)
        self._ends_file.write(ends)
        self._tokens += len(ids)
        self._documents += len(ends)

    def record(self, inputs: list[Span], bad: _BadDocuments) -> ShardRecord:
        return ShardRecord(
            tokens=self._tokens,
            documents=self._documents,
            max_id=self._max_id if self._tokens else None,
            bin_crc32=self._ids_file.checksum.values(),
            ends_crc32=self._ends_file.checksum.values(),
            inputs=inputs,
            bad_documents=bad.count,
            bad=bad.listed,
        )


class _CheckedFile:
    """Arrays to a file in little-endian order, with the checksums of its blocks."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.checksum = BlockChecksum()

    def write(self, items: memoryview[int]) -> None:
        if not len(items):
            return
        content = to_file(items)
        self.checksum.update(content)
        self._file.write(content)
