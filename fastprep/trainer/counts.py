"""PieceCounts: how often each piece occurs in a corpus, as a value that is added, scaled and saved.

A file of counts is one line that says what it is, one line of JSON, and the records of
``fastprep_ext/trainer/records.pxd``, sorted by the bytes of the pieces: equal counts are equal bytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Literal, NamedTuple, TypeAlias, get_args

import msgspec

from fastprep.errors import DamagedInput, InvalidArgument
from fastprep.system.arguments import local_path, whole_number
from fastprep.system.atomic import replacing
from fastprep.trainer.splitting import Splitting, splitting_by, splitting_of
from fastprep_ext.base import map_file
from fastprep_ext.trainer import (
    MAX_COUNT,
    RecordMerge,
    check_records,
    list_records,
    records_of,
)

#: What is split as a text of its own: each document, or each of its lines with the newline.
Unit: TypeAlias = Literal["whole", "lines"]

_MAGIC = b"fastprep counts 1\n"
_MAX_HEADER = 1 << 24
_BLOCK_BYTES = 1 << 20
_ITEMS = 4096
# Sums of more bytes than this are kept in a temporary file.
_MAX_IN_MEMORY = 32 << 20


class Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of counts beside the records: the second line of a file.

    ``job`` is what a counting job records about the part of the inputs that a file is of.
    """

    patterns: list[str]
    by_ranks: bool
    documents: Unit
    pieces: int
    total: int
    piece_bytes: int
    record_bytes: int
    crc32: int
    job: Any = None


class _Sums(NamedTuple):
    """Sums over records, as :func:`fastprep_ext.trainer.check_records` returns them."""

    pieces: int
    size: int
    total: int


class PieceCounts:
    """The pieces of a corpus and how often each occurs: all that training needs to know of it.

    :func:`fastprep.count_pieces` makes them. Those of several corpora with the same pattern are added,
    and a corpus gets a weight by multiplication:

    >>> from fastprep import count_pieces
    >>> one = count_pieces([{"text": "to be or not to be"}])
    >>> two = count_pieces([{"text": "to be"}])
    >>> dict((one + 3 * two).items())
    {b' be': 5, b' not': 1, b' or': 1, b' to': 1, b'to': 4}

    Counts are exact, up to 2**63 - 1. The memory of large ones is that of a mapped file.

    Attributes
    ----------
    total
        the sum of all counts.
    size
        the bytes of all distinct pieces.
    """

    def __init__(
        self, records: Any, splitting: Splitting, documents: Unit, sums: Sequence[int] | None = None
    ) -> None:
        self.total: int
        self.size: int
        self._records = memoryview(records)
        self._splitting = splitting
        self._documents: Unit = documents
        sums = check_records(self._records) if sums is None else sums
        self._pieces, self.size, self.total = sums

    @classmethod
    def from_dict(
        cls, counts: Mapping[bytes, int], *, pattern: str | None = "gpt2", documents: Unit = "whole"
    ) -> PieceCounts:
        """Make counts of a mapping from pieces to how often each occurs, at least once.

        `pattern` says how texts were split into the pieces. Raises InvalidArgument for a piece that is
        not bytes, or is empty, and for a count that is not a whole number from 1 to 2**63 - 1.

        >>> len(PieceCounts.from_dict({b"one": 1, b" two": 2}))
        2
        """
        return counts_of_dict(counts, splitting_of(pattern), documents)

    @property
    def pattern(self) -> str:
        """The regular expression, or several, by which texts were split."""
        return " and then ".join(self._splitting.patterns)

    @property
    def documents(self) -> Unit:
        """Whether documents were split as a whole, or by lines."""
        return self._documents

    def __len__(self) -> int:
        return self._pieces

    def __repr__(self) -> str:
        return f"<PieceCounts: {self.total:,} pieces, {len(self):,} distinct>"

    def items(self) -> Iterator[tuple[bytes, int]]:
        """Yield each piece with its count, in the order of the pieces' bytes.

        >>> [*PieceCounts.from_dict({b"b": 1, b"a": 2}).items()]
        [(b'a', 2), (b'b', 1)]
        """
        at = 0
        while at < len(self._records):
            found, at = list_records(self._records, at, _ITEMS)
            yield from found

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PieceCounts):
            return NotImplemented
        return self._same_kind(other) and self._records == other._records

    __hash__: ClassVar[None]  # type: ignore[assignment]

    def __add__(self, other: PieceCounts) -> PieceCounts:
        if not isinstance(other, PieceCounts):
            return NotImplemented
        return add_up([self, other])

    def __mul__(self, weight: int) -> PieceCounts:
        weight = whole_number(weight, "the weight of counts", 1, MAX_COUNT)
        return _sum([self], [weight])

    __rmul__ = __mul__

    def _same_kind(self, other: PieceCounts) -> bool:
        mine, theirs = self._splitting, other._splitting
        return (*mine[:2], self._documents) == (*theirs[:2], other._documents)

    # -- files ------------------------------------------------------------------------------------

    def save(self, path: str | PathLike[str]) -> None:
        """Write the counts to a file; equal counts make equal files. Raises OSError.

        >>> PieceCounts.from_dict({b"one": 1}).save(tmp / "one.counts")
        >>> PieceCounts.load(tmp / "one.counts")
        <PieceCounts: 1 pieces, 1 distinct>
        """
        self.write(local_path(path, "a file of counts"))

    def is_in(self, path: Path) -> bool:
        """Return whether a file is the one that :meth:`save` would write; one that is damaged is not."""
        try:
            found, facts = PieceCounts.read(path)
        except (OSError, DamagedInput):
            return False
        return facts.job is None and found == self

    def write(self, path: Path, job: object = None) -> None:
        """Write the counts to a file, with what a job has to remember of it."""
        crc32 = 0
        for start in range(0, len(self._records), _BLOCK_BYTES):
            crc32 = zlib.crc32(self._records[start : start + _BLOCK_BYTES], crc32)
        facts = Facts(
            patterns=list(self._splitting.patterns),
            by_ranks=self._splitting.by_ranks,
            documents=self._documents,
            pieces=len(self),
            total=self.total,
            piece_bytes=self.size,
            record_bytes=len(self._records),
            crc32=crc32,
            job=job,
        )
        with replacing(path) as file:
            file.write(_MAGIC + msgspec.json.encode(facts) + b"\n")
            for start in range(0, len(self._records), _BLOCK_BYTES):
                file.write(self._records[start : start + _BLOCK_BYTES])

    @classmethod
    def load(cls, path: str | PathLike[str]) -> PieceCounts:
        """Read a file of counts, whose records stay in the mapped file.

        Raises DamagedInput for a file that is truncated, damaged, or something else.
        """
        return cls.read(local_path(path, "a file of counts"))[0]

    @classmethod
    def read(cls, path: Path) -> tuple[PieceCounts, Facts]:
        """Read a file of counts, with all that it says of itself."""
        with path.open("rb") as file:
            facts, start, size = _facts_in(file, path)
            records = map_file(file.fileno(), size)[start:]
        if zlib.crc32(records) != facts.crc32:
            raise DamagedInput(f"{path}: its content is not what was written; count again")
        try:
            sums = check_records(records)
        except ValueError as error:
            raise DamagedInput(f"{path}: {error}; count again") from None
        splitting = splitting_by(facts.patterns, by_ranks=facts.by_ranks)
        return cls(records, splitting, facts.documents, sums), facts


