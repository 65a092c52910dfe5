"""A Parquet file, or the row groups that begin in a byte range of one, to the texts of a column."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from fastprep.corpus.batches import as_batches
from fastprep.corpus.columns import Nulls, no_text, type_of, walk
from fastprep.corpus.documents import Bad, Batch, Format, PlacesInRows, Span, keys_of
from fastprep.corpus.remote import can_seek, is_url
from fastprep.corpus.sources import check_size, open_bytes
from fastprep.errors import DamagedInput, InvalidInput
from fastprep.system.arrow import column_of, is_text, pyarrow

# What is read of a column at a time: a row group may be larger than memory.
_READ_BYTES = 1 << 20
# Rows that are decoded at a time, at most: short ones that repeat a long value take little room in
# the file.
_MAX_ROWS = 4096


def import_pyarrow(what: str = "a Parquet file") -> Any:
    """Import ``pyarrow.parquet``. Raises MissingExtra, which says ``what`` needs it."""
    pyarrow(what)
    from pyarrow import parquet  # type: ignore[import-untyped, unused-ignore]

    return parquet


def read_parquet(span: Span, form: Format, block_bytes: int, cut: bool) -> Iterator[Batch]:
    """The texts of the row groups whose first byte lies in a span, in the order of the file.

    Only the one column is read, some rows at a time. The rest is as in
    :func:`fastprep.corpus.reader.batches`, which has the example, too.

    Raises
    ------
    InvalidInput
        where the column is not there, holds no text, or is null in a row.
    DamagedInput
        for a file that is none, ends too early, or is not what was written.
    """
    with contextlib.closing(open_bytes(span.path)) as file:
        check_size(span, file)
        if is_url(span.path) and not can_seek(span.path):
            raise InvalidInput(
                f"{span.path}: the server gives no byte ranges, so a Parquet file cannot be read from "
                "it; download it first"
            )
        try:
            column = _TextColumn(span, file, form)
        except InvalidInput as error:
            if form.on_error == "raise":
                raise
            # Each span of the file sees this; one of them tells.
            if span.start == 0:
                yield Batch.of_bad(Bad.of(error, span.path))
            return
        for group in column.groups(span.start, span.end):
            yield from column.read(group, block_bytes, cut)


def text_bytes(span: Span, form: Format) -> int:
    """How many bytes a Parquet file's texts are, about: what its metadata say of their column.

    Raises
    ------
    InvalidInput
        as :func:`read_parquet`.
    """
    with contextlib.closing(open_bytes(span.path)) as file:
        return _TextColumn(span, file, form).text_bytes()


class _TextColumn:
    """One column of an open file."""

    def __init__(self, span: Span, file: Any, form: Format) -> None:
        self._path = span.path
        self._size = span.size
        self._form = form
        self._keys = keys_of(form.field)
        pq = import_pyarrow(span.path)
        with self._whole("the file is damaged, or no Parquet file"):
            self._file = pq.ParquetFile(
                file,
                pre_buffer=False,
                buffer_size=_READ_BYTES,
                page_checksum_verification=True,
            )
            schema = self._file.schema_arrow
            paths = [self._file.schema.column(i).path for i in range(len(self._file.schema))]
        kind = type_of(schema, self._keys)
        if kind is None or not is_text(kind):
            raise InvalidInput(f"{span.path}: {no_text(schema, kind, form)} (--field)")
        self._selected = ".".join(self._keys)
        self._leaf = paths.index(self._selected)

    def text_bytes(self) -> int:
        """The size of all row groups' pages before compression."""
        with self._whole("the file is damaged"):
            metadata = self._file.metadata
            groups = map(metadata.row_group, range(metadata.num_row_groups))
            return sum(group.column(self._leaf).total_uncompressed_size for group in groups)

    def groups(self, start: int, end: int) -> list[int]:
        """The row groups whose first byte lies in a range, in the order of the file."""
        with self._whole("the file is damaged"):
            metadata = self._file.metadata
            firsts = [_first_byte(metadata.row_group(i)) for i in range(metadata.num_row_groups)]
            rows = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        for index, first in enumerate(firsts):
            if not 0 <= first < self._size or rows[index] < 0:
                raise DamagedInput(
                    f"{self._path}: row group {index} begins at byte {first} of {self._size}, says "
                    "the file; bring a whole copy of it"
                )
        self._before = np.concatenate([[0], np.cumsum(np.array(rows, np.int64))])
        found = [(first, index) for index, first in enumerate(firsts) if start <= first < end]
        return [index for _, index in sorted(found)]

    def read(self, group: int, block_bytes: int, cut: bool) -> Iterator[Batch]:
        """The texts of one row group."""
        row = int(self._before[group])
        name = partial(self._place, group)
        nulls, places = Nulls(self._form, name), PlacesInRows(name)
        try:
            for chunk in self._chunks(group, block_bytes):
                rows, bad = nulls.settle(column_of(chunk), row)
                row += len(chunk)
                yield from as_batches(rows, places, bad, block_bytes, cut)
        except DamagedInput as error:
            if self._form.on_error == "raise":
                raise
            told = Bad.of(error, self._path)
            rest = f"{told.reason}; the rest of the row group is left out"
            yield Batch.of_bad(told._replace(reason=rest))

    def _chunks(self, group: int, block_bytes: int) -> Iterator[Any]:
        row = int(self._before[group])
        with self._whole(f"row group {group} is damaged", self._place(group, row)):
            metadata = self._file.metadata.row_group(group)
            size = max(metadata.column(self._leaf).total_uncompressed_size, 1)
            rows = min(max(block_bytes * metadata.num_rows // size, 1), _MAX_ROWS)
            batches = self._file.iter_batches(
                rows, row_groups=[group], columns=[self._selected], use_threads=False
            )
        while True:
            with self._whole(f"row group {group} is damaged", self._place(group, row)):
                batch = next(batches, None)
                if batch is None:
                    return
                chunk = walk(batch, self._keys)
            row += len(chunk)
            yield chunk

    @contextlib.contextmanager
    def _whole(self, what: str, place: str | None = None) -> Iterator[None]:
        """What pyarrow raises for a file that is not whole, as an error that names it."""
        try:
            yield
        except (MemoryError, InvalidInput):
            raise
        except Exception as error:  # of many types: for wrong metadata even KeyError
            # The system's own errors have a number.
            if isinstance(error, OSError) and error.errno is not None:
                raise
            said = " ".join(str(error).split())
            raise DamagedInput(
                f"{place or self._path}: {what} ({type(error).__name__}: {said[:200]}); bring a "
                "whole copy of it, or pass on_error='skip' (--on-error skip) to use what is there"
            ) from None

    def _place(self, group: int, row: int) -> str:
        return f"{self._path}, row {row} (of row group {group})"


def _first_byte(group: Any) -> int:
    column = group.column(0)
    offsets = [column.data_page_offset, column.dictionary_page_offset or 0]
    return min((int(offset) for offset in offsets if offset > 0), default=-1)
