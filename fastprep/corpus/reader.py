"""Corpus files to documents, in blocks: memory does not grow with the corpus.

The formats are told apart by their suffixes:

``.txt``
    Documents stand between *separators* (``<|endoftext|>`` unless said otherwise). A document is
    exactly the bytes between two of them: nothing is stripped, no newline translated. A piece
    that is empty or only ASCII whitespace is no document, so a separator at the end of the file,
    with or without a newline after it, does not add one. Without a separator (``None``) the whole
    file is one document.
``.jsonl``, ``.ndjson``, ``.json``
    One JSON object a line; its text is one field. Every object is a document, an empty text
    too, so document ``i`` belongs to the ``i``-th line that is not blank. A lone surrogate
    escape (``\\ud83d`` without its other half) becomes U+FFFD, as in ``tiktoken``.
``.parquet``
    Each row is a document, an empty text too; its text is one column.

All but ``.parquet``, which is compressed inside, may be packed as ``.gz`` or ``.zst``: they are
unpacked as they are read, and end where their last member ends. A path with a scheme, as in
``s3://bucket/a.jsonl.zst``, is opened by fsspec.

A byte order mark at the very beginning of a file is a mark of the file, not text: it is skipped.
Text is ordinary text: what looks like a special token inside a document is encoded letter by
letter, as by ``Encoding.encode_ordinary``.

A file that is not packed can be read by byte ranges, and a document belongs to the range that holds
its first byte (a row: to the one that holds the first byte of its row group). So any way to cut a
file into ranges gives the same documents in the same order.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Iterator

from fastprep.corpus.batches import join_small
from fastprep.corpus.documents import BLOCK_BYTES, Bad, Batch, Format, Span
from fastprep.corpus.formats import kind_of
from fastprep.corpus.in_memory import TableSpan
from fastprep.corpus.jsonlines import read_lines
from fastprep.corpus.remote import can_seek, is_url
from fastprep.corpus.small_files import end_of_small, read_small
from fastprep.corpus.sources import empty, open_bytes, opened, whole
from fastprep.corpus.text import read_text
from fastprep.errors import InvalidInput, MissingExtra
from fastprep.system.threads import StopFlag, produce_ahead

# A smaller packed file is unpacked before a thread has begun.
_WORTH_A_THREAD = 1 << 20

__all__ = ["batches", "can_split", "documents", "read", "text_per_byte", "whole"]


def can_split(path: str, form: Format) -> bool:
    """Whether byte ranges of a file can be read on their own.

    Examples
    --------
    >>> can_split("a.txt", Format()), can_split("a.txt", Format(separator=None))
    (True, False)
    >>> can_split("a.jsonl.gz", Format())
    False
    """
    if path.startswith("<"):
        return path.startswith("<table ")
    kind = kind_of(path)
    if kind is None or kind.packing or (kind.content == "text" and form.separator is None):
        return False
    return not is_url(path) or can_seek(path)


def batches(
    span: Span,
    form: Format,
    *,
    block_bytes: int = BLOCK_BYTES,
    cut: bool = True,
    stop: StopFlag | None = None,
) -> Iterator[Batch]:
    """Read the documents whose first byte is in a span, about ``block_bytes`` at a time.

    With ``cut``, a document longer than a block comes in parts, cut only where every known
    pattern ends a piece (:mod:`fastprep.encoding.cutting`), so the parts' ids are the document's.
    Memory is a few blocks; it grows only for a line of JSON or a row longer than a block, for text
    that is longer than a block and has no place to cut, and without ``cut``, or where the format says
    to continue after errors, for any document. No compressed document has more than 256 MiB.
    ``stop`` ends the reading with :class:`~fastprep.system.threads.Stopped`.

    Raises
    ------
    InvalidInput
        naming the file and the line, or saying that the file changed since the span was made.
        :class:`~fastprep.errors.DamagedInput` for what ends too early, or is not what was written.

    Examples
    --------
    >>> path = tmp / "two.txt"
    >>> _ = path.write_text("One.<|endoftext|>Two.<|endoftext|>")
    >>> [([*batch.texts], batch.closed) for batch in batches(whole(path), Format())]
    [([b'One.', b'Two.'], True)]
    """
    cut = cut and form.on_error == "raise"
    if isinstance(span, TableSpan):
        yield from span.source.read(span, block_bytes, cut)
        return
    kind = kind_of(span.path)
    if kind is None:
        raise InvalidInput(f"{span.path}: no file that can be read has such a name")
    if kind.content == "parquet":
        from fastprep.corpus.parquet import read_parquet

        yield from read_parquet(span, form, block_bytes, cut)
        return
    if not span.size:
        error = empty(span)
        if form.on_error == "raise":
            raise error
        yield Batch.of_bad(Bad.of(error, span.path))
        return
    with opened(span, kind, form, stop) as (file, reach, first):
        if kind.content == "lines":
            yield from read_lines(file, reach, first, form, block_bytes, cut)
        else:
            separator = None if form.separator is None else form.separator.encode()
            yield from read_text(file, reach, first, separator, block_bytes, cut)
        if file.damage is not None:
            yield Batch.of_bad(file.damage)


def read(
    spans: Iterable[Span],
    form: Format,
    *,
    block_bytes: int = BLOCK_BYTES,
    cut: bool = True,
    stop: StopFlag | None = None,
) -> Generator[Batch]:
    """Read the documents of some spans, one span after another; small batches are joined.

    So a thousand small files cost little more than one large file, and a compressed one is unpacked by
    a thread while what came out of it is encoded. A consumer that stops early must close the iterator,
    which ends the thread and closes the file.

    Examples
    --------
    >>> for name in ("a.txt", "b.txt"):
    ...     _ = (tmp / name).write_text(f"This is {name}")
    >>> spans = [whole(tmp / name) for name in ("a.txt", "b.txt")]
    >>> [list(batch.texts) for batch in read(spans, Format())]
    [[b'This is a.txt', b'This is b.txt']]
    """
    return join_small(_each(spans, form, block_bytes, cut, stop), block_bytes)


def import_readers(spans: Iterable[Span]) -> None:
    """Import what reads some inputs, before threads do: an import is best made by one thread.

    A package that is missing is an error where the input is read.
    """
    kinds = {kind_of(span.path) for span in spans if not isinstance(span, TableSpan)}
    with contextlib.suppress(MissingExtra):
        for kind in kinds:
            if kind is not None and kind.packing:
                from fastprep.corpus.compressed import decompressor

                decompressor(kind.packing)
            if kind is not None and kind.content == "parquet":
                import fastprep.corpus.parquet

                fastprep.corpus.parquet.import_pyarrow()


def _each(
    spans: Iterable[Span], form: Format, block_bytes: int, cut: bool, stop: StopFlag | None
) -> Iterator[Batch]:
    """Yield the batches of each span: of small files together, of a compressed one read ahead."""
    remaining = list(spans)
    at = 0
    while at < len(remaining):
        end = end_of_small(remaining, at, block_bytes)
        if end > at + 1:
            batch, read = read_small(remaining[at:end], form)
            if read:
                yield batch
                at += read
                continue
        span = remaining[at]
        at += 1
        found = batches(span, form, block_bytes=block_bytes, cut=cut, stop=stop)
        kind = kind_of(span.path)
        if kind is not None and kind.packing and span.size >= _WORTH_A_THREAD:
            found = produce_ahead(found)
        yield from found


def text_per_byte(span: Span, form: Format) -> float | None:
    """How many bytes of text there are for each byte of an input, about; None where they are one.

    A sample of a packed file is unpacked, and of a Parquet file the sizes are read.

    Examples
    --------
    >>> text_per_byte(Span("a.txt", 0, 9, 9), Format()) is None
    True
    """
    if isinstance(span, TableSpan):
        if not span.size:
            raise InvalidInput(f"{span.path}: a stream is read once, so nothing can be said before")
        return None
    kind = kind_of(span.path)
    if kind is None or not span.size or (not kind.packing and kind.content != "parquet"):
        return None
    if kind.content == "parquet":
        from fastprep.corpus.parquet import text_bytes

        return max(text_bytes(span, form) / span.size, 1e-3)
    from fastprep.corpus.compressed import Unpacked

    with contextlib.closing(open_bytes(span.path)) as file:
        unpacked = Unpacked(file, span.path, kind.packing)
        made = len(unpacked.read(BLOCK_BYTES))
        return max(made / max(unpacked.used, 1), 1e-3)


def documents(spans: Iterable[Span], form: Format) -> Iterator[bytes]:
    """The documents of some spans as UTF-8, each whole, one after another.

    Examples
    --------
    >>> path = tmp / "two.jsonl"
    >>> _ = path.write_text('{"text": "One."}\\n{"text": "Two."}\\n')
    >>> list(documents([whole(path)], Format()))
    [b'One.', b'Two.']
    """
    for span in spans:
        for batch in batches(span, form, cut=False):
            yield from batch.texts
