"""Byte sources of inputs: a file or a URL, decompressed as it is read if necessary."""

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

from fastprep.corpus.documents import (
    BLOCK_BYTES,
    Bad,
    Format,
    Span,
    check_not_pointer,
    is_unicode,
)
from fastprep.corpus.formats import PACKINGS, SUPPORTED, Kind, kind_of
from fastprep.corpus.remote import can_seek, is_url, open_url, size_of
from fastprep.errors import DamagedInput, InvalidInput
from fastprep.system import host
from fastprep.system.threads import StopFlag
from fastprep_ext.base import Rows, count_newlines
from fastprep_ext.corpus import is_value_stream, modified_times

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# The marks of other encodings; none of them is UTF-8. That of UTF-32 starts with that of UTF-16.
_OTHER_MARKS = (
    (b"\xff\xfe\0\0", "UTF-32"),
    (b"\0\0\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
# A pointer of Git LFS has at most this many bytes.
_MAX_POINTER = 1024
# A longer document in a compressed file is taken for a decompression bomb. Uncompressed files may have
# longer ones.
_MAX_PACKED_DOCUMENT = 1 << 28
# Limit of bytes read between two checks for a stop.
_READ_BYTES = 1 << 22
# A longer input is a text, not a path, and errors show only its start.
_MAX_PATH = 1024
END = (1 << 63) - 1  # past the end of any file
# Bytes in which the first line of JSON, or the start of a longer value, is looked for.
_HEAD_BYTES = 1 << 16


class _Readable(Protocol):
    def readinto(self, buffer: memoryview, /) -> int | None: ...

    def close(self) -> None: ...


class Source:
    """The bytes of an input, read from its start or, if it is not compressed, from any position.

    If ``on_error`` is not ``"raise"``, a compressed file ends before its damage, and ``damage`` is then
    the error. ``stop`` is checked at least every few megabytes.
    """

    def __init__(
        self,
        file: _Readable,
        name: str,
        form: Format,
        size: int = END,
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
        """The number of bytes left, by the file's size."""
        return self._size - self._position

    def read(self, size: int) -> bytes:
        """Return the next ``size`` bytes, fewer only at the end or before damage."""
        buffer = bytearray(size)
        return bytes(memoryview(buffer)[: self.readinto(memoryview(buffer))])

    def read_into(self, rows: Rows, wanted: int) -> int:
        """Append the next ``wanted`` bytes to an unfinished document, as :meth:`readinto` does."""
        # No more than the file has, so that a small file needs no large buffer.
        return rows.read(partial(self.readinto, held=rows.filled), min(wanted, self.left))

    def readinto(self, buffer: memoryview, *, held: int = 0) -> int:
        """Fill a buffer and return the number of bytes: fewer only at the end or before damage.

        ``held`` is the number of bytes that the caller has of an incomplete document.
        """
        filled = min(len(self._pushed), len(buffer))
        buffer[:filled] = self._pushed[:filled]
        self._pushed = self._pushed[filled:]
        try:
            if self._packed and held >= _MAX_PACKED_DOCUMENT:
                raise DamagedInput(
                    f"{self._name}: decompresses to more than {_MAX_PACKED_DOCUMENT} bytes without the "
                    "end of a document; if that is right, decompress it and pass the result"
                )
            # A read may return less than was requested.
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
        """Set the position; a source that is not seekable accepts only its current one."""
        if self._seekable:
            cast(BinaryIO, self._file).seek(position)
            self._position = position
        elif position != self._position:
            raise InvalidInput(
                f"{self._name}: it can only be read from its start, not from byte {position}"
            )

    def push_back(self, data: bytes) -> None:
        """Undo the last read, so that the next one returns ``data`` again."""
        if self._seekable:
            self.seek(self._position - len(data))
        else:
            self._pushed = data + self._pushed
            self._position -= len(data)

    def skip_mark(self) -> int:
        """Skip a byte order mark at the start of the file, and return where the text starts.

        Raises InvalidInput for the mark of UTF-16 or UTF-32, and DamagedInput for a Git LFS pointer.
        """
        size = _MAX_POINTER if self._size <= _MAX_POINTER else 4
        head = self.read(size)
        check_text(self._name, head, self._size)
        at = len(BYTE_ORDER_MARK) if head.startswith(BYTE_ORDER_MARK) else 0
        self.push_back(head[at:])
        return at

    def starts_with_values(self) -> bool:
        """Return whether the rest is a stream of JSON values that are not each on a line."""
        head = self.read(_HEAD_BYTES)
        self.push_back(head)
        return is_value_stream(head, 0, len(head))


def check_text(name: str, head: bytes, size: int) -> None:
    """Raise InvalidInput if a file of text starts with the mark of UTF-16 or UTF-32.

    Raises DamagedInput for a pointer of Git LFS. ``size`` is the file's.

    >>> check_text("a.txt", b"\\xff\\xfea\\0", 4)
    Traceback (most recent call last):
    fastprep.errors.InvalidInput: a.txt: its byte order mark, ff fe, is that of UTF-16; save it ...
    """
    for mark, encoding in _OTHER_MARKS:
        if head.startswith(mark):
            raise InvalidInput(
                f"{name}: its byte order mark, {mark.hex(' ')}, is that of {encoding}; save it as "
                "UTF-8, or pass on_error='skip' (--on-error skip) to leave the file out"
            )
    if size <= _MAX_POINTER:
        check_not_pointer(name, head)


@contextlib.contextmanager
def opened(
    span: Span, kind: Kind, form: Format, stop: StopFlag | None = None
) -> Iterator[tuple[Source, Span]]:
    """Open an input; yield its source, and its span in decompressed bytes.

    Raises InvalidInput if the file was removed, or its size changed since the span was made.
    """
    with contextlib.closing(open_bytes(span.path, stop)) as file:
        check_size(span, file)
        if not kind.packing:
            source = Source(cast(_Readable, file), span.path, form, span.size, stop=stop)
            yield source, span
        elif span.start == 0:
            from fastprep.corpus.compressed import Unpacked

            unpacked = Unpacked(file, span.path, kind.packing, form.zstd_window)
            source = Source(unpacked, span.path, form, packed=True, stop=stop)
            yield source, Span(span.path, 0, END, END)
        else:
            raise InvalidInput(
                f"{span.path}: a compressed file can only be read from its start, not from "
                f"byte {span.start}"
            )


def open_bytes(path: str, stop: StopFlag | None = None) -> BinaryIO:
    """Open a file or a URL for reading. Raises InvalidInput if it is missing."""
    if is_url(path):
        return open_url(path, stop)
    try:
        # Unbuffered, because reads are large; without pathlib, which is slow for small files.
        file = open(path, "rb", buffering=0, opener=_open_without_waiting)  # noqa: SIM115
    except (FileNotFoundError, NotADirectoryError):
        raise InvalidInput(f"{path}: no such file; it existed when the work started") from None
    except PermissionError:
        raise InvalidInput(
            f"{path}: no permission to read it; change its mode or its owner"
        ) from None
    if not file.seekable():
        file.close()
        raise InvalidInput(f"{path}: not a regular file; it was one when the work started")
    return cast(BinaryIO, file)


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a file; a pipe that has replaced it since it was found does not wait for a writer."""
    return os.open(path, flags | host.NO_WAIT)


def check_size(span: Span, file: BinaryIO) -> None:
    """Raise InvalidInput if the size of an input is not that of its span."""
    size = size_of(span.path) if is_url(span.path) else file.seek(0, 2)
    if size != span.size:
        raise InvalidInput(
            f"{span.path}: it has {size} bytes, but had {span.size} when it was first checked; "
            "do not change the inputs while they are in use"
        )
    if not is_url(span.path):
        file.seek(0)


def whole(path: str | PathLike[str], form: Format | None = None) -> Span:
    """Return the span of a whole file or URL.

    Raises InvalidInput if it is missing, is not a regular file, may not be read, or has no supported
    suffix although ``form`` names no format.

    >>> whole("missing.txt")
    Traceback (most recent call last):
    fastprep.errors.InvalidInput: missing.txt: no such file; check the path
    """
    if isinstance(path, str) and is_url(path):
        _check_kind(path, form)
        size = size_of(path)
        return Span(path, 0, size, size)
    name = Path(path).as_posix()
    if not is_unicode(name):
        raise InvalidInput(
            f"{name!r}: the name is not UTF-8, so a manifest cannot record it; rename it"
        )
    try:
        status = Path(path).stat()
    except OSError as error:
        raise _no_such_file(name, error) from None
    except ValueError:
        raise InvalidInput(f"{name!r}: a path cannot contain a NUL; check it") from None
    if stat.S_ISDIR(status.st_mode):
        raise InvalidInput(f"{name}: a directory; pass the files in it, as in {name}/*.txt")
    if not stat.S_ISREG(status.st_mode):
        raise InvalidInput(
            f"{name}: not a regular file; copy its content to a .txt or .jsonl file, or pipe it to "
            "the input - with a format (--format)"
        )
    _check_kind(name, form)
    if not is_readable(name, status):
        raise InvalidInput(f"{name}: no permission to read it; change its mode or its owner")
    return Span(path=name, start=0, end=status.st_size, size=status.st_size)


def is_readable(path: str, status: os.stat_result) -> bool:
    """Return whether this process may read a file; asks the system only if its mode leaves it open."""
    mode = status.st_mode
    if mode & 0o444 == 0o444 or (mode & stat.S_IRUSR and host.is_own(status)):
        return True
    return os.access(path, os.R_OK)


def starts_with_values(path: str) -> bool:
    """Return whether an uncompressed file starts as JSON values that are not each on a line.

    >>> (tmp / "a.json").write_text('[{"text": "One."}]') and starts_with_values(str(tmp / "a.json"))
    True
    """
    with contextlib.closing(open_bytes(path)) as file:
        head = peek(file)
    return is_value_stream(head, len(BYTE_ORDER_MARK) * head.startswith(BYTE_ORDER_MARK), len(head))


def peek(file: BinaryIO) -> bytes:
    """Return the first bytes of a file that is open at its start, and return there."""
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    return head


def empty(span: Span) -> InvalidInput:
    """Return the error for an empty file, which is usually a mistake.

    >>> print(str(empty(Span("a.txt", 0, 0, 0))).partition(";")[0])
    a.txt: an empty file, of 0 bytes: a copy or a download may have failed
    """
    return InvalidInput(
        f"{span.path}: an empty file, of 0 bytes: a copy or a download may have failed; copy it "
        "again, remove it from the inputs, or pass on_error='skip' (--on-error skip)"
    )


def is_text(name: str) -> bool:
    """Return whether an input that is not a file is a text and not a path.

    >>> is_text("missing.txt"), is_text("Two\\nlines.")
    (False, True)
    """
    return len(name) > _MAX_PATH or "\n" in name


def text_hint(name: str) -> str:
    """Return what to add to an error about a path that may be a text.

    >>> text_hint("missing.txt"), text_hint("Is it a text?")
    ('', "; if this is a text, put texts into a table: pyarrow.table({'text': texts})")
    """
    if kind_of(name) is not None or " " not in name:
        return ""
    return "; if this is a text, put texts into a table: pyarrow.table({'text': texts})"


def _no_such_file(name: str, error: OSError) -> InvalidInput:
    """Return the error for a path of which the system says nothing."""
    if is_text(name):
        return InvalidInput(
            f"{name[:60]!r} and so on, {len(name)} characters: no such file; inputs are paths, so put "
            "texts into a table: pyarrow.table({'text': texts})"
        )
    if isinstance(error, PermissionError):
        return InvalidInput(f"{name}: no permission to read its folder; change its mode or owner")
    if os.path.islink(name):  # noqa: PTH114
        target = os.readlink(name)  # noqa: PTH115
        return InvalidInput(f"{name}: a link to {target}, which does not exist; correct the link")
    if (
        isinstance(error, FileNotFoundError | NotADirectoryError)
        or error.errno == errno.ENAMETOOLONG
    ):
        return InvalidInput(f"{name}: no such file; check the path{text_hint(name)}")
    return InvalidInput(f"{name}: {error.strerror}; check the path")


def _check_kind(name: str, form: Format | None) -> None:
    if kind_of(name, None if form is None else form.format) is None:
        suffix = Path(name).suffix
        if suffix.lower() in PACKINGS:
            suffix = Path(name).with_suffix("").suffix + suffix
        which = f"files ending in {suffix!r}" if suffix else "files without a suffix"
        raise InvalidInput(
            f"{name}: {which} cannot be read; supported are {SUPPORTED}; pass the format (--format) of "
            "a file whose name does not say it"
        )


def newlines_before(path: str, position: int) -> int:
    """Count the newlines before a position of an uncompressed file."""
    count, left = 0, position
    if position <= len(BYTE_ORDER_MARK):
        return 0
    with contextlib.closing(open_bytes(path)) as file:
        while left > 0 and (chunk := file.read(min(left, BLOCK_BYTES))):
            count += count_newlines(chunk, 0, len(chunk))
            left -= len(chunk)
    return count


def modified(spans: Sequence[Span]) -> list[int | None]:
    """Return the modification times of files in nanoseconds; None for those that are not local files.

    >>> modified([Span("missing.txt", 0, 1, 1)])
    [None]
    """
    # No file has an empty name.
    return modified_times(["" if span.in_memory else span.path for span in spans])
