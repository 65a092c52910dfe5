"""Where ids lie in the files of others, and what an importer of such files is told.

Every format that fastprep knows holds plain arrays of ids; they differ in what stands around them.
A reader of a format (``megatron``, ``datatrove``, ``nanogpt`` and ``llmc`` beside this file) looks at
the files and says so in these words; :mod:`fastprep.exchange.imports` copies.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from fastprep.errors import InvalidInput

Ends: TypeAlias = npt.NDArray[np.uint64]

#: Items of an array that are read, checked and written at a time.
CHUNK = 1 << 20


class Part(NamedTuple):
    """``size`` ids of a file, from byte ``offset`` on."""

    path: Path
    dtype: np.dtype[Any]
    offset: int
    size: int


class Source(NamedTuple):
    """What becomes one shard: ids, back to back, and where documents end in them.

    ``ends()`` gives the ends of the documents in chunks, in ids from the first part's start. It is
    None where the format does not tell: then a document ends behind each end token. ``opens`` says
    that an end token opens the last document, so that one is still to come behind it.
    """

    parts: tuple[Part, ...]
    ends: Callable[[], Iterator[Ends]] | None = None
    opens: bool = False

    @property
    def size(self) -> int:
        """How many ids there are in all parts."""
        return sum(part.size for part in self.parts)


def file_size(path: Path, hint: str) -> int:
    """The size of a regular file.

    Raises
    ------
    InvalidInput
        when there is none of that name, or it is no regular file; the message ends in ``hint``.

    Examples
    --------
    >>> file_size(Path("missing.idx"), "Megatron's index lies beside its .bin")
    Traceback (most recent call last):
    fastprep.errors.InvalidInput: missing.idx: no such file; Megatron's index lies beside its .bin
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise InvalidInput(f"{path}: no such file; {hint}") from None
    if not stat.S_ISREG(status.st_mode):
        raise InvalidInput(f"{path}: not a regular file; {hint}")
    return status.st_size


def whole_ids(path: Path, dtype: np.dtype[Any], hint: str) -> Part:
    """All of a file without a header, as ids of a dtype.

    Raises
    ------
    InvalidInput
        when its size is no multiple of an id's; the message ends in ``hint``.
    """
    size = file_size(path, hint)
    if size % dtype.itemsize:
        raise InvalidInput(
            f"{path}: {size} bytes are no whole number of ids of {dtype.itemsize} bytes each; {hint}"
        )
    return Part(path, dtype, 0, size // dtype.itemsize)


def read_ids(part: Part, chunk: int = CHUNK) -> Iterator[npt.NDArray[Any]]:
    """The ids of a part, some at a time; the array is used again for the next ones.

    Raises
    ------
    InvalidInput
        when the file ends before its last id.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "ids.bin")
    >>> np.array([9, 1, 2, 3], np.uint16).tofile(path)
    >>> [ids.tolist() for ids in read_ids(Part(path, np.dtype("<u2"), 2, 3), chunk=2)]
    [[1, 2], [3]]
    """
    buffer = np.empty(min(chunk, part.size), part.dtype)
    with part.path.open("rb", buffering=0) as file:
        file.seek(part.offset)
        done = 0
        while done < part.size:
            ids = buffer[: part.size - done]
            view, filled = memoryview(ids).cast("B"), 0
            while filled < len(view):
                got = file.readinto(view[filled:])
                if not got:
                    raise InvalidInput(
                        f"{part.path}: it ends after {done + filled // part.dtype.itemsize} ids, "
                        f"though it had {part.size} when it was first looked at; do not change the "
                        "inputs while they are in use"
                    )
                filled += got
            yield ids
            done += len(ids)
