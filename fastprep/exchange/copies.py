"""Copy of the ids of another program into one shard: checked and checksummed on the way.

Ids are copied unchanged and in order; each is checked against the vocabulary, and each document end
against the ids. Memory is a few MiB, whatever the size of the files.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from fastprep.corpus.documents import Span
from fastprep.errors import IdOutOfRange, InvalidInput
from fastprep.exchange.layouts import Ends, IdRange, ShardSource, map_array, read_ids
from fastprep.jobs.job import encoding_record
from fastprep.store import manifest as manifests
from fastprep.store.encodings import StoreEncoding, vocabulary_record
from fastprep.store.manifest import BlockChecksum, Manifest, ShardRecord, shard_path
from fastprep.system.atomic import link as link_file
from fastprep.system.atomic import replacing

_NO_EOT = "pass eot='none' (--eot none) to import the ids without end tokens"


class ShardCopier(NamedTuple):
    """The settings of an import, and the copy of one shard under them.

    `prepend` says that the end token precedes each document instead of following it; with `link`
    files whose bytes are a shard's are linked, not copied.
    """

    output: Path
    encoding: StoreEncoding
    end_token: int | None
    prepend: bool
    link: bool

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the store's ids: little-endian uint16 or uint32."""
        return np.dtype(manifests.dtype_for(self.encoding.n_vocab)).newbyteorder("<")

    def check(self, source: ShardSource) -> None:
        """Raise InvalidInput for any fault that shows before an id is read."""
        for part in source.ranges:
            if part.path.resolve().parent == self.output.resolve():
                raise InvalidInput(
                    f"{part.path}: an input inside the output would be replaced; choose another output"
                )
            if part.num_ids and part.dtype.itemsize < 4 and self.encoding.n_vocab > 1 << 16:
                raise InvalidInput(
                    f"{part.path}: ids of {8 * part.dtype.itemsize} bits cannot be those of "
                    f"{self.encoding.name!r}, which has {self.encoding.n_vocab}: another encoding made "
                    "them, or they overflowed; name the right encoding, or make them again"
                )
        if self.link:
            for part in source.ranges:
                if part.offset or len(source.ranges) > 1 or source.lacks_last_end:
                    raise InvalidInput(
                        f"{part.path}: a header or an end token would have to be removed, so its "
                        "bytes are not a shard's; import without link (--link)"
                    )
                if part.dtype.itemsize != self.dtype.itemsize:
                    raise InvalidInput(
                        f"{part.path}: ids of {part.dtype.itemsize} bytes, but a store of "
                        f"{self.encoding.name!r} has {self.dtype.itemsize}; import without link (--link)"
                    )

    def copy(self, index: int, source: ShardSource, report: Callable[[int], object]) -> ShardRecord:
        """Copy and check the ids of one shard; `report` is called with numbers of bytes."""
        ids_path, ends_path = (shard_path(self.output, index, kind) for kind in ("bin", "ends"))
        if source.ends is not None:
            with replacing(ends_path, replace_link=False) as file:
                ends_out = _write_ends(
                    source, _ChecksumWriter(file), strict=self.end_token is not None
                )
        with contextlib.ExitStack() as stack:
            target = (
                None if self.link else stack.enter_context(replacing(ids_path, replace_link=False))
            )
            ids_out = _ChecksumWriter(target)
            if source.ends is not None:
                ends = map_array(ends_path, "<u8", 0, ends_out.items)
                max_id = self._copy_with_ends(source, ends, ids_out, report)
            else:
                ends_out = _ChecksumWriter(
                    stack.enter_context(replacing(ends_path, replace_link=False))
                )
                max_id = self._copy_and_find_ends(source, ids_out, ends_out, report)
        if self.link:
            link_file(source.ranges[0].path, ids_path)
        return ShardRecord(
            tokens=ids_out.items,
            documents=ends_out.items,
            max_id=max_id if ids_out.items else None,
            bin_crc32=ids_out.checksum.values(),
            ends_crc32=ends_out.checksum.values(),
            inputs=_spans(source),
        )

    def _copy_with_ends(
        self,
        source: ShardSource,
        ends: Ends,
        out: _ChecksumWriter,
        report: Callable[[int], object],
    ) -> int:
        """Copy ids whose document ends are known; return the largest id."""
        largest = -1
        for part, ids in self._checked_ids(source):
            if self.end_token is not None:
                places, first = self._end_token_places(ends, out.items, out.items + len(ids))
                found = ids[places]
                wrong = found != self.end_token
                if wrong.any():
                    at = int(wrong.argmax())
                    raise InvalidInput(
                        f"{part.path}: document {first + at} "
                        f"{'starts' if self.prepend else 'ends'} with {found[at]}, not with the end "
                        f"token {self.end_token}; {_NO_EOT}"
                    )
                if np.count_nonzero(ids == self.end_token) != len(places):
                    inside = np.setdiff1d(np.flatnonzero(ids == self.end_token), places)
                    raise InvalidInput(
                        f"{part.path}: the end token {self.end_token} is inside a document, at id "
                        f"{out.items + int(inside[0])}; {_NO_EOT}"
                    )
            largest = max(largest, int(ids.max()))
            out.write(ids)
            report(ids.nbytes)
        return largest

    def _end_token_places(
        self, ends: Ends, start: int, stop: int
    ) -> tuple[npt.NDArray[np.int64], int]:
        """Return where end tokens must be in ids `start` to `stop`, and the first one's document."""
        bounds = np.array([start, stop], np.uint64)
        if not self.prepend:
            low, high = np.searchsorted(ends, bounds, "right")
            return ends[low:high].astype(np.int64) - (start + 1), int(low)
        # Document n + 1 starts where document n ends; the first starts at 0.
        low, high = np.searchsorted(ends, bounds, "left")
        places = ends[low:high].astype(np.int64) - start
        if start == 0 and len(ends):
            return np.concatenate([np.zeros(1, np.int64), places]), 0
        return places, int(low) + 1

    def _copy_and_find_ends(
        self,
        source: ShardSource,
        out: _ChecksumWriter,
        ends: _ChecksumWriter,
        report: Callable[[int], object],
    ) -> int:
        """Copy ids whose end tokens separate the documents; return the largest id."""
        largest, last = -1, None
        for _, ids in self._checked_ids(source):
            if self.prepend and last is None and ids[0] != self.end_token:
                self._add_end_token(source, out)
                largest = self.end_token or 0
            if self.end_token is not None:
                found = np.flatnonzero(ids == self.end_token).astype("<u8") + np.uint64(out.items)
                # A token before a document ends the previous one; before the first there is none.
                ends.write(found[found > 0] if self.prepend else found + np.uint64(1))
            largest = max(largest, int(ids.max()))
            last = int(ids[-1])
            out.write(ids)
            report(ids.nbytes)
        appends = self.end_token is not None and not self.prepend
        if appends and (source.lacks_last_end or last not in (None, self.end_token)):
            self._add_end_token(source, out)
            largest = max(largest, self.end_token or 0)
            ends.write(np.array([out.items], "<u8"))
        elif not appends and out.items:
            ends.write(np.array([out.items], "<u8"))
        return largest

    def _add_end_token(self, source: ShardSource, out: _ChecksumWriter) -> None:
        if self.link:
            raise InvalidInput(
                f"{source.ranges[0].path}: a document at its {'start' if self.prepend else 'end'} has "
                f"no end token {self.end_token}, so one would have to be added; import without link "
                "(--link)"
            )
        out.write(np.array([self.end_token], self.dtype))

    def manifest(self, records: list[ShardRecord]) -> Manifest:
        """Return the manifest of a store with these shards."""
        return Manifest(
            format="fastprep token store",
            version=manifests.VERSION,
            dtype=manifests.dtype_for(self.encoding.n_vocab),
            n_vocab=self.encoding.n_vocab,
            encoding=encoding_record(self.encoding),
            vocabulary=vocabulary_record(self.output),
            end_token=self.end_token,
            end_token_first=self.prepend,
            separator=None,
            field="text",
            unicode_version=manifests.UNICODE_VERSION,
            tokens=sum(record.tokens for record in records),
            documents=sum(record.documents for record in records),
            shards=records,
        )

    def _checked_ids(self, source: ShardSource) -> Iterator[tuple[IdRange, npt.NDArray[Any]]]:
        """Yield the ids of all ranges in the store's dtype, after a check against the vocabulary."""
        for part in source.ranges:
            start = 0
            for ids in read_ids(part):
                wrong = ids >= self.encoding.n_vocab
                if part.dtype.kind == "i":
                    wrong |= ids < 0
                if wrong.any():
                    at = int(wrong.argmax())
                    raise IdOutOfRange(
                        f"{part.path}: id {start + at} from its start is {ids[at]}, outside the "
                        f"vocabulary of {self.encoding.name!r}, which has {self.encoding.n_vocab}; "
                        "name the encoding that made it, or check the format of the file"
                    )
                yield part, ids.astype(self.dtype, copy=False)
                start += len(ids)


