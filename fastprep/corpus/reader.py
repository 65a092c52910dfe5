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
    (``\\ud83d`` without its other half) becomes U+FFFD, as in ``tiktoken``. A file that starts with an
    array, or with an object that continues on the next line, is read as JSON values instead: the
    elements of the array, or one object after another.
``.csv``, ``.tsv``
    Each row after the header is a document, also with an empty text; its text is one column. The rules
    of quotes are those of Python's module ``csv``.
``.parquet``, ``.arrow``, ``.feather``
    Each row is a document, also with an empty text; its text is one column. An Arrow file is an IPC file
    or an IPC stream.
``.tar``, ``.zip``
    The documents of the members, one after another, that have one of the formats above but for the
    tables of Arrow; :class:`fastprep.corpus.archives.Choice` chooses them.

Text, JSON, ``.csv`` and ``.tar`` may be compressed as ``.gz``, ``.zst``, ``.xz`` or ``.bz2``. They
are decompressed as they are read, up to the end of their last member. A path with a scheme, as in
``s3://bucket/a.jsonl.zst``, is opened by fsspec. ``docs/formats.md`` has all of this in tables.

A byte order mark at the start of a file is not part of the text: it is skipped. Text is ordinary text:
a special token's name inside a document is encoded as any other text, as by
``Encoding.encode_ordinary``.

An uncompressed file of text, lines of JSON, Parquet or Arrow can be read by byte ranges. A document
belongs to the range that contains its first byte (a row: the first byte of its row group). So any
division of a file into ranges gives the same documents in the same order.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Iterator
from typing import Any, BinaryIO

from fastprep.corpus.batches import join_small
from fastprep.corpus.documents import (
    BLOCK_BYTES,
    Bad,
    Batch,
    Format,
    PlacesInFile,
    Span,
    check_not_pointer,
)
from fastprep.corpus.formats import CONTENTS, Kind
from fastprep.corpus.in_memory import TableSpan
from fastprep.corpus.jsonlines import read_lines, read_values
from fastprep.corpus.passed_over import Tally
from fastprep.corpus.remote import can_seek, is_url
from fastprep.corpus.small_files import end_of_small, read_small
from fastprep.corpus.sources import (
    END,
    Source,
    check_size,
    empty,
    modified,
    open_bytes,
    opened,
    peek,
    starts_with_values,
    whole,
)
from fastprep.corpus.text import read_text
from fastprep.errors import InvalidInput, MissingExtra
from fastprep.system.interrupts import deferred
from fastprep.system.threads import StopFlag, produce_ahead
from fastprep_ext.base import Rows

# A smaller compressed file is decompressed before a thread has started.
_MIN_BYTES_FOR_THREAD = 1 << 20

__all__ = ["batches", "can_divide", "can_split", "documents", "read", "text_per_byte", "whole"]


def can_split(path: str, form: Format) -> bool:
    """Return whether byte ranges of a file can be read independently.

    >>> can_split("a.txt", Format()), can_split("a.txt", Format(separator=None))
    (True, False)
    >>> can_split("a.jsonl.gz", Format())
    False
    """
    kind = form.kind(path)
    # Each task of a zip archive would read its directory, which takes 30 us and 1 KB per member.
    if kind is None or kind.packing or kind.archive or kind.content in ("csv", "tsv"):
        return False
    if kind.content == "text" and form.separator is None:
        return False
    if is_url(path) and not can_seek(path):
        return False
    with contextlib.suppress(InvalidInput, OSError):  # raised when the file is read
        if kind == Kind("lines"):
            return not starts_with_values(path)
        if kind.content == "arrow":
            from fastprep.corpus.arrow_files import is_ipc_file

            return is_ipc_file(path)
    return True


def can_divide(span: Span, form: Format) -> bool:
    """Return whether the parts of a span can be read independently; a stream has no parts."""
    if isinstance(span, TableSpan):
        return span.size > 0
    return can_split(span.path, form)


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
    kind = form.kind(span.path)
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
    if kind.content == "arrow":
        from fastprep.corpus.arrow_files import read_arrow

        yield from read_arrow(span, form, block_bytes, cut)
    elif kind.archive:
        yield from _archive(span, kind, form, block_bytes, cut, stop)
    else:
        with opened(span, kind, form, stop) as (file, reach):
            yield from read_content(file, reach, kind, form, block_bytes, cut)


