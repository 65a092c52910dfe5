"""Readers of .tar and .zip archives: their members one after another, without unpacking them on disk."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterator
from typing import IO, Any, BinaryIO, NamedTuple

from fastprep.corpus.documents import Format, check_not_pointer
from fastprep.corpus.formats import Kind, format_of_members, in_folders, kind_of
from fastprep.corpus.passed_over import HIDDEN, NO_FILE, Tally, reason_of
from fastprep.errors import DamagedInput, InvalidInput

_BUFFER_BYTES = 1 << 18
# tarfile copies what it has of its buffer at each read, and makes five per member.
_TAR_BYTES = 1 << 14
_FIX = "copy it again, or pass on_error='skip' (--on-error skip) to use the part before the damage"


class Member(NamedTuple):
    """A member of an archive that is read: its name in messages, its kind, its size and open file."""

    name: str
    kind: Kind
    size: int
    file: MemberFile


class MemberFile:
    """The content of a member; the errors of damaged archives are raised as DamagedInput."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self._name = name

    def readinto(self, buffer: memoryview) -> int:
        """Fill a part of a buffer, and return the number of bytes; 0 at the end."""
        data = self.read(min(len(buffer), _BUFFER_BYTES))
        buffer[: len(data)] = data
        return len(data)

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes; none at the end."""
        try:
            return self._file.read(size)
        except Exception as error:
            raise _converted(self._name, error) from None

    def close(self) -> None:
        """Close the member."""
        self._file.close()


def tar_members(file: Any, path: str, form: Format, passed: Tally) -> Iterator[Member | Exception]:
    """Yield the members of a tar archive, which is read once from its start, in their order.

    Members are chosen by their names; see :class:`Choice`. ``passed`` counts the others. Raises
    DamagedInput for a header that is damaged, for an archive without its end, and for data after
    it; InvalidInput if no member can be read.
    """
    choice = Choice(path, form)
    try:
        archive = tarfile.open(  # noqa: SIM115
            fileobj=file, mode="r|", bufsize=_TAR_BYTES, tarinfo=_Header
        )
        while (found := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # otherwise all headers are kept
            if not found.isreg():
                if not found.isdir():
                    passed.add(_name(path, found.name), NO_FILE)
                continue
            if (fault := choice.fault(found.name)) is not None:
                yield fault
                continue
            if (kind := choice.kind(found.name)) is None:
                passed.add(_name(path, found.name), choice.reason(found.name))
                continue
            name = _name(path, found.name)
            if found.issparse():
                raise InvalidInput(
                    f"{name}: a sparse file, which cannot be read; unpack the archive"
                )
            content = archive.extractfile(found)
            if content is not None:
                yield Member(name, kind, found.size, MemberFile(content, name))
        choice.check_any()
        # Only now is the checksum of a compressed archive checked.
        stream: Any = archive.fileobj
        while rest := stream.read(_BUFFER_BYTES):
            if rest.count(0) < len(rest):
                raise DamagedInput(
                    f"{path}: there is data after the end of the archive: was another one appended? "
                    "unpack it, or pass on_error='skip' (--on-error skip) to use the first part"
                )
    except Exception as error:
        raise _converted(path, error) from None


class _Header(tarfile.TarInfo):
    """Header of a member of a tar archive; tarfile takes one that is damaged for the archive's end."""

    @classmethod
    def fromtarfile(cls, tarfile: Any) -> _Header:
        """Read the next header. Raises ValueError for one that is damaged or missing."""
        try:
            return super().fromtarfile(tarfile)
        except _HEADER_ERRORS as error:
            at = tarfile.fileobj.tell() if tarfile.fileobj is not None else 0
            raise ValueError(f"before its byte {at}: {error}") from None


_HEADER_ERRORS: tuple[type[Exception], ...] = tuple(
    getattr(tarfile, name)
    for name in ("InvalidHeaderError", "TruncatedHeaderError", "EmptyHeaderError")
)


