"""Batches of documents to one shard on disk, whole or not at all."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import numpy.typing as npt

from fastprep.atomic import replacing
from fastprep.errors import IdOutOfRange, InvalidUtf8
from fastprep.manifest import BlockChecksum, Ids, ShardRecord, dtype_for, shard_path
from fastprep.spans import Batch, Span

if TYPE_CHECKING:
    from fastprep.encoding import Encoding


class ShardWriter:
    """Encodes batches of documents and writes them as one shard.

    The two files appear when :meth:`write` ends well, each under its name at once; nothing
    appears when it does not. The buffers are reused from batch to batch: two or four bytes for
    each byte of a batch, and 8 bytes a document.

    Parameters
    ----------
    encoding
        makes the ids; decides the dtype.
    end_token
        the id to put after each document, or None.
    """

    def __init__(self, encoding: Encoding, end_token: int | None) -> None:
        self._encoding = encoding
        self._end_token = end_token
        self._n_vocab = encoding.n_vocab
        self._ids: Ids = np.empty(0, dtype_for(encoding.n_vocab))
        self._ends: npt.NDArray[np.uint64] = np.empty(0, np.uint64)

    def write(
        self, directory: Path, index: int, batches: Iterable[Batch], inputs: list[Span]
    ) -> ShardRecord:
        """Write shard ``index`` into a directory, and return its entry in the manifest.

        Raises
        ------
        InvalidUtf8
            naming the file and the byte.
        IdOutOfRange
            when the encoding gives an id that its own vocabulary does not have.
        OSError
            as the system says.
        """
        tokens = documents = 0
        max_id = -1
        with contextlib.ExitStack() as stack:
            ids_file = _CheckedFile(
                stack.enter_context(replacing(shard_path(directory, index, "bin")))
            )
            ends_file = _CheckedFile(
                stack.enter_context(replacing(shard_path(directory, index, "ends")))
            )
            for batch in batches:
                ids, ends = self._encode(batch)
                if len(ids):
                    max_id = max(max_id, int(ids.max()))
                    if max_id >= self._n_vocab:
                        raise IdOutOfRange(
                            f"{self._encoding.name} gave the id {max_id}, but its vocabulary has "
                            f"{self._n_vocab}; this is a fault of the encoding: do not use it"
                        )
                ends += np.uint64(tokens)
                ids_file.write(ids)
                ends_file.write(ends)
                tokens += len(ids)
                documents += len(ends)
        return ShardRecord(
            tokens=tokens,
            documents=documents,
            max_id=max_id if tokens else None,
            bin_crc32=ids_file.checksum.values(),
            ends_crc32=ends_file.checksum.values(),
            inputs=inputs,
        )

    def _encode(self, batch: Batch) -> tuple[Ids, npt.NDArray[np.uint64]]:
        """The ids of a batch and the ends of those documents that end in it."""
        # And an end token for each.
        room = self._encoding.most_ids(batch.size, len(batch.texts)) + len(batch.texts)
        if len(self._ids) < room:
            self._ids = np.empty(room, self._ids.dtype)
        if len(self._ends) < len(batch.texts):
            self._ends = np.empty(len(batch.texts), np.uint64)
        try:
            count = self._encoding.encode_documents(
                batch.texts,
                self._ids,
                self._ends,
                end_token=self._end_token,
                close_last=batch.closed,
            )
        except InvalidUtf8 as error:
            place, position = batch.place(error.index, error.offset)
            raise InvalidUtf8(
                f"{place}: the bytes there are not UTF-8; convert the file to UTF-8",
                offset=position,
            ) from None
        ended = len(batch.texts) - (0 if batch.closed else 1)
        return self._ids[:count], self._ends[:ended]


class _CheckedFile:
    """Arrays to a file in little-endian order, with the checksums of its blocks."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.checksum = BlockChecksum()

    def write(self, array: npt.NDArray[np.unsignedinteger]) -> None:
        if not len(array):
            return
        if sys.byteorder == "big":
            array = array.byteswap()
        content = memoryview(array).cast("B")
        self.checksum.update(content)
        self._file.write(content)
