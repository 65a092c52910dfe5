"""Texts that are in memory as Arrow tables, or come as a stream of them, as inputs of a job.

A *table* has rows that can be read from anywhere: a ``Table`` or ``RecordBatch`` of pyarrow, a
``DataFrame`` of polars or pandas, a ``datasets.Dataset`` as it lies on disk. It is split into tasks
like a file, and threads of this process work on them.

A *stream* is read once, from its beginning: whatever else has ``__arrow_c_stream__``, as a
``RecordBatchReader`` or a query of DuckDB, a ``datasets.IterableDataset``, and a ``Dataset`` that was
shuffled or filtered (``flatten_indices()`` makes it a table again). It is one task and one shard.

Both are read in place, a few rows at a time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from fastprep.corpus.batches import as_batches
from fastprep.corpus.columns import Nulls, no_text, type_of, walk
from fastprep.corpus.documents import Batch, Format, PlacesInRows, Span, keys_of
from fastprep.corpus.in_memory import TableSpan, is_of_datasets, span_of
from fastprep.errors import InvalidInput
from fastprep.system.arrow import column_of, is_text, pyarrow

# Rows of a stream that are looked at together.
_ROWS = 4096


def whole_table(thing: Any, number: int, form: Format) -> TableSpan:
    """The span of all texts of a table or stream, which is the ``number``-th input.

    Raises
    ------
    InvalidInput
        where it has no such column, or one that holds no text.
    MissingExtra
        without pyarrow.

    Examples
    --------
    >>> import pyarrow as pa
    >>> whole_table(pa.table({"text": ["one", "two"]}), 1, Format())
    TableSpan(path='<table 1>', start=0, end=8, size=8)
    """
    pa = pyarrow(_what(thing, number))
    try:
        table, stream = _opened(thing, pa)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InvalidInput(f"{_what(thing, number)} cannot be read as a table: {error}") from None
    if table is not None:
        name = f"<table {number}>"
        source: _Source = _Table(table, name, form)
    else:
        name = f"<stream {number}>"
        source = _Stream(stream, name, form)
    return span_of(name, 0, source.size, source.size, source)


def _what(thing: object, number: int) -> str:
    return f"input {number}, a {type(thing).__name__},"


def _opened(thing: Any, pa: Any) -> tuple[Any, Callable[[], Iterable[Any]]]:
    """Something as a table of pyarrow, or None and what begins its stream of them."""
    if is_of_datasets(thing):
        if isinstance(thing, dict):
            raise TypeError(f"it holds several; pass one of {', '.join(map(repr, thing))}")
        if hasattr(thing, "data") and getattr(thing, "_indices", True) is None:
            return thing.data.table, list
        return None, lambda: thing.with_format("arrow").iter(_ROWS)
    if isinstance(thing, (pa.Table, pa.RecordBatch)):
        return pa.table(thing), list
    if type(thing).__name__ == "DataFrame":
        return pa.table(thing), list
    if hasattr(thing, "__arrow_c_stream__"):
        if isinstance(thing, pa.ChunkedArray) or type(thing).__name__ == "Series":
            raise TypeError("it is one column without a name; put it into a table")
        return None, lambda: pa.RecordBatchReader.from_stream(thing)
    return pa.table(pa.record_batch(thing)), list


class _Source:
    """What tables and streams have in common: a column, and what to do about nulls."""

    size = 0

    def __init__(self, name: str, form: Format) -> None:
        self._name = name
        self._form = form
        self._keys = keys_of(form.field)

    def read(self, span: Span, block_bytes: int, cut: bool) -> Iterator[Batch]:
        raise NotImplementedError

    def _check(self, schema: Any) -> None:
        kind = type_of(schema, self._keys)
        if kind is None or not is_text(kind):
            raise InvalidInput(f"{self._name}: {no_text(schema, kind, self._form)}")

    def _texts(self, chunk: Any, first: int, block_bytes: int, cut: bool) -> Iterator[Batch]:
        """The texts of some rows, the first of which has the number ``first``."""
        rows, bad = Nulls(self._form, self._place_of).settle(column_of(chunk), first)
        yield from as_batches(rows, PlacesInRows(self._place_of), bad, block_bytes, cut)

    def _place_of(self, row: int) -> str:
        return f"{self._name}, row {row}"


class _Table(_Source):
    """A table: texts in order, and where each begins."""

    def __init__(self, table: Any, name: str, form: Format) -> None:
        super().__init__(name, form)
        self._check(table.schema)
        self._chunks: list[_Chunk] = []
        row = 0
        for batch in table.select([self._keys[0]]).to_batches():
            if len(batch):
                chunk = _Chunk(walk(batch, self._keys), row, self.size)
                self._chunks.append(chunk)
                self.size = chunk.end
                row += len(batch)

    def read(self, span: Span, block_bytes: int, cut: bool) -> Iterator[Batch]:
        for chunk in self._chunks:
            if chunk.end <= span.start or chunk.begin >= span.end:
                continue
            row, stop = chunk.row_at(span.start), chunk.row_at(span.end)
            while row < stop:
                following = chunk.row_at(chunk.position(row) + max(block_bytes, 1))
                following = min(max(following, row + 1), stop)
                rows = chunk.array.slice(row, following - row)
                yield from self._texts(rows, chunk.row + row, block_bytes, cut)
                row = following


class _Chunk:
    """An array of a table's column; its first row has number ``row`` and begins at ``begin``."""

    def __init__(self, array: Any, row: int, begin: int) -> None:
        pa = pyarrow("a table")
        types = pa.types
        # Where rows begin has to be known without a look at all of them.
        if not (types.is_string(array.type) or types.is_binary(array.type)):
            text = types.is_large_binary(array.type) or types.is_binary_view(array.type)
            array = array.cast(pa.large_binary() if text else pa.large_string())
        self.array = array
        self.row = row
        self.begin = begin
        wide = types.is_large_string(array.type) or types.is_large_binary(array.type)
        offsets = np.frombuffer(array.buffers()[1], np.int64 if wide else np.int32)
        self._offsets = offsets[array.offset : array.offset + len(array) + 1]
        self.end = self.position(len(array))

    def position(self, row: int) -> int:
        """Where a row of the chunk begins."""
        return self.begin + int(self._offsets[row]) - int(self._offsets[0]) + row

    def row_at(self, position: int) -> int:
        """The first row that begins at a position or behind it."""
        return bisect_left(range(len(self.array)), position, key=self.position)


class _Stream(_Source):
    """Tables or batches that come one after another, once."""

    def __init__(self, begin: Callable[[], Iterable[Any]], name: str, form: Format) -> None:
        super().__init__(name, form)
        self._begin = begin

    def read(self, span: Span, block_bytes: int, cut: bool) -> Iterator[Batch]:
        row = 0
        for table in self._begin():
            if not row:
                self._check(table.schema)
            batches = table.to_batches() if hasattr(table, "to_batches") else [table]
            for batch in batches:
                for first in range(0, len(batch), _ROWS):
                    rows = walk(batch.slice(first, _ROWS), self._keys)
                    yield from self._texts(rows, row + first, block_bytes, cut)
                row += len(batch)
