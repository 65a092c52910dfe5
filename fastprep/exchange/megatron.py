"""Megatron-LM's indexed dataset: a ``.bin`` of ids, and an ``.idx`` with the offsets of sequences.

The ``.bin`` has no header; its ids are uint16 or int32, so a shard of a store is one unchanged. The
``.idx``, all little-endian::

    byte 0         "MMIDIDX", two zero bytes
         9         u64      version, 1
        17         u8       code of the ids' dtype
        18         u64      S, sequences
        26         u64      D, documents + 1
        34         i32[S]   ids in each sequence
        34 +  4 S  i64[S]   byte of the .bin at which each sequence starts
        34 + 12 S  i64[D]   the index of the sequence at which each document starts, and S

In the files written here a sequence is a document.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastprep.errors import IdOutOfRange, InvalidInput
from fastprep.exchange.layouts import CHUNK, Ends, IdRange, ShardSource, file_size, map_array
from fastprep.system.atomic import replacing

MAGIC = b"MMIDIDX\0\0"
HEADER_BYTES = 34
#: dtype -> code; Megatron has no uint32, but ids below 2**31 have int32's bytes.
CODES = {"uint16": 8, "uint32": 4}
_INTEGERS = {1: "<u1", 2: "<i1", 3: "<i2", 4: "<i4", 5: "<i8", 8: "<u2"}
_FLOATS = {6: "float64", 7: "float32"}
_MAX_LENGTH = (1 << 31) - 1
_FIX = "copy the pair again, or write it again with the program that made it"


def write_index(path: Path, dtype: str, shards: Sequence[Callable[[], Iterable[Ends]]]) -> None:
    """Write the ``.idx`` of shards whose ids are concatenated in one ``.bin``, atomically.

    `dtype` is ``"uint16"`` or ``"uint32"``. Each of `shards` yields the document ends of a shard in
    chunks, in ids from the shard's start. It is called three times, so that memory is one chunk,
    whatever the number of documents. Raises IdOutOfRange for a document of 2**31 ids or more, which
    no ``.idx`` can record.

    >>> path = tmp / "two.idx"
    >>> write_index(path, "uint16", [lambda: [np.array([3, 5], np.uint64)]])
    >>> path.stat().st_size == 34 + 12 * 2 + 8 * 3
    True
    """
    itemsize = np.dtype(dtype).itemsize
    documents = sum(len(ends) for shard in shards for ends in shard())
    with replacing(path) as file:
        file.write(MAGIC + struct.pack("<QBQQ", 1, CODES[dtype], documents, documents + 1))
        done = 0
        for starts, ends in _document_bounds(shards):
            lengths = ends - starts
            if len(lengths) and int(lengths.max()) > _MAX_LENGTH:
                document = done + int(lengths.argmax())
                raise IdOutOfRange(
                    f"{path}: document {document} has {lengths.max()} ids, and an .idx holds lengths "
                    f"up to {_MAX_LENGTH}; leave that document out, or split it"
                )
            file.write(lengths.astype("<i4").tobytes())
            done += len(lengths)
        for starts, _ in _document_bounds(shards):
            file.write((starts * np.int64(itemsize)).astype("<i8").tobytes())
        for first in range(0, documents + 1, CHUNK):
            file.write(np.arange(first, min(first + CHUNK, documents + 1), dtype="<i8").tobytes())


def _document_bounds(
    shards: Sequence[Callable[[], Iterable[Ends]]],
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Yield the starts and the ends of documents, in ids of all shards together."""
    base = 0
    for shard in shards:
        before = base
        for chunk in shard():
            if len(chunk):
                ends = chunk.astype(np.int64) + base
                yield np.concatenate([np.array([before], np.int64), ends[:-1]]), ends
                before = int(ends[-1])
        base = before


