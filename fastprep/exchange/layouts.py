"""Layout of token ids in the files of other programs, in terms that every importer shares.

Each known format stores plain arrays of ids; the formats differ in the headers and indices around
them. A format's reader (:mod:`~fastprep.exchange.megatron`, :mod:`~fastprep.exchange.datatrove`,
:mod:`~fastprep.exchange.llmc`, and :func:`read_nanogpt` below) checks the files and returns a
:class:`ShardSource`; :mod:`fastprep.exchange.copies` copies the ids.
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

#: Array items that are read, checked and written at a time.
CHUNK = 1 << 20


class IdRange(NamedTuple):
    """A range of a file: `num_ids` ids from byte `offset` on."""

    path: Path
    dtype: np.dtype[Any]
    offset: int
    num_ids: int


class ShardSource(NamedTuple):
    """The ids of one shard to import, in ranges that are read in order, and its document ends.

    `ends()` yields the document ends in chunks, in ids from the start of the first range. It is
    None if the format does not record them: then a document ends after each end token.
    `lacks_last_end` says that the end token of the last document is not in the ranges and must be
    appended.
    """

    ranges: tuple[IdRange, ...]
    ends: Callable[[], Iterator[Ends]] | None = None
    lacks_last_end: bool = False

    @property
    def num_ids(self) -> int:
        """The number of ids in all ranges."""
        return sum(part.num_ids for part in self.ranges)


def read_nanogpt(path: Path) -> ShardSource:
    """Read the layout of nanoGPT's ``train.bin`` or ``val.bin``: uint16 ids and nothing else.

    If the file was made from documents, an end token follows each of them; there is no other mark.
    Raises InvalidInput if the file is missing or has an odd number of bytes.
    """
    return ShardSource((whole_file(path, np.dtype("<u2"), "nanoGPT's files hold uint16 ids"),))


def file_size(path: Path, hint: str) -> int:
    """Return the size of a regular file in bytes.

    Raises InvalidInput, with a message that ends in `hint`, if there is no such regular file.

    >>> file_size(Path("missing.idx"), "Megatron's index is beside its .bin")
    Traceback (most recent call last):
    fastprep.errors.InvalidInput: missing.idx: no such file; Megatron's index is beside its .bin
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise InvalidInput(f"{path}: no such file; {hint}") from None
    if not stat.S_ISREG(status.st_mode):
        raise InvalidInput(f"{path}: not a regular file; {hint}")
    return status.st_size


def whole_file(path: Path, dtype: np.dtype[Any], hint: str) -> IdRange:
    """Return the range of all ids of a file without a header.

    Raises InvalidInput, with a message that ends in `hint`, if its size is not a multiple of an id's.
    """
    size = file_size(path, hint)
    if size % dtype.itemsize:
        raise InvalidInput(
            f"{path}: {size} bytes are not a whole number of ids of {dtype.itemsize} bytes each; "
            f"{hint}"
        )
    return IdRange(path, dtype, 0, size // dtype.itemsize)


def map_array(path: Path, dtype: str, offset: int, count: int) -> npt.NDArray[Any]:
    """Map `count` items of a file from byte `offset` on, read-only."""
    if not count:  # the kernel refuses to map an empty range
        return np.empty(0, dtype)
    return np.memmap(path, dtype, "r", offset, (count,)).view(np.ndarray)


def read_ids(part: IdRange, chunk: int = CHUNK) -> Iterator[npt.NDArray[Any]]:
    """Yield the ids of a range, up to `chunk` at a time, in an array that is reused.

    Raises InvalidInput if the file ends before the last id.

    >>> path = tmp / "ids.bin"
    >>> np.array([9, 1, 2, 3], np.uint16).tofile(path)
    >>> [ids.tolist() for ids in read_ids(IdRange(path, np.dtype("<u2"), 2, 3), chunk=2)]
    [[1, 2], [3]]
    """
    buffer = np.empty(min(chunk, part.num_ids), part.dtype)
    with part.path.open("rb", buffering=0) as file:
        file.seek(part.offset)
        done = 0
        while done < part.num_ids:
            ids = buffer[: part.num_ids - done]
            view, filled = memoryview(ids).cast("B"), 0
            while filled < len(view):
                got = file.readinto(view[filled:])
                if not got:
                    raise InvalidInput(
                        f"{part.path}: it ends after {done + filled // part.dtype.itemsize} ids, "
                        f"although it had {part.num_ids} when it was first checked; do not change "
                        "the inputs while they are in use"
                    )
                filled += got
            yield ids
            done += len(ids)
