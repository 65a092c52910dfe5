"""Columns of text in Arrow tables: lookup by the format's field, and handling of nulls."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastprep.corpus.documents import Bad, Format, keys_of
from fastprep.corpus.jsonlines import as_json
from fastprep.errors import DamagedInput, InvalidInput
from fastprep.system.arrow import (
    Column,
    column_of,
    ids_of,
    is_ids,
    is_list,
    is_text,
    pyarrow,
    without_views,
)
from fastprep_ext.base import Rows

_MAX_ALLOCATION = 1 << 40


@contextlib.contextmanager
def arrow_errors(place: str, what: str) -> Iterator[None]:
    """Convert the exceptions of pyarrow for damaged data to DamagedInput, with its place."""
    try:
        yield
    except InvalidInput:
        raise
    except Exception as error:  # of many types: even KeyError for wrong metadata
        # Errors of the operating system have a number.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        said = " ".join(str(error).split())
        # A size that no machine has is one that was read from damaged data.
        if isinstance(error, MemoryError) and not any(
            word.isdigit() and int(word) > _MAX_ALLOCATION for word in said.split()
        ):
            raise
        raise DamagedInput(
            f"{place}: {what} ({type(error).__name__}: {said[:200]}); copy it again, or pass "
            "on_error='skip' (--on-error skip) to use the part before the damage"
        ) from None


class Nulls:
    """Handling of null rows, and of rows that are no ids, as ``on_error`` requires.

    ``place`` names a row.
    """

    #: True if the last array held lists of ids, which are texts of 4 bytes per id.
    ids: bool = False

    def __init__(self, form: Format, place: Callable[[int], str]) -> None:
        self._form = form
        self._place = place

    def settle(
        self, chunk: Any, first: int, column: Column | None = None
    ) -> tuple[Rows, list[Bad]]:
        """Return the texts of an array, with row numbers as their origins, and the bad rows.

        ``first`` is the number of the array's first row, ``column`` its column if it is known.
        Raises InvalidInput for a bad row if ``on_error`` is ``"raise"``, and DamagedInput for
        offsets and indices that are out of range.
        """
        with arrow_errors(self._place(first), "the values from there on are damaged"):
            self.ids = is_ids(chunk.type) and not self._form.messages
            column = column or column_for(chunk, self._form)
            numbers = np.arange(first, first + len(column.starts))
            rows = Rows(column.text, column.starts, column.stops, numbers)
        faults = {
            **dict.fromkeys(map(int, column.nulls), f"{self._form.field!r} is null"),
            **{row: f"{self._form.field!r}: {fault}" for row, fault in column.wrong},
        }
        if not faults:
            return rows, []
        bad = [Bad(self._place(first + row), faults[row]) for row in sorted(faults)]
        if self._form.on_error == "raise":
            raise InvalidInput(
                f"{bad[0].place}: {bad[0].reason}; drop such rows, or pass "
                "on_error='skip' (--on-error skip) to leave them out"
            )
        if self._form.on_error == "skip":
            rows = rows.without(sorted(faults))
        return rows, bad


def type_of(schema: Any, keys: tuple[str, ...]) -> Any:
    """Return the Arrow type at the end of a path of names, or None if there is no such field."""
    if schema.names.count(keys[0]) != 1:
        return None
    kind = schema.field(keys[0]).type
    for key in keys[1:]:
        index = kind.get_field_index(key) if hasattr(kind, "get_field_index") else -1
        if index < 0:
            return None
        kind = kind.field(index).type
    return kind


def can_be_read(kind: Any, form: Format) -> bool:
    """Return whether an Arrow type, if there is one, holds texts or lists of ids, or messages."""
    if kind is None or (form.messages and not is_text(kind)):
        return kind is not None and is_list(kind)
    return is_text(kind) or is_ids(kind)


def column_for(chunk: Any, form: Format) -> Column:
    """Return the column of an Arrow array that :func:`can_be_read` accepts the type of."""
    if form.messages and is_list(chunk.type):
        return json_of(chunk)
    return ids_of(chunk) if is_ids(chunk.type) else column_of(chunk)


def json_of(chunk: Any) -> Column:
    """Return the values of an Arrow array as JSON, a text per row.

    >>> import pyarrow as pa
    >>> found = json_of(pa.array([[{"role": "user"}], None]))
    >>> bytes(found.text), found.stops.tolist(), found.nulls
    (b'[{"role": "user"}]', [18, 18], array([1]))
    """
    texts, wrong, nulls = [], [], []
    for row, value in enumerate(chunk):
        text: bytes = b""
        fault = None
        try:
            if value.is_valid:
                text, fault = as_json(value.as_py())
            else:
                nulls.append(row)
        except UnicodeDecodeError as error:
            fault = f"0x{error.object[error.start]:02x} is not UTF-8 there"
        texts.append(text)
        if fault is not None:
            wrong.append((row, fault))
    places = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in texts], out=places[1:])
    found = np.array(nulls, np.int64)
    return Column(memoryview(b"".join(texts)), places[:-1], places[1:], found, tuple(wrong))


def joined(columns: list[Column]) -> Column:
    """Return columns of one array, each with its rows from the first on, as one column.

    >>> one = Column(memoryview(b"ab"), np.array([0, 1]), np.array([1, 2]), np.array([], int), ())
    >>> two = joined([one, one._replace(nulls=np.array([1]), wrong=((0, "why"),))])
    >>> bytes(two.text), two.starts.tolist(), two.nulls.tolist(), two.wrong
    (b'abab', [0, 1, 2, 3], [3], ((2, 'why'),))
    """
    sizes = [len(column.text) for column in columns]
    counts = [len(column.starts) for column in columns]
    offsets, rows = np.cumsum([0, *sizes]), np.cumsum([0, *counts])
    wrong = [
        (int(at) + row, why) for c, at in zip(columns, rows, strict=False) for row, why in c.wrong
    ]
    return Column(
        memoryview(b"".join(column.text for column in columns)),
        np.concatenate([c.starts + at for c, at in zip(columns, offsets, strict=False)]),
        np.concatenate([c.stops + at for c, at in zip(columns, offsets, strict=False)]),
        np.concatenate([c.nulls + at for c, at in zip(columns, rows, strict=False)]),
        tuple(wrong),
    )


def rows_of(column: Column, first: int, stop: int) -> Column:
    """Return the rows of a column from ``first`` to ``stop``."""
    nulls = column.nulls[(column.nulls >= first) & (column.nulls < stop)] - first
    wrong = tuple((row - first, why) for row, why in column.wrong if first <= row < stop)
    return Column(column.text, column.starts[first:stop], column.stops[first:stop], nulls, wrong)


def has_indices(kind: Any) -> bool:
    """Return whether the values of an Arrow type are found by indices, views, or lists' offsets."""
    types = pyarrow("a column of text").types
    return bool(
        is_list(kind)
        or types.is_dictionary(kind)
        or types.is_string_view(kind)
        or types.is_binary_view(kind)
    )


