"""File locks (flock) on a job's directory; the kernel releases them when their holder dies."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from fastprep.errors import JobIsRunning, StoreExists
from fastprep.system.guarantees import report_lost
from fastprep.system.host import LOCK_FLAGS, lock

_POLL_SECONDS = 0.02
_MAX_POLL_SECONDS = 0.5


@contextlib.contextmanager
def holding(
    path: Path,
    busy: str,
    *,
    shared: bool = False,
    timeout: float = 0.0,
    waiting: Callable[[float], object] | None = None,
) -> Iterator[None]:
    """Hold the lock on a file during the block; the file is created if it is missing, and kept.

    With ``shared`` other processes may hold it too, if they also share it. Raises JobIsRunning, with
    the message ``busy``, if another process still holds it after ``timeout`` seconds; StoreExists if the
    file is a symbolic link. With ``waiting`` there is no timeout: that function is called with the
    seconds waited after each attempt, and may raise.

    >>> path = tmp / "run.lock"
    >>> with holding(path, "busy"), holding(path, "another run works here"):
    ...     pass
    Traceback (most recent call last):
    fastprep.errors.JobIsRunning: another run works here
    """
    start, pause = time.monotonic(), _POLL_SECONDS
    while True:
        descriptor = _open(path)
        try:
            if not _lock(descriptor, path, shared):
                waited = time.monotonic() - start
                if waiting is not None:
                    waiting(waited)
                    pause = min(max(_POLL_SECONDS, waited / 20), _MAX_POLL_SECONDS)
                elif waited >= timeout:
                    raise JobIsRunning(busy)
                time.sleep(pause)
            # A file that was removed after it was opened does not lock anything.
            elif _is_at(descriptor, path):
                yield
                return
        finally:
            os.close(descriptor)


def _open(path: Path) -> int:
    try:
        return os.open(path, LOCK_FLAGS, 0o666)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise StoreExists(
            f"{path}: a symbolic link, through which no lock is opened; remove it, or choose another "
            "output"
        ) from None


def _lock(descriptor: int, path: Path, shared: bool) -> bool:
    try:
        return lock(descriptor, shared)
    except OSError as error:
        report_lost(
            path.parent, "has no locks", error, "make sure that no two runs work in this directory"
        )
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Return whether a descriptor is of the file that is at a path now."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
