"""Reader of Arrow tables in memory and of streams of them.

A *table* can be read from any row: a ``Table`` or ``RecordBatch`` of pyarrow, a ``DataFrame`` of polars
or pandas, a ``datasets.Dataset`` as it is on disk. It is divided into tasks like a file, for threads of
this process.

A *stream* is read once, from its start: any other object with ``__arrow_c_stream__``, as a
``RecordBatchReader`` or a query of DuckDB; a ``datasets.IterableDataset``; a ``Dataset`` that was
shuffled or filtered (``flatten_indices()`` makes it a table again); a ``LazyFrame`` of polars; a
``Dataset`` or ``Scanner`` of pyarrow. It is one task and one shard.

Both are read in place, a few rows at a time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from fastprep.corpus.batches import as_batches
from fastprep.corpus.columns import (
    Nulls,
    arrow_errors,
    can_be_read,
    column_for,
    joined,
    no_text,
    rows_of,
    type_of,
    walk,
)
from fastprep.corpus.documents import Batch, Format, PlacesInRows, Span, keys_of
from fastprep.corpus.in_memory import TableSource, TableSpan, is_of_datasets, is_scan, span_of
from fastprep.errors import InvalidInput
from fastprep.system.arrow import Column, is_list, pyarrow

# Rows of a stream that are read at a time.
_ROWS = 4096
# The most bytes of JSON that are kept of the messages of a table, from its plan until they are read.
MAX_KEPT = 1 << 28


def whole_table(data: Any, number: int, form: Format) -> TableSpan:
    """Return the span of all texts of a table or stream, which is input ``number``.

    Raises InvalidInput if the column is missing or is not text, and MissingExtra without pyarrow.

    >>> import pyarrow as pa
    >>> whole_table(pa.table({"text": ["one", "two"]}), 1, Format())
    TableSpan(path='<table 1>', start=0, end=8, size=8, in_memory=True)
    """
    pa = pyarrow(_describe(data, number))
    try:
        table, open_stream = _opened(data, pa, form)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InvalidInput(
            f"{_describe(data, number)} cannot be read as a table: {error}"
        ) from None
    if table is not None:
        name = f"<table {number}>"
        source: TableSource = _Table(table, name, form)
    else:
        name = f"<stream {number}>"
        source = _Stream(open_stream, name, form)
    return span_of(name, 0, source.size, source.size, source)


def _describe(data: object, number: int) -> str:
    return f"input {number}, a {type(data).__name__},"


def _opened(data: Any, pa: Any, form: Format) -> tuple[Any, Callable[[], Iterable[Any]]]:
    """Return a table of pyarrow, or None and a function that opens a stream of tables."""
    if is_of_datasets(data):
        if isinstance(data, dict):
            raise TypeError(f"it has several data sets; pass one of {', '.join(map(repr, data))}")
        if hasattr(data, "data") and getattr(data, "_indices", True) is None:
            return data.data.table, list
        return None, lambda: data.with_format("arrow").iter(_ROWS)
    if is_scan(data):
        return None, lambda: _scanned(data, keys_of(form.field)[0])
    if isinstance(data, (pa.Table, pa.RecordBatch)) or type(data).__name__ == "DataFrame":
        return pa.table(data), list
    if hasattr(data, "__arrow_c_stream__"):
        if isinstance(data, pa.ChunkedArray) or type(data).__name__ == "Series":
            raise TypeError("it is one column without a name; put it into a table")
        return None, lambda: pa.RecordBatchReader.from_stream(data)
    return pa.table(pa.record_batch(data)), list


def _scanned(data: Any, column: str) -> Iterable[Any]:
    """Return the record batches of a scan, of one column if it can be chosen, in bounded memory."""
    if hasattr(data, "collect_batches"):
        frames = data.select(column) if column in data.collect_schema() else data
        return (frame.to_arrow() for frame in frames.collect_batches(chunk_size=_ROWS))
    if hasattr(data, "scanner"):
        columns = [column] if data.schema.names.count(column) == 1 else None
        # One batch ahead: by default 16 of 131,072 rows, of 4 files at a time.
        found: Iterable[Any] = data.scanner(
            columns=columns, batch_size=_ROWS, batch_readahead=1, fragment_readahead=1
        ).to_batches()
        return found
    return data.to_batches()  # type: ignore[no-any-return]


class _TextColumn:
    """Base of tables and streams: the column of text, and the handling of nulls."""

    size = 0

    def __init__(self, name: str, form: Format) -> None:
        self._name = name
        self._form = form
        self._keys = keys_of(form.field)

    def _check(self, schema: Any) -> None:
        kind = type_of(schema, self._keys)
        if not can_be_read(kind, self._form):
            raise InvalidInput(f"{self._name}: {no_text(schema, kind, self._form)}")

    def _texts(
        self, chunk: Any, first: int, block_bytes: int, cut: bool, column: Column | None = None
    ) -> Iterator[Batch]:
        """Yield the texts of some rows; ``first`` is the number of the first row."""
        nulls, places = Nulls(self._form, self._place_of), PlacesInRows(self._place_of)
        rows, bad = nulls.settle(chunk, first, column)
        yield from as_batches(rows, places, bad, block_bytes, cut, nulls.ids)

    def _place_of(self, row: int) -> str:
        return f"{self._name}, row {row}"


class _Table(_TextColumn):
    """A table, which can be read from any row."""

    def __init__(self, table: Any, name: str, form: Format) -> None:
        super().__init__(name, form)
        self._check(table.schema)
        self._chunks: list[_Chunk] = []
        row, room = 0, MAX_KEPT
        for batch in table.select([self._keys[0]]).to_batches():
            if len(batch):
                with arrow_errors(self._place_of(row), "the values from there on are damaged"):
                    chunk = _Chunk(walk(batch, self._keys), row, self.size, form, room)
                room -= len(chunk.json.text) if chunk.json else 0
                self._chunks.append(chunk)
                self.size = chunk.end
                row += len(batch)

    def read(self, span: Span, block_bytes: int, cut: bool) -> Iterator[Batch]:
        for chunk in self._chunks:
            if chunk.end <= span.start or chunk.start >= span.end:
                continue
            row, stop = chunk.row_at(span.start), chunk.row_at(span.end)
            while row < stop:
                following = chunk.row_at(chunk.position(row) + max(block_bytes, 1))
                following = min(max(following, row + 1), stop)
                rows = chunk.array.slice(row, following - row)
                known = chunk.json and rows_of(chunk.json, row, following)
                yield from self._texts(rows, chunk.row + row, block_bytes, cut, known)
                row = following


class _Chunk:
    """An array of a table's column; its first row has number ``row`` and starts at ``start``.

    ``json`` is the column of messages if it has at most ``room`` bytes: to make it takes long.
    """

    def __init__(self, array: Any, row: int, start: int, form: Format, room: int) -> None:
        types = pyarrow("a table").types
        self.json: Column | None = None
        self.array = array
        self.row = row
        self.start = start
        wide = types.is_large_string(array.type) or types.is_large_binary(array.type)
        if wide or types.is_string(array.type) or types.is_binary(array.type):
            offsets = np.frombuffer(array.buffers()[1], np.int64 if wide else np.int32)
            self._offsets = offsets[array.offset : array.offset + len(array) + 1]
        else:
            # Dictionaries and views have no offsets of bytes. All rows as text may be much larger
            # than they are.
            sizes, kept = [np.zeros(1, np.int64)], list[Column]()
            keeps = form.messages and is_list(array.type)
            for first in range(0, len(array), _ROWS):
                part = array.slice(first, _ROWS)
                column = column_for(part, form)
                sizes.append(column.stops - column.starts)
                room -= len(column.text)
                keeps = keeps and room >= 0
                if keeps:
                    kept.append(column)
                else:
                    kept.clear()
            if keeps and kept:
                self.json = joined(kept)
            self._offsets = np.cumsum(np.concatenate(sizes))
        self.end = self.position(len(array))

    def position(self, row: int) -> int:
        """Return the position of a row's start."""
        return self.start + int(self._offsets[row]) - int(self._offsets[0]) + row

    def row_at(self, position: int) -> int:
        """Return the first row that starts at or after a position."""
        return bisect_left(range(len(self.array)), position, key=self.position)


class _Stream(_TextColumn):
    """A stream of tables or record batches, which can be read once."""

    def __init__(self, open_stream: Callable[[], Iterable[Any]], name: str, form: Format) -> None:
        super().__init__(name, form)
        self._open_stream = open_stream

    def read(self, span: Span, block_bytes: int, cut: bool) -> Iterator[Batch]:
        row = 0
        for table in self._open_stream():
            if not row:
                self._check(table.schema)
            batches = table.to_batches() if hasattr(table, "to_batches") else [table]
            for batch in batches:
                with arrow_errors(self._place_of(row), "the values from there on are damaged"):
                    column = walk(batch, self._keys)
                for first in range(0, len(batch), _ROWS):
                    rows = column.slice(first, _ROWS)
                    yield from self._texts(rows, row + first, block_bytes, cut)
                row += len(batch)
