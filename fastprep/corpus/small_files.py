"""Reader of consecutive small files: one compiled call for all of them, and one batch.

To open and read a file by itself takes about 80 us of Python under the GIL, as long as to encode 10 KB.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from fastprep.corpus.batches import MAX_TEXTS
from fastprep.corpus.documents import (
    Bad,
    Batch,
    Format,
    JoinedPlaces,
    Places,
    PlacesInFile,
    PlacesInRows,
    Span,
)
from fastprep.corpus.formats import CONTENTS, Kind
from fastprep.corpus.in_memory import TableSpan
from fastprep.corpus.jsonlines import LineDecoder, LineNames
from fastprep.corpus.remote import is_url
from fastprep.corpus.sources import BYTE_ORDER_MARK, check_text
from fastprep.errors import InvalidInput
from fastprep_ext.base import Rows
from fastprep_ext.corpus import is_value_stream, load_files, split_files

# The first bytes of the marks of UTF-16 and UTF-32, and of a Git LFS pointer.
_SPECIAL = b"\xff\xfe\0v"
# A file larger than a block divided by this is read by itself.
_SMALL = 8


def end_of_small(spans: Sequence[Span], first: int, form: Format, block_bytes: int) -> int:
    """Return the end of a run of whole, small, uncompressed files of one kind, at most a block.

    >>> spans = [Span("a.txt", 0, 9, 9), Span("b.txt", 0, 9, 9), Span("c.jsonl", 0, 9, 9)]
    >>> end_of_small(spans, 0, Format(), 100)
    2
    """
    content = known = None
    total, most = 0, block_bytes // _SMALL
    end = min(first + MAX_TEXTS, len(spans))
    for index in range(first, end):
        span = spans[index]
        size, path = span.size, span.path
        total += size
        if not 0 < size <= most or total > block_bytes or span.end - span.start < size:
            return index
        suffix = path[path.rfind(".") :]
        # Nearly all names of a folder end alike.
        if suffix == known and "://" not in path and type(span) is Span:
            continue
        kind = form.kind(path)
        if kind is None or not kind.is_plain or is_url(path) or isinstance(span, TableSpan):
            return index
        if content is None:
            content = kind.content
            known = suffix if suffix in CONTENTS else None
        elif kind.content != content:
            return index
    return end


def read_small(
    spans: Sequence[Span], form: Format, times: list[int | None] | None = None
) -> tuple[Batch, int]:
    """Read the documents of files found by :func:`end_of_small` as one batch.

    Returns the batch and the number of files read: the next file cannot be read, or its size changed. It
    is 0 if one of the files has to be read by itself: it is not text, or not lines of JSON. To `times`
    it appends when each file that was read was last changed.
    """
    rows = Rows()
    sizes = [span.size for span in spans]
    loaded: list[int | None] = []
    read = load_files([span.path for span in spans], sizes, rows, loaded)
    kind = form.kind(spans[0].path)
    if _is_any_special(rows.held(), sizes[:read], kind):
        return Batch(Rows(), True, JoinedPlaces([])), 0
    if times is not None:
        times += loaded
    if kind is not None and kind.content == "lines":
        return _decoded(spans[:read], rows, form), read
    split_files(rows, sizes[:read], None if form.separator is None else form.separator.encode())
    return Batch(rows, True, JoinedPlaces(_PlacesInFiles(spans[:read]))), read


class _PlacesInFiles(Sequence[Places]):
    """The places in each of several files, made when one is named."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._spans = spans

    def __len__(self) -> int:
        return len(self._spans)

    @overload
    def __getitem__(self, index: int) -> Places: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Places]: ...
    def __getitem__(self, index: int | slice) -> Places | Sequence[Places]:
        if isinstance(index, slice):
            return _PlacesInFiles(self._spans[index])
        return PlacesInFile(self._spans[index].path)


def _is_any_special(held: memoryview, sizes: Sequence[int], kind: Kind | None) -> bool:
    """Return whether a file is not text, or is JSON values that are not each on a line."""
    is_lines = kind is not None and kind.content == "lines"
    start = 0
    with held:
        for size in sizes:
            stop = start + size
            if held[start] in _SPECIAL:
                try:
                    check_text("", bytes(held[start : min(start + 64, stop)]), size)
                except InvalidInput:
                    return True
            if is_lines and is_value_stream(held, start, stop):
                return True
            start = stop
    return False


def _decoded(spans: Sequence[Span], held: Rows, form: Format) -> Batch:
    """Decode files of JSON lines, whose bytes the rows contain back to back."""
    rows, decoder = Rows(), LineDecoder(form)
    places: list[Places] = []
    bad: list[Bad] = []
    content = bytes(held.held())
    start = 0
    for number, span in enumerate(spans):
        stop = start + span.size
        name = LineNames(span.path, 0)
        places.append(PlacesInRows(name))
        mark = len(BYTE_ORDER_MARK) if content.startswith(BYTE_ORDER_MARK, start, stop) else 0
        _, more = decoder.decode(
            content, rows, stop, name=name, start=start + mark, origin=number << 48
        )
        bad += more
        start = stop
    return Batch(rows, True, JoinedPlaces(places), bad, ids=bool(decoder.ids))
