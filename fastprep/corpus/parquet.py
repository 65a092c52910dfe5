"""Reader of Parquet files, or of the row groups that start in a byte range: the texts of a column."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from fastprep.corpus.batches import as_batches
from fastprep.corpus.columns import Nulls, arrow_errors, can_be_read, no_text, type_of, walk
from fastprep.corpus.documents import (
    Bad,
    Batch,
    Format,
    PlacesInRows,
    Span,
    check_not_pointer,
    keys_of,
)
from fastprep.corpus.remote import can_seek, is_url
from fastprep.corpus.sources import check_size, open_bytes
from fastprep.errors import DamagedInput, InvalidInput
from fastprep.system.arrow import pyarrow

# Bytes read of a column at a time: a row group may be larger than memory.
_READ_BYTES = 1 << 20
# Limit of rows decoded at a time: rows that repeat a long value take little space in the file.
_MAX_ROWS = 4096


def import_pyarrow(what: str = "a Parquet file") -> Any:
    """Import ``pyarrow.parquet``. Raises MissingExtra, with ``what`` as the reason, if it is missing."""
    pyarrow(what)
    from pyarrow import parquet  # type: ignore[import-untyped, unused-ignore]

    return parquet


def read_parquet(span: Span, form: Format, block_bytes: int, cut: bool) -> Iterator[Batch]:
    """Yield the texts of the row groups whose first byte is in a span, in the order of the file.

    Only the column of text is read, some rows at a time; see :func:`fastprep.corpus.reader.batches`.
    Raises InvalidInput if the column is missing, is not text, or is null in a row, and DamagedInput
    if the file is not a Parquet file, is truncated or is corrupt.
    """
    with contextlib.closing(open_bytes(span.path)) as file:
        check_size(span, file)
        if is_url(span.path) and not can_seek(span.path):
            raise InvalidInput(
                f"{span.path}: the server does not support byte ranges, which a Parquet file needs; "
                "download it first"
            )
        try:
            column = _TextColumn(span, file, form)
        except InvalidInput as error:
            if form.on_error == "raise":
                raise
            # Each span of the file finds this error, and the first one reports it.
            if span.start == 0:
                yield Batch.of_bad(Bad.of(error, span.path))
            return
        for group in column.groups(span.start, span.end):
            yield from column.read(group, block_bytes, cut)


def text_bytes(span: Span, form: Format) -> int:
    """Estimate the bytes of a Parquet file's texts from its metadata. Raises like `read_parquet`."""
    with contextlib.closing(open_bytes(span.path)) as file:
        return _TextColumn(span, file, form).text_bytes()


class _TextColumn:
    """The column of text of an open file."""

    def __init__(self, span: Span, file: Any, form: Format) -> None:
        self._path = span.path
        self._size = span.size
        self._form = form
        self._keys = keys_of(form.field)
        pq = import_pyarrow(span.path)
        head = file.read(64)
        check_not_pointer(span.path, head)
        file.seek(0)
        with arrow_errors(span.path, "the file is damaged, or not a Parquet file"):
            self._file = pq.ParquetFile(
                file,
                pre_buffer=False,
                buffer_size=_READ_BYTES,
                page_checksum_verification=True,
            )
            schema = self._file.schema_arrow
            paths = [self._file.schema.column(i).path for i in range(len(self._file.schema))]
            kind = type_of(schema, self._keys)
            if not can_be_read(kind, form):
                raise InvalidInput(f"{span.path}: {no_text(schema, kind, form)} (--field)")
        self._selected = ".".join(self._keys)
        # A list's leaf is below it, as in input_ids.list.element.
        found = [path == self._selected or path.startswith(f"{self._selected}.") for path in paths]
        self._leaf = found.index(True)

    def text_bytes(self) -> int:
        """Return the size of all row groups' pages before compression."""
        with arrow_errors(self._path, "the file is damaged"):
            metadata = self._file.metadata
            groups = map(metadata.row_group, range(metadata.num_row_groups))
            return sum(group.column(self._leaf).total_uncompressed_size for group in groups)

    def groups(self, start: int, end: int) -> list[int]:
        """Return the row groups whose first byte is in a range, in the order of the file."""
        with arrow_errors(self._path, "the file is damaged"):
            metadata = self._file.metadata
            firsts = [_first_byte(metadata.row_group(i)) for i in range(metadata.num_row_groups)]
            rows = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        for index, first in enumerate(firsts):
            if not 0 <= first < self._size or rows[index] < 0:
                raise DamagedInput(
                    f"{self._path}: row group {index} starts at byte {first} of {self._size}, by the "
                    "file's metadata; copy it again"
                )
        self._before = np.concatenate([[0], np.cumsum(np.array(rows, np.int64))])
        found = [(first, index) for index, first in enumerate(firsts) if start <= first < end]
        return [index for _, index in sorted(found)]

    def read(self, group: int, block_bytes: int, cut: bool) -> Iterator[Batch]:
        """Yield the texts of one row group."""
        row = int(self._before[group])
        name = partial(self._place, group)
        nulls, places = Nulls(self._form, name), PlacesInRows(name)
        try:
            for chunk in self._chunks(group, block_bytes):
                rows, bad = nulls.settle(chunk, row)
                row += len(chunk)
                yield from as_batches(rows, places, bad, block_bytes, cut, nulls.ids)
        except DamagedInput as error:
            if self._form.on_error == "raise":
                raise
            bad_rest = Bad.of(error, self._path)
            reason = f"{bad_rest.reason}; the rest of the row group is skipped"
            yield Batch.of_bad(bad_rest._replace(reason=reason))

    def _chunks(self, group: int, block_bytes: int) -> Iterator[Any]:
        row = int(self._before[group])
        with arrow_errors(self._place(group, row), f"row group {group} is damaged"):
            metadata = self._file.metadata.row_group(group)
            size = max(metadata.column(self._leaf).total_uncompressed_size, 1)
            rows = min(max(block_bytes * metadata.num_rows // size, 1), _MAX_ROWS)
            batches = self._file.iter_batches(
                rows, row_groups=[group], columns=[self._selected], use_threads=False
            )
        while True:
            with arrow_errors(self._place(group, row), f"row group {group} is damaged"):
                batch = next(batches, None)
                if batch is None:
                    return
                chunk = walk(batch, self._keys)
            row += len(chunk)
            yield chunk

    def _place(self, group: int, row: int) -> str:
        return f"{self._path}, row {row} (of row group {group})"


def _first_byte(group: Any) -> int:
    column = group.column(0)
    offsets = [column.data_page_offset, column.dictionary_page_offset or 0]
    return min((int(offset) for offset in offsets if offset > 0), default=-1)
