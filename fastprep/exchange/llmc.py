"""llm.c's ``.bin`` files: 256 int32 of header, then ids back to back, uint16 or uint32.

The header holds a magic number, a version and the number of ids; the rest of it is zero. An end
token stands *before* each document. Files are numbered, of a fixed number of ids, and documents go
on from one to the next. The first of them is by custom the validation split.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastprep.errors import InvalidInput
from fastprep.exchange.layouts import Part, Source, file_size, read_ids

HEADER_BYTES = 1024
#: Bytes of an id -> magic number and version.
KINDS = {2: (20240520, 1), 4: (20240801, 7)}
#: The header counts in int32.
MOST_TOKENS = (1 << 31) - 1
#: As llm.c's own scripts cut.
SHARD_TOKENS = 100_000_000
_MEND = "copy it again, or write it again with the program that made it"


def header(itemsize: int, tokens: int) -> bytes:
    """The header of a file of so many ids.

    Examples
    --------
    >>> np.frombuffer(header(2, 7), "<i4")[:4].tolist()
    [20240520, 1, 7, 0]
    """
    numbers = np.zeros(HEADER_BYTES // 4, "<i4")
    numbers[:3] = [*KINDS[itemsize], tokens]
    return numbers.tobytes()


def read(paths: Sequence[Path], end_token: int | None, *, to_front: bool = False) -> list[Source]:
    """What becomes of some files in a row: a source for each in which a document begins.

    The end tokens stand before documents; ours stand behind them. So what follows the first end
    token of a file, up to the first one of the next with it, is a source: every document in it is
    whole, and closed by the end token that opens the next. What stands before the first end token of
    the first file is the rest of a document that began elsewhere; it is kept. With ``to_front`` the
    end tokens stay before documents, and each source begins with one.

    Raises
    ------
    InvalidInput
        for a file that is missing, is none of llm.c's, or has another size than it says.
    """
    parts = [_part(path) for path in paths]
    if end_token is None:
        return [Source((part,)) for part in parts]
    # Where in each file its first end token is, or where the file ends.
    firsts = [_find(part, end_token) for part in parts]
    behind = 0 if to_front else 1  # where a source ends and the next begins, from the token on
    sources: list[Source] = []
    open_parts: list[Part] = []
    for number, (part, first) in enumerate(zip(parts, firsts, strict=True)):
        if first == part.size:  # all of it goes on with a document
            open_parts.append(part)
            continue
        if number or first:
            open_parts.append(_slice(part, 0, first + behind))
            sources.append(Source(tuple(open_parts)))
        open_parts = [_slice(part, first + behind, part.size)]
    if any(part.size for part in parts):
        sources.append(Source(tuple(open_parts), opens=not to_front))
    return sources


def _part(path: Path) -> Part:
    size = file_size(path, "llm.c's files have a header and ids")
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
    if len(head) < HEADER_BYTES:
        raise InvalidInput(f"{path}: {size} bytes, less than its header's {HEADER_BYTES}; {_MEND}")
    magic, version, tokens = np.frombuffer(head, "<i4")[:3].tolist()
    itemsize = next((key for key, kind in KINDS.items() if kind == (magic, version)), None)
    if itemsize is None:
        raise InvalidInput(
            f"{path}: magic number {magic} and version {version} are none of llm.c's "
            f"({', '.join(f'{a} with {b}' for a, b in KINDS.values())}); is it raw ids, as nanoGPT's?"
        )
    if tokens < 0 or size != HEADER_BYTES + tokens * itemsize:
        raise InvalidInput(
            f"{path}: {size} bytes, but its header tells of {tokens} ids of {itemsize} bytes behind "
            f"{HEADER_BYTES} of header; {_MEND}"
        )
    dtype: np.dtype[Any] = np.dtype("<u2" if itemsize == 2 else "<u4")
    return Part(path, dtype, HEADER_BYTES, tokens)


def _find(part: Part, token: int) -> int:
    done = 0
    for ids in read_ids(part):
        hits = ids == token
        if hits.any():
            return done + int(hits.argmax())
        done += len(ids)
    return part.size


def _slice(part: Part, start: int, stop: int) -> Part:
    return part._replace(offset=part.offset + start * part.dtype.itemsize, size=stop - start)
