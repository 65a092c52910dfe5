"""Checks of arguments that many functions take: whole numbers, ids, and paths of this machine."""

from __future__ import annotations

import os
from _operator import index  # of operator, without the rest of it

from fastprep.errors import FastprepError, InvalidArgument, WrongType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import PathLike
    from pathlib import Path

#: The largest number of threads, or of tasks at a time in a cluster, that a call may ask for.
MAX_WORKERS = 4096
#: The largest number that a token id may be.
MAX_ID = (1 << 32) - 1


def whole_number(
    value: object,
    name: str,
    least: int = 1,
    most: int | None = None,
    error: type[FastprepError] = InvalidArgument,
) -> int:
    """Return an argument as an int; integers of numpy are taken, bool and float are not.

    Raises `error`, with the argument's name, for another type or a value out of range.

    >>> whole_number(3, "workers")
    3
    >>> whole_number(True, "workers")
    Traceback (most recent call last):
    fastprep.errors.InvalidArgument: workers is True; it must be a whole number of at least 1
    """
    try:
        number = None if isinstance(value, bool) else index(value)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None or number < least or (most is not None and number > most):
        bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise error(f"{name} is {value!r}; it must be a whole number {bounds}")
    return number


def path_name(path: str | bytes | PathLike[str], what: str) -> str | bytes:
    """Return the name of a path as `os.fspath` does.

    Raises WrongType, with `what` the path is for, for anything but a path, and InvalidArgument for one
    that no file system can hold.

    >>> path_name(7, "the output")
    Traceback (most recent call last):
    fastprep.errors.WrongType: the output is 7; pass a str or a pathlib.Path
    """
    try:
        name = os.fspath(path)
        os.fsencode(name)
    except TypeError:
        raise WrongType(f"{what} is {path!r:.80}; pass a str or a pathlib.Path") from None
    except UnicodeEncodeError:
        raise InvalidArgument(
            f"{what} is {name!r:.80}, which has half a character; pass text without surrogates"
        ) from None
    return name


def local_path(path: str | bytes | PathLike[str], what: str) -> Path:
    """Return a path of this machine, with the home directory for a leading ``~``.

    Raises InvalidArgument, with `what` the path is for, if it is empty, a URL, or has a NUL.

    >>> local_path("", "the output")
    Traceback (most recent call last):
    fastprep.errors.InvalidArgument: the output is an empty name; pass "." for the current directory
    >>> local_path("s3://bucket/store", "the output")
    Traceback (most recent call last):
    fastprep.errors.InvalidArgument: s3://bucket/store: the output must be on this machine, not at a URL
    """
    import re
    from pathlib import Path

    name = path_name(path, what)
    if not isinstance(name, str):
        raise WrongType(f"{what} is {name!r}; pass a str or a pathlib.Path")
    if not name:
        raise InvalidArgument(f'{what} is an empty name; pass "." for the current directory')
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", name):
        raise InvalidArgument(f"{name}: {what} must be on this machine, not at a URL")
    if "\0" in name:
        raise InvalidArgument(f"{name!r}: {what} has a NUL character, which no file name can have")
    return Path(os.path.expanduser(name))  # noqa: PTH111


def not_an_id(number: int) -> str:
    """Return the fault of a number that is no token id.

    >>> not_an_id(-1)
    '-1 is no token id; ids are 0 to 2**32 - 1'
    """
    return f"{number} is no token id; ids are 0 to 2**32 - 1"
