"""Inputs that lie in the memory of this process: how they are told from files, and spans of them.

What reads them is :mod:`fastprep.corpus.tables`, which nobody waits for who names files.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from fastprep.corpus.documents import Span
from fastprep.errors import InvalidInput

Source: TypeAlias = Any  # one of :mod:`fastprep.corpus.tables`


class TableSpan(Span, frozen=True, dict=True):
    """A part of something in memory; ``source`` is that, and goes into no manifest.

    The texts' bytes are counted as if one byte stood behind each, so no two begin at the same one.
    A stream has no size.
    """

    @property
    def source(self) -> Source:
        """What is read."""
        found: Source | None = self.__dict__.get("source")
        if found is None:
            raise InvalidInput(
                f"{self.path}: what is in memory cannot be read by another process; use this one"
            )
        return found

    def part(self, start: int, end: int) -> Span:
        """A range of the same table."""
        return span_of(self.path, start, end, self.size, self.source)


def span_of(name: str, start: int, end: int, size: int, source: Source) -> TableSpan:
    """A part of a source."""
    span = TableSpan(name, start, end, size)
    span.__dict__["source"] = source
    return span


def is_table(thing: object) -> bool:
    """Whether something can be an input by what it holds, not by its name.

    Examples
    --------
    >>> import pyarrow as pa
    >>> is_table(pa.table({"text": ["one"]})), is_table("one.txt")
    (True, False)
    """
    return (
        hasattr(thing, "__arrow_c_stream__")
        or hasattr(thing, "__arrow_c_array__")
        or is_of_datasets(thing)
    )


def is_of_datasets(thing: object) -> bool:
    """Whether something is a data set of the package ``datasets``."""
    return type(thing).__module__.partition(".")[0] == "datasets" and hasattr(thing, "with_format")