def read(path: Path) -> ShardSource:
    """Read the layout of a pair, named by its ``.bin``, its ``.idx`` or their common prefix.

    Raises InvalidInput if one of the two is missing or truncated, contradicts the other, or does
    not hold ids.
    """
    prefix = path.with_suffix("") if path.suffix in (".bin", ".idx") else path
    index, ids = Path(f"{prefix}.idx"), Path(f"{prefix}.bin")
    dtype, sequences, boundaries = _header(index)
    lengths = map_array(index, "<i4", HEADER_BYTES, sequences)
    pointers = map_array(index, "<i8", HEADER_BYTES + 4 * sequences, sequences)
    documents = map_array(index, "<i8", HEADER_BYTES + 12 * sequences, boundaries)
    count = _check_sequences(index, lengths, pointers, dtype.itemsize)
    _check_documents(index, documents, sequences)
    size = file_size(ids, "Megatron's ids are in a .bin beside their .idx")
    if size != count * dtype.itemsize:
        raise InvalidInput(
            f"{ids}: {size} bytes, but {index.name} records {count} ids of {dtype.itemsize} bytes "
            f"each; {_FIX}"
        )

    def ends() -> Iterator[Ends]:
        for first in range(1, boundaries, CHUNK):
            following = documents[first : first + CHUNK]  # the sequence after each document
            exists = following < sequences
            found = np.full(len(following), count, np.uint64)
            found[exists] = (pointers[following[exists]] // dtype.itemsize).astype(np.uint64)
            yield found

    return ShardSource((IdRange(ids, dtype, 0, count),), ends)


def _header(path: Path) -> tuple[np.dtype[Any], int, int]:
    """Return the dtype of the ids, S and D."""
    size = file_size(path, "Megatron's index is an .idx beside its .bin")
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
    if head[: len(MAGIC)] != MAGIC:
        raise InvalidInput(
            f"{path}: starts with {head[:9]!r}, not with {MAGIC!r}; this is not an index of Megatron's"
        )
    if len(head) < HEADER_BYTES:
        raise InvalidInput(f"{path}: {size} bytes, less than its header's {HEADER_BYTES}; {_FIX}")
    version, code, sequences, boundaries = struct.unpack_from("<QBQQ", head, len(MAGIC))
    if version != 1:
        raise InvalidInput(f"{path}: version {version}; only version 1 is supported; {_FIX}")
    if code not in _INTEGERS:
        raise InvalidInput(
            f"{path}: dtype code {code} ({_FLOATS.get(code, 'unknown')}) is not an integer dtype; only "
            "files of ids can be imported"
        )
    expected = HEADER_BYTES + 12 * sequences + 8 * boundaries
    if size == expected + sequences and sequences:
        raise InvalidInput(
            f"{path}: each sequence has a mode, so this is multimodal data; only text can be imported"
        )
    if size != expected:
        raise InvalidInput(
            f"{path}: {size} bytes, but {sequences} sequences and {boundaries} document boundaries "
            f"take {expected}; {_FIX}"
        )
    return np.dtype(_INTEGERS[code]), sequences, boundaries


def _check_sequences(
    path: Path, lengths: npt.NDArray[Any], pointers: npt.NDArray[Any], itemsize: int
) -> int:
    """Check that sequences are adjacent from byte 0 on; return the number of their ids."""
    done = 0
    for first in range(0, len(lengths), CHUNK):
        some = lengths[first : first + CHUNK].astype(np.int64)
        if int(some.min()) < 0:
            at = int((some < 0).argmax())
            raise InvalidInput(f"{path}: sequence {first + at} has {some[at]} ids; {_FIX}")
        starts = done + np.cumsum(some) - some
        wrong = pointers[first : first + CHUNK] != starts * itemsize
        if wrong.any():
            at = int(wrong.argmax())
            raise InvalidInput(
                f"{path}: sequence {first + at} starts at byte {pointers[first + at]}, not at "
                f"{starts[at] * itemsize}, right after the one before it; {_FIX}"
            )
        done = int(starts[-1] + some[-1])
    return done


def _check_documents(path: Path, documents: npt.NDArray[Any], sequences: int) -> None:
    """Raise InvalidInput unless document boundaries ascend from 0 to the number of sequences."""
    before = 0
    for first in range(0, len(documents), CHUNK):
        some = documents[first : first + CHUNK]
        falls = some < np.concatenate([np.array([before]), some[:-1]])
        if falls.any():
            at = int(falls.argmax())
            raise InvalidInput(
                f"{path}: document boundary {first + at} is {some[at]}, less than the one before it; "
                f"{_FIX}"
            )
        before = int(some[-1])
    if not len(documents) or documents[0] != 0 or before != sequences:
        raise InvalidInput(
            f"{path}: document boundaries run from {documents[0] if len(documents) else 'nothing'} to "
            f"{before}, not from 0 to the number of sequences, {sequences}; {_FIX}"
        )
