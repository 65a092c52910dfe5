"""Where the bytes of an input come from: a file or a URL, as it is or unpacked as it is read."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from fastprep.corpus.documents import BLOCK_BYTES, Bad, Format, Span, is_unicode
from fastprep.corpus.formats import PACKINGS, SUPPORTED, Kind, kind_of
from fastprep.corpus.remote import can_seek, is_url, open_url, size_of
from fastprep.errors import DamagedInput, InvalidInput
from fastprep.system.threads import StopFlag
from fastprep_ext.base import Rows, count_newlines
from fastprep_ext.corpus import modified_times

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# A longer document is taken for a file that unpacks without an end; where it is not compressed, longer
# ones can be read.
_MAX_PACKED_DOCUMENT = 1 << 28
# The most bytes that are read between two checks for a stop.
_READ_BYTES = 1 << 22
# What is longer is no path but a text, and is not told in full.
_LONG_PATH = 1024
_END = (1 << 63) - 1  # past the end of any file


class _Readable(Protocol):
    def readinto(self, buffer: memoryview, /) -> int | None: ...

    def close(self) -> None: ...


class Source:
    """The bytes of an input, read from its start or, where it is not compressed, from any position.

    Where the format says to continue after errors, a compressed file ends where it is damaged, and
    ``damage`` then says why. ``stop`` is checked at least every few megabytes.
    """

    def __init__(
        self,
        file: _Readable,
        name: str,
        form: Format,
        size: int = _END,
        *,
        packed: bool = False,
        stop: StopFlag | None = None,
    ) -> None:
        self._name = name
        self._file = file
        self._packed = packed
        self._seekable = not self._packed and (not is_url(name) or can_seek(name))
        self._pushed = b""
        self._tolerant = form.on_error != "raise"
        self._position = 0
        self._size = size
        self._stop = stop or StopFlag()
        self.damage: Bad | None = None

    @property
    def left(self) -> int:
        """The bytes that are left, as far as the file's size says."""
        return self._size - self._position

    def read(self, size: int) -> bytes:
        """Return the next ``size`` bytes, fewer only at the end, or where damage is."""
        buffer = bytearray(size)
        return bytes(memoryview(buffer)[: self.readinto(memoryview(buffer))])

    def read_into(self, rows: Rows, wanted: int) -> int:
        """Append the next ``wanted`` bytes to an unfinished document, as :meth:`readinto` does."""
        # A small file is not asked for the megabytes that it does not have.
        return rows.read(partial(self.readinto, held=rows.filled), min(wanted, self.left))

    def readinto(self, buffer: memoryview, *, held: int = 0) -> int:
        """Fill a buffer; fewer bytes come only at the end, or where damage is.

        ``held`` is how many bytes the caller has of a document that has no end yet.
        """
        filled = min(len(self._pushed), len(buffer))
        buffer[:filled] = self._pushed[:filled]
        self._pushed = self._pushed[filled:]
        try:
            if self._packed and held >= _MAX_PACKED_DOCUMENT:
                raise DamagedInput(
                    f"{self._name}: unpacks to more than {_MAX_PACKED_DOCUMENT} bytes without the "
                    "end of a document; unpack it, if that is right, and pass it then"
                )
            # A file may give less than was requested.
            while filled < len(buffer) and self.damage is None:
                self._stop.check()
                read = self._file.readinto(buffer[filled : filled + _READ_BYTES])
                if not read:
                    break
                filled += read
        except DamagedInput as error:
            if not self._tolerant:
                raise
            self.damage = Bad.of(error, self._name)
        self._position += filled
        return filled

    def seek(self, position: int) -> None:
        """Go to a byte; where only the beginning can be read from, to where the reading is."""
        if self._seekable:
            cast(BinaryIO, self._file).seek(position)
            self._position = position
        elif position != self._position:
            raise InvalidInput(
                f"{self._name}: it can only be read from its beginning, not from byte {position}"
            )

    def push_back(self, data: bytes) -> None:
        """Take back what was read last, for the next :meth:`read` to give again."""
        if self._seekable:
            self.seek(self._position - len(data))
        else:
            self._pushed = data + self._pushed
            self._position -= len(data)

    def skip_mark(self) -> int:
        """Step over a byte order mark at the very beginning; where the text begins."""
        head = self.read(len(BYTE_ORDER_MARK))
        if head == BYTE_ORDER_MARK:
            return len(head)
        self.push_back(head)
        return 0


