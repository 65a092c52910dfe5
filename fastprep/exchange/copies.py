"""Ids that another program made, to one shard: copied, checked and checksummed on the way.

The ids are copied as they are, in order; each is held against the vocabulary, each document end
against the ids. Memory is a few MiB, whatever the files hold.
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
from fastprep.exchange.layouts import Ends, Part, Source, read_ids
from fastprep.jobs.job import encoding_record
from fastprep.store import manifest as manifests
from fastprep.store.encodings import StoreEncoding
from fastprep.store.manifest import BlockChecksum, Manifest, ShardRecord, shard_path
from fastprep.system.atomic import link as link_file
from fastprep.system.atomic import replacing

_NO_EOT = "pass eot='none' (--eot none) to import the ids without that promise"


class Copy(NamedTuple):
    """What the shards of one import have in common."""

    output: Path
    encoding: StoreEncoding
    end_token: int | None
    first: bool
    link: bool

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the store's ids."""
        return np.dtype(manifests.dtype_for(self.encoding.n_vocab)).newbyteorder("<")

    def check(self, source: Source) -> None:
        """Refuse what can be seen to be wrong before any id is read."""
        for part in source.parts:
            if part.path.resolve().parent == self.output.resolve():
                raise InvalidInput(
                    f"{part.path}: an input inside the output would be replaced; choose another output"
                )
            if part.size and part.dtype.itemsize < 4 and self.encoding.n_vocab > 1 << 16:
                raise InvalidInput(
                    f"{part.path}: ids of {8 * part.dtype.itemsize} bits cannot be those of "
                    f"{self.encoding.name!r}, which has {self.encoding.n_vocab}: another encoding made "
                    "them, or they overflowed; name the right encoding, or make them again"
                )
        if self.link:
            for part in source.parts:
                if part.offset or len(source.parts) > 1 or source.opens:
                    raise InvalidInput(
                        f"{part.path}: a header or an end token would have to be taken off, so its "
                        "bytes are no shard's; import without link (--link)"
                    )
                if part.dtype.itemsize != self.dtype.itemsize:
                    raise InvalidInput(
                        f"{part.path}: ids of {part.dtype.itemsize} bytes, and a store of "
                        f"{self.encoding.name!r} has {self.dtype.itemsize}; import without link (--link)"
                    )

    def run(self, index: int, source: Source, report: Callable[[int], object]) -> ShardRecord:
        """Copy and check what becomes one shard."""
        ids_path, ends_path = (shard_path(self.output, index, kind) for kind in ("bin", "ends"))
        if source.ends is not None:
            with replacing(ends_path) as file:
                ends = _write_told_ends(source, _Checked(file), strict=self.end_token is not None)
        with contextlib.ExitStack() as stack:
            target = None if self.link else stack.enter_context(replacing(ids_path))
            ids_out = _Checked(target)
            if source.ends is not None:
                told = _mapped_ends(ends_path, ends.items)
                max_id = self._copy_told(source, told, ids_out, report)
            else:
                ends = _Checked(stack.enter_context(replacing(ends_path)))
                max_id = self._copy_found(source, ids_out, ends, report)
        if self.link:
            link_file(source.parts[0].path, ids_path)
        return ShardRecord(
            tokens=ids_out.items,
            documents=ends.items,
            max_id=max_id if ids_out.items else None,
            bin_crc32=ids_out.checksum.values(),
            ends_crc32=ends.checksum.values(),
            inputs=_spans(source),
        )

    def _copy_told(
        self, source: Source, ends: Ends, out: _Checked, report: Callable[[int], object]
    ) -> int:
        """Copy ids whose documents end where `ends` says; the largest of them."""
        largest = -1
        for part, ids in self._checked_ids(source):
            if self.end_token is not None:
                places, first = self._places(ends, out.items, out.items + len(ids))
                found = ids[places]
                wrong = found != self.end_token
                if wrong.any():
                    at = int(wrong.argmax())
                    raise InvalidInput(
                        f"{part.path}: document {first + at} {'begins' if self.first else 'ends'} with "
                        f"{found[at]}, not with the end token {self.end_token}; {_NO_EOT}"
                    )
                if np.count_nonzero(ids == self.end_token) != len(places):
                    inside = np.setdiff1d(np.flatnonzero(ids == self.end_token), places)
                    raise InvalidInput(
                        f"{part.path}: the end token {self.end_token} stands inside a document, at id "
                        f"{out.items + int(inside[0])}; {_NO_EOT}"
                    )
            largest = max(largest, int(ids.max()))
            out.write(ids)
            report(ids.nbytes)
        return largest

    def _places(self, ends: Ends, start: int, stop: int) -> tuple[npt.NDArray[np.int64], int]:
        """Where end tokens must stand in ids `start` to `stop`; and the first one's document."""
        bounds = np.array([start, stop], np.uint64)
        if not self.first:
            low, high = np.searchsorted(ends, bounds, "right")
            return ends[low:high].astype(np.int64) - (start + 1), int(low)
        # Document n + 1 begins where document n ends; the first begins at 0.
        low, high = np.searchsorted(ends, bounds, "left")
        places = ends[low:high].astype(np.int64) - start
        if start == 0 and len(ends):
            return np.concatenate([np.zeros(1, np.int64), places]), 0
        return places, int(low) + 1

    def _copy_found(
        self, source: Source, out: _Checked, ends: _Checked, report: Callable[[int], object]
    ) -> int:
        """Copy ids whose documents the end tokens tell apart; the largest of them."""
        largest, last = -1, None
        for _, ids in self._checked_ids(source):
            if self.first and last is None and ids[0] != self.end_token:
                self._add_end_token(source, out)
                largest = self.end_token or 0
            if self.end_token is not None:
                found = np.flatnonzero(ids == self.end_token).astype("<u8") + np.uint64(out.items)
                # A token before a document ends the one before it; before the first there is none.
                ends.write(found[found > 0] if self.first else found + np.uint64(1))
            largest = max(largest, int(ids.max()))
            last = int(ids[-1])
            out.write(ids)
            report(ids.nbytes)
        closed = self.end_token is not None and not self.first
        if closed and (source.opens or last not in (None, self.end_token)):
            self._add_end_token(source, out)
            largest = max(largest, self.end_token or 0)
            ends.write(np.array([out.items], "<u8"))
        elif not closed and out.items:
            ends.write(np.array([out.items], "<u8"))
        return largest

    def _add_end_token(self, source: Source, out: _Checked) -> None:
        if self.link:
            raise InvalidInput(
                f"{source.parts[0].path}: a document at its {'beginning' if self.first else 'end'} has "
                f"no end token {self.end_token}, so one would have to be added; import without link "
                "(--link)"
            )
        out.write(np.array([self.end_token], self.dtype))

    def manifest(self, records: list[ShardRecord]) -> Manifest:
        """What makes the shards a store."""
        return Manifest(
            format="fastprep token store",
            version=1,
            dtype=manifests.dtype_for(self.encoding.n_vocab),
            n_vocab=self.encoding.n_vocab,
            encoding=encoding_record(self.encoding),
            end_token=self.end_token,
            end_token_first=self.first,
            separator=None,
            field="text",
            unicode_version=manifests.UNICODE_VERSION,
            tokens=sum(record.tokens for record in records),
            documents=sum(record.documents for record in records),
            shards=records,
        )

    def _checked_ids(self, source: Source) -> Iterator[tuple[Part, npt.NDArray[Any]]]:
        """The ids of all parts in the store's dtype, each inside the vocabulary."""
        for part in source.parts:
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
                        "name the encoding that made it, or check what the file is"
                    )
                yield part, ids.astype(self.dtype, copy=False)
                start += len(ids)


class _Checked:
    """Arrays to a file, or nowhere, with their checksums and how many items there were."""

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


def _write_told_ends(source: Source, out: _Checked, *, strict: bool) -> _Checked:
    """Write the document ends that a format tells; with `strict` no document may be empty."""
    path, before = source.parts[0].path, 0
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
    if before != source.size:
        raise InvalidInput(
            f"{path}: {source.size} ids, but the last document ends at {before}; the index belongs to "
            "another file, or one of them is cut"
        )
    return out


def _mapped_ends(path: Path, count: int) -> Ends:
    if not count:  # the system maps no empty file
        return np.empty(0, "<u8")
    return np.memmap(path, "<u8", "r", 0, (count,)).view(np.ndarray)


def _spans(source: Source) -> list[Span]:
    spans = []
    for part in source.parts:
        stop = part.offset + part.size * part.dtype.itemsize
        spans.append(Span(part.path.as_posix(), part.offset, stop, part.path.stat().st_size))
    return spans