def facts_of_file(path: Path) -> tuple[Facts, int]:
    """Return what a file of counts says of itself, and where its records start. Raises DamagedInput."""
    with path.open("rb") as file:
        return _facts_in(file, path)[:2]


def _facts_in(file: BinaryIO, path: Path) -> tuple[Facts, int, int]:
    """Return what a file of counts says of itself, where its records start, and its size."""
    magic = file.read(len(_MAGIC))
    header = file.readline(_MAX_HEADER)
    start = file.tell()
    size = file.seek(0, 2)
    if magic != _MAGIC or not header.endswith(b"\n"):
        raise DamagedInput(f"{path}: not a file of counts, or of another version")
    try:
        facts = msgspec.json.decode(header, type=Facts)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DamagedInput(f"{path}: its second line is damaged: {error}") from None
    if size != start + facts.record_bytes:
        raise DamagedInput(
            f"{path}: it has {size} bytes and should have {start + facts.record_bytes}; its writing or "
            "copying may not have finished"
        )
    return facts, start, size


def counts_of_dict(
    counts: Mapping[bytes, int], splitting: Splitting, documents: Unit
) -> PieceCounts:
    """Make counts as :meth:`PieceCounts.from_dict` does."""
    for piece, count in counts.items():
        if not isinstance(piece, bytes) or not piece:
            raise InvalidArgument(f"the piece {piece!r:.80} must be bytes, at least one")
        whole_number(count, f"the count of {piece!r:.80}", 1, MAX_COUNT)
    check_unit(documents)
    return PieceCounts(records_of(counts), splitting, documents)


def check_unit(documents: object) -> None:
    """Raise InvalidArgument if `documents` is neither ``"whole"`` nor ``"lines"``."""
    if documents not in get_args(Unit):
        raise InvalidArgument(f"documents is {documents!r}; it must be one of whole, lines")


def add_up(counts: Sequence[PieceCounts]) -> PieceCounts:
    """Return the sum of counts. Raises InvalidArgument if they were not made in the same way."""
    first = counts[0]
    for other in counts[1:]:
        if not first._same_kind(other):
            raise InvalidArgument(
                "counts can be added only if texts were split in the same way; one has the pattern "
                f"{first.pattern!r:.80} by documents={first.documents!r}, another "
                f"{other.pattern!r:.80} by {other.documents!r}"
            )
    return _sum(counts, [1] * len(counts)) if len(counts) > 1 else first


def _sum(counts: Sequence[PieceCounts], weights: list[int]) -> PieceCounts:
    records, sums = merged([each._records for each in counts], weights)
    return PieceCounts(records, counts[0]._splitting, counts[0].documents, sums)


def merged(
    sources: Sequence[Any],
    weights: list[int] | None = None,
    check: Callable[[], object] = lambda: None,
) -> tuple[memoryview, Sequence[int]]:
    """Merge sorted records; return the records, and the number of pieces, their bytes and the total.

    `check` is called after each block, and may raise. Raises OverflowError for counts of 2**63 or more.
    """
    merge = RecordMerge(sources, weights or [1] * len(sources))
    blocks: list[memoryview | bytes] = []
    file: BinaryIO | None = None
    size = 0
    while block := merge.next(_BLOCK_BYTES):
        check()
        size += len(block)
        if file is None and size > _MAX_IN_MEMORY:
            import tempfile

            file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - it lives as its map does
            for each in blocks:
                write_all(file, each)
            blocks = []
        if file is None:
            blocks.append(block)
        else:
            write_all(file, block)
    sums = _Sums(merge.pieces, merge.size, merge.total)
    if file is None:
        return memoryview(b"".join(blocks)), sums
    with file:
        return map_file(file.fileno(), size), sums


def write_all(file: BinaryIO, block: memoryview | bytes) -> None:
    """Write a block to an unbuffered file, in as many writes as it takes."""
    left = memoryview(block)
    while left:
        left = left[file.write(left) :]
