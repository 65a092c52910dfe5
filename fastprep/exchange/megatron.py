"""Megatron-LM's indexed dataset: a ``.bin`` of ids, and an ``.idx`` that says where sequences lie.

The ``.bin`` has no header; its ids are uint16 or int32, so a shard of a store is one as it stands.
The ``.idx``, all little-endian::

    byte 0         "MMIDIDX", two zero bytes
         9         u64      version, 1
        17         u8       code of the ids' dtype
        18         u64      S, sequences
        26         u64      D, documents + 1
        34         i32[S]   ids in each sequence
        34 +  4 S  i64[S]   byte of the .bin at which each sequence begins
        34 + 12 S  i64[D]   the number of the sequence at which each document begins, and S

A sequence of ours is a document.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastprep.errors import IdOutOfRange, InvalidInput
from fastprep.exchange.layouts import CHUNK, Ends, Part, Source, file_size
from fastprep.system.atomic import replacing

MAGIC = b"MMIDIDX\0\0"
HEADER_BYTES = 34
#: dtype -> code; Megatron has no uint32, but ids below 2**31 have int32's bytes.
CODES = {"uint16": 8, "uint32": 4}
_INTEGERS = {1: "<u1", 2: "<i1", 3: "<i2", 4: "<i4", 5: "<i8", 8: "<u2"}
_FLOATS = {6: "float64", 7: "float32"}
_LARGEST = (1 << 31) - 1
_MEND = "copy the pair again, or write it again with the program that made it"


def write_index(path: Path, dtype: str, shards: Sequence[Callable[[], Iterable[Ends]]]) -> None:
    """Write the ``.idx`` of shards whose ids lie back to back in one ``.bin``.

    Parameters
    ----------
    path
        of the ``.idx``; it appears whole or not at all.
    dtype
        ``"uint16"`` or ``"uint32"``.
    shards
        for each, what gives its document ends, in ids from the shard's start, in chunks. It is asked
        three times: memory is a chunk, whatever the number of documents.

    Raises
    ------
    IdOutOfRange
        for a document of 2**31 ids or more, which no ``.idx`` can hold.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "two.idx")
    >>> write_index(path, "uint16", [lambda: [np.array([3, 5], np.uint64)]])
    >>> path.stat().st_size == 34 + 12 * 2 + 8 * 3
    True
    """
    itemsize = np.dtype(dtype).itemsize
    documents = sum(len(ends) for shard in shards for ends in shard())
    with replacing(path) as file:
        file.write(MAGIC + struct.pack("<QBQQ", 1, CODES[dtype], documents, documents + 1))
        done = 0
        for starts, ends in _places(shards):
            lengths = ends - starts
            if len(lengths) and int(lengths.max()) > _LARGEST:
                document = done + int(lengths.argmax())
                raise IdOutOfRange(
                    f"{path}: document {document} has {lengths.max()} ids, and an .idx holds lengths "
                    f"up to {_LARGEST}; leave that document out, or cut it"
                )
            file.write(lengths.astype("<i4").tobytes())
            done += len(lengths)
        for starts, _ in _places(shards):
            file.write((starts * np.int64(itemsize)).astype("<i8").tobytes())
        for first in range(0, documents + 1, CHUNK):
            file.write(np.arange(first, min(first + CHUNK, documents + 1), dtype="<i8").tobytes())


def _places(
    shards: Sequence[Callable[[], Iterable[Ends]]],
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Where documents begin and end in the ids of all shards."""
    base = 0
    for shard in shards:
        before = base
        for chunk in shard():
            if len(chunk):
                ends = chunk.astype(np.int64) + base
                yield np.concatenate([np.array([before], np.int64), ends[:-1]]), ends
                before = int(ends[-1])
        base = before


