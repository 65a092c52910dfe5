"""Who works in a directory: locks that the kernel lets go of when their holder dies."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from fastprep.errors import JobIsRunning

_POLL_SECONDS = 0.02
# What a file system says that has no locks at all.
_NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)


@contextlib.contextmanager
def holding(path: Path, busy: str, *, shared: bool = False, timeout: float = 0.0) -> Iterator[None]:
    """Hold the lock on a file, which is made if need be and stays when the block ends.

    Parameters
    ----------
    path
        the file.
    busy
        what the error says when somebody else holds it.
    shared
        whether others may hold it too, if they share it as well.
    timeout
        how many seconds to wait for it.

    Raises
    ------
    JobIsRunning
        when somebody else holds it still.

    Examples
    --------
    >>> path = tmp / "run.lock"
    >>> with holding(path, "busy"), holding(path, "another run works here"):
    ...     pass
    Traceback (most recent call last):
    fastprep.errors.JobIsRunning: another run works here
    """
    until = time.monotonic() + timeout
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            if not _lock(descriptor, path, shared):
                if time.monotonic() >= until:
                    raise JobIsRunning(busy)
                time.sleep(_POLL_SECONDS)
            # A file that was removed between the two lines is no one's lock any more.
            elif _is_at(descriptor, path):
                yield
                return
        finally:
            os.close(descriptor)


def _lock(descriptor: int, path: Path, shared: bool) -> bool:
    how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        # In the same words for all locks of a job, so that Python tells it once.
        warnings.warn(
            f"{path.parent}: this file system has no locks ({error.strerror}); see to it yourself that "
            "no two runs work in this directory",
            RuntimeWarning,
            stacklevel=1,
        )
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    ours = os.fstat(descriptor)
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)
