"""Files that are whole or not there: the only place that renames or syncs.

A file is written under a temporary name, synced, and only then renamed; the rename is atomic on
every POSIX file system, and syncing the directory makes it last through a power cut.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

TEMPORARY_SUFFIX = ".tmp"

# On macOS fsync() leaves the data in the drive's cache; this fcntl() asks for what fsync() means.
_FULL_SYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)


@contextlib.contextmanager
def replacing(path: Path, *, sync: bool = True) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under ``path`` only when the block ends well.

    The bytes go to ``path`` + ``.tmp``, in the same directory. When the block raises, that file
    is removed and whatever stood under ``path`` before still stands there. Without ``sync`` that holds
    for errors and killed processes, but not for a power cut.

    Raises
    ------
    OSError
        as the system says: no space, no permission, no directory.

    Examples
    --------
    >>> import tempfile
    >>> directory = Path(tempfile.mkdtemp())
    >>> with replacing(directory / "a.bin") as file:
    ...     _ = file.write(b"whole")
    ...     (directory / "a.bin").exists()
    False
    >>> (directory / "a.bin").read_bytes()
    b'whole'
    """
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    temporary.unlink(missing_ok=True)
    try:
        # "x": a name that comes back between the two lines is somebody else's work, not ours.
        with temporary.open("xb") as file:
            yield file
            file.flush()
            if sync:
                _sync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if sync:
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory, new and removed ones, last through a power cut.

    Examples
    --------
    >>> import tempfile
    >>> sync_directory(Path(tempfile.mkdtemp()))
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


def _sync(descriptor: int) -> None:
    if _FULL_SYNC is not None:
        # Network file systems refuse the full sync; the plain one is then all there is.
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, _FULL_SYNC)
            return
    os.fsync(descriptor)
