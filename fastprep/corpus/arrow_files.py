"""Reader of Arrow IPC files and streams (.arrow, .feather): the texts of a column."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from fastprep.corpus.batches import as_batches
from fastprep.corpus.columns import (
    Nulls,
    arrow_errors,
    can_be_read,
    has_indices,
    no_text,
    type_of,
    walk,
)
from fastprep.corpus.documents import (
    Bad,
    Batch,
    Format,
    PlacesInRows,
    Span,
    check_not_pointer,
    keys_of,
)
from fastprep.corpus.remote import is_url
from fastprep.corpus.sources import check_size, open_bytes
from fastprep.errors import DamagedInput, InvalidInput
from fastprep.system.arrow import pyarrow

_FILE = b"ARROW1"
_FEATHER_1 = b"FEA1"
# Limit of rows converted at a time.
_MAX_ROWS = 4096


def read_arrow(span: Span, form: Format, block_bytes: int, cut: bool) -> Iterator[Batch]:
    """Yield the texts of the record batches of a span, in the order of the file.

    Batch ``i`` of the ``n`` in a file is taken to start at byte ``i * size // n`` of it. A stream can
    only be read as a whole. Memory is that of the column in one record batch. Raises InvalidInput if
    the column is missing, is not text, or is null in a row, and DamagedInput if the file is damaged.
    """
    with contextlib.closing(_open(span)) as file:
        column = _Column(span.path, file, form)
        try:
            if column.open():
                numbers = range(column.count)
                starts = [span.size * number // column.count for number in numbers]
                for number in numbers:
                    if span.start <= starts[number] < span.end:
                        yield from column.read(number, block_bytes, cut)
            elif span.start == 0:
                for number, batch in enumerate(column.stream()):
                    yield from column.texts(batch, number, block_bytes, cut)
        except InvalidInput as error:
            if form.on_error == "raise":
                raise
            # Each span of the file finds a fault of the schema, and the first one reports it.
            if span.start == 0 or column.opened:
                yield Batch.of_bad(Bad.of(error, span.path))


def is_ipc_file(path: str) -> bool:
    """Return whether a file is an IPC file, whose record batches can be read in any order."""
    with contextlib.closing(open_bytes(path)) as file:
        return file.read(len(_FILE)) == _FILE


def text_per_byte(span: Span, form: Format) -> float:
    """Return the bytes of text per byte of a file, by its first record batch."""
    with contextlib.closing(_open(span)) as file:
        column = _Column(span.path, file, form)
        if column.open():
            first = column.batch(0) if column.count else None
            share = 1 / max(column.count, 1)
        else:
            first, share = next(column.stream(), None), 1.0
        if first is None:
            return 1.0
        with arrow_errors(span.path, "the file is damaged"):
            size = int(walk(first, column.keys).nbytes)
            return max(size / max(span.size * share, 1), 1e-3)


def _open(span: Span) -> Any:
    """Open a file for pyarrow, which checks before an allocation what of a local file is left."""
    file = open_bytes(span.path)
    with contextlib.ExitStack() as stack:
        stack.callback(file.close)
        check_size(span, file)
        if not is_url(span.path):
            return pyarrow(span.path).OSFile(span.path)
        stack.pop_all()
    return file


class _Column:
    """The column of text of an open file."""

    opened = False

    def __init__(self, path: str, file: Any, form: Format) -> None:
        self.keys = keys_of(form.field)
        self._path = path
        self._file = file
        self._form = form
        self._ipc = pyarrow(path).ipc

    def open(self) -> bool:
        """Open the file; return whether it is an IPC file, which is read from its end, not a stream."""
        head = self._file.read(64)
        check_not_pointer(self._path, head)
        if head.startswith(_FEATHER_1):
            raise InvalidInput(
                f"{self._path}: Feather version 1, which is not Arrow IPC; read it with pyarrow.feather "
                "and write it again"
            )
        is_file = bool(head.startswith(_FILE))
        opening = self._ipc.open_file if is_file else self._ipc.open_stream
        what = "the file is damaged, or not an Arrow file"
        with arrow_errors(self._path, what):
            self._file.seek(0)
            schema = opening(self._file).schema
            kind = type_of(schema, self.keys)
            if not can_be_read(kind, self._form):
                raise InvalidInput(f"{self._path}: {no_text(schema, kind, self._form)} (--field)")
        with arrow_errors(self._path, what):
            self._file.seek(0)
            field = schema.get_field_index(self.keys[0])
            options = self._ipc.IpcReadOptions(included_fields=[field], use_threads=False)
            self._reader = opening(self._file, options=options)
            self.count = self._reader.num_record_batches if is_file else 0
        self.opened = True
        return is_file

    def batch(self, number: int) -> Any:
        """Return a record batch of a file."""
        with arrow_errors(self._path, f"record batch {number} is damaged"):
            return self._reader.get_batch(number)

    def stream(self) -> Iterator[Any]:
        """Yield the record batches of a stream."""
        number = 0
        while True:
            with arrow_errors(self._path, f"record batch {number} is damaged"):
                try:
                    batch = self._reader.read_next_batch()
                except StopIteration:
                    return
            yield batch
            number += 1

    def read(self, number: int, block_bytes: int, cut: bool) -> Iterator[Batch]:
        """Yield the texts of a record batch of a file; if it is damaged, of none or some."""
        try:
            yield from self.texts(self.batch(number), number, block_bytes, cut)
        except DamagedInput as error:
            if self._form.on_error == "raise":
                raise
            yield Batch.of_bad(Bad.of(error, self._path))

    def texts(self, batch: Any, number: int, block_bytes: int, cut: bool) -> Iterator[Batch]:
        """Yield the texts of a record batch."""

        def name(row: int) -> str:
            return f"{self._path}, row {row} of record batch {number}"

        nulls, places = Nulls(self._form, name), PlacesInRows(name)
        with arrow_errors(name(0), "its values are damaged"):
            # Offsets, views and indices are those of the file; offsets are checked where they are used.
            batch.validate(full=has_indices(type_of(batch.schema, self.keys)))
            column = walk(batch, self.keys)
        step = max(min(_MAX_ROWS, block_bytes * len(column) // max(column.nbytes, 1)), 1)
        for first in range(0, len(column), step):
            rows, bad = nulls.settle(column.slice(first, step), first)
            yield from as_batches(rows, places, bad, block_bytes, cut, nulls.ids)
