"""Atomic files: the only module that writes, renames, removes or syncs.

A file is written under a temporary name, synced, and then renamed. The rename is atomic on every POSIX
file system, and after a sync of the directory it survives a power cut.

Each step calls :data:`before` first. Tests replace it, to count the steps, to kill the process at one
of them, or to fail it as a full or broken disk would.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias

from fastprep.errors import StoreExists
from fastprep.system import host
from fastprep.system.guarantees import report_lost

TEMPORARY_SUFFIX = ".tmp"
_BUFFER_BYTES = 1 << 18
_COPY_BYTES = 1 << 22

Step: TypeAlias = Literal[
    "open", "write", "sync", "rename", "move", "move to", "link", "sync names", "remove"
]


def _ignore(step: Step, path: Path) -> None:
    """Do nothing."""


#: Called before each step, with the file or directory of the step.
before: Callable[[Step, Path], object] = _ignore


class _File(io.FileIO):
    """A file that calls :data:`before` for each write to the system."""

    def __init__(self, path: Path) -> None:
        # "x": a name that exists again after it was removed belongs to another process.
        super().__init__(path, "xb")
        self._path = path

    def write(self, data: Any) -> int:
        # Not by _named(), which takes as long per block as the rest of this method.
        try:
            before("write", self._path)
            return super().write(data)
        except OSError as error:
            error.filename = error.filename or str(self._path)
            raise


@contextlib.contextmanager
def replacing(
    path: Path, *, sync: bool = True, sync_names: bool = True, replace_link: bool = True
) -> Iterator[BinaryIO]:
    """Open a file for writing that replaces ``path`` when the block ends without an exception.

    The bytes go to ``path`` + ``.tmp``, in the same directory. If the block raises, that file is removed
    and ``path`` is as before. Without ``sync`` this is guaranteed for errors and killed processes, but
    not for a power cut. Without ``sync_names`` a power cut may undo the replacement as a whole: for
    files that have a use only together with a later one of the same directory, which is synced.

    Never writes through a symbolic link: one at ``path`` is replaced, or without `replace_link`
    refused with StoreExists. Raises the system's OSError (no space, no permission, no directory),
    with the file's name.

    >>> with replacing(tmp / "a.bin") as file:
    ...     _ = file.write(b"whole")
    ...     (tmp / "a.bin").exists()
    False
    >>> (tmp / "a.bin").read_bytes()
    b'whole'
    """
    if not replace_link and path.is_symlink():
        raise StoreExists(
            f"{path}: a symbolic link, which a job does not replace; remove it, or choose another output"
        )
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
                    _sync_or_report(file.fileno(), path.parent, "cannot sync files")
        before("rename", path)
        temporary.replace(path)
        if sync and sync_names:
            sync_directory(path.parent)
    except BaseException:
        # The cause of the failure may prevent this, too. Then the next writer of the file removes it.
        with contextlib.suppress(OSError):
            remove(temporary)
        raise


def remove(path: Path) -> None:
    """Remove a file if it exists.

    >>> remove(Path("missing"))
    """
    if os.path.lexists(path):
        before("remove", path)
        path.unlink(missing_ok=True)


def link(source: Path, target: Path) -> None:
    """Create a hard link to a file, or a symbolic one across file systems; ``target`` is replaced.

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


def link_or_copy(source: Path, target: Path) -> None:
    """Create a hard link to a file, or a copy where that is not possible; ``target`` is replaced.

    The name is not synced.

    >>> _ = (tmp / "a.bin").write_bytes(b"ids")
    >>> link_or_copy(tmp / "a.bin", tmp / "b.bin")
    >>> (tmp / "b.bin").read_bytes()
    b'ids'
    """
    remove(target)
    before("link", target)
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        with source.open("rb") as content, replacing(target, sync_names=False) as file:
            while chunk := content.read(_COPY_BYTES):
                file.write(chunk)


def move(source: Path, target: Path) -> None:
    """Rename a file in its directory, if it exists; ``target`` is replaced. The names are not synced.

    >>> _ = (tmp / "a.bin").write_bytes(b"ids")
    >>> move(tmp / "a.bin", tmp / "b.bin")
    >>> move(tmp / "a.bin", tmp / "b.bin")
    >>> (tmp / "b.bin").read_bytes()
    b'ids'
    """
    if source.exists():
        before("move", source)
        before("move to", target)
        source.replace(target)


def sync_directory(path: Path) -> None:
    """Sync a directory, so that created and removed names survive a power cut.

    >>> sync_directory(tmp)
    """
    before("sync names", path)
    host.sync_names(path, lambda file: _sync_or_report(file, path, "cannot sync directories"))


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Add the file's name to an OSError, which has none if it comes from a write or a sync."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def _sync_or_report(descriptor: int, directory: Path, lacks: str) -> None:
    try:
        host.sync(descriptor)
    except OSError as error:
        report_lost(
            directory,
            lacks,
            error,
            "after a power cut run the same command again, then verify the store",
        )
