"""A text file to a file of ids, a block at a time, on several threads, in memory that does not grow."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from os import PathLike
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from fastprep import cutting
from fastprep.atomic import replacing
from fastprep.decoding import check_threads
from fastprep.encoding import Encoding
from fastprep.errors import InvalidInput, InvalidUtf8

# From 64 KiB to 2 MiB the speed is the same; with 4 MiB it is 0.8 times.
BLOCK_BYTES = 1 << 19
_AHEAD = 2  # blocks that wait for each thread


Ids: TypeAlias = "npt.NDArray[np.uint16] | npt.NDArray[np.uint32]"


class _Block(NamedTuple):
    start: int  # its first byte in the file
    text: bytes


def encode_file(
    encoding: Encoding,
    source: str | PathLike[str],
    target: str | PathLike[str],
    dtype: npt.DTypeLike | None = None,
    workers: int = 1,
) -> int:
    """See :meth:`fastprep.encoding.Encoding.encode_file`."""
    check_threads(workers)
    wanted = np.dtype(dtype or (np.uint16 if encoding.max_token_value < 1 << 16 else np.uint32))
    if wanted not in (np.dtype(np.uint16), np.dtype(np.uint32)):
        raise ValueError(f"ids are uint16 or uint32 in a file, not {wanted}")
    path, count = Path(source), 0
    buffers: list[Ids] = []
    ends = np.empty(1, np.uint64)  # written by all threads, read by none

    def encode(block: _Block) -> Ids:
        room = encoding.most_ids(len(block.text), 1) + 1
        out = buffers.pop() if buffers else np.empty(0, wanted)
        if len(out) < room:
            out = np.empty(room, wanted)
        try:
            return out[: encoding.encode_documents([block.text], out, ends)]
        except InvalidUtf8 as error:
            raise InvalidUtf8(
                f"{path}, byte {block.start + error.offset}: no UTF-8 character begins here; "
                "save the file as UTF-8",
                offset=block.start + error.offset,
            ) from None

    try:
        file = path.open("rb")
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise InvalidInput(f"{path}: {error.strerror}; give a text file") from None
    with file, replacing(Path(target), sync=False) as sink:
        for ids in _in_order(encode, _blocks(file, encoding.may_be_cut), workers):
            sink.write(memoryview(ids))
            count += len(ids)
            buffers.append(ids.base if isinstance(ids.base, np.ndarray) else ids)
    return count


def _blocks(file: BinaryIO, may_be_cut: bool) -> Iterator[_Block]:
    """The text in blocks whose ids, put together, are its ids."""
    data, start = b"", 0
    while True:
        # As much again as there is keeps the copying linear where no place to cut comes.
        chunk = file.read(max(BLOCK_BYTES, len(data)) if may_be_cut else -1)
        data += chunk
        if not chunk:
            break
        if may_be_cut and len(data) >= BLOCK_BYTES and (at := cutting.last_cut(data, 0, len(data))):
            yield _Block(start, data[:at])
            data, start = data[at:], start + at
    if data:
        yield _Block(start, data)


def _in_order(
    encode: Callable[[_Block], Ids], blocks: Iterator[_Block], workers: int
) -> Iterator[Ids]:
    """What each block gives, in order; with several workers some are encoded ahead."""
    if workers == 1:
        yield from map(encode, blocks)
        return
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[Ids]] = deque()
        try:
            for block in blocks:
                waiting.append(pool.submit(encode, block))
                if len(waiting) > _AHEAD * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
