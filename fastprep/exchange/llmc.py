"""llm.c's ``.bin`` files: 256 int32 of header, then ids back to back, uint16 or uint32.

The header contains a magic number, a version and the number of ids; the rest of it is zero. An end
token *precedes* each document. Files are numbered and have a fixed number of ids, and documents
continue from one to the next. The first of them is by convention the validation split.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastprep.errors import InvalidInput
from fastprep.exchange.layouts import IdRange, ShardSource, file_size, read_ids

HEADER_BYTES = 1024
#: Bytes per id -> magic number and version.
KINDS = {2: (20240520, 1), 4: (20240801, 7)}
#: Ids per file: the header counts in int32.
MAX_TOKENS = (1 << 31) - 1
#: Ids per file in llm.c's own scripts.
SHARD_TOKENS = 100_000_000
_FIX = "copy it again, or write it again with the program that made it"


def header(itemsize: int, tokens: int) -> bytes:
    """Return the header of a file of `tokens` ids of `itemsize` bytes.

    >>> np.frombuffer(header(2, 7), "<i4")[:4].tolist()
    [20240520, 1, 7, 0]
    """
    numbers = np.zeros(HEADER_BYTES // 4, "<i4")
    numbers[:3] = [*KINDS[itemsize], tokens]
    return numbers.tobytes()


def read(
    paths: Sequence[Path], end_token: int | None, *, prepend: bool = False
) -> list[ShardSource]:
    """Read the layout of consecutive files: one source per file in which a document starts.

    In these files the end token precedes a document; in a store it follows, unless `prepend`. A
    source therefore reaches from after the first end token of a file up to and including the first
    one of the next file that has one: all its documents are whole, and each is closed by the end
    token that opens the next. Ids before the first end token of the first file, the rest of a
    document that started elsewhere, are kept. With `prepend` the end tokens stay before the
    documents, and each source starts with one.

    Raises InvalidInput for a file that is missing, is not llm.c's, or has another size than its
    header says.
    """
    files = [_file_range(path) for path in paths]
    if end_token is None:
        return [ShardSource((part,)) for part in files]
    # Per file the index of its first end token, or the number of its ids.
    firsts = [_find(part, end_token) for part in files]
    shift = 0 if prepend else 1  # ids from that token to the boundary between two sources
    sources: list[ShardSource] = []
    pending: list[IdRange] = []
    for number, (part, first) in enumerate(zip(files, firsts, strict=True)):
        if first == part.num_ids:  # all of it continues a document
            pending.append(part)
            continue
        if number or first:
            pending.append(_slice(part, 0, first + shift))
            sources.append(ShardSource(tuple(pending)))
        pending = [_slice(part, first + shift, part.num_ids)]
    if any(part.num_ids for part in files):
        sources.append(ShardSource(tuple(pending), lacks_last_end=not prepend))
    return sources


def _file_range(path: Path) -> IdRange:
    size = file_size(path, "llm.c's files have a header and ids")
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
    if len(head) < HEADER_BYTES:
        raise InvalidInput(f"{path}: {size} bytes, less than its header's {HEADER_BYTES}; {_FIX}")
    magic, version, tokens = np.frombuffer(head, "<i4")[:3].tolist()
    itemsize = next((key for key, kind in KINDS.items() if kind == (magic, version)), None)
    if itemsize is None:
        raise InvalidInput(
            f"{path}: magic number {magic} and version {version} are not llm.c's "
            f"({', '.join(f'{a} with {b}' for a, b in KINDS.values())}); is it raw ids, as nanoGPT's?"
        )
    if tokens < 0 or size != HEADER_BYTES + tokens * itemsize:
        raise InvalidInput(
            f"{path}: {size} bytes, but its header records {tokens} ids of {itemsize} bytes after "
            f"{HEADER_BYTES} bytes of header; {_FIX}"
        )
    dtype: np.dtype[Any] = np.dtype("<u2" if itemsize == 2 else "<u4")
    return IdRange(path, dtype, HEADER_BYTES, tokens)


def _find(part: IdRange, token: int) -> int:
    """Return the index of the first `token`, or the number of ids if there is none."""
    done = 0
    for ids in read_ids(part):
        hits = ids == token
        if hits.any():
            return done + int(hits.argmax())
        done += len(ids)
    return part.num_ids


def _slice(part: IdRange, start: int, stop: int) -> IdRange:
    return part._replace(offset=part.offset + start * part.dtype.itemsize, num_ids=stop - start)
