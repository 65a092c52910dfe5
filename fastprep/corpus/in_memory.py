"""Inputs in the memory of this process: their recognition, and spans of them.

:mod:`fastprep.corpus.tables` reads them; it is imported only if there is such an input.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple, Protocol

from fastprep.corpus.documents import Batch, Span
from fastprep.errors import InvalidInput


class TableSource(Protocol):
    """A table or stream of texts that documents are read from."""

    size: int  # of all texts, with one byte more for each; 0 for a stream

    def read(self, span: Span, block_bytes: int, cut: bool) -> Iterator[Batch]:
        """Yield the documents that start in a span; see :func:`fastprep.corpus.reader.batches`."""


class TableSpan(Span, frozen=True, dict=True, eq=False, gc=True):
    """A span of a table or stream in memory; manifests do not record the ``source``.

    Positions count the bytes of all texts and one byte after each, so that no two texts start at one
    position. A stream has size 0.
    """

    def __eq__(self, other: object) -> bool:
        # The record of the span in a manifest or journal is equal to it.
        return isinstance(other, Span) and _fields(self) == _fields(other)

    def __hash__(self) -> int:
        return hash(_fields(self))

    @property
    def source(self) -> TableSource:
        """The table or stream. Raises InvalidInput in another process than that of the input."""
        found: TableSource | None = self.__dict__.get("source")
        if found is None:
            raise InvalidInput(
                f"{self.path}: another process cannot read an input in memory; use the process that "
                "has it"
            )
        return found

    def part(self, start: int, end: int) -> Span:
        """Return another range of the same table."""
        return span_of(self.path, start, end, self.size, self.source)


def span_of(name: str, start: int, end: int, size: int, source: TableSource) -> TableSpan:
    """Return a span of a source."""
    span = TableSpan(name, start, end, size, in_memory=True)
    span.__dict__["source"] = source
    return span


def _fields(span: Span) -> tuple[object, ...]:
    return span.path, span.start, span.end, span.size, span.in_memory


class Documents(NamedTuple):
    """Documents as dicts, which are read once."""

    dicts: Iterable[Mapping[str, Any]]


def as_inputs(inputs: Iterable[Any]) -> list[Any]:
    """Return a list of inputs; an iterable of dicts is one input, of which the first is read.

    >>> as_inputs(["a.txt", "b.txt"])
    ['a.txt', 'b.txt']
    >>> len(as_inputs({"text": text} for text in ("one", "two")))
    1
    """
    left = iter(inputs)
    for first in left:
        if isinstance(first, Mapping) and not is_table(first):
            return [Documents(chain([first], left))]
        return [first, *left]
    return []


def is_table(thing: object) -> bool:
    """Return whether an input is a table or stream of texts, not a path.

    >>> import pyarrow as pa
    >>> is_table(pa.table({"text": ["one"]})), is_table("one.txt")
    (True, False)
    """
    return (
        hasattr(thing, "__arrow_c_stream__")
        or hasattr(thing, "__arrow_c_array__")
        or is_of_datasets(thing)
        or is_scan(thing)
    )


def is_scan(thing: object) -> bool:
    """Return whether an object is a LazyFrame of polars, or a Dataset or Scanner of pyarrow."""
    package = type(thing).__module__.partition(".")[0]
    return (package == "polars" and hasattr(thing, "collect_batches")) or (
        package == "pyarrow" and hasattr(thing, "to_batches") and hasattr(thing, "count_rows")
    )


def is_of_datasets(thing: object) -> bool:
    """Return whether an object is a data set of the package ``datasets``."""
    return type(thing).__module__.partition(".")[0] == "datasets" and hasattr(thing, "with_format")
