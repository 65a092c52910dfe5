"""The words in which files and documents are spoken of: spans, formats, batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, NamedTuple

import msgspec

from fastprep.errors import InvalidInput

# Between 512 KiB and 4 MiB the speed is much the same; smaller blocks start the encoder cold.
BLOCK_BYTES = 2 << 20

Offset = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]


class Span(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A byte range ``[start, end)`` of a file of ``size`` bytes.

    Examples
    --------
    >>> Span("corpus.txt", start=0, end=10, size=25)
    Span(path='corpus.txt', start=0, end=10, size=25)
    """

    path: str
    start: Offset
    end: Offset
    size: Offset


class Format(msgspec.Struct, frozen=True):
    """How documents lie in files: ``separator`` is for ``.txt``, ``field`` for ``.jsonl``.

    Raises
    ------
    InvalidInput
        for an empty separator or field, or one that is not text.

    Examples
    --------
    >>> Format(separator="\\n\\n").separator
    '\\n\\n'
    """

    separator: str | None = "<|endoftext|>"
    field: str = "text"

    def __post_init__(self) -> None:
        if self.separator == "":
            raise InvalidInput(
                "the separator is empty; pass None to read each .txt file as one document"
            )
        for name, value in (("separator", self.separator), ("field", self.field)):
            if value is None and name == "separator":
                continue
            if not isinstance(value, str) or not value:
                raise InvalidInput(f"{name} is {value!r}; pass a str of at least one character")
            if not is_unicode(value):
                raise InvalidInput(f"{name} is {value!r}, which UTF-8 cannot hold; pass plain text")


# Byte `offset` of text `index` of a batch, in words and as an offset in the file (0: not known).
Place = Callable[[int, int], tuple[str, int]]


class Batch(NamedTuple):
    """Some documents in a row, good to encode in one call.

    ``texts`` are str or UTF-8 bytes, in the order of the file. Each is a whole document, except
    that the first goes on where an unclosed batch left off, and that the last goes on in the next
    batch when ``closed`` is false. ``size`` is no less than their bytes as UTF-8 taken together.
    ``place(index, offset)`` names the place that byte ``offset`` of text ``index`` comes from.
    """

    texts: list[bytes | str]
    closed: bool
    size: int
    place: Place


def is_unicode(text: str) -> bool:
    """Whether UTF-8 can hold a str: whether it has no lone surrogate.

    Examples
    --------
    >>> is_unicode("é"), is_unicode("\\ud83d")
    (True, False)
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
