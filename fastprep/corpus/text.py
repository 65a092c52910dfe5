"""Reader of .txt files, or byte ranges of them: the documents between separators."""

from __future__ import annotations

from collections.abc import Iterator

from fastprep.corpus.documents import Batch, PlacesInFile, Span
from fastprep.corpus.sources import Source
from fastprep.encoding import cutting
from fastprep_ext.base import Rows
from fastprep_ext.corpus import split_documents

# Bytes that are read at a time to find where the first document of a span starts.
_SEARCH_BYTES = 1 << 16


def read_text(
    file: Source, span: Span, first: int, separator: bytes | None, block_bytes: int, cut: bool
) -> Iterator[Batch]:
    """Yield the documents of a text file whose first byte is in a span.

    ``first`` is the first byte of the text, after a byte order mark; without a ``separator`` the whole
    file is one document. See :func:`fastprep.corpus.reader.batches` for the other arguments.
    """
    base = _first_document(file, span, first, separator, block_bytes)
    if base is None or base >= span.end:
        return
    file.seek(base)
    places = PlacesInFile(span.path)
    # The rows start, at byte `base` of the file, with the part of a document not yet yielded;
    # `continues` is set if an earlier batch has the start of that document.
    rows, continues, last = Rows(), False, False
    while not last:
        # To read as much again as there is keeps the copying linear if no document ends.
        read = file.read_into(rows, max(block_bytes, rows.filled))
        # The rest of a document that is cut off by damage is not a document.
        final = not read and file.damage is None
        taken, continues, ended = split_documents(
            rows, separator, span.end - base, continues, final, base
        )
        last = ended or not read
        if len(rows):
            yield Batch(rows, True, places)
        if last:
            return
        if taken:
            rows, base = _rest(rows, taken), base + taken
        if cut and rows.filled > block_bytes:
            # The last bytes may be the start of a separator, so they are not cut.
            with rows.held() as text:
                at = cutting.last_cut(text, 0, len(text) - max(len(separator or b"") - 1, 0))
            if at:
                rows.add(0, at, base)
                yield Batch(rows, False, places)
                rows, base, continues = _rest(rows, at), base + at, True


def _rest(rows: Rows, start: int) -> Rows:
    rest = Rows()
    rest.carry(rows, start)
    return rest


def _first_document(
    file: Source, span: Span, first: int, separator: bytes | None, block_bytes: int
) -> int | None:
    """Find where the first document of a span starts: at the text's start or after a separator."""
    if span.start <= first:
        return first
    if separator is None:
        return None
    base = _in_step(file, max(first, span.start - len(separator)), first, separator)
    file.seek(base)
    data = b""
    while base < span.end:
        chunk = file.read(min(block_bytes, _SEARCH_BYTES))
        data += chunk
        at = 0
        while (found := data.find(separator, at)) >= 0:
            at = found + len(separator)
            if base + at >= span.start:
                return base + at
        if not chunk:
            break
        at = max(at, len(data) - len(separator) + 1)
        data, base = data[at:], base + at
    return None


def _in_step(file: Source, position: int, first: int, separator: bytes) -> int:
    """Find the last place at or before ``position`` that no occurrence of a separator crosses.

    Separators are found from left to right. In a run like three newlines, which two of them are the
    separator ``\\n\\n`` depends on where the search started; a search from a place that no occurrence
    crosses finds the same separators as one from the start of the file.
    """
    reach = len(separator) - 1
    while True:
        low = max(first, position - max(1 << 16, 2 * reach))
        file.seek(low)
        window = file.read(position - low + reach)
        at = position - low
        # Closer than `reach` to the window's start an occurrence could start before the window.
        while at >= reach or low == first:
            found = window.find(separator, max(0, at - reach), at + reach)
            if found < 0:
                return low + at
            at = found
        position = low + at
