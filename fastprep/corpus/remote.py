"""Files at URLs, through fsspec: ``s3://``, ``hf://``, ``https://``, ``memory://`` and so on.

Requests that fail because a connection was dropped, or a server is busy, are repeated after pauses
that grow. Files of ``memory://`` exist only in the process that wrote them, so not for tasks on
other machines.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import io
import os
import re
import time
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from os import PathLike
from typing import Any, BinaryIO, TypeVar, cast

from fastprep.corpus.formats import without_query
from fastprep.errors import InvalidInput, MissingExtra
from fastprep.system.threads import StopFlag

T = TypeVar("T")

# A scheme, or several as in simplecache::s3://bucket. A local file may have :: in its name.
_URL = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*::)*[A-Za-z][A-Za-z0-9+.-]+://")
_FILE = re.compile(r"(?:file|local)://", re.IGNORECASE)
_SCHEME = re.compile(r"(^|::)([A-Za-z][A-Za-z0-9+.-]*)(?=::|://)")
# Seconds before each repetition: 16 in all.
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
_CONNECT_SECONDS = 30
_READ_SECONDS = 120  # without a byte
_SKIP_BYTES = 1 << 20
_DROPPED = {
    # By name, because their packages need not be installed.
    *(
        "ServerDisconnectedError",
        "ClientPayloadError",
        "ClientOSError",
        "ClientConnectionResetError",
    ),
    *("ContentLengthError", "IncompleteRead", "ProtocolError", "ConnectionClosedError"),
    *("RemoteProtocolError", "ReadError", "EndpointConnectionError"),
}


def is_url(path: str) -> bool:
    """Return whether a path starts with a scheme, so that fsspec has to open it.

    >>> is_url("s3://bucket/a.jsonl"), is_url("a.jsonl"), is_url("C:\\\\a.jsonl"), is_url("a::b.jsonl")
    (True, False, False, False)
    """
    return _URL.match(path) is not None


def normal_url(url: str) -> str:
    """Return a URL with its schemes in lower case, as fsspec knows them.

    >>> normal_url("HTTPS://Host/A.jsonl"), normal_url("SimpleCache::S3://b/A.jsonl")
    ('https://Host/A.jsonl', 'simplecache::s3://b/A.jsonl')
    """
    return _SCHEME.sub(lambda match: match[1] + match[2].lower(), url)


def from_file_url(path: str) -> str:
    """Return the local path of a ``file://`` URL, and any other path as it is.

    >>> from_file_url("file:///data/a.jsonl"), from_file_url("a.jsonl")
    ('/data/a.jsonl', 'a.jsonl')
    """
    return path[match.end() :] if (match := _FILE.match(path)) else path


def url_of(path: str | PathLike[str]) -> str | None:
    """Return a path that is a URL of another machine; None for one of this machine.

    >>> url_of("s3://bucket/store"), url_of("file:///data/store"), url_of("store")
    ('s3://bucket/store', None, None)
    """
    name = os.fspath(path)
    if not isinstance(name, str) or _FILE.match(name) or not is_url(name):
        return None
    return name


def is_pattern(url: str) -> bool:
    """Return whether a URL is a pattern; a query is no part of one.

    >>> is_pattern("s3://bucket/*.jsonl"), is_pattern("https://[::1]/a.jsonl?token=[x]*")
    (True, False)
    """
    return glob.has_magic(_path_of(url))


def size_of(url: str) -> int:
    """Return the size of a remote file in bytes.

    Raises InvalidInput if the file is missing, its size is unknown, or the request fails, and
    MissingExtra if fsspec, or the package that it needs for the scheme, is not installed.
    """
    details = _details(url)
    if details.get("type") == "directory":
        raise InvalidInput(f"{url}: a directory; pass it with a / at its end, or {url}/**")
    size = details.get("size")
    if size is None:
        raise InvalidInput(f"{url}: the server does not report its size; download it first")
    return int(size)


@lru_cache(maxsize=4096)
def can_seek(url: str) -> bool:
    """Return whether a remote file can be read from any position."""
    system, path = file_system(url)
    protocols = system.protocol if isinstance(system.protocol, tuple) else (system.protocol,)
    if not {"http", "https"} & set(protocols):
        return True
    said = _details(url).get("partial")
    # Many servers do not say so, but can.
    return bool(said) if said is not None else repeated(url, partial(_has_ranges, system, path))


def open_url(url: str, stop: StopFlag | None = None) -> BinaryIO:
    """Open a remote file for reading; bytes are fetched on demand, with some read-ahead."""
    return cast(BinaryIO, _RemoteFile(url, size_of(url), stop))


def expand_url(url: str) -> Iterator[tuple[str, int | None, bool]]:
    """Yield the files of a pattern, or of a folder with ``/`` at its end.

    Each has its URL, its size if the listing says it, and whether a name below the folder, or below the
    part of the pattern that is a name, begins with ``.`` or ``_``.
    """
    system, path = file_system(url)
    list_files = system.find if url.endswith("/") else system.glob

    def listing() -> dict[str, Any]:
        try:
            return cast("dict[str, Any]", list_files(path, detail=True))
        except FileNotFoundError as error:
            if fault_of(error) != "missing":
                raise
            raise InvalidInput(f"{url}: no such folder; check the address") from None

    found = repeated(url, listing)
    parts = _bare(url).split("/")
    count = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    base = "".join(f"{part}/" for part in parts[:count])
    # A pattern may begin a name with such a mark itself.
    marks = {".", "_"} - {part[:1] for part in parts[count:]}
    for each, details in found.items():
        if details.get("type") != "directory":
            name = system.unstrip_protocol(each)
            below = _bare(name).removeprefix(base).split("/")
            yield name, details.get("size"), any(part[:1] in marks for part in below)


class _RemoteFile(io.RawIOBase):
    """A remote file that is opened again where it was, if its connection is dropped."""

    def __init__(self, url: str, size: int, stop: StopFlag | None) -> None:
        self._url = url
        self._size = size
        self._stop = stop
        self._seekable = can_seek(url)
        self._position = 0
        self._file: Any = None
        repeated(url, self._reopen, stop)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._seekable

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        start = (0, self._position, self._size)[whence]
        if not self._seekable and start + offset != self._position:
            raise InvalidInput(f"{self._url}: it can only be read from its start")
        self._position = start + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        filled = 0
        while filled < len(view) and self._position < self._size:
            data = repeated(self._url, partial(self._read, len(view) - filled), self._stop, self)
            view[filled : filled + len(data)] = data
            filled += len(data)
            self._position += len(data)
        return filled

    def close(self) -> None:
        if not self.closed:
            self._discard()
        super().close()

    def _read(self, size: int) -> bytes:
        if self._file is None:
            self._reopen()
        try:
            if self._seekable:
                self._file.seek(self._position)
            data = bytes(self._file.read(min(size, self._size - self._position)))
            if not data:
                raise ConnectionResetError(f"it ended after {self._position} of {self._size} bytes")
        except Exception:
            self._discard()
            raise
        return data

    def _reopen(self) -> None:
        system, path = file_system(self._url)
        # Without byte ranges the file can only be streamed.
        self._file = system.open(path, "rb", **({} if self._seekable else {"block_size": 0}))
        left = 0 if self._seekable else self._position
        while left:
            skipped = self._file.read(min(left, _SKIP_BYTES))
            if not skipped:
                raise ConnectionResetError(f"it ended {left} bytes before byte {self._position}")
            left -= len(skipped)

    def _discard(self) -> None:
        if self._file is not None:
            with contextlib.suppress(Exception):
                self._file.close()
            self._file = None


def _details(url: str) -> dict[str, Any]:
    system, path = file_system(url)
    return cast("dict[str, Any]", repeated(url, partial(system.info, path)))


def repeated(
    url: str,
    request: Callable[[], T],
    stop: StopFlag | None = None,
    file: _RemoteFile | None = None,
    *,
    reached: bool = False,
) -> T:
    """Return the result of a request, which is repeated after pauses while its fault may pass.

    While a `file` is read, or if the server was `reached` before, a server that does not answer may
    come back; before that, its address is wrong. Raises InvalidInput with the sentence of the fault.
    """
    for pause in (*_PAUSES, None):
        try:
            return request()
        except (InvalidInput, MissingExtra):
            raise
        except Exception as error:  # each file system has its own
            fault = fault_of(error)
            passes = fault in ("broken", "dropped") or (
                (file or reached) and fault in ("refused", "unreachable")
            )
            if pause is None or not passes:
                place = "" if file is None else f" at byte {file.tell()}"
                times = (
                    f"{len(_PAUSES) + 1} times{place}, the last time" if pause is None else place
                )
                raise _error(url, fault, error, times) from error
        _wait(pause, stop)
    raise AssertionError


def _wait(seconds: float, stop: StopFlag | None) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if stop is not None:
            stop.check()
        time.sleep(min(left, 0.1))


def fault_of(error: BaseException) -> str:
    """Return the kind of fault of a request: its own name for each that people handle differently."""
    import socket

    seen: BaseException | None = error
    missing = False
    while seen is not None:
        status = _status_of(seen)
        if status in (404, 410):
            return "missing"
        if status in (401, 403, 407):
            return "forbidden"
        if status in (408, 425, 429) or status >= 500:
            return "broken"
        names = {kind.__name__ for kind in type(seen).__mro__}
        number = getattr(seen, "errno", None)
        if isinstance(seen, ConnectionRefusedError) or number == errno.ECONNREFUSED:
            return "refused"
        if (
            isinstance(seen, (socket.gaierror, TimeoutError))
            or number in (errno.ENETUNREACH, errno.EHOSTUNREACH)
            or "ClientConnectorError" in names
            or any("Timeout" in name for name in names)
        ):
            return "unreachable"
        if status >= 400:
            return "other"
        if isinstance(seen, PermissionError):
            return "forbidden"
        if isinstance(seen, (ConnectionError, EOFError)) or names & _DROPPED:
            return "dropped"
        missing = missing or isinstance(seen, FileNotFoundError)
        seen = seen.__cause__ or seen.__context__
    return "missing" if missing else "other"


def _status_of(error: BaseException) -> int:
    """Return the HTTP status of an error of aiohttp, requests, httpx or botocore; 0 without one."""
    status = getattr(error, "status", None)
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    elif response is not None:
        status = getattr(response, "status_code", status)
    return status if isinstance(status, int) else 0


def _error(url: str, fault: str, error: Exception, times: str) -> Exception:
    """Return the error for a fault of a request, which says what to check."""
    chain: list[BaseException] = [error]
    while (below := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(below)
    status = next((found for each in chain if (found := _status_of(each))), 0)
    code = f" (HTTP {status})" if status else ""
    why = " ".join(f"{type(chain[-1]).__name__}: {chain[-1]}".split()).removesuffix(":")
    message = {
        "missing": f"no such file{code}; check the address",
        "forbidden": f"the server forbids it{code}; check the credentials, or whether a token in the "
        "address has expired",
        "refused": "the connection was refused: nothing answers at this host and port; check them, and "
        "whether the server runs",
        "unreachable": f"the server cannot be reached ({why}); check the host's name and the network",
        "broken": f"the server failed{_space(times)}{code}; try again later",
        "dropped": f"the connection was dropped{_space(times)} ({why}); try again: a job resumes",
        "other": f"cannot be opened: {why}; check address and permissions",
    }[fault]
    return InvalidInput(f"{url}: {message}")


def _space(text: str) -> str:
    return f" {text.strip()}" if text else ""


def _has_ranges(system: Any, path: str) -> bool:
    """Ask a server for one byte of a file, and return whether it sends no more."""
    from fsspec.asyn import sync  # type: ignore[import-untyped, unused-ignore]

    async def ask() -> bool:
        session = await system.set_session()
        options = {**system.kwargs, "headers": {**system.kwargs.get("headers", {}), **_ONE_BYTE}}
        async with session.get(system.encode_url(path), **options) as answer:
            if answer.status not in (206, 416):  # 416: the file is empty
                answer.raise_for_status()
            return bool(answer.status in (206, 416))

    return bool(sync(system.loop, ask))


_ONE_BYTE = {"Range": "bytes=0-0", "Accept-Encoding": "identity"}


def file_system(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path in it.

    Raises MissingExtra if a package is missing that the scheme needs, and InvalidInput for a URL that
    fsspec does not know.
    """
    try:
        from fsspec.core import url_to_fs  # type: ignore[import-untyped, unused-ignore]
    except ModuleNotFoundError:
        raise MissingExtra(
            f"{url}: URLs need fsspec: pip install 'fastprep[remote]'", name="fsspec"
        ) from None
    try:
        system, path = url_to_fs(url, **_options(url))
    except ImportError as error:
        raise MissingExtra(
            f"{url}: {error}; pip install 'fastprep[remote]' installs what https, s3 and hf need",
            name=error.name,
        ) from None
    except ValueError as error:
        raise InvalidInput(f"{url}: {error}; check the address") from None
    except Exception as error:  # some file systems connect at once, as FTP's does
        raise _error(url, fault_of(error), error, "") from error
    return system, str(path)


def _options(url: str) -> dict[str, Any]:
    """Return the options of a URL's file system: for HTTP no limit on the time that a file takes."""
    if not url.startswith(("http://", "https://")):
        return {}
    try:
        from aiohttp import ClientTimeout  # type: ignore[import-not-found, unused-ignore]
    except ModuleNotFoundError:  # fsspec reports it
        return {}
    limits = ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_READ_SECONDS)
    return {"client_kwargs": {"timeout": limits}}


def _bare(url: str) -> str:
    """Return a URL without its scheme and query, and without slashes at its start."""
    return without_query(url).rpartition("://")[2].lstrip("/")


def _path_of(url: str) -> str:
    """Return what may be a pattern in a URL: for HTTP without the host, which may have brackets."""
    bare = _bare(url)
    return bare.partition("/")[2] if url.startswith(("http://", "https://")) else bare
