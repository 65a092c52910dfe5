"""Files that are whole or not there: the only place that writes, renames, removes or syncs.

A file is written under a temporary name, synced, and only then renamed; the rename is atomic on
every POSIX file system, and syncing the directory makes it last through a power cut.

Each step is announced to :data:`before` first. Nobody listens but tests, which count the steps, kill
the process at one of them, or fail it as a full or broken disk would.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias

TEMPORARY_SUFFIX = ".tmp"
_BUFFER_BYTES = 1 << 18

# On macOS fsync() leaves the data in the drive's cache; this fcntl() asks for what fsync() means.
_FULL_SYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)

Step: TypeAlias = Literal["open", "write", "sync", "rename", "sync names", "remove"]


def _nobody(step: Step, path: Path) -> None:
    """Nobody listens."""


#: Called before each step, with the file or directory that it is about.
before: Callable[[Step, Path], object] = _nobody


class _File(io.FileIO):
    """A file that announces what it really writes."""

    def __init__(self, path: Path) -> None:
        # "x": a name that comes back after it was removed is somebody else's work, not ours.
        super().__init__(path, "xb")
        self._path = path

    def write(self, data: Any) -> int:
        # Without _named(), which takes as long as the rest of what is done here for each block.
        try:
            before("write", self._path)
            return super().write(data)
        except OSError as error:
            error.filename = error.filename or str(self._path)
            raise


@contextlib.contextmanager
def replacing(path: Path, *, sync: bool = True, sync_names: bool = True) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under ``path`` only when the block ends well.

    The bytes go to ``path`` + ``.tmp``, in the same directory. When the block raises, that file
    is removed and whatever stood under ``path`` before still stands there. Without ``sync`` that holds
    for errors and killed processes, but not for a power cut. Without ``sync_names`` a power cut may
    undo the replacement, whole: for files that are worth something only together with a later one
    of the same directory, which is then synced.

    Raises
    ------
    OSError
        as the system says: no space, no permission, no directory; with the file's name.

    Examples
    --------
    >>> with replacing(tmp / "a.bin") as file:
    ...     _ = file.write(b"whole")
    ...     (tmp / "a.bin").exists()
    False
    >>> (tmp / "a.bin").read_bytes()
    b'whole'
    """
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    try:
        remove(temporary)
        before("open", temporary)
        with io.BufferedWriter(_File(temporary), _BUFFER_BYTES) as file:
            yield file
            file.flush()
            if sync:
                with _named(temporary):
                    before("sync", temporary)
                    _sync(file.fileno())
        before("rename", path)
        temporary.replace(path)
        if sync and sync_names:
            sync_directory(path.parent)
    except BaseException:
        # What stopped the work may stop this, too; then the next to write the file removes it.
        with contextlib.suppress(OSError):
            remove(temporary)
        raise


def remove(path: Path) -> None:
    """Remove a file if it is there.

    Examples
    --------
    >>> remove(Path("missing"))
    """
    if os.path.lexists(path):
        before("remove", path)
        path.unlink(missing_ok=True)


def link(source: Path, target: Path) -> None:
    """Give a file a second name: a hard link, or a symbolic one from another file system.

    What stood under ``target`` is removed first.

    Examples
    --------
    >>> _ = (tmp / "a.bin").write_bytes(b"ids")
    >>> link(tmp / "a.bin", tmp / "b.bin")
    >>> (tmp / "b.bin").read_bytes()
    b'ids'
    """
    remove(target)
    before("rename", target)
    try:
        os.link(source, target)
    except OSError:
        target.symlink_to(source.absolute())
    sync_directory(target.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory, new and removed ones, last through a power cut.

    Examples
    --------
    >>> sync_directory(tmp)
    """
    before("sync names", path)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Put the file's name into an error of the system, which leaves it out of writes and syncs."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def _sync(descriptor: int) -> None:
    if _FULL_SYNC is not None:
        # Network file systems refuse the full sync; the plain one is then all there is.
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, _FULL_SYNC)
            return
    os.fsync(descriptor)
