"""Columns of text in Arrow tables: lookup by the format's field, and handling of nulls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastprep.corpus.documents import Bad, Format
from fastprep.errors import InvalidInput
from fastprep.system.arrow import Column
from fastprep_ext.base import Rows


class Nulls:
    """Handling of null rows as the format's ``on_error`` requires; ``place`` names a row."""

    def __init__(self, form: Format, place: Callable[[int], str]) -> None:
        self._form = form
        self._place = place

    def settle(self, column: Column, first: int) -> tuple[Rows, list[Bad]]:
        """Return the texts of a column, with row numbers as their origins, and the bad rows.

        ``first`` is the number of the column's first row. Raises InvalidInput for a null if ``on_error``
        is ``"raise"``.
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


def walk(batch: Any, keys: tuple[str, ...]) -> Any:
    """Return the array at the end of a path of names; a row is null if any struct on the path is."""
    chunk = batch.column(batch.schema.get_field_index(keys[0]))
    for key in keys[1:]:
        chunk = chunk.flatten()[chunk.type.get_field_index(key)]
    return chunk


def no_text(schema: Any, kind: Any, form: Format) -> str:
    """Return a message about a column that is missing or not text, with the columns that exist."""
    found = "has no column" if kind is None else f"holds {kind}, not text, in the column"
    there = [f"{name} ({kind})" for name, kind in zip(schema.names, schema.types, strict=True)]
    return (
        f"{found} {form.field!r}; it has: {', '.join(there[:20]) or 'none'}"
        f"{' ...' if len(there) > 20 else ''}; pass one of text as field"
    )