def read_content(
    file: Source, span: Span, kind: Kind, form: Format, block_bytes: int, cut: bool
) -> Iterator[Batch]:
    """Yield the documents of text, JSON or CSV that are in a span of a source; see :func:`batches`."""
    try:
        first = file.skip_mark()
        values = (
            kind.content == "lines"
            and span.start == 0
            and span.end == span.size
            and file.starts_with_values()
        )
    except InvalidInput as error:
        if form.on_error == "raise":
            raise
        # Each span of the file finds this error, and the first one reports it.
        if span.start == 0:
            yield Batch.of_bad(Bad.of(error, span.path))
        return
    if values:
        yield from read_values(file, span.path, first, form, block_bytes, cut)
    elif kind.content == "lines":
        yield from read_lines(file, span, first, form, block_bytes, cut)
    elif kind.content == "text":
        separator = None if form.separator is None else form.separator.encode()
        yield from read_text(file, span, first, separator, block_bytes, cut)
    else:
        from fastprep.corpus.csv_rows import read_csv

        delimiter = "," if kind.content == "csv" else "\t"
        yield from read_csv(file, span.path, first, form, delimiter, block_bytes, cut)
    if file.damage is not None:
        yield Batch.of_bad(file.damage)


def read_stream(
    file: BinaryIO, name: str, form: Format, block_bytes: int, cut: bool
) -> Iterator[Batch]:
    """Yield the documents of an open file that can only be read from its start; see :func:`batches`."""
    from fastprep.corpus.compressed import Unpacked

    kind = form.kind(name)
    if kind is None:
        raise InvalidInput(f"{name}: it has no format; pass one (--format)")
    span = Span(name, 0, END, END)
    if kind.archive:
        yield from read_archive(file, span, kind, form, block_bytes, cut)
        return
    content: Any = Unpacked(file, name, kind.packing, form.zstd_window) if kind.packing else file
    source = Source(content, name, form, packed=True)
    yield from read_content(source, span, kind, form, block_bytes, cut)


def _archive(
    span: Span, kind: Kind, form: Format, block_bytes: int, cut: bool, stop: StopFlag | None
) -> Iterator[Batch]:
    """Yield the documents of the members of an archive."""
    with contextlib.closing(open_bytes(span.path)) as file:
        check_size(span, file)
        if span.start:
            raise InvalidInput(f"{span.path}: an archive can only be read from its start")
        if kind == Kind("", "", ".tar") and not is_url(span.path):
            try:
                check_not_pointer(span.path, peek(file))
            except InvalidInput as error:
                if form.on_error == "raise":
                    raise
                yield Batch.of_bad(Bad.of(error, span.path))
                return
        yield from read_archive(file, span, kind, form, block_bytes, cut, stop)


def read_archive(
    file: BinaryIO,
    span: Span,
    kind: Kind,
    form: Format,
    block_bytes: int,
    cut: bool,
    stop: StopFlag | None = None,
) -> Iterator[Batch]:
    """Yield the documents of an archive that is open at its start; see :func:`batches`."""
    from fastprep.corpus.archives import Member, MemberFile, tar_members, zip_members
    from fastprep.corpus.compressed import Unpacked

    path, damage, passed = span.path, None, Tally()
    try:
        members: Iterator[Member | Exception]
        if kind.archive == ".zip":
            members = zip_members(file, path, form, passed)
        elif kind.packing:
            unpacked = Unpacked(file, path, kind.packing, form.zstd_window)
            members = tar_members(unpacked, path, form, passed)
        else:
            members = tar_members(file, path, form, passed)
        for member in members:
            if isinstance(member, Exception):
                if form.on_error == "raise" or not isinstance(member, InvalidInput):
                    raise member
                yield Batch.of_bad(Bad.of(member, path))
                continue
            name, member_kind, size, content = member
            if not size:
                continue
            readable: MemberFile | Unpacked = content
            if member_kind.packing:
                readable = Unpacked(content, name, member_kind.packing, form.zstd_window)
                size = END
            source = Source(readable, name, form, size, packed=True, stop=stop)
            reach = Span(name, 0, size, size)
            yield from read_content(source, reach, member_kind, form, block_bytes, cut)
            damage = source.damage
    except InvalidInput as error:
        if form.on_error == "raise":
            raise
        bad = Bad.of(error, path)
        if damage is None or bad.reason != damage.reason:  # the archive itself ends there
            yield Batch.of_bad(bad)
    if passed:
        yield Batch(Rows(), True, PlacesInFile(path), (), passed)