class _ChecksumWriter:
    """Writer of arrays to a file, or to none, that counts and checksums the items."""

    def __init__(self, file: BinaryIO | None) -> None:
        self._file = file
        self.checksum = BlockChecksum()
        self.items = 0

    def write(self, array: npt.NDArray[Any]) -> None:
        if len(array):
            content = memoryview(np.ascontiguousarray(array)).cast("B")
            self.checksum.update(content)
            if self._file is not None:
                self._file.write(content)
            self.items += len(array)


def _write_ends(source: ShardSource, out: _ChecksumWriter, *, strict: bool) -> _ChecksumWriter:
    """Check and write the document ends of a source; with `strict` no document may be empty."""
    path, before = source.ranges[0].path, 0
    for ends in source.ends() if source.ends else ():
        if not len(ends):
            continue
        previous = np.concatenate([np.array([before], np.uint64), ends[:-1]])
        wrong = (ends <= previous) if strict else (ends < previous)
        if wrong.any():
            at = int(wrong.argmax())
            raise InvalidInput(
                f"{path}: document {out.items + at} ends at id {ends[at]}, and the one before it at "
                f"{previous[at]}; "
                + (
                    f"a document without ids has no end token; {_NO_EOT}"
                    if ends[at] == previous[at]
                    else "the index is damaged: copy it again"
                )
            )
        before = int(ends[-1])
        out.write(ends.astype("<u8", copy=False))
    if before != source.num_ids:
        raise InvalidInput(
            f"{path}: {source.num_ids} ids, but the last document ends at {before}; the index belongs "
            "to another file, or one of them is truncated"
        )
    return out


def _spans(source: ShardSource) -> list[Span]:
    spans = []
    for part in source.ranges:
        stop = part.offset + part.num_ids * part.dtype.itemsize
        spans.append(Span(part.path.as_posix(), part.offset, stop, part.path.stat().st_size))
    return spans
