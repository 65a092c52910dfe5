"""Files at URLs, through fsspec: ``s3://``, ``hf://``, ``https://``, ``memory://`` and so on.

Files of ``memory://`` exist only in the process that wrote them, so not for tasks on other machines.
"""

from __future__ import annotations

import re
from typing import Any, BinaryIO, cast

from fastprep.errors import InvalidInput, MissingExtra

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+(://|::)")


def is_url(path: str) -> bool:
    """Return whether a path starts with a scheme, so that fsspec has to open it.

    >>> is_url("s3://bucket/a.jsonl"), is_url("a.jsonl"), is_url("C:\\\\a.jsonl")
    (True, False, False)
    """
    return _URL.match(path) is not None


def size_of(url: str) -> int:
    """Return the size of a remote file in bytes.

    Raises InvalidInput if the file is missing, its size is unknown, or the request fails, and
    MissingExtra if fsspec, or the package that it needs for the scheme, is not installed.
    """
    system, path = _system(url)
    try:
        details = system.info(path)
    except FileNotFoundError as error:
        raise _no_such_file(url, error) from None
    except Exception as error:  # each file system has its own
        raise _failed(url, error) from error
    if details.get("type") == "directory":
        raise InvalidInput(f"{url}: a directory; pass it with a / at its end, or {url}/**")
    size = details.get("size")
    if size is None:
        raise InvalidInput(f"{url}: the server does not report its size; download it first")
    return int(size)


def can_seek(url: str) -> bool:
    """Return whether a remote file can be read from any position."""
    system, path = _system(url)
    try:
        return _has_ranges(system, path)
    except Exception as error:
        raise _failed(url, error) from error


def open_url(url: str) -> BinaryIO:
    """Open a remote file for reading; bytes are fetched on demand, with some read-ahead."""
    system, path = _system(url)
    try:
        # Without byte ranges the file can only be streamed.
        options = {} if _has_ranges(system, path) else {"block_size": 0}
        return cast(BinaryIO, system.open(path, "rb", **options))
    except FileNotFoundError as error:
        raise _no_such_file(url, error) from None
    except Exception as error:
        raise _failed(url, error) from error


def expand_url(url: str) -> list[tuple[str, int | None]]:
    """Return the files of a pattern, or of a folder with ``/`` at its end, with their sizes."""
    system, path = _system(url)
    try:
        list_files = system.find if url.endswith("/") else system.glob
        found = list_files(path, detail=True)
    except FileNotFoundError:
        raise InvalidInput(f"{url}: no such folder; check the address") from None
    except Exception as error:
        raise _failed(url, error) from error
    return [
        (system.unstrip_protocol(name), details.get("size"))
        for name, details in found.items()
        if details.get("type") != "directory"
    ]


def _has_ranges(system: Any, path: str) -> bool:
    protocols = system.protocol if isinstance(system.protocol, tuple) else (system.protocol,)
    if not {"http", "https"} & set(protocols):
        return True
    return bool(system.info(path).get("partial"))


def _system(url: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs  # type: ignore[import-untyped, unused-ignore]
    except ModuleNotFoundError:
        raise MissingExtra(
            f"{url}: reading from URLs needs fsspec: pip install 'fastprep[remote]'", name="fsspec"
        ) from None
    try:
        system, path = url_to_fs(url)
    except ImportError as error:
        raise MissingExtra(f"{url}: {error}", name=error.name) from None
    except ValueError as error:
        raise InvalidInput(f"{url}: {error}; check the address") from None
    return system, str(path)


def _no_such_file(url: str, error: FileNotFoundError) -> InvalidInput:
    # Some file systems also raise this if the server does not answer.
    why = "" if error.__cause__ is None else f" ({error.__cause__})"
    return InvalidInput(f"{url}: no such file{why}; check the address")


def _failed(url: str, error: Exception) -> InvalidInput:
    return InvalidInput(
        f"{url}: cannot be opened: {type(error).__name__}: {error}; check address and permissions"
    )