def walk(batch: Any, keys: tuple[str, ...]) -> Any:
    """Return the array at the end of a path of names; a row is null if any struct on the path is."""
    chunk = batch.column(batch.schema.get_field_index(keys[0]))
    for key in keys[1:]:
        chunk = chunk.flatten()[chunk.type.get_field_index(key)]
    # Once per batch: its parts share the dictionary.
    return without_views(chunk)


def no_text(schema: Any, kind: Any, form: Format) -> str:
    """Return a message about a column that is missing or not text, with the columns that exist."""
    what = "messages" if form.messages else "text"
    found = "has no column" if kind is None else f"holds {kind}, not {what}, in the column"
    fix = "pass one of text, or of lists of ids, as field"
    if form.messages:
        fix = "pass one of lists of messages as messages"
    name = ".".join(keys_of(form.field))
    if kind is None and (count := schema.names.count(keys_of(form.field)[0])) > 1:
        found, fix = f"has {count} columns of one name for", "rename all but one of them"
    elif kind is None and name in schema.names:
        fix = f"pass {name.replace('.', chr(92) + '.')} as field, as a dot in a name is written \\."
    there = [f"{name} ({kind})" for name, kind in zip(schema.names, schema.types, strict=True)]
    return (
        f"{found} {form.field!r}; it has: {', '.join(there[:20]) or 'none'}"
        f"{' ...' if len(there) > 20 else ''}; {fix}"
    )