def read(path: Path) -> Source:
    """The ids and documents of a pair, named by its ``.bin``, its ``.idx`` or what these share.

    Raises
    ------
    InvalidInput
        when one of the two is missing, is cut, contradicts the other, or holds what are no ids.
    """
    prefix = path.with_suffix("") if path.suffix in (".bin", ".idx") else path
    index, ids = Path(f"{prefix}.idx"), Path(f"{prefix}.bin")
    dtype, sequences, boundaries = _header(index)
    lengths = _mapped(index, "<i4", HEADER_BYTES, sequences)
    pointers = _mapped(index, "<i8", HEADER_BYTES + 4 * sequences, sequences)
    documents = _mapped(index, "<i8", HEADER_BYTES + 12 * sequences, boundaries)
    count = _check_sequences(index, lengths, pointers, dtype.itemsize)
    _check_documents(index, documents, sequences)
    size = file_size(ids, "Megatron's ids lie in a .bin beside their .idx")
    if size != count * dtype.itemsize:
        raise InvalidInput(
            f"{ids}: {size} bytes, but {index.name} tells of {count} ids of {dtype.itemsize} bytes "
            f"each; {_MEND}"
        )

    def ends() -> Iterator[Ends]:
        for first in range(1, boundaries, CHUNK):
            behind = documents[first : first + CHUNK]
            inside = behind < sequences
            found = np.full(len(behind), count, np.uint64)
            found[inside] = (pointers[behind[inside]] // dtype.itemsize).astype(np.uint64)
            yield found

    return Source((Part(ids, dtype, 0, count),), ends)


def _header(path: Path) -> tuple[np.dtype[Any], int, int]:
    """The ids' dtype, S and D."""
    size = file_size(path, "Megatron's index lies in an .idx beside its .bin")
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
    if head[: len(MAGIC)] != MAGIC:
        raise InvalidInput(
            f"{path}: begins with {head[:9]!r}, not with {MAGIC!r}; this is no index of Megatron's"
        )
    if len(head) < HEADER_BYTES:
        raise InvalidInput(f"{path}: {size} bytes, less than its header's {HEADER_BYTES}; {_MEND}")
    version, code, sequences, boundaries = struct.unpack_from("<QBQQ", head, len(MAGIC))
    if version != 1:
        raise InvalidInput(f"{path}: version {version}, and only version 1 is known; {_MEND}")
    if code not in _INTEGERS:
        raise InvalidInput(
            f"{path}: dtype code {code} ({_FLOATS.get(code, 'unknown')}) is no integer's; only files "
            "of ids can be imported"
        )
    expected = HEADER_BYTES + 12 * sequences + 8 * boundaries
    if size == expected + sequences and sequences:
        raise InvalidInput(
            f"{path}: each sequence has a mode, so these are multimodal data; only text has ids"
        )
    if size != expected:
        raise InvalidInput(
            f"{path}: {size} bytes, but {sequences} sequences and {boundaries} document boundaries "
            f"take {expected}; {_MEND}"
        )
    return np.dtype(_INTEGERS[code]), sequences, boundaries


def _mapped(path: Path, dtype: str, offset: int, count: int) -> npt.NDArray[Any]:
    if not count:  # the system maps no empty range
        return np.empty(0, dtype)
    return np.memmap(path, dtype, "r", offset, (count,)).view(np.ndarray)


def _check_sequences(
    path: Path, lengths: npt.NDArray[Any], pointers: npt.NDArray[Any], itemsize: int
) -> int:
    """That sequences lie back to back from byte 0; how many ids they have."""
    done = 0
    for first in range(0, len(lengths), CHUNK):
        some = lengths[first : first + CHUNK].astype(np.int64)
        if int(some.min()) < 0:
            at = int((some < 0).argmax())
            raise InvalidInput(f"{path}: sequence {first + at} has {some[at]} ids; {_MEND}")
        begins = done + np.cumsum(some) - some
        wrong = pointers[first : first + CHUNK] != begins * itemsize
        if wrong.any():
            at = int(wrong.argmax())
            raise InvalidInput(
                f"{path}: sequence {first + at} begins at byte {pointers[first + at]}, not right "
                f"behind the one before it, at {begins[at] * itemsize}; {_MEND}"
            )
        done = int(begins[-1] + some[-1])
    return done


def _check_documents(path: Path, documents: npt.NDArray[Any], sequences: int) -> None:
    before = 0
    for first in range(0, len(documents), CHUNK):
        some = documents[first : first + CHUNK]
        falls = some < np.concatenate([np.array([before]), some[:-1]])
        if falls.any():
            at = int(falls.argmax())
            raise InvalidInput(
                f"{path}: document boundary {first + at} is {some[at]}, less than the one before it; "
                f"{_MEND}"
            )
        before = int(some[-1])
    if not len(documents) or documents[0] != 0 or before != sequences:
        raise InvalidInput(
            f"{path}: document boundaries go from {documents[0] if len(documents) else 'nothing'} to "
            f"{before}, not from 0 to the number of sequences, {sequences}; {_MEND}"
        )