def read(
    spans: Iterable[Span],
    form: Format,
    *,
    block_bytes: int = BLOCK_BYTES,
    cut: bool = True,
    stop: StopFlag | None = None,
    times: list[int | None] | None = None,
) -> Generator[Batch]:
    """Read the documents of spans in order, and join small batches.

    A thousand small files cost little more than one large file, and a compressed file is decompressed
    by a thread while its documents are encoded. A consumer that stops early must close the generator,
    which ends the thread and closes the file. To ``times`` is appended, for each span, when its file was
    last changed before it was read, as :func:`fastprep.corpus.sources.modified` returns it.

    >>> for name in ("a.txt", "b.txt"):
    ...     _ = (tmp / name).write_text(f"This is {name}")
    >>> spans = [whole(tmp / name) for name in ("a.txt", "b.txt")]
    >>> [list(batch.texts) for batch in read(spans, Format())]
    [[b'This is a.txt', b'This is b.txt']]
    """
    found = _each(spans, form, block_bytes, cut, stop, [] if times is None else times)
    return join_small(found, block_bytes)


def import_readers(spans: Iterable[Span], form: Format) -> None:
    """Import the modules that inputs need by one thread, before several threads need them.

    Raises MissingExtra, with the name of the first input that needs it, for a missing package.
    """
    # The first file of each kind.
    named: dict[Kind, str] = {}
    known = None
    for span in spans:
        path = span.path
        if path[path.rfind(".") :] == known:
            continue
        kind = None if isinstance(span, TableSpan) else form.kind(path)
        if kind is not None and kind.is_plain and not is_url(path):
            known = path[path.rfind(".") :]
            known = known if known in CONTENTS else None
        if kind is not None:
            named.setdefault(kind, span.path)
    for kind, path in named.items():
        try:
            with deferred():
                _import_reader(kind)
        except MissingExtra as error:
            raise MissingExtra(f"{path}: {error}", name=error.name) from None


def _import_reader(kind: Kind) -> None:
    if kind.content == "lines":
        import json  # noqa: F401 - for lines with lone surrogates
    if kind.packing:
        from fastprep.corpus.compressed import decompressor

        decompressor(kind.packing)
    if kind.content == "parquet":
        import fastprep.corpus.parquet

        fastprep.corpus.parquet.import_pyarrow()
    elif kind.content == "arrow":
        import fastprep.corpus.arrow_files
    elif kind.archive:
        import fastprep.corpus.archives
    if kind.content in ("csv", "tsv") or kind.archive:
        import fastprep.corpus.csv_rows


def _each(
    spans: Iterable[Span],
    form: Format,
    block_bytes: int,
    cut: bool,
    stop: StopFlag | None,
    times: list[int | None],
) -> Iterator[Batch]:
    """Yield the batches of all spans: small files together, compressed files by a thread ahead."""
    remaining = list(spans)
    at = single = 0  # files before `single` cannot be read together
    while at < len(remaining):
        end = end_of_small(remaining, at, form, block_bytes) if at >= single else at
        if end > at + 1:
            batch, read = read_small(remaining[at:end], form, times)
            if read:
                yield batch
                at += read
                continue
            single = end
        span = remaining[at]
        at += 1
        times += modified([span])
        found = batches(span, form, block_bytes=block_bytes, cut=cut, stop=stop)
        kind = form.kind(span.path)
        threaded = kind is not None and (kind.packing or kind.archive)
        if threaded and span.size >= _MIN_BYTES_FOR_THREAD:
            found = produce_ahead(found)
        yield from found


def text_per_byte(span: Span, form: Format) -> float | None:
    """Estimate the bytes of text per byte of an input; return None if both are the same.

    The estimate is from a sample of a compressed file, or from the sizes in the metadata of a Parquet
    file or a zip archive, or in the first record batch of an Arrow file.

    >>> text_per_byte(Span("a.txt", 0, 9, 9), Format()) is None
    True
    """
    if isinstance(span, TableSpan):
        if not span.size:
            raise InvalidInput(
                f"{span.path}: a stream can be read only once, so it cannot be estimated"
            )
        return None
    kind = form.kind(span.path)
    if kind is None or not span.size:
        return None
    if kind.content == "parquet":
        from fastprep.corpus.parquet import text_bytes

        return max(text_bytes(span, form) / span.size, 1e-3)
    if kind.content == "arrow":
        from fastprep.corpus import arrow_files

        return arrow_files.text_per_byte(span, form)
    if kind.archive == ".zip":
        from fastprep.corpus.archives import zip_text_bytes

        with contextlib.closing(open_bytes(span.path)) as file:
            return max(zip_text_bytes(file, span.path, form) / span.size, 1e-3)
    if not kind.packing:
        return None
    from fastprep.corpus.compressed import Unpacked

    with contextlib.closing(open_bytes(span.path)) as file:
        unpacked = Unpacked(file, span.path, kind.packing, form.zstd_window)
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
            if batch.ids:
                raise InvalidInput(
                    f"{batch.place(0, 0)[0].partition(', byte ')[0]}: {form.field!r} has token ids, "
                    "so there is no text to compare with; leave out against (--against)"
                )
            yield from batch.texts