@contextlib.contextmanager
def opened(
    span: Span, kind: Kind, form: Format, stop: StopFlag | None = None
) -> Iterator[tuple[Source, Span, int]]:
    """Open an input: what reads it, its span in unpacked bytes, and where its text starts.

    Raises
    ------
    InvalidInput
        where the file is gone, or no longer as large as when the span was made.
    """
    with contextlib.closing(open_bytes(span.path)) as file:
        check_size(span, file)
        if not kind.packing:
            source = Source(cast(_Readable, file), span.path, form, span.size, stop=stop)
            yield source, span, source.skip_mark()
        elif span.start == 0:
            from fastprep.corpus.compressed import Unpacked

            unpacked = Unpacked(file, span.path, kind.packing)
            source = Source(unpacked, span.path, form, packed=True, stop=stop)
            yield source, Span(span.path, 0, _END, _END), source.skip_mark()
        else:
            raise InvalidInput(
                f"{span.path}: a compressed file can only be read from its beginning, not from "
                f"byte {span.start}"
            )


def open_bytes(path: str) -> BinaryIO:
    """A file or a URL, opened for reading.

    Raises
    ------
    InvalidInput
        where there is none.
    """
    if is_url(path):
        return open_url(path)
    try:
        # Blocks are large enough without a buffer between, and pathlib is slow for small files.
        return cast(BinaryIO, open(path, "rb", buffering=0))  # noqa: PTH123
    except (FileNotFoundError, NotADirectoryError):
        raise InvalidInput(f"{path}: no such file; it was there when the work began") from None


def check_size(span: Span, file: BinaryIO) -> None:
    """Refuse an input that has another size than its span says."""
    size = size_of(span.path) if is_url(span.path) else file.seek(0, 2)
    if size != span.size:
        raise InvalidInput(
            f"{span.path}: it has {size} bytes, but had {span.size} when it was first looked "
            "at; do not change the inputs while they are in use"
        )
    if not is_url(span.path):
        file.seek(0)


def whole(path: str | PathLike[str]) -> Span:
    """The span of a whole file or URL, after a look at what kind of file it is.

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
    if isinstance(path, str) and is_url(path):
        _check_kind(path)
        size = size_of(path)
        return Span(path, 0, size, size)
    name = Path(path).as_posix()
    if not is_unicode(name):
        raise InvalidInput(f"{name!r}: the name is not UTF-8, so no manifest can hold it; rename")
    try:
        status = Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        raise _no_such_file(name) from None
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise _no_such_file(name) from None
    except ValueError:
        raise InvalidInput(f"{name!r}: a NUL cannot be in a path; check it") from None
    if stat.S_ISDIR(status.st_mode):
        raise InvalidInput(f"{name}: a directory; pass the files in it, as in {name}/*.txt")
    if not stat.S_ISREG(status.st_mode):
        raise InvalidInput(f"{name}: not a regular file; copy its content to a .txt or .jsonl file")
    _check_kind(name)
    return Span(path=name, start=0, end=status.st_size, size=status.st_size)


def empty(span: Span) -> InvalidInput:
    """The error about a file without a byte, which is rarely meant to be one.

    Examples
    --------
    >>> print(str(empty(Span("a.txt", 0, 0, 0))).partition(";")[0])
    a.txt: an empty file, of 0 bytes: a copy or a download may have failed
    """
    return InvalidInput(
        f"{span.path}: an empty file, of 0 bytes: a copy or a download may have failed; bring a whole "
        "one, leave it out, or pass on_error='skip' (--on-error skip)"
    )


def may_be_path(name: str) -> bool:
    """Whether what names no file may be meant to name one, and is not a text.

    Examples
    --------
    >>> may_be_path("missing.txt"), may_be_path("Two\\nlines.")
    (True, False)
    """
    return len(name) <= _LONG_PATH and "\n" not in name


def _no_such_file(name: str) -> InvalidInput:
    if may_be_path(name):
        return InvalidInput(f"{name}: no such file; check the path")
    return InvalidInput(
        f"{name[:60]!r} and so on, {len(name)} characters: no such file; inputs are paths, so put texts "
        "into a table: pyarrow.table({'text': texts})"
    )


def _check_kind(name: str) -> None:
    if kind_of(name) is None:
        suffix = Path(name).suffix
        if suffix.lower() in PACKINGS:
            suffix = Path(name).with_suffix("").suffix + suffix
        which = f"files ending in {suffix!r}" if suffix else "files without a suffix"
        raise InvalidInput(f"{name}: {which} cannot be read; supported are {SUPPORTED}")


def newlines_before(path: str, position: int) -> int:
    """How many newlines stand before a byte of a file that is not packed, or begins there."""
    count, left = 0, position
    if position <= len(BYTE_ORDER_MARK):
        return 0
    with contextlib.closing(open_bytes(path)) as file:
        while left > 0 and (chunk := file.read(min(left, BLOCK_BYTES))):
            count += count_newlines(chunk, 0, len(chunk))
            left -= len(chunk)
    return count


def modified(spans: Sequence[Span]) -> list[int | None]:
    """Return when each span's file was last changed, in nanoseconds; None for what is no local file.

    >>> modified([Span("missing.txt", 0, 1, 1)])
    [None]
    """
    return modified_times([os.fsencode(span.path) for span in spans])
