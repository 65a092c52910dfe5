"""A text file to a file of ids, a block at a time, on several threads, in memory that does not grow.

Nothing here needs numpy: to import it takes as long as to encode 20 MB.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from fastprep.encoding import cutting
from fastprep.encoding.decoding import check_threads
from fastprep.errors import InvalidInput, InvalidUtf8
from fastprep.system.atomic import replacing
from fastprep.system.byte_order import room_for
from fastprep.system.threads import helpers

TYPE_CHECKING = False  # typing.TYPE_CHECKING without typing, which takes long to import
if TYPE_CHECKING:
    from io import FileIO
    from os import PathLike
    from typing import TypeAlias

    import numpy.typing as npt

    from fastprep.encoding.encoding import Encoding
    from fastprep.system.byte_order import Letter

    Ids: TypeAlias = memoryview[int]

# From 64 KiB to 2 MiB the speed is the same; with 4 MiB it is 0.8 times.
BLOCK_BYTES = 1 << 19
_AHEAD = 4  # blocks a thread that may be encoded while an earlier one is not


def encode_file(
    encoding: Encoding,
    source: str | PathLike[str],
    target: str | PathLike[str],
    dtype: npt.DTypeLike | None = None,
    workers: int = 1,
) -> int:
    """See :meth:`fastprep.Encoding.encode_file`."""
    check_threads(workers)
    letter = _letter(encoding, dtype)
    path = Path(source)
    try:
        file = path.open("rb", buffering=0)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise InvalidInput(f"{path}: {error.strerror}; give a text file") from None
    with file, replacing(Path(target), sync=False) as sink:
        job = _Job(encoding, file, sink.fileno(), letter, _AHEAD * workers)
        with helpers(job.work, workers - 1, stop=job.stop):
            job.work()
        if job.failed:
            raise job.failed[min(job.failed)]
    return job.count


def _letter(encoding: Encoding, dtype: npt.DTypeLike | None) -> Letter:
    """The dtype of the ids, as a memoryview spells it."""
    if dtype is None:
        return "H" if encoding.max_token_value < 1 << 16 else "I"
    import numpy as np

    wanted = np.dtype(dtype)
    if wanted not in (np.dtype(np.uint16), np.dtype(np.uint32)):
        raise ValueError(f"ids are uint16 or uint32 in a file, not {wanted}")
    return "H" if wanted.itemsize == 2 else "I"


class _Job:
    """What the threads of one file share. Blocks are read in order, encoded at once, written where
    they belong as soon as all before them are counted."""

    def __init__(
        self, encoding: Encoding, source: FileIO, target: int, letter: Letter, ahead: int
    ) -> None:
        self.count = 0  # ids whose place in the file is known
        self.failed: dict[int, BaseException] = {}  # by block
        self.stopped = False
        self._encoding = encoding
        self._source = source
        self._target = target
        self._letter = letter
        self._ahead = ahead
        self._blocks = _Blocks(source, encoding.may_be_cut)
        self._reading = threading.Lock()
        self._placing = threading.Condition()
        self._placed = 0  # blocks
        self._waiting: dict[int, Ids] = {}  # ids of blocks that are not placed
        self._spare: list[Ids] = []

    def stop(self) -> None:
        """Let threads end after the block that they are at."""
        self.stopped = True

    def work(self) -> None:
        """What each thread does until there is no more text, or none that matters."""
        text = bytearray()
        number = -1
        try:
            while not self.stopped:
                with self._reading:
                    text, size, start = self._blocks.next(text)
                    number = self._blocks.number
                if size == 0:
                    break
                self._write(self._place(number, self._encode(text, size, start)))
        except BaseException as error:  # the calling thread raises it
            self.failed[number] = error
            self.stopped = True
        with self._placing:
            self._placing.notify_all()

    def _encode(self, text: bytearray, size: int, start: int) -> Ids:
        room = self._encoding.most_ids(size, 1) + 1
        out = self._spare.pop() if self._spare else room_for(0, self._letter)
        if len(out) < room:
            out = room_for(room, self._letter)
        ends = memoryview(bytearray(8)).cast("Q")
        try:
            count = self._encoding.encode_documents([memoryview(text)[:size]], out, ends)
        except InvalidUtf8 as error:
            at = start + error.offset
            raise InvalidUtf8(
                f"{os.fspath(self._source.name)}, byte {at}: no UTF-8 character begins here; "
                "save the file as UTF-8",
                offset=at,
            ) from None
        return out[:count]

    def _place(self, number: int, ids: Ids) -> list[tuple[int, Ids]]:
        """The blocks whose place in the file is known now, each with the number of ids before it."""
        found = []
        with self._placing:
            while number - self._placed > self._ahead and not self.stopped:
                self._placing.wait()
            self._waiting[number] = ids
            while self._placed in self._waiting:
                ids = self._waiting.pop(self._placed)
                found.append((self.count, ids))
                self.count += len(ids)
                self._placed += 1
            self._placing.notify_all()
        return found

    def _write(self, placed: list[tuple[int, Ids]]) -> None:
        for before, ids in placed:
            content = ids.cast("B")
            at = before * ids.itemsize
            while content:
                written = os.pwrite(self._target, content, at)
                content, at = content[written:], at + written
            self._spare.append(memoryview(ids.obj).cast(self._letter))


class _Blocks:
    """The text in blocks whose ids, put together, are its ids."""

    def __init__(self, source: FileIO, may_be_cut: bool) -> None:
        self.number = -1  # of the block that was read last
        self._source = source
        self._may_be_cut = may_be_cut
        self._rest = b""  # what was read and not handed out
        self._start = 0  # its first byte in the file

    def next(self, text: bytearray) -> tuple[bytearray, int, int]:
        """The next block, in this memory or in other; its size, 0 behind the last; its first byte."""
        self.number += 1
        filled = len(self._rest)
        wanted = BLOCK_BYTES
        text[:filled] = self._rest
        while True:
            # As much again as there is keeps the copying linear where no place to cut comes.
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
