"""Reader of corpus files: batches of documents, in memory that does not grow with the corpus.

The format of a file follows from its suffix:

``.txt``
    Documents are the pieces between *separators* (``<|endoftext|>`` by default). A document is exactly
    the bytes between two of them: nothing is stripped, and newlines are not translated. A piece that
    is empty or only ASCII whitespace is not a document, so a separator at the end of the file, with or
    without a newline after it, does not add one. Without a separator (``None``) the whole file is one
    document.
``.jsonl``, ``.ndjson``, ``.json``
    One JSON object per line; its text is one field. Every object is a document, also with an empty
    text, so document ``i`` is that of the ``i``-th line that is not blank. A lone surrogate escape
    (``\\ud83d`` without its other half) becomes U+FFFD, as in ``tiktoken``.
``.parquet``
    Each row is a document, also with an empty text; its text is one column.

All but ``.parquet``, which has a compression of its own, may be compressed as ``.gz`` or ``.zst``. They
are decompressed as they are read, up to the end of their last member. A path with a scheme, as in
``s3://bucket/a.jsonl.zst``, is opened by fsspec.

A byte order mark at the start of a file is not part of the text: it is skipped. Text is ordinary text:
a special token's name inside a document is encoded as any other text, as by
``Encoding.encode_ordinary``.

An uncompressed file can be read by byte ranges. A document belongs to the range that contains its
first byte (a row: the first byte of its row group). So any division of a file into ranges gives the
same documents in the same order.
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
from fastprep.system.interrupts import deferred
from fastprep.system.threads import StopFlag, produce_ahead

# A smaller compressed file is decompressed before a thread has started.
_MIN_BYTES_FOR_THREAD = 1 << 20

__all__ = ["batches", "can_split", "documents", "read", "text_per_byte", "whole"]


def can_split(path: str, form: Format) -> bool:
    """Return whether byte ranges of a file can be read independently.

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

    With ``cut``, a document longer than a block is yielded in parts, cut only where every known
    pattern ends a piece (:mod:`fastprep.encoding.cutting`), so the parts' ids are the document's.
    Memory is a few blocks. It grows only for a line of JSON or a row longer than a block, for text
    longer than a block that has no place to cut, and, without ``cut`` or if ``on_error`` is not
    ``"raise"``, for any document. A compressed document may have at most 256 MiB. Once ``stop`` is set,
    reads raise :class:`~fastprep.system.threads.Stopped`.

    Raises InvalidInput with file and line, or if the file changed after the span was made, and
    DamagedInput for a file that is truncated or corrupt.

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
        raise InvalidInput(f"{span.path}: files of this name cannot be read")
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
    """Read the documents of spans in order, and join small batches.

    A thousand small files cost little more than one large file, and a compressed file is decompressed
    by a thread while its documents are encoded. A consumer that stops early must close the generator,
    which ends the thread and closes the file.

    >>> for name in ("a.txt", "b.txt"):
    ...     _ = (tmp / name).write_text(f"This is {name}")
    >>> spans = [whole(tmp / name) for name in ("a.txt", "b.txt")]
    >>> [list(batch.texts) for batch in read(spans, Format())]
    [[b'This is a.txt', b'This is b.txt']]
    """
    return join_small(_each(spans, form, block_bytes, cut, stop), block_bytes)


def import_readers(spans: Iterable[Span]) -> None:
    """Import the modules that inputs need by one thread, before several threads need them.

    A missing package is reported when the input is read.
    """
    kinds = {kind_of(span.path) for span in spans if not isinstance(span, TableSpan)}
    for kind in kinds:
        with contextlib.suppress(MissingExtra), deferred():
            if kind is not None and kind.content == "lines":
                import json  # noqa: F401 - for lines with lone surrogates
            if kind is not None and kind.packing:
                from fastprep.corpus.compressed import decompressor

                decompressor(kind.packing)
            if kind is not None and kind.content == "parquet":
                import fastprep.corpus.parquet

                fastprep.corpus.parquet.import_pyarrow()


def _each(
    spans: Iterable[Span], form: Format, block_bytes: int, cut: bool, stop: StopFlag | None
) -> Iterator[Batch]:
    """Yield the batches of all spans: small files together, compressed files by a thread ahead."""
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
        if kind is not None and kind.packing and span.size >= _MIN_BYTES_FOR_THREAD:
            found = produce_ahead(found)
        yield from found


def text_per_byte(span: Span, form: Format) -> float | None:
    """Estimate the bytes of text per byte of an input; return None if both are the same.

    The estimate is from a sample of a compressed file, or from the sizes in a Parquet file's metadata.

    >>> text_per_byte(Span("a.txt", 0, 9, 9), Format()) is None
    True
    """
    if isinstance(span, TableSpan):
        if not span.size:
            raise InvalidInput(
                f"{span.path}: a stream can be read only once, so it cannot be estimated"
            )
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
    """Yield the documents of spans as UTF-8, each as a whole.

    >>> path = tmp / "two.jsonl"
    >>> _ = path.write_text('{"text": "One."}\\n{"text": "Two."}\\n')
    >>> list(documents([whole(path)], Format()))
    [b'One.', b'Two.']
    """
    for span in spans:
        for batch in batches(span, form, cut=False):
            yield from batch.texts
