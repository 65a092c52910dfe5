"""Corpus files to documents, in blocks: memory does not grow with the corpus.

Two formats are read, told apart by their suffix:

``.txt``
    Documents stand between *separators* (``<|endoftext|>`` unless said otherwise). A document is
    exactly the bytes between two of them: nothing is stripped, no newline translated. A piece
    that is empty or only ASCII whitespace is no document, so a separator at the end of the file,
    with or without a newline after it, does not add one. Without a separator (``None``) the whole
    file is one document.
``.jsonl``
    One JSON object a line; its text is one field. Every object is a document, an empty text
    too, so document ``i`` belongs to the ``i``-th line that is not blank. A lone surrogate
    escape (``\\ud83d`` without its other half) becomes U+FFFD, as in ``tiktoken``.

A byte order mark at the very beginning of a file is a mark of the file, not text: it is skipped.
Text is ordinary text: what looks like a special token inside a document is encoded letter by
letter, as by ``Encoding.encode_ordinary``.

A file can be read by byte ranges, and a document belongs to the range that holds its first byte.
So any way to cut a file into ranges gives the same documents in the same order.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path

from fastprep.errors import InvalidInput
from fastprep.jsonlines import read_lines
from fastprep.spans import BLOCK_BYTES, Batch, Format, Span, is_unicode
from fastprep.textfile import read_text

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
SUFFIXES = (".txt", ".jsonl")


def whole(path: str | PathLike[str]) -> Span:
    """The span of a whole file, after a look at what kind of file it is.

    Raises
    ------
    InvalidInput
        for a file that is missing, is no regular file, or has no supported suffix.

    Examples
    --------
    >>> whole("missing.txt")
    Traceback (most recent call last):
    fastprep.errors.InvalidInput: missing.txt: no such file; check the path
    """
    name = Path(path).as_posix()
    if not is_unicode(name):
        raise InvalidInput(f"{name!r}: the name is not UTF-8, so no manifest can hold it; rename")
    try:
        status = Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        raise InvalidInput(f"{name}: no such file; check the path") from None
    except ValueError:
        raise InvalidInput(f"{name!r}: a NUL cannot be in a path; check it") from None
    if stat.S_ISDIR(status.st_mode):
        raise InvalidInput(f"{name}: a directory; pass the files in it, as in {name}/*.txt")
    if not stat.S_ISREG(status.st_mode):
        raise InvalidInput(f"{name}: not a regular file; copy its content to a .txt or .jsonl file")
    if Path(path).suffix.lower() not in SUFFIXES:
        raise InvalidInput(
            f"{name}: files ending in {Path(path).suffix or 'no suffix'!r} cannot be read; "
            f"supported are {' and '.join(SUFFIXES)}"
        )
    return Span(path=name, start=0, end=status.st_size, size=status.st_size)


def can_split(path: str, form: Format) -> bool:
    """Whether byte ranges of a file can be read on their own.

    Examples
    --------
    >>> can_split("a.txt", Format()), can_split("a.txt", Format(separator=None))
    (True, False)
    """
    return form.separator is not None or Path(path).suffix.lower() != ".txt"


def batches(
    span: Span, form: Format, *, block_bytes: int = BLOCK_BYTES, cut: bool = True
) -> Iterator[Batch]:
    """Read the documents whose first byte lies in a span, about ``block_bytes`` at a time.

    With ``cut``, a document longer than a block comes in parts, cut only where every known
    pattern ends a piece (see :mod:`fastprep.cutting`), so the parts' ids are the document's ids.
    Memory is a few blocks; it grows only for a line of JSON longer than a block, for text that
    goes on for longer than a block without a place to cut, and without ``cut``.

    Raises
    ------
    InvalidInput
        naming the file and the line, or saying that the file changed since the span was made.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "two.txt")
    >>> _ = path.write_text("One.<|endoftext|>Two.<|endoftext|>")
    >>> [(batch.texts, batch.closed) for batch in batches(whole(path), Format())]
    [([b'One.', b'Two.'], True)]
    """
    with Path(span.path).open("rb") as file:
        size = file.seek(0, 2)
        if size != span.size:
            raise InvalidInput(
                f"{span.path}: it has {size} bytes, but had {span.size} when it was first looked "
                "at; do not change the inputs while they are in use"
            )
        file.seek(0)
        first = len(BYTE_ORDER_MARK) if file.read(3) == BYTE_ORDER_MARK else 0
        if Path(span.path).suffix.lower() == ".jsonl":
            yield from read_lines(file, span, first, form.field, block_bytes, cut)
        else:
            mark = None if form.separator is None else form.separator.encode()
            yield from read_text(file, span, first, mark, block_bytes, cut)


def documents(spans: Iterable[Span], form: Format) -> Iterator[bytes]:
    """The documents of some spans as UTF-8, each whole, one after another.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "two.jsonl")
    >>> _ = path.write_text('{"text": "One."}\\n{"text": "Two."}\\n')
    >>> list(documents([whole(path)], Format()))
    [b'One.', b'Two.']
    """
    for span in spans:
        for batch in batches(span, form, cut=False):
            for text in batch.texts:
                yield text.encode() if isinstance(text, str) else text