def zip_members(
    file: BinaryIO, path: str, form: Format, passed: Tally
) -> Iterator[Member | Exception]:
    """Yield the members of a zip archive, in the order of their bytes.

    Members are chosen by their names; see :class:`Choice`. ``passed`` counts the others. A member
    that is encrypted or otherwise cannot be opened is yielded as the error. Raises DamagedInput if
    the archive is damaged, and InvalidInput if no member can be read.
    """
    choice = Choice(path, form)
    check_not_pointer(path, file.read(64))
    try:
        archive = zipfile.ZipFile(file)
    except Exception as error:
        raise _converted(path, error) from None
    with archive:
        for found in sorted(archive.infolist(), key=lambda info: info.header_offset):
            if found.is_dir():
                continue
            if (fault := choice.fault(found.filename)) is not None:
                yield fault
                continue
            if (kind := choice.kind(found.filename)) is None:
                passed.add(_name(path, found.filename), choice.reason(found.filename))
                continue
            name = _name(path, found.filename)
            try:
                content = MemberFile(archive.open(found), name)
            except RuntimeError as error:  # NotImplementedError, too
                said = "it is encrypted" if found.flag_bits & 1 else str(error)
                yield InvalidInput(f"{name}: {said}; unpack the archive, and pass the files")
            except Exception as error:
                yield _converted(name, error)
            else:
                yield Member(name, kind, found.file_size, content)
    choice.check_any()


def zip_text_bytes(file: BinaryIO, path: str, form: Format) -> int:
    """Return the size of the members of a zip archive that are read, before compression."""
    choice = Choice(path, form)
    try:
        with zipfile.ZipFile(file) as archive:
            return sum(
                info.file_size
                for info in archive.infolist()
                if not info.is_dir() and choice.kind(info.filename) is not None
            )
    except Exception as error:
        raise _converted(path, error) from None


class Choice:
    """The choice of the members of an archive that are read, by their names.

    They are chosen as the files of a folder are, except that plain ``.json`` members are read if there
    are no others that can be read: which of both is wanted has to be said by the format.

    >>> choice = Choice("a.tar", Format())
    >>> choice.kind("0001.txt"), choice.kind("0001.jpg")
    (Kind(content='text', packing='', archive=''), None)
    >>> choice.kind("0001.json")
    Traceback (most recent call last):
    fastprep.errors.InvalidInput: a.tar, member 0001.json: the archive has .json members and others; ...
    """

    def __init__(self, path: str, form: Format) -> None:
        self._path = path
        self._format = format_of_members(form.format)
        self._json: bool | None = None
        self._any = False

    def kind(self, member: str) -> Kind | None:
        """Return the kind of a member, or None if it is passed over.

        Raises InvalidInput for a ``.json`` member beside others, or other members beside such ones.
        """
        kind = self._known(member)
        if kind is None or not _is_read(kind):
            return None
        is_json = member.lower().endswith(".json")
        if self._format is None and self._json not in (None, is_json):
            raise InvalidInput(
                f"{self._path}, member {member}: the archive has .json members and others; pass "
                "format='json' or another (--format) to read only these"
            )
        self._json = is_json
        self._any = True
        return kind

    def reason(self, member: str) -> str:
        """Return why a member is passed over."""
        return HIDDEN if _is_hidden(member) else reason_of(member)

    def fault(self, member: str) -> InvalidInput | None:
        """Return the error for a member that would be read in a folder, and cannot be in an archive."""
        # With a format, only members of that format are wanted.
        kind = self._known(member) if self._format is None else None
        if kind is None or _is_read(kind):
            return None
        return InvalidInput(
            f"{_name(self._path, member)}: {kind.archive or kind.content} cannot be read within an "
            "archive; unpack the archive, or pass a format (--format) that leaves this member out"
        )

    def _known(self, member: str) -> Kind | None:
        """Return the kind of a member as that of a file in a folder."""
        if _is_hidden(member) or not in_folders(member, self._format, json=self._format is None):
            return None
        return kind_of(member, self._format)

    def check_any(self) -> None:
        """Raise InvalidInput if no member was chosen."""
        if not self._any:
            raise InvalidInput(
                f"{self._path}: no member of the archive can be read; in archives these can be: .txt, "
                ".jsonl (.ndjson, .json), .csv and .tsv, also compressed"
            )


def _is_hidden(member: str) -> bool:
    return any(
        part.startswith((".", "_")) and part not in (".", "..") for part in member.split("/")
    )


def _is_read(kind: Kind) -> bool:
    """Return whether a member of this kind can be read within an archive."""
    return not kind.archive and kind.content not in ("parquet", "arrow")


def _name(path: str, member: str) -> str:
    """Name a member in messages; its own name may be bytes that are not UTF-8."""
    return f"{path}, member {member.encode('utf-8', 'surrogateescape').decode('utf-8', 'replace')}"


def _converted(name: str, error: Exception) -> Exception:
    """Return DamagedInput for an exception of a module for archives, and others as they are."""
    if isinstance(error, (InvalidInput, MemoryError)):
        return error
    # Errors of the operating system have a number.
    if isinstance(error, OSError) and error.errno is not None:
        return error
    return DamagedInput(f"{name}: the archive is damaged ({error}); {_FIX}")
