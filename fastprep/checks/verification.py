"""verify: check every byte of a store against its manifest, or its ids against another library."""

from __future__ import annotations

import mmap
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from fastprep.errors import InvalidArgument, InvalidInput, InvalidStore
from fastprep.store.checksums import crc32
from fastprep.store.encodings import EncodingLike, as_encoding, check_vocabulary, encoding_of_store
from fastprep.store.manifest import HOW_TO_FIX, ShardRecord, block_ranges, bytes_of, itemsize_of
from fastprep.store.reader import TokenStore
from fastprep.system.arguments import whole_number
from fastprep.system.bars import Progress, bar_of
from fastprep.system.byte_order import BYTES_OF, from_file
from fastprep.system.renamed import renamed
from fastprep.system.threads import available_cores, map_in_order
from fastprep_ext.base import is_increasing, largest, occurs_exactly_at

if TYPE_CHECKING:
    from fastprep.checks.sources import SourceNames, Sources
    from fastprep.system.byte_order import Letter

# More threads would wait for memory, or for the disk.
_MAX_THREADS = 4
# Small enough that a chunk is still in the core's cache when it is checked.
_CHUNK_BYTES = 256 << 10


class Verified(NamedTuple):
    """The tokens and documents that :func:`verify` checked, and the documents it encoded again."""

    tokens: int
    documents: int
    compared: int


@renamed(report="progress")
def verify(
    store: TokenStore | str | PathLike[str],
    *,
    against: Literal["tiktoken", "tokenizers", "notebook"] | None = None,
    sample: int | None = None,
    encoding: EncodingLike | None = None,
    sources: SourceNames | None = None,
    progress: Progress = None,
) -> Verified:
    """Check every byte of a store.

    Checked are the sizes and checksums of all files; that every id is in the vocabulary and the
    largest one is the recorded one; that document ends ascend and the last one is the number of
    tokens; that the end token, if there is one, is at its end of each document and nowhere else; and
    the vocabulary of a word tokenizer; and that a mask of conversations has a 0 or a 1 for each token,
    as many ones as are recorded. Blocks of 16 MiB are checked on several threads.

    Parameters
    ----------
    store
        a store or its path.
    against
        ``"tiktoken"``, ``"tokenizers"`` or, for words, ``"notebook"`` also reads the recorded inputs
        again, encodes their documents with that library, from the encoding's own tables, and compares
        id by id.
    sample
        number of documents to compare, drawn with a fixed seed; by default all.
    encoding
        the encoding that the store was made with. Needed for a comparison if it is not a published
        one; if given, its tables, pattern and special tokens must be those of the manifest.
    sources
        a directory or URL below which the inputs may be read for a comparison, or several; relative
        names of inputs are looked up in these directories, too. By default all inputs of a store whose
        manifest the caller's user owns are read; of another user's store, which may name any file, only
        those with relative names, in the current directory and below. Pass it for a store that you
        downloaded.
    progress
        whether to show a progress bar; by default in a terminal (on stderr) and in a notebook, if it
        takes long. Or a function that is called with each number of bytes read.

    Returns
    -------
    Verified
        a tuple of the numbers of tokens and documents checked, and of documents compared.

    Raises
    ------
    InvalidStore
        for the first fault, with its file and position.
    InvalidInput
        if an input to compare with may not be read, is missing or has changed its size, if the
        encoding is not the one that the store was made with, or if there is a sample but nothing to
        compare it with.
    FastprepError
        if the library to compare with is not installed.

    Examples
    --------
    >>> from fastprep.jobs.prepare import prepare
    >>> _ = (tmp / "two.txt").write_text("One.<|endoftext|>Two.")
    >>> store = prepare(tmp / "two.txt", tmp / "store", progress=False)
    >>> verify(store, against="tiktoken")
    Verified(tokens=6, documents=2, compared=2)
    """
    if against is not None:
        from fastprep.checks.oracles import ORACLES

        if not isinstance(against, str) or against not in ORACLES:
            known = ", ".join(ORACLES)
            raise InvalidArgument(f"against is {against!r}; the known oracles are {known}")
    if sample is not None:
        sample = whole_number(sample, "sample", 0)
    if sources is not None and against is None:
        raise InvalidArgument("sources go with against: without it no input is read")
    if sample is not None and against is None:
        raise InvalidArgument("sample goes with against: everything else is checked in full")
    opened = store if isinstance(store, TokenStore) else TokenStore(store)
    made_with = None if encoding is None else as_encoding(encoding)
    if against is not None and made_with is None:
        made_with = encoding_of_store(opened)
    if made_with is not None:
        from fastprep.checks.oracles import check_made_with

        check_made_with(opened, made_with)
    allowed: Sources | None = None
    if against is not None and (opened.head.messages or opened.head.infill):
        what = "conversations" if opened.head.messages else "documents rearranged by fim_rate"
        raise InvalidInput(
            f"{opened.path}: made of {what}, whose texts are not those of the inputs, so ids cannot be "
            "compared; leave out against (--against)"
        )
    if against is not None:
        from fastprep.checks.sources import Sources

        allowed = Sources(opened, sources)
    threads = min(_MAX_THREADS, available_cores())
    check_vocabulary(opened)
    opened.check_manifest()
    max_id = -1
    size = bytes_of(opened.head, opened.num_tokens, opened.num_documents)
    with bar_of(progress, size, "verify") as update:
        # In order, so that the first fault is the one that is reported.
        for step, largest_id in map_in_order(_Step.run, _steps(opened), threads):
            update(step.size)
            max_id = max(max_id, largest_id)
            if step.is_last:
                step.shard.check_max_id(max_id)
                max_id = -1
    compared = 0
    if against is not None and made_with is not None and allowed is not None:
        from fastprep.checks.comparison import compare
        from fastprep.checks.oracles import ORACLES

        compared = compare(opened, against, ORACLES[against](made_with), sample, allowed)
    return Verified(opened.num_tokens, opened.num_documents, compared)


