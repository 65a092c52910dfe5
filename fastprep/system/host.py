"""The operating system's calls that differ between POSIX and Windows; other modules call these.

Windows has no locks of flock's kind, no reads at a position, no sync of a directory and no owner in a
file's mode. What it has instead is used, and where there is nothing, the function says what it does.
"""

from __future__ import annotations

import contextlib
import os
import sys
from _thread import allocate_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


def _flags(*names: str) -> int:
    """Return flags of `os.open`, those that this system has."""
    found = 0
    for name in names:
        found |= getattr(os, name, 0)
    return found


#: Flags to read a file: not for child processes, and a pipe at its path does not wait for a writer.
READ_FLAGS: int = os.O_RDONLY | _flags("O_CLOEXEC", "O_NONBLOCK", "O_BINARY")
#: Flags to open a lock's file, which is no symbolic link where the system can refuse one.
LOCK_FLAGS: int = os.O_RDWR | os.O_CREAT | _flags("O_CLOEXEC", "O_NOFOLLOW", "O_BINARY")
#: Flags to add to those of Python's `open`.
NO_WAIT: int = _flags("O_NONBLOCK")

# Held where a position is set and used, on systems that cannot do both in one call.
_moving = allocate_lock()


def machine() -> str:
    """Return the name of the processor's kind in lower case, as "x86_64", "amd64" or "aarch64".

    >>> machine() == machine().lower()
    True
    """
    if sys.platform == "win32":
        return os.environ.get("PROCESSOR_ARCHITECTURE", "").lower()
    return os.uname().machine.lower()


def is_own(status: os.stat_result) -> bool:
    """Return whether a file is this user's. Windows does not say so in a status: there it is not.

    >>> is_own(tmp.stat())
    True
    """
    return sys.platform != "win32" and status.st_uid == os.geteuid()


def read_at(descriptor: int, target: memoryview[int], position: int) -> int:
    """Read bytes at a position of a file into a buffer; returns how many, 0 at the file's end.

    Threads may share the descriptor, if they use it by this function and :func:`write_at` only.

    >>> (tmp / "a").write_bytes(b"abc") and None
    >>> with (tmp / "a").open("rb") as file:
    ...     read_at(file.fileno(), memoryview(bytearray(9)), 1)
    2
    """
    if hasattr(os, "preadv"):
        return os.preadv(descriptor, [target], position)
    with _moving:
        os.lseek(descriptor, position, os.SEEK_SET)
        content = os.read(descriptor, len(target))
    target[: len(content)] = content
    return len(content)


def write_at(descriptor: int, content: memoryview[int], position: int) -> int:
    """Write bytes at a position of a file; returns how many. For threads as :func:`read_at`.

    >>> with (tmp / "a").open("wb") as file:
    ...     write_at(file.fileno(), memoryview(b"abc"), 1)
    3
    """
    if hasattr(os, "pwrite"):
        return os.pwrite(descriptor, content, position)
    with _moving:
        os.lseek(descriptor, position, os.SEEK_SET)
        return os.write(descriptor, content)


def lock(descriptor: int, shared: bool) -> bool:
    """Lock a file without waiting; False if another process holds a lock that excludes it.

    The system releases it when the descriptor is closed, or its process dies. Raises OSError where the
    file system has no locks. On Windows a shared lock excludes as an exclusive one does.

    >>> with (tmp / "a").open("wb") as file:
    ...     lock(file.fileno(), shared=False)
    True
    """
    if sys.platform == "win32":
        os.lseek(descriptor, 0, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True
    how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def sync(descriptor: int) -> None:
    """Write a file's data to its disk, through the disk's cache.

    >>> with (tmp / "a").open("wb") as file:
    ...     sync(file.fileno())
    """
    if sys.platform == "darwin":
        # There fsync() leaves the data in the drive's cache. Network file systems refuse this one.
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def sync_names(directory: str | os.PathLike[str], sync: Callable[[int], object]) -> None:
    """Call a sync for a directory, whose names then survive a power cut. Windows has none.

    >>> sync_names(tmp, sync)
    """
    if sys.platform == "win32":
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)
