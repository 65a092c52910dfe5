"""Guarantees that a file system does not give: reported once, and the work continues without them."""

from __future__ import annotations

import errno
import warnings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

#: The errors of file systems that do not have an operation (CIFS, FUSE, some network file systems).
NOT_SUPPORTED = (
    errno.EINVAL,
    errno.EPERM,
    errno.ENOSYS,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.ENOLCK,
)

#: The messages that were reported in this process, and their directories.
reported: dict[str, Path] = {}


def lost_in(output: Path) -> list[str]:
    """Return what was reported about an output, the directories in it, and the one that it is in.

    >>> from pathlib import Path
    >>> lost_in(Path("store"))
    []
    """
    return [
        message
        for message, directory in reported.items()
        if directory in (output, output.parent) or output in directory.parents
    ]


def report_lost(directory: Path, lacks: str, error: OSError, consequence: str) -> None:
    """Warn that the file system of a directory lacks an operation, unless the error means another fault.

    Raises the error again if it is not one of `NOT_SUPPORTED`.

    >>> from pathlib import Path
    >>> report_lost(Path("store"), "has no locks", OSError(errno.EIO, "disk"), "take care")
    Traceback (most recent call last):
    OSError: [Errno 5] disk
    """
    if error.errno not in NOT_SUPPORTED:
        raise error
    # The same message for all files of a directory, so that Python shows it once.
    message = f"{directory}: this file system {lacks} ({error.strerror}); {consequence}"
    reported[message] = directory
    warnings.warn(message, RuntimeWarning, stacklevel=3)