class _Step(NamedTuple):
    """A part of a store that is checked independently: a shard's ends or mask, or a block of its ids."""

    check: Callable[[], int]  # returns the largest id of the block, -1 for ends
    shard: _Shard
    size: int  # bytes
    is_last: bool  # of its shard

    def run(self) -> tuple[_Step, int]:
        """Return the step and the result of its check."""
        return self, self.check()


def _steps(store: TokenStore) -> Iterator[_Step]:
    """Yield the parts of a store, in the order in which their faults are reported."""
    for index, record in enumerate(store.records()):
        shard = _Shard(store, index, record)
        blocks = shard.ranges
        yield _Step(shard.check_ends, shard, 8 * record.documents, not blocks)
        if store.has_mask:
            yield _Step(shard.check_mask, shard, record.tokens, False)
        for number, (start, stop) in enumerate(blocks):
            size = (stop - start) * shard.itemsize
            check = partial(shard.check_ids, number)
            yield _Step(check, shard, size, number == len(blocks) - 1)


class _Shard:
    """The checks of the files of one shard, in parts that any thread may run."""

    def __init__(self, store: TokenStore, index: int, record: ShardRecord) -> None:
        self.itemsize = itemsize_of(store.head.dtype)
        self.ranges = block_ranges(record.tokens, self.itemsize)
        self._store = store
        self._index = index
        self._record = record
        self._path = store.shard_file(index, "bin")
        self._ends_path = store.shard_file(index, "ends")
        store.fetch(index, "bin")
        self._ends = from_file(store.shard_content(index, "ends"), "Q")
        self._letter: Letter = "H" if self.itemsize == 2 else "I"
        # The tokens at the ends of documents, and the sides on which they are.
        begin = None if store.eot == "none" else store.bos_token
        self._tokens: list[tuple[int, str]] = []
        if begin is not None and begin == store.eot_token and store.eot == "append":
            self._tokens = [(begin, "both")]
        else:
            if begin is not None:
                self._tokens.append((begin, "before"))
            if store.eot == "append" and store.eot_token is not None:
                self._tokens.append((store.eot_token, "after"))

    def check_ends(self) -> int:
        """Raise InvalidStore unless document ends ascend, the last one to the end of the shard."""
        path, record = self._ends_path, self._record
        # With an end token no document is empty, so each end exceeds the one before it; with one at each
        # side it has two tokens.
        least = sum(2 if sides == "both" else 1 for _, sides in self._tokens)
        before = 0
        for number, (start, stop) in enumerate(block_ranges(record.documents, 8)):
            ends = _read_block(path, "Q", start, stop, record.ends_crc32[number])
            if not is_increasing(ends, before, least):
                document, end = next(
                    (document, end)
                    for document, (end, last) in enumerate(zip(ends, [before, *ends], strict=False))
                    if end - last < least
                )
                raise InvalidStore(
                    f"{path}: document {start + document} ends at token {end}, too "
                    f"early after the document before it; {HOW_TO_FIX}"
                )
            before = ends[-1]
        if before != record.tokens:
            raise InvalidStore(
                f"{path}: the last document ends at token {before}, but the shard has "
                f"{record.tokens}; {HOW_TO_FIX}"
            )
        return -1

    def check_mask(self) -> int:
        """Raise InvalidStore unless each token has a 0 or a 1, and as many ones as are recorded."""
        store, record = self._store, self._record
        store.fetch(self._index, "mask")
        path = store.shard_file(self._index, "mask")
        ones = 0
        for number, (start, stop) in enumerate(block_ranges(record.tokens, 1)):
            block = bytes(_read_block(path, "B", start, stop, record.checksums("mask")[number]))
            more = block.count(1)
            if more + block.count(0) != len(block):
                place = next(place for place, value in enumerate(block) if value > 1)
                raise InvalidStore(
                    f"{path}: byte {start + place} is {block[place]}, and a mask has 0 and 1; "
                    f"{HOW_TO_FIX}"
                )
            ones += more
        if ones != record.mask_tokens:
            raise InvalidStore(
                f"{path}: {ones} tokens are marked, but the manifest says {record.mask_tokens}; "
                f"{HOW_TO_FIX}"
            )
        return -1

    def check_ids(self, number: int) -> int:
        """Return the largest id of a block; raise InvalidStore if the block has any fault."""
        store, (start, stop) = self._store, self.ranges[number]
        checksum, max_id, in_place = 0, -1, True
        position = start
        for content in _read_chunks(self._path, self.itemsize, start, stop):
            checksum = crc32(content, checksum)
            ids = from_file(content, self._letter)
            max_id = max(max_id, largest(ids))
            for token, sides in self._tokens:
                places, offset = self._token_places(sides, position, position + len(ids))
                in_place &= occurs_exactly_at(ids, token, places, offset)
            position += len(ids)
        expected = self._record.bin_crc32[number]
        if position == stop and checksum == expected and max_id < store.vocab_size and in_place:
            return max_id
        raise self._fault(number)

    def check_max_id(self, max_id: int) -> None:
        """Raise InvalidStore unless the manifest records this largest id."""
        recorded = -1 if self._record.max_id is None else self._record.max_id
        if max_id != recorded:
            raise InvalidStore(
                f"{self._path}: its largest id is {max_id}, but the manifest says {recorded}; "
                f"{HOW_TO_FIX}"
            )

    def _fault(self, number: int) -> InvalidStore:
        """Return the error for a block, which is read again to find the position of the fault."""
        store, (start, stop) = self._store, self.ranges[number]
        try:
            ids = _read_block(self._path, self._letter, start, stop, self._record.bin_crc32[number])
            if largest(ids) >= store.vocab_size:
                place = next(place for place, value in enumerate(ids) if value >= store.vocab_size)
                raise InvalidStore(
                    f"{self._path}: token {start + place} is {ids[place]}, outside the vocabulary of "
                    f"{store.vocab_size} ids; {HOW_TO_FIX}"
                )
            for token, sides in self._tokens:
                self._check_token(ids, token, sides, start, stop)
        except InvalidStore as fault:
            return fault
        return InvalidStore(
            f"{self._path}: two reads of bytes {start * self.itemsize} to {stop * self.itemsize} "
            f"differ: something writes to the file, or the disk fails; {HOW_TO_FIX}"
        )

    def _check_token(
        self, ids: memoryview[int], token: int, sides: str, start: int, stop: int
    ) -> None:
        expected, offset = self._token_places(sides, start, stop)
        if occurs_exactly_at(ids, token, expected, offset):
            return
        found = {place for place, value in enumerate(ids, offset) if value == token}
        for place in expected:
            if place not in found:
                verb = {"before": "start", "after": "end"}.get(sides, "start and end")
                document = bisect_right(self._ends, place - offset + start)
                raise InvalidStore(
                    f"{self._path}: document {document} of the shard does not {verb} with the "
                    f"{self._name(token)} {token}; {HOW_TO_FIX}"
                )
        inside = min(found - {*expected}) - offset + start
        raise InvalidStore(
            f"{self._path}: the {self._name(token)} {token} is inside a document, at token {inside}; "
            f"{HOW_TO_FIX}"
        )

    def _name(self, token: int) -> str:
        return "end token" if token == self._store.eot_token else "begin token"

    def _token_places(
        self, sides: str, start: int, stop: int
    ) -> tuple[memoryview[int] | array[int], int]:
        """Return where a token must be in ids ``start`` to ``stop``.

        That is before each document, after it, or both. The result is the places, and the number that
        the id ``start`` has in the count of places.
        """
        ends = self._ends
        if sides == "after":
            # Documents that end in (start, stop] have their last token here.
            first, last = bisect_right(ends, start), bisect_right(ends, stop)
            return ends[first:last], start + 1
        # A document starts where the one before it ends; the first one at 0.
        first, last = bisect_left(ends, start), bisect_left(ends, stop)
        places = array("Q", [0] if not start and len(ends) else [])
        places.frombytes(ends[first if start else 0 : last].cast("B"))
        if sides == "before":
            return places, start
        closing, _ = self._token_places("after", start, stop)
        return array("Q", sorted([*(place + 1 for place in places), *closing])), start + 1


