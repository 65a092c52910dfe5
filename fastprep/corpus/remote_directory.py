"""A directory at a URL to which files are written, through fsspec."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from fastprep.corpus.remote import fault_of, file_system, repeated
from fastprep.system.threads import StopFlag

T = TypeVar("T")

# The entries of a file's details that are others after it was written again, if a file system has them.
_CHANGING = ("ETag", "etag", "md5Hash", "crc32c", "mtime", "LastModified", "updated", "created")


class RemoteDirectory:
    """A directory at a URL; requests that fail are repeated, as in :mod:`fastprep.corpus.remote`.

    Each method raises InvalidInput, with the URL and the sentence of the fault, if a request fails.
    """

    def __init__(self, url: str) -> None:
        self.url: str = url.rstrip("/")
        self._system, self._path = file_system(self.url)
        self._reached = False

    def names(self, below: str = "") -> list[str]:
        """Return the names of the files and directories in a directory; none if it is missing.

        The name of a directory has ``/`` at its end. The name ``""`` is a file at the URL itself.
        """
        path = self._at(below) if below else self._path

        def listing() -> list[dict[str, Any]]:
            self._system.invalidate_cache()
            try:
                return list(self._system.ls(path, detail=True))
            except (FileNotFoundError, NotADirectoryError) as error:
                _raise_unless_missing(error)
                return []

        found = []
        start = path.strip("/")
        for details in self._request(below, listing):
            name = str(details["name"]).strip("/").removeprefix(start).strip("/")
            is_directory = details.get("type") == "directory"
            # Object stores list an empty object of the directory's own name.
            if name or (not is_directory and details.get("size")):
                found.append(f"{name}/" if is_directory else name)
        return found

    def read(self, name: str, most: int) -> bytes | None:
        """Return the content of a file, at most this many bytes; None if there is no such file."""

        def content() -> bytes | None:
            try:
                return bytes(self._system.cat_file(self._at(name), end=most))
            except FileNotFoundError as error:
                _raise_unless_missing(error)
                return None

        return self._request(name, content)

    def identity(self, name: str) -> list[str] | None:
        """Return what changes in a file when it is written again; None if there is no such file."""

        def details() -> list[str] | None:
            try:
                found = self._system.info(self._at(name))
            except FileNotFoundError as error:
                _raise_unless_missing(error)
                return None
            return [str(found.get(key)) for key in ("size", *_CHANGING)]

        return self._request(name, details)

    def modified(self, name: str) -> int | None:
        """Return the time in nanoseconds at which a file was written; None if that is not known."""

        def time() -> int | None:
            try:
                return int(self._system.modified(self._at(name)).timestamp() * 1e9)
            except (NotImplementedError, KeyError, AttributeError):
                return None

        return self._request(name, time)

    def write(self, name: str, content: bytes) -> None:
        """Write a small file, by one request where the file system has one for it."""
        self._make_parent(name)
        self._request(name, partial(self._system.pipe_file, self._at(name), content))

    def upload(self, name: str, source: Path, stop: StopFlag | None = None) -> None:
        """Write a file with the content of a local one; the flag stops a pause between two tries."""
        path = self._at(name)
        size = source.stat().st_size

        def put() -> None:
            self._system.put_file(os.fspath(source), path)
            written = self._system.info(path).get("size")
            if written not in (size, None):
                raise ConnectionResetError(f"{written} of {size} bytes were written")

        self._make_parent(name)
        self._request(name, put, stop)

    def remove(self, name: str) -> None:
        """Remove a file, if there is one."""

        def remove() -> None:
            try:
                self._system.rm_file(self._at(name))
            except FileNotFoundError as error:
                _raise_unless_missing(error)

        self._request(name, remove)

    def _make_parent(self, name: str) -> None:
        # Only object stores have an asynchronous implementation. They have no directories, and may make
        # a bucket when they are asked for one.
        if not getattr(self._system, "async_impl", False):
            path = self._at(name).rpartition("/")[0]
            self._request(name, partial(self._system.makedirs, path, exist_ok=True))

    def _at(self, name: str) -> str:
        return f"{self._path.rstrip('/')}/{name}"

    def _request(self, name: str, request: Callable[[], T], stop: StopFlag | None = None) -> T:
        result = repeated(f"{self.url}/{name}", request, stop, reached=self._reached)
        self._reached = True
        return result


def _raise_unless_missing(error: Exception) -> None:
    """Raise an error again that some file systems use for a server that they cannot reach, too."""
    if fault_of(error) not in ("missing", "other"):
        raise error
