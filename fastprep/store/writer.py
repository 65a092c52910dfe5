"""Writer of shards: encodes batches of documents into the files of a shard."""

from __future__ import annotations

import contextlib
from array import array
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol

from msgspec import UNSET

from fastprep.corpus.batches import as_batches, readable
from fastprep.corpus.documents import BLOCK_BYTES, Bad, Batch, OnError, Span
from fastprep.corpus.passed_over import Tally
from fastprep.errors import BadConversation, IdOutOfRange, InvalidInput, InvalidUtf8
from fastprep.store.manifest import BlockChecksum, FileKind, ShardRecord, dtype_for, shard_path
from fastprep.store.validation import ValidationDraw
from fastprep.system.atomic import replacing
from fastprep.system.byte_order import empty_array, to_file
from fastprep.system.threads import map_in_order
from fastprep_ext.base import begin_rows, largest, shift_ends

if TYPE_CHECKING:
    from typing import TypeAlias

    from fastprep.chat.encoder import ChatEncoder
    from fastprep.store.encodings import StoreEncoding
    from fastprep.store.manifest import InfillRecord
    from fastprep.system.byte_order import Letter
    from fastprep_ext.base import Rows

    Ids: TypeAlias = memoryview[int]  # uint16 or uint32
    Ends: TypeAlias = memoryview[int]  # uint64

# A batch longer than this many blocks is encoded in parts.
_LONG_BATCHES = 4
# Bad documents listed per shard; further ones are only counted.
_MAX_LISTED = 1000

# Called with the numbers of bytes of text, documents and tokens written since the last call.
Report = Callable[[int, int, int], object]


class BadDocuments:
    """The documents that were skipped or repaired, and the members that were passed over.

    All are counted, and the first of them listed.
    """

    def __init__(self) -> None:
        self.count: int = 0
        self.listed: list[Bad] = []
        self.passed: Tally = Tally()

    def add(self, bad: Sequence[Bad]) -> None:
        """Count and list more."""
        self.count += len(bad)
        self.listed += bad[: _MAX_LISTED - len(self.listed)]


class Files(Protocol):
    """The files that a writer writes the documents of one shard, or of a part of it, to."""

    def write(
        self,
        ids: Ids,
        ends: Ends,
        largest: int,
        hashes: Ends | None = None,
        mask: memoryview[int] | None = None,
        /,
    ) -> None:
        """Append the ids of a batch, with its document ends counted from the batch's start.

        `largest` is the largest of the ids, `hashes` are those of the documents if they were asked for,
        and `mask` has a byte per token of conversations.
        """

    def record(self, inputs: list[Span], bad: BadDocuments) -> ShardRecord:
        """Return the record of what was written, after the last batch."""


# Opens the files of a shard in a directory; the stack closes them.
OpenFiles = Callable[[Path, int, contextlib.ExitStack], Files]