def _read_chunks(path: Path, itemsize: int, start: int, stop: int) -> Iterator[memoryview[int]]:
    """Yield the bytes of items ``[start, stop)``, as far as they exist, in a buffer that is reused."""
    # Read, not mapped: a failing disk is then an OSError, not a signal that ends the process.
    # Into whole pages: to an address that is not a multiple of 64 the kernel copies at a quarter of
    # the speed.
    content = memoryview(mmap.mmap(-1, _CHUNK_BYTES))
    left = (stop - start) * itemsize
    with path.open("rb", buffering=0) as file:
        file.seek(start * itemsize)
        while left:
            size = min(left, len(content))
            filled = 0
            while filled < size and (got := file.readinto(content[filled:size])):
                filled += got
            if filled < size:
                return
            yield content[:size]
            left -= size


def _read_block(
    path: Path, letter: Letter | Literal["B"], start: int, stop: int, expected: int
) -> memoryview[int]:
    """Return items ``[start, stop)`` of a file, one block, after a check of its checksum."""
    itemsize = 1 if letter == "B" else BYTES_OF[letter]
    size = (stop - start) * itemsize
    with path.open("rb") as file:
        file.seek(start * itemsize)
        content = file.read(size)
    checksum = crc32(content)
    if len(content) != size or checksum != expected:
        found = f"{checksum:08x}" if content else "nothing"
        raise InvalidStore(
            f"{path}: bytes {start * itemsize} to {stop * itemsize} are damaged: their crc32 is "
            f"{found}, but the manifest says {expected:08x}; {HOW_TO_FIX}"
        )
    return memoryview(content) if letter == "B" else from_file(content, letter)
