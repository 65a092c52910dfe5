"""A .txt file, or a byte range of one, to the documents between its separators."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from fastprep.corpus.documents import Batch, Span
from fastprep.corpus.sources import Source
from fastprep.encoding import cutting


def read_text(
    file: Source, span: Span, first: int, mark: bytes | None, block_bytes: int, cut: bool
) -> Iterator[Batch]:
    """The documents of a text file whose first byte lies in a span.

    ``first`` is where the text begins, behind a byte order mark; ``mark`` is the separator, None
    where the whole file is one document. The rest is as in :func:`fastprep.corpus.reader.batches`, which
    has the example, too.
    """
    base = _first_document(file, span, first, mark, block_bytes)
    if base is None or base >= span.end:
        return
    file.seek(base)
    # `data` begins, at byte `base` of the file, with what is not yet handed out of a document;
    # `begun` says that an earlier batch holds the beginning of that document.
    data, begun = b"", False
    gap = 0 if mark is None else len(mark)
    while True:
        # Reading as much again as there is keeps the copying linear when no place to cut comes.
        chunk = file.read(max(block_bytes, len(data)))
        data += chunk
        pieces = [data] if mark is None else data.split(mark)
        last = not chunk
        # What is left of a document that damage cuts off is none.
        rest = pieces.pop() if not last or file.damage is not None else b""
        taken = len(data) - len(rest)
        if base + len(data) >= span.end:
            starts_here = _count_before(pieces, gap, span.end - base, begun)
            if starts_here < len(pieces) or (base + taken >= span.end and taken):
                last = True
            del pieces[starts_here:]
        texts: list[bytes | str] = [
            piece
            for index, piece in enumerate(pieces)
            if (piece and not piece.isspace()) or (begun and index == 0)
        ]
        if texts:
            place = partial(_place_in_text, span.path, base, pieces, gap, begun)
            yield Batch(texts, True, taken, place)
        if last:
            return
        begun = begun and not pieces
        data, base = rest, base + taken
        if cut and len(data) > block_bytes:
            # The last bytes may be the beginning of a separator: no cut there.
            at = cutting.last_cut(data, 0, len(data) - max(gap - 1, 0))
            if at:
                place = partial(_place_in_text, span.path, base, [data[:at]], gap, True)
                yield Batch([data[:at]], False, at, place)
                data, base, begun = data[at:], base + at, True


def _count_before(pieces: list[bytes], gap: int, end: int, begun: bool) -> int:
    """How many of the pieces begin before ``end``; one begun earlier does."""
    position = 0
    for index, piece in enumerate(pieces):
        if position >= end and not (begun and index == 0):
            return index
        position += len(piece) + gap
    return len(pieces)


def _place_in_text(
    path: str, base: int, pieces: list[bytes], gap: int, begun: bool, index: int, offset: int
) -> tuple[str, int]:
    position = base
    for number, piece in enumerate(pieces):
        if (piece and not piece.isspace()) or (begun and number == 0):
            if index == 0:
                break
            index -= 1
        position += len(piece) + gap
    return f"{path}, byte {position + offset}", position + offset


def _first_document(
    file: Source, span: Span, first: int, mark: bytes | None, block_bytes: int
) -> int | None:
    """Where the first piece of a span begins: at the file's beginning or after a separator."""
    if span.start <= first:
        return first
    if mark is None:
        return None
    base = _in_step(file, max(first, span.start - len(mark)), first, mark)
    file.seek(base)
    data = b""
    while base < span.end:
        chunk = file.read(block_bytes)
        data += chunk
        at = 0
        while (found := data.find(mark, at)) >= 0:
            at = found + len(mark)
            if base + at >= span.start:
                return base + at
        if not chunk:
            break
        at = max(at, len(data) - len(mark) + 1)
        data, base = data[at:], base + at
    return None


def _in_step(file: Source, position: int, first: int, mark: bytes) -> int:
    """The last place at or before ``position`` that no occurrence of ``mark`` reaches across.

    Separators are found from left to right. In a run like three newlines, which two of them make
    the separator ``\\n\\n`` depends on where the search began; a search that begins where no
    occurrence reaches across finds the same separators as one from the file's beginning.
    """
    reach = len(mark) - 1
    while True:
        low = max(first, position - max(1 << 16, 2 * reach))
        file.seek(low)
        window = file.read(position - low + reach)
        at = position - low
        # Nearer than `reach` to the window's beginning an occurrence could start before it.
        while at >= reach or low == first:
            found = window.find(mark, max(0, at - reach), at + reach)
            if found < 0:
                return low + at
            at = found
        position = low + at
