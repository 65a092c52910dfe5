"""Arrow arrays of text as the core reads them: one buffer, and where in it each row lies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from fastprep.corpus.documents import Bad, Format
from fastprep.errors import InvalidInput, MissingExtra
from fastprep_ext.base import Rows

Places: TypeAlias = npt.NDArray[np.int64]


class Column(NamedTuple):
    """Row ``i`` is ``text[starts[i]:stops[i]]``; ``nulls`` are the numbers of those that are none."""

    text: Any
    starts: Places
    stops: Places
    nulls: Places


def pyarrow(what: str) -> Any:
    """The package pyarrow. Raises MissingExtra, which says ``what`` needs it, where it is not."""
    try:
        import pyarrow  # type: ignore[import-untyped, unused-ignore]
    except ModuleNotFoundError:
        raise MissingExtra(
            f"{what} needs pyarrow: pip install 'fastprep[arrow]'", name="pyarrow"
        ) from None
    return pyarrow


def is_text(kind: Any) -> bool:
    """Whether an Arrow type holds texts: strings, bytes that should be UTF-8, or nothing but nulls.

    Examples
    --------
    >>> import pyarrow as pa
    >>> is_text(pa.dictionary(pa.int32(), pa.string_view())), is_text(pa.list_(pa.string()))
    (True, False)
    """
    types = pyarrow("a column of text").types
    if types.is_dictionary(kind):
        kind = kind.value_type
    return any(
        check(kind)
        for check in (
            types.is_string,
            types.is_large_string,
            types.is_string_view,
            types.is_binary,
            types.is_large_binary,
            types.is_binary_view,
            types.is_null,
        )
    )


def plain(chunk: Any) -> Any:
    """An Arrow array of such a type as one of strings or bytes behind offsets, as large as they were.

    Examples
    --------
    >>> import pyarrow as pa
    >>> plain(pa.array(["one", "two"]).dictionary_encode()).type
    DataType(string)
    """
    pa = pyarrow("a column of text")
    types = pa.types
    if types.is_dictionary(chunk.type):
        chunk = chunk.dictionary_decode()
    if types.is_null(chunk.type):
        return chunk.cast(pa.string())
    # A view has no one buffer to read from.
    if types.is_string_view(chunk.type):
        return chunk.cast(pa.large_string())
    return chunk.cast(pa.large_binary()) if types.is_binary_view(chunk.type) else chunk


def column_of(chunk: Any) -> Column:
    """An Arrow array of a type that :func:`is_text` knows; its bytes are not copied if they can stay.

    Examples
    --------
    >>> import pyarrow as pa
    >>> column_of(pa.array(["one", None, "two"])).nulls
    array([1])
    """
    chunk = plain(chunk)
    types = pyarrow("a column of text").types
    is_large = types.is_large_string(chunk.type) or types.is_large_binary(chunk.type)
    _, offsets, data = chunk.buffers()
    text = memoryview(b"" if data is None else data).cast("B")
    if not len(chunk):
        nowhere = np.empty(0, np.int64)
        return Column(text, nowhere, nowhere, nowhere)
    found = np.frombuffer(offsets, np.int64 if is_large else np.int32)
    places: Places = found[chunk.offset : chunk.offset + len(chunk) + 1].astype(np.int64)
    starts, stops = places[:-1], places[1:]
    nulls = np.empty(0, np.int64)
    if chunk.null_count:
        valid = chunk.is_valid().to_numpy(zero_copy_only=False)
        nulls = np.flatnonzero(~valid)
        # The bytes under a null mean nothing, but there may be some.
        starts = starts.copy()
        starts[nulls] = stops[nulls]
    return Column(text, starts, stops, nulls)


class Nulls:
    """What becomes of rows without a text, as the format says; ``place`` names a row."""

    def __init__(self, form: Format, place: Callable[[int], str]) -> None:
        self._form = form
        self._place = place

    def settle(self, column: Column, first: int) -> tuple[Rows, list[Bad]]:
        """Return the texts of a column, with the number of each row as its origin, and the bad rows.

        ``first`` is the number of the column's first row. Raises InvalidInput for a null where the
        format says so.
        """
        numbers = np.arange(first, first + len(column.starts))
        if not len(column.nulls):
            return Rows(column.text, column.starts, column.stops, numbers), []
        reason = f"{self._form.field!r} is null"
        if self._form.on_error == "raise":
            raise InvalidInput(
                f"{self._place(first + int(column.nulls[0]))}: {reason}; drop such rows, or pass "
                "on_error='skip' (--on-error skip) to leave them out"
            )
        bad = [Bad(self._place(first + int(row)), reason) for row in column.nulls]
        rows = Rows(column.text, column.starts, column.stops, numbers)
        if self._form.on_error == "skip":
            rows = rows.without([int(row) for row in column.nulls])
        return rows, bad


def type_of(schema: Any, keys: tuple[str, ...]) -> Any:
    """The Arrow type at the end of a path of names, None where it leads nowhere."""
    if schema.names.count(keys[0]) != 1:
        return None
    kind = schema.field(keys[0]).type
    for key in keys[1:]:
        index = kind.get_field_index(key) if hasattr(kind, "get_field_index") else -1
        if index < 0:
            return None
        kind = kind.field(index).type
    return kind


def walk(batch: Any, keys: tuple[str, ...]) -> Any:
    """The array at the end of a path of names; null where anything on the way is."""
    chunk = batch.column(batch.schema.get_field_index(keys[0]))
    for key in keys[1:]:
        chunk = chunk.flatten()[chunk.type.get_field_index(key)]
    return chunk


def no_text(schema: Any, kind: Any, form: Format) -> str:
    """What is wrong with a column of another type, or of none, and which columns there are."""
    found = "has no column" if kind is None else f"holds {kind}, not text, in the column"
    there = [f"{name} ({kind})" for name, kind in zip(schema.names, schema.types, strict=True)]
    return (
        f"{found} {form.field!r}; it has: {', '.join(there[:20]) or 'none'}"
        f"{' ...' if len(there) > 20 else ''}; pass one of text as field"
    )
