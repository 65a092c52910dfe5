"""Spans of files, formats, and batches of documents with their places for error messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Literal, NamedTuple, Protocol, TypeAlias, get_args

import msgspec

from fastprep.corpus.formats import SUPPORTED, Kind, kind_of, kind_of_format
from fastprep.corpus.passed_over import Tally
from fastprep.errors import DamagedInput, InvalidArgument, InvalidInput
from fastprep.system.arguments import whole_number
from fastprep_ext.base import Rows

# From 512 KiB to 8 MiB one thread is equally fast. What Python does per block, under the GIL and with
# caches that the block has emptied, takes 0.3 ms, so that threads scale better with larger blocks.
BLOCK_BYTES = 4 << 20

_GIT_LFS = b"version https://git-lfs.github.com/spec/v"
#: What to do with a document that cannot be read: stop, skip it, or replace its bad bytes by U+FFFD.
OnError: TypeAlias = Literal["raise", "skip", "replace"]
Offset = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]


class Span(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    repr_omit_defaults=True,
    gc=False,
):
    """A byte range ``[start, end)`` of a file of ``size`` bytes, or of an input in memory.

    >>> Span("corpus.txt", start=0, end=10, size=25)
    Span(path='corpus.txt', start=0, end=10, size=25)
    """

    path: str
    start: Offset
    end: Offset
    size: Offset
    in_memory: bool = False

    def part(self, start: int, end: int) -> Span:
        """Return another byte range of the same file."""
        return Span(self.path, start, end, self.size)


class Format(msgspec.Struct, frozen=True):
    """The layout of documents in files, and what to do with those that cannot be read.

    ``separator`` separates the documents of a ``.txt`` file; with None each file is one document.
    ``field`` is the key of the text in JSON lines and the column of a table; see :func:`keys_of`.
    With ``on_error`` ``"raise"`` a bad document is an error, and with ``"skip"`` it is skipped. With
    ``"replace"`` bytes that are not UTF-8 become U+FFFD, and a document that is not a text becomes an
    empty one, so that documents after it keep their numbers. ``format`` names the format of all files,
    as a suffix like ``"jsonl"`` or ``"csv.gz"``; with None each file's name says it. ``zstd_window`` is
    the base-2 logarithm of the largest window of a .zst file, from 10 to 31; None is 27, 128 MiB. With
    ``messages`` the field holds the messages of a conversation, whose JSON is the document.

    Raises InvalidArgument for an empty separator or field, one that is not text, an unknown
    ``on_error`` or ``format``, or a ``zstd_window`` out of range.

    >>> Format(separator="\\n\\n").separator
    '\\n\\n'
    """

    separator: str | None = "<|endoftext|>"
    field: str = "text"
    on_error: Literal["raise", "skip", "replace"] = "raise"
    format: str | None = None
    zstd_window: int | None = None
    messages: bool = False

    def kind(self, path: str) -> Kind | None:
        """Return the kind of a file by its name and the format, or None if it cannot be read."""
        return kind_of(path, self.format)

    def __post_init__(self) -> None:
        if self.on_error not in get_args(OnError):
            raise InvalidArgument(
                f"on_error is {self.on_error!r}; it is one of {', '.join(get_args(OnError))}"
            )
        if self.separator == "":
            raise InvalidArgument(
                "the separator is empty; pass None to read each .txt file as one document"
            )
        for name, value in (("separator", self.separator), ("field", self.field)):
            if value is None and name == "separator":
                continue
            if not isinstance(value, str) or not value:
                raise InvalidArgument(f"{name} is {value!r}; pass a str of at least one character")
            if not is_unicode(value):
                raise InvalidArgument(
                    f"{name} is {value!r}, which cannot be encoded as UTF-8; pass text without "
                    "surrogates"
                )
        keys_of(self.field)
        if self.format is not None and (
            not isinstance(self.format, str) or kind_of_format(self.format) is None
        ):
            raise InvalidArgument(
                f"format is {self.format!r}; it is a suffix without its dot, as in 'jsonl' or 'csv.gz'; "
                f"supported are {SUPPORTED}"
            )
        if self.zstd_window is not None:
            whole_number(self.zstd_window, "zstd_window", 10, 31)


def keys_of(field: str) -> tuple[str, ...]:
    r"""Return the keys on the path to a text: a dot leads into an object, ``\.`` is a dot in a key.

    >>> keys_of("text"), keys_of("meta.body"), keys_of(r"meta\.body")
    (('text',), ('meta', 'body'), ('meta.body',))

    Raises InvalidArgument for an empty key.
    """
    keys = tuple(key.replace("\\.", ".") for key in re.split(r"(?<!\\)\.", field))
    if not all(keys):
        raise InvalidArgument(
            f"field {field!r}: a dot leads from an object to a key in it, and one of the keys is "
            "empty; write \\. for a dot that is part of a key"
        )
    return keys


class Places(Protocol):
    """The places of the documents of a batch, named for error messages."""

    def at(self, origin: int, offset: int) -> tuple[str, int]:
        """Name byte ``offset`` of a document; return its offset in the file, too, or 0 if unknown.

        ``origin`` is the number that the reader recorded for the document, in the reader's own unit.
        """


class PlacesInFile(NamedTuple):
    """Places of documents whose origin is their first byte in a file."""

    path: str

    def at(self, origin: int, offset: int) -> tuple[str, int]:
        """See :class:`Places`."""
        return f"{self.path}, byte {origin + offset}", origin + offset


class PlacesInRows(NamedTuple):
    """Places of documents whose origin is the number of a line or row, which ``name`` names."""

    name: Callable[[int], str]

    def at(self, origin: int, offset: int) -> tuple[str, int]:
        """See :class:`Places`."""
        return f"{self.name(origin)}, byte {offset} of its text", 0


class ShiftedPlaces(NamedTuple):
    """Places of a part of a document, which starts ``by`` bytes after its beginning."""

    places: Places
    by: int

    def at(self, origin: int, offset: int) -> tuple[str, int]:
        """See :class:`Places`."""
        return self.places.at(origin, self.by + offset)


class JoinedPlaces(NamedTuple):
    """Places of documents joined from several batches, as :meth:`Rows.joined` numbers them."""

    places: Sequence[Places]

    def at(self, origin: int, offset: int) -> tuple[str, int]:
        """See :class:`Places`."""
        return self.places[origin >> 48].at(origin & ((1 << 48) - 1), offset)


class Bad(NamedTuple):
    """A document that was skipped or repaired: its place and its fault."""

    place: str
    reason: str

    @classmethod
    def of(cls, error: InvalidInput, path: str) -> Bad:
        """Return the place and the fault of an error about a file, without its advice.

        >>> Bad.of(InvalidInput("a: b.txt, byte 5: it ends there; copy it again"), "a: b.txt")
        Bad(place='a: b.txt, byte 5', reason='it ends there')
        """
        message = str(error)
        known = path if message.startswith(path) else ""
        where, _, said = message.removeprefix(known).partition(": ")
        return cls(known + where, said.partition("; ")[0])


class Batch(NamedTuple):
    """Consecutive documents, to be encoded in one call.

    ``texts`` are UTF-8, in the order of the file. Each is a whole document, except that the first
    continues an unclosed previous batch, and that the last continues in the next batch if ``closed``
    is False. ``places`` names their places. ``bad`` are the documents that the reader skipped or
    repaired since the previous batch, ``passed`` counts members of an archive that were passed over; a
    batch may have only these. With ``ids`` the texts are token ids instead, little-endian uint32, and
    each is a whole document.
    """

    texts: Rows
    closed: bool
    places: Places
    bad: Sequence[Bad] = ()
    passed: Tally | None = None
    ids: bool = False

    @property
    def size(self) -> int:
        """The size of all texts in bytes."""
        return self.texts.size

    def place(self, index: int, offset: int) -> tuple[str, int]:
        """Name byte ``offset`` of text ``index``, as :meth:`Places.at` does."""
        return self.places.at(self.texts.origin(index), offset)

    @classmethod
    def of_bad(cls, *bad: Bad) -> Batch:
        """Return a batch of bad documents alone."""
        return cls(Rows(), True, PlacesInFile(""), bad)


def check_not_pointer(name: str, head: bytes) -> None:
    """Raise DamagedInput if a file starts as one that Git LFS has not replaced by its content.

    >>> check_not_pointer("a.parquet", b"version https://git-lfs.github.com/spec/v1\\noid sha256:")
    Traceback (most recent call last):
    fastprep.errors.DamagedInput: a.parquet: a pointer of Git LFS, not the file itself; run ...
    """
    if head.startswith(_GIT_LFS):
        raise DamagedInput(
            f"{name}: a pointer of Git LFS, not the file itself; run `git lfs pull` where it is, or "
            "pass on_error='skip' (--on-error skip)"
        )


def is_unicode(text: str) -> bool:
    """Return whether a str can be encoded as UTF-8: whether it has no lone surrogate.

    >>> is_unicode("é"), is_unicode("\\ud83d")
    (True, False)
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