class ShardWriter:
    """Writer of one shard, which encodes batches of documents.

    The files appear under their names when :meth:`write` has finished, and not at all if it fails.
    Buffers are reused from batch to batch: 2 or 4 bytes per byte of a batch and 8 bytes per document,
    for each thread and for two more batches.

    ``end_token`` is the id after each document, or before it with ``prepend``, or None.
    ``begin_token`` is an id before each document that has ``end_token`` after it.
    ``on_error`` is what to do with a document that is not UTF-8. ``draw`` draws the documents of a
    second part of the corpus, whose shards have their own files. ``chats`` encodes conversations,
    which are what the batches have then, and ``infill`` rearranges documents. With ``draw`` or one
    of these, or if ``on_error`` is not ``"raise"``, each batch must hold whole documents, as with
    ``hashes``, which are then computed. ``threads`` batches are encoded at a time; the shard's
    bytes do not depend on it.
    """

    def __init__(
        self,
        encoding: StoreEncoding,
        end_token: int | None,
        *,
        prepend: bool = False,
        begin_token: int | None = None,
        on_error: OnError = "raise",
        draw: ValidationDraw | None = None,
        hashes: bool = False,
        threads: int = 1,
        chats: ChatEncoder | None = None,
        infill: InfillRecord | None = None,
    ) -> None:
        self._encoding = encoding
        self._end_token = end_token
        self._leading = end_token if prepend else None  # before each document
        self._begin_token = begin_token
        self._on_error = on_error
        self._draw = draw
        self._hashes = hashes
        self._n_vocab = encoding.n_vocab
        #: struct's name of the type of the ids.
        self.letter: Letter = "H" if dtype_for(encoding.n_vocab) == "uint16" else "I"
        self._threads = threads
        self._chats = chats
        self._infill = infill
        self._spare: list[tuple[Ids, Ends]] = []

    def write(
        self,
        directories: Sequence[Path],
        index: int,
        batches: Iterable[Batch],
        inputs: list[Span],
        report: Report = lambda size, documents, tokens: None,
        open_files: OpenFiles | None = None,
    ) -> list[ShardRecord]:
        """Write shard ``index`` into a directory, or into one directory per part of the corpus.

        ``open_files`` opens other files than those of a store. Returns the shard's entry in the
        manifest of each part. Bad documents, which belong to no part, are listed in the first
        one's. Raises InvalidUtf8 with file and byte, IdOutOfRange if the encoding returns an id
        outside its own vocabulary, and the system's OSError.
        """
        bad = BadDocuments()
        if open_files is None:
            open_files = partial(_PartFiles, masked=self._chats is not None)
        with contextlib.ExitStack() as stack:
            parts = [open_files(directory, index, stack) for directory in directories]
            # Closed also if writing fails, so that its threads have ended.
            encoded = stack.enter_context(
                contextlib.closing(self._encoded(self._jobs(batches, bad)))
            )
            for done in encoded:
                bad.add(done.bad)
                parts[done.part].write(done.ids, done.ends, done.largest, done.hashes, done.mask)
                report(done.size, len(done.ends), len(done.ids))
                self._keep(done)
            # Before the files are closed, because a record may need a last write.
            return [
                part.record(inputs, bad if number == 0 else BadDocuments())
                for number, part in enumerate(parts)
            ]

    def count(self, batches: Iterable[Batch]) -> tuple[int, int]:
        """Count the documents and tokens of batches without writing them. Raises like :meth:`write`."""
        documents = tokens = 0
        for done in self._encoded(self._jobs(batches, BadDocuments())):
            documents += len(done.ends)
            tokens += len(done.ids)
            self._keep(done)
        return documents, tokens

    def _keep(self, done: _Done) -> None:
        """Keep the buffers of a batch for another one."""
        if done.memory is not None:
            self._spare.append(done.memory)

    def _jobs(self, batches: Iterable[Batch], bad: BadDocuments) -> Iterator[_Job]:
        """Yield the batches to encode for each part, in order, without skipped documents."""
        open_parts = [False, False]
        for batch in batches:
            texts, wrong = self._checked(batch)
            waiting: Sequence[Bad] = ()
            if self._chats is None:
                bad.add(batch.bad)
                bad.add(wrong)
            else:
                # Listed when the batch is written, because encoding it finds more, and this runs ahead.
                waiting = [*batch.bad, *wrong]
            if batch.passed is not None:
                bad.passed.add_records(batch.passed.records())
            drawn = (texts,) if self._draw is None else texts.draw(self._draw.below)
            for part, share in enumerate(drawn):
                for piece in self._pieces(batch._replace(texts=share)):
                    yield _Job(part, piece, open_parts[part], waiting)
                    open_parts[part] = not piece.closed
                    waiting = ()
            if waiting:
                yield _Job(0, Batch.of_bad(), False, waiting)

    def _pieces(self, batch: Batch) -> Iterable[Batch]:
        """Return a batch, or a long document that had to be read whole in several batches.

        They encode to the same ids, in less memory.
        """
        if not len(batch.texts):
            return ()
        may_be_cut = self._encoding.may_be_cut and batch.closed and not self._hashes
        may_be_cut = may_be_cut and self._chats is None and self._infill is None
        if batch.size <= _LONG_BATCHES * BLOCK_BYTES or batch.ids or not may_be_cut:
            return (batch,)
        return as_batches(batch.texts, batch.places, (), BLOCK_BYTES, cut=True)

    def _encoded(self, jobs: Iterator[_Job]) -> Generator[_Done]:
        if self._threads == 1:
            yield from map(self._encode, jobs)
        else:
            yield from map_in_order(self._encode, jobs, self._threads)

    def _checked(self, batch: Batch) -> tuple[Rows, Sequence[Bad]]:
        """Drop or repair what cannot be in a store; return the documents, and the bad ones."""
        if not batch.ids or self._on_error == "raise":
            return readable(batch, self._on_error)
        from fastprep.store.ids import faults

        found = faults(batch, self._encoding, self._sides)
        wrong = [Bad(batch.place(index, 0)[0], fault) for index, fault in found]
        # There is nothing that could replace an id.
        return batch.texts.without([index for index, _ in found]), wrong

    def _encode(self, job: _Job) -> _Done:
        """Return the ids of a batch, and the ends of the documents that end in it."""
        batch = job.batch
        if self._chats is not None:
            return self._encode_chats(self._chats, job)
        if batch.ids and self._infill is not None:
            place = batch.place(0, 0)[0].partition(", byte ")[0]
            raise InvalidInput(
                f"{place}: token ids, and fim_rate (--fim-rate) rearranges texts; omit it, or pass the "
                "field of the texts"
            )
        if batch.ids:
            return self._encode_ids(job)
        if self._infill is not None:
            return self._encode_infilled(self._infill, job)
        # One end token per document, and one before the first; or two per document.
        wanted = self._encoding.most_ids(batch.size, len(batch.texts)) + 2 * len(batch.texts) + 1
        ids, ends = (
            self._spare.pop() if self._spare else (empty_array(0, self.letter), empty_array(0, "Q"))
        )
        if len(ids) < wanted:
            ids = empty_array(wanted, self.letter)
        if len(ends) < len(batch.texts):
            ends = empty_array(len(batch.texts), "Q")
        memory = ids, ends
        # A token before document i is stored as the last token of document i - 1: only the first
        # document needs one put in, and the last one gets none.
        before = 0
        if self._leading is not None and not job.continues:
            before = 1
            ids[0] = self._leading
        try:
            count = self._encoding.encode_documents(
                batch.texts,
                ids[before:],
                ends,
                end_token=self._end_token,
                close_last=batch.closed and self._leading is None,
            )
        except InvalidUtf8 as error:
            place, position = batch.place(error.index, error.offset)
            raise InvalidUtf8.at(place, position) from None
        ends = ends[: len(batch.texts)]
        if self._begin_token is not None:
            begin_rows(ids, ends, self._begin_token, int(job.continues))
            count = ends[-1]
        ids = ids[: count + before]
        if before:
            shift_ends(ends, 1)
        if self._leading is not None:
            shift_ends(ends[:-1], -1)
        if not batch.closed:
            ends = ends[:-1]
        hashes = batch.texts.hashes() if self._hashes else None
        return _Done(job.part, batch.size, ids, ends, self._largest(ids), hashes, memory)

    def _encode_chats(self, chats: ChatEncoder, job: _Job) -> _Done:
        """Return the ids and the mask of a batch of conversations, and those that cannot be encoded."""
        batch = job.batch
        ids, mask, ends = array(self.letter), bytearray(), array("Q")
        bad, wrong = [*job.waiting], []
        for index, text in enumerate(batch.texts):
            try:
                own, own_mask = chats.encode(text)
            except BadConversation as error:
                place = batch.place(index, 0)[0].partition(", byte ")[0]
                if self._on_error == "raise":
                    raise BadConversation(f"{place}: {error}") from error
                bad.append(Bad(place, str(error).partition("; ")[0]))
                wrong.append(index)
                continue
            ids.extend(own)
            mask += own_mask
            ends.append(len(ids))
        hashes = batch.texts.without(wrong).hashes() if self._hashes else None
        return self._done(job, memoryview(ids), memoryview(ends), hashes, memoryview(mask), bad)

    def _encode_infilled(self, infill: InfillRecord, job: _Job) -> _Done:
        """Return the ids of a batch of which some documents are rearranged."""
        from fastprep.store.infill import encode_infilled

        try:
            ids, ends = encode_infilled(
                self._encoding,
                infill,
                job.batch.texts,
                self.letter,
                self._end_token,
                prepend=self._leading is not None,
            )
        except InvalidUtf8 as error:
            place, position = job.batch.place(error.index, error.offset)
            raise InvalidUtf8.at(place, position) from None
        if self._begin_token is not None and len(ends):
            room = empty_array(len(ids) + len(ends), self.letter)
            room[: len(ids)] = ids
            begin_rows(room, ends, self._begin_token)
            ids = room[: ends[-1]]
        hashes = job.batch.texts.hashes() if self._hashes else None
        return self._done(job, ids, ends, hashes)

    def _done(
        self,
        job: _Job,
        ids: Ids,
        ends: Ends,
        hashes: Ends | None,
        mask: memoryview[int] | None = None,
        bad: Sequence[Bad] = (),
    ) -> _Done:
        """Return the result of a job whose buffers are its own."""
        size = job.batch.size
        largest_id = self._largest(ids) if len(ids) else -1
        return _Done(job.part, size, ids, ends, largest_id, hashes, None, mask, bad)

    def _encode_ids(self, job: _Job) -> _Done:
        """Return the ids of a batch of ids, with an end token where a document has none."""
        from fastprep.store.ids import copy_ids, faults

        batch = job.batch
        for index, fault in faults(batch, self._encoding, self._sides):
            raise InvalidInput(
                f"{batch.place(index, 0)[0].partition(', byte ')[0]}: {fault}; pass the encoding that "
                "made the ids and its end token, or on_error='skip' (--on-error skip)"
            )
        memory = (
            empty_array(batch.size // 4 + 2 * len(batch.texts), self.letter),
            empty_array(len(batch.texts), "Q"),
        )
        count = copy_ids(batch.texts, *memory, self._sides)
        ids = memory[0][:count]
        hashes = batch.texts.hashes() if self._hashes else None
        return _Done(job.part, batch.size, ids, memory[1], self._largest(ids), hashes, None)

    @property
    def _sides(self) -> tuple[int | None, int | None]:
        """The ids before and after each document."""
        if self._leading is not None:
            return self._leading, None
        return self._begin_token, self._end_token

    def _largest(self, ids: Ids) -> int:
        found = largest(ids)
        if found >= self._n_vocab:
            raise IdOutOfRange(
                f"{self._encoding.name} returned the id {found}, but its vocabulary has "
                f"{self._n_vocab}; this is a fault of the encoding: do not use it"
            )
        return found


class _Job(NamedTuple):
    """A batch for a part; with ``continues`` its first text continues the previous batch's last.

    ``waiting`` are bad documents that are listed once the batch is written.
    """

    part: int
    batch: Batch
    continues: bool
    waiting: Sequence[Bad] = ()


class _Done(NamedTuple):
    """The ids and document ends of a batch for a part, and the buffers to use again, if any."""

    part: int
    size: int
    ids: Ids
    ends: Ends
    largest: int
    hashes: Ends | None
    memory: tuple[Ids, Ends] | None
    mask: memoryview[int] | None = None
    bad: Sequence[Bad] = ()


def open_shard(
    directory: Path, index: int, stack: contextlib.ExitStack, *, masked: bool = False
) -> Files:
    """Open the files of a store's shard, which appear when the stack is closed without an error."""
    return _PartFiles(directory, index, stack, masked=masked)


class _PartFiles:
    """The files of a shard while they are written; with ``masked`` it has a mask."""

    def __init__(
        self, directory: Path, index: int, stack: contextlib.ExitStack, *, masked: bool = False
    ) -> None:
        # The names are synced once, with the file that marks the shard as finished.
        kinds: list[FileKind] = ["bin", "ends", "mask"] if masked else ["bin", "ends"]
        files = [
            CheckedFile(stack.enter_context(_new_file(shard_path(directory, index, kind))))
            for kind in kinds
        ]
        self._ids_file, self._ends_file = files[:2]
        self._mask_file = files[2] if masked else None
        self._mask_tokens = 0
        self._tokens = self._documents = 0
        self._max_id = -1

    def write(
        self,
        ids: Ids,
        ends: Ends,
        largest: int,
        _: Ends | None = None,
        mask: memoryview[int] | None = None,
        /,
    ) -> None:
        """See :class:`Files`."""
        if self._mask_file is not None and mask is not None:
            self._mask_file.write(mask)
            self._mask_tokens += bytes(mask).count(1)
        self._max_id = max(self._max_id, largest)
        shift_ends(ends, self._tokens)
        self._ids_file.write(ids)
        self._ends_file.write(ends)
        self._tokens += len(ids)
        self._documents += len(ends)

    def record(self, inputs: list[Span], bad: BadDocuments) -> ShardRecord:
        """See :class:`Files`."""
        return ShardRecord(
            tokens=self._tokens,
            documents=self._documents,
            max_id=self._max_id if self._tokens else None,
            bin_crc32=self._ids_file.checksum.values(),
            ends_crc32=self._ends_file.checksum.values(),
            inputs=inputs,
            bad_documents=bad.count,
            bad=bad.listed,
            passed_over=bad.passed.records() or UNSET,
            mask_crc32=UNSET if self._mask_file is None else self._mask_file.checksum.values(),
            mask_tokens=UNSET if self._mask_file is None else self._mask_tokens,
        )


def _new_file(path: Path) -> contextlib.AbstractContextManager[BinaryIO]:
    return replacing(path, sync_names=False, replace_link=False)


class CheckedFile:
    """Writer of arrays to a file in little-endian order, with the checksums of its blocks."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.checksum: BlockChecksum = BlockChecksum()

    def write(self, items: memoryview[int]) -> None:
        """Append an array."""
        if not len(items):
            return
        content = to_file(items)
        self.checksum.update(content)
        self._file.write(content)
