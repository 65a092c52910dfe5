"""Encoder of a text file into a file of ids: block by block, on several threads, in constant memory.

numpy is not used: importing it takes as long as encoding 20 MB.
"""

from __future__ import annotations

import os
import threading

from fastprep.encoding import cutting
from fastprep.errors import InvalidInput, InvalidUtf8
from fastprep.system.arguments import MAX_WORKERS, local_path, whole_number
from fastprep.system.atomic import replacing
from fastprep.system.byte_order import empty_array
from fastprep.system.host import write_at
from fastprep.system.threads import helpers
from fastprep_ext.base import release_blocks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from io import FileIO
    from os import PathLike
    from typing import TypeAlias

    import numpy.typing as npt

    from fastprep.encoding.encoding import Encoding
    from fastprep.system.byte_order import Letter

    Ids: TypeAlias = memoryview[int]

# The speed is the same from 64 KiB to 2 MiB, and 0.8 times that with 4 MiB.
BLOCK_BYTES = 1 << 19
# Blocks per thread that may be encoded while an earlier block is not.
_MAX_BLOCKS_AHEAD = 4


def encode_file(
    encoding: Encoding,
    source: str | PathLike[str],
    target: str | PathLike[str],
    dtype: npt.DTypeLike | None = None,
    workers: int = 1,
) -> int:
    """Encode a text file into a file of ids; see :meth:`fastprep.Encoding.encode_file`."""
    workers = whole_number(workers, "workers", most=MAX_WORKERS)
    letter = _letter(encoding, dtype)
    path, result = local_path(source, "the source"), local_path(target, "the target")
    try:
        file = path.open("rb", buffering=0)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise InvalidInput(f"{path}: {error.strerror}; give a text file") from None
    with file, replacing(result, sync=False) as sink:
        job = _Job(encoding, file, sink.fileno(), letter, _MAX_BLOCKS_AHEAD * workers)
        try:
            with helpers(job.work, workers - 1, stop=job.stop):
                job.work()
        finally:
            release_blocks()
        if job.failed:
            raise job.failed[min(job.failed)]
    return job.count


def _letter(encoding: Encoding, dtype: npt.DTypeLike | None) -> Letter:
    """Return the dtype of the ids as a letter of memoryview."""
    if dtype is None:
        return "H" if encoding.max_token_value < 1 << 16 else "I"
    import numpy as np

    wanted = np.dtype(dtype)
    if wanted not in (np.dtype(np.uint16), np.dtype(np.uint32)):
        raise ValueError(f"ids are uint16 or uint32 in a file, not {wanted}")
    return "H" if wanted.itemsize == 2 else "I"


class _Job:
    """State that the threads of one file share.

    Blocks are read in order and encoded in parallel; each is written once all blocks before it are
    counted, so that its offset in the file is known.
    """

    def __init__(
        self, encoding: Encoding, source: FileIO, target: int, letter: Letter, max_ahead: int
    ) -> None:
        self.count = 0  # ids whose offset in the file is known
        self.failed: dict[int, BaseException] = {}  # by block
        self.stopped = False
        self._encoding = encoding
        self._source = source
        self._target = target
        self._letter = letter
        self._max_ahead = max_ahead
        self._blocks = _Blocks(source, encoding.may_be_cut)
        self._reading = threading.Lock()
        self._placing = threading.Condition()
        self._placed = 0  # blocks whose offset is known
        self._pending: dict[int, Ids] = {}  # ids of the other blocks
        self._free_buffers: list[Ids] = []

    def stop(self) -> None:
        """Make the threads end after their current block."""
        self.stopped = True

    def work(self) -> None:
        """Encode blocks until the end of the text, or until a thread fails."""
        text = bytearray()
        number = -1
        try:
            while not self.stopped:
                # Not "with", which needs memory to release the lock.
                self._reading.acquire()
                try:
                    text, size, start = self._blocks.next(text)
                    number = self._blocks.number
                finally:
                    self._reading.release()
                if size == 0:
                    break
                self._write(self._place(number, self._encode(text, size, start)))
        except BaseException as error:  # raised by encode_file
            self.failed[number] = error
            self.stopped = True
        self._placing.acquire()
        try:
            self._placing.notify_all()
        finally:
            self._placing.release()

    def _encode(self, text: bytearray, size: int, start: int) -> Ids:
        needed = self._encoding.most_ids(size, 1) + 1
        out = self._free_buffers.pop() if self._free_buffers else empty_array(0, self._letter)
        if len(out) < needed:
            out = empty_array(needed, self._letter)
        ends = memoryview(bytearray(8)).cast("Q")
        try:
            count = self._encoding.encode_documents([memoryview(text)[:size]], out, ends)
        except InvalidUtf8 as error:
            at = start + error.offset
            raise InvalidUtf8(
                f"{os.fspath(self._source.name)}, byte {at}: no UTF-8 character starts here; "
                "save the file as UTF-8",
                offset=at,
            ) from None
        return out[:count]

    def _place(self, number: int, ids: Ids) -> list[tuple[int, Ids]]:
        """Return the blocks whose offset is now known, each with the number of ids before it."""
        found = []
        self._placing.acquire()
        try:
            while number - self._placed > self._max_ahead and not self.stopped:
                self._placing.wait(1.0)  # a thread may have had no memory to notify
            self._pending[number] = ids
            while self._placed in self._pending:
                ids = self._pending.pop(self._placed)
                found.append((self.count, ids))
                self.count += len(ids)
                self._placed += 1
            self._placing.notify_all()
        finally:
            self._placing.release()
        return found

    def _write(self, placed: list[tuple[int, Ids]]) -> None:
        for before, ids in placed:
            content = ids.cast("B")
            at = before * ids.itemsize
            while content:
                written = write_at(self._target, content, at)
                content, at = content[written:], at + written
            self._free_buffers.append(memoryview(ids.obj).cast(self._letter))


class _Blocks:
    """Reader of a text in blocks, cut so that the ids of the blocks are the ids of the text."""

    def __init__(self, source: FileIO, may_be_cut: bool) -> None:
        self.number = -1  # of the last block read
        self._source = source
        self._may_be_cut = may_be_cut
        self._rest = b""  # text after the last block
        self._start = 0  # its offset in the file

    def next(self, text: bytearray) -> tuple[bytearray, int, int]:
        """Read the next block; return its buffer, its size (0 at the end), and its offset in the file.

        The buffer `text` is used again if it is large enough.
        """
        self.number += 1
        filled = len(self._rest)
        wanted = BLOCK_BYTES
        text[:filled] = self._rest
        while True:
            # Doubling keeps the copying linear in a text without a place to cut.
            wanted = max(wanted, 2 * filled) if self._may_be_cut else 2 * (filled + BLOCK_BYTES)
            if len(text) < wanted:
                text = text[:filled] + bytes(wanted - filled)
            with memoryview(text) as view:
                read = self._source.readinto(view[filled:wanted])
            filled += read or 0
            end = filled
            if not read:
                break
            if self._may_be_cut and filled >= BLOCK_BYTES:
                end = cutting.last_cut(text, 0, filled)
                if end:
                    break
        start, self._start = self._start, self._start + end
        self._rest = bytes(memoryview(text)[end:filled])
        return text, end, start
