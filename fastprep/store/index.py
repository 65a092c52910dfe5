"""The index of a token store: what a reader needs of a long manifest, in a few bytes per shard.

A manifest of more than 64 KiB has an index beside it, ``manifest-00000.index``; the number is that
of the first shard that was appended last. Little-endian::

    offset        type            content
    0             8 bytes         "fpindex" and the byte 1
    8             uint64          n, the number of shards
    16            uint64          bytes of the manifest from the line of its key "shards" on
    24            8 bytes         zero
    32            32 bytes        sha256 of the manifest without its keys "index" and "files"
    64            uint64[n + 1]   where the tokens of each shard start, and where the last ones end
    72 + 8n       uint64[n + 1]   where the documents of each shard start, and where the last ones end
    80 + 16n      uint64[n + 1]   where the record of each shard starts in the bytes counted at offset 16
    88 + 24n      uint32[n]       the largest id of each shard, 0 for a shard without tokens

The manifest records the name, size and sha256 of the index, in the lines before its shards. So a
store is opened by reading these lines and the index, and a record of a shard only if it is asked
for. The index is written before the manifest, and that of the manifest before is removed later:
each manifest has the index that it names, and no reader takes one for the other.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from fastprep.corpus.passed_over import PassedOver
from fastprep.errors import InvalidStore
from fastprep.store import manifest as manifests
from fastprep.store.manifest import (
    HOW_TO_FIX,
    MANIFEST,
    FileIdentity,
    IndexRecord,
    Manifest,
    ShardRecord,
    ShardSummary,
)
from fastprep.system.atomic import remove, replacing
from fastprep.system.byte_order import from_file, to_file
from fastprep.system.host import READ_FLAGS, read_at
from fastprep_ext.base import is_increasing, largest

#: Of a manifest, read at first. A longer one has an index.
HEAD_BYTES = 64 << 10
_MAGIC = b"fpindex\x01"
_HEADER_BYTES = 64
_SHARDS = b'\n  "shards": '
_CHUNK_BYTES = 1 << 20  # of the records, read at a time

RecordType = TypeVar("RecordType", ShardRecord, ShardSummary)


class StoreIndex(NamedTuple):
    """The content of an index; see the module."""

    token_starts: memoryview[int]
    document_starts: memoryview[int]
    record_starts: memoryview[int]
    max_ids: memoryview[int]
    manifest_sha256: str
    #: Where the line of the key "shards" starts in the manifest's file.
    records_at: int


class Opened(NamedTuple):
    """A manifest that was opened: whole, or with an index and without the records of its shards."""

    manifest: Manifest
    identity: FileIdentity
    entries: StoreIndex | None


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write a manifest, and before it its index if it is long.

    >>> from fastprep import prepare
    >>> _ = (tmp / "one.txt").write_text("One.")
    >>> store = prepare(tmp / "one.txt", tmp / "store", progress=False)
    >>> write_manifest(store.path, store.manifest)
    """
    plain = msgspec.structs.replace(manifest, index=msgspec.UNSET, files=msgspec.UNSET)
    if any(total > HEAD_BYTES for total in accumulate(map(len, manifests.chunks(plain)))):
        plain = msgspec.structs.replace(plain, version=manifests.INDEXED_VERSION)
        index = _encode(plain)
        first = manifest.appended[-1].first_shard if manifest.appended else 0
        record = IndexRecord(f"manifest-{first:05d}.index", len(index), sha256(index).hexdigest())
        with replacing(directory / record.file, replace_link=False) as file:
            file.write(index)
        plain = msgspec.structs.replace(plain, index=record)
    with replacing(directory / MANIFEST, replace_link=False) as file:
        file.writelines(manifests.chunks(plain))


def remove_others(directory: Path) -> None:
    """Remove the indexes in a directory that its manifest does not name."""
    found = [
        path for path in sorted(directory.glob("manifest-*.index")) if manifests.is_ours(path.name)
    ]
    if not found or not (directory / MANIFEST).exists():
        return
    record = open_manifest(directory).manifest.index
    for path in found:
        if not record or path.name != record.file:
            remove(path)


def open_manifest(directory: Path) -> Opened:
    """Read and check a manifest, of a long one only the lines before its shards and its index.

    Raises InvalidStore like :func:`fastprep.store.manifest.load`, and for an index that is missing or
    not the one that the manifest names.
    """
    path = directory / MANIFEST
    while True:
        manifests.check_present(directory, path)
        with path.open("rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            identity = FileIdentity.of(status)
            if status.st_size <= HEAD_BYTES:
                return Opened(
                    manifests.decode(manifests.read_whole(file, path), path), identity, None
                )
            start = b""
            while _SHARDS not in start and (chunk := file.read(HEAD_BYTES)):
                start += chunk
            at = start.find(_SHARDS) + 1
            head = (
                manifests.decode(start[:at] + b'"shards": []}', path, whole=False) if at else None
            )
            if head is None or not head.index:  # of an older version, or written by another program
                file.seek(0)
                return Opened(
                    manifests.decode(manifests.read_whole(file, path), path), identity, None
                )
        try:
            return Opened(head, identity, _read(directory, head, head.index, status.st_size, at))
        except InvalidStore:
            # An append, or a replacement, that ended since the manifest was read has removed its index.
            if not path.exists() or FileIdentity.of(path.stat()) == identity:
                raise


def read_records(
    directory: Path, opened: Opened, first: int, last: int, kind: type[RecordType]
) -> Iterator[RecordType] | None:
    """Return the records of the shards `first` to `last`, the latter excluded, read as they are needed.

    They are :class:`ShardRecord`, or :class:`ShardSummary`, of which only the counts are checked.
    Returns None if the manifest was replaced since it was opened.
    """
    index = opened.entries
    assert index is not None
    descriptor = os.open(directory / MANIFEST, READ_FLAGS)
    if FileIdentity.of(os.fstat(descriptor)) != opened.identity:
        os.close(descriptor)
        return None
    return _records(descriptor, directory / MANIFEST, opened.manifest, index, first, last, kind)


def read_passed_over(directory: Path, opened: Opened) -> list[PassedOver] | None:
    """Return what is recorded after the shards; None if the manifest was replaced by then."""
    index = opened.entries
    assert index is not None
    with (directory / MANIFEST).open("rb", buffering=0) as file:
        if FileIdentity.of(os.fstat(file.fileno())) != opened.identity:
            return None
        file.seek(index.records_at + index.record_starts[-1])
        content = b'{"shards": [' + file.read()
    try:
        return msgspec.json.decode(content, type=_AfterShards).passed_over
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidStore(
            f"{directory / MANIFEST}: damaged after its shards: {error}; {HOW_TO_FIX}"
        ) from None


def check_digest(directory: Path, opened: Opened) -> None:
    """Raise InvalidStore if the bytes of a manifest are not those of which its index was made."""
    index = opened.entries
    if index is None:
        return
    plain = msgspec.structs.replace(
        opened.manifest, index=msgspec.UNSET, files=msgspec.UNSET, shards=[]
    )
    content = manifests.encode(plain)
    digest = sha256(content[: content.index(_SHARDS) + 1])
    path = directory / MANIFEST
    with path.open("rb", buffering=0) as file:
        if FileIdentity.of(os.fstat(file.fileno())) != opened.identity:
            return
        file.seek(index.records_at)
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    if digest.hexdigest() != index.manifest_sha256:
        raise InvalidStore(f"{path}: not the manifest of its index; {HOW_TO_FIX}")


class _AfterShards(msgspec.Struct):
    passed_over: list[PassedOver] = []


def _records(
    descriptor: int,
    path: Path,
    head: Manifest,
    index: StoreIndex,
    first: int,
    last: int,
    kind: type[RecordType],
) -> Iterator[RecordType]:
    starts = index.record_starts
    decoder = msgspec.json.Decoder(list[kind])  # type: ignore[valid-type]
    try:
        while first < last:
            stop = first + 1
            while stop < last and starts[stop + 1] - starts[first] <= _CHUNK_BYTES:
                stop += 1
            size, filled = starts[stop] - starts[first], 0
            content = bytearray(size)
            while filled < size and (
                got := read_at(
                    descriptor,
                    memoryview(content)[filled:],
                    index.records_at + starts[first] + filled,
                )
            ):
                filled += got
            del content[filled:]
            try:
                records = decoder.decode(b"[" + content.rstrip(b", \n") + b"]")
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise InvalidStore(
                    f"{path}: the records of the shards {first} to {stop - 1} are damaged: {error}; "
                    f"{HOW_TO_FIX}"
                ) from None
            for number in range(first, stop):
                if not content.startswith(_RECORD[1:], starts[number] - starts[first]):
                    raise InvalidStore(
                        f"{path}: the record of shard {number} does not start where the index says; "
                        f"{HOW_TO_FIX}"
                    )
            _check_records(path, head, index, first, stop, records)
            yield from records
            first = stop
    finally:
        os.close(descriptor)


def _check_records(
    path: Path,
    head: Manifest,
    index: StoreIndex,
    first: int,
    stop: int,
    records: Sequence[ShardRecord | ShardSummary],
) -> None:
    if len(records) != stop - first:
        raise InvalidStore(f"{path}: {len(records)} records of {stop - first} shards; {HOW_TO_FIX}")
    for number, record in enumerate(records, first):
        fault = None
        if isinstance(record, ShardRecord):
            fault = manifests.shard_contradiction(head, record)
        if (
            record.tokens != index.token_starts[number + 1] - index.token_starts[number]
            or record.documents != index.document_starts[number + 1] - index.document_starts[number]
            or (record.max_id or 0) != index.max_ids[number]
        ):
            fault = fault or "its counts are not those of the index"
        if fault is not None:
            raise InvalidStore(f"{path}: shards[{number}]: {fault}; {HOW_TO_FIX}")


def _encode(manifest: Manifest) -> bytes:
    """Return the index of a manifest, which does not have the key "index"."""
    from array import array

    record_starts, digest = array("Q"), sha256()
    length = end = at = 0
    for number, chunk in enumerate(manifests.chunks(manifest)):
        digest.update(chunk)
        if number == 0:
            at = chunk.rindex(b"\n") + 1
        else:
            found = chunk.find(_RECORD)
            while found >= 0:
                record_starts.append(length - at + found + 1)
                found = chunk.find(_RECORD, found + 1)
            end = end if chunk.startswith(b"\n  ]") else length + len(chunk)
        length += len(chunk)
    record_starts.append(end - at)
    columns = [
        array("Q", manifests.offsets(shard.tokens for shard in manifest.shards)),
        array("Q", manifests.offsets(shard.documents for shard in manifest.shards)),
        record_starts,
        array("I", (shard.max_id or 0 for shard in manifest.shards)),
    ]
    numbers = array("Q", [len(manifest.shards), length - at, 0])
    parts = [to_file(memoryview(column)) for column in (numbers, *columns)]
    return b"".join([_MAGIC, parts[0], digest.digest(), *parts[1:]])


# At the depth of the shards; strings have no line breaks.
_RECORD = b"\n    {"


def _read(
    directory: Path, head: Manifest, record: IndexRecord, manifest_size: int, at: int
) -> StoreIndex:
    """Read the index that a manifest names, and compare the two."""
    path = manifests.files_directory(directory, head) / record.file
    try:
        with path.open("rb", buffering=0) as file:
            content = manifests.read_whole(file, path)
    except (FileNotFoundError, NotADirectoryError):
        raise InvalidStore(f"{path}: missing, though the manifest lists it; {HOW_TO_FIX}") from None
    fault = f"{path}: not the index that the manifest lists; {HOW_TO_FIX}"
    if len(content) != record.size or sha256(content).hexdigest() != record.sha256:
        raise InvalidStore(fault)
    count, records_size, zero = (
        from_file(content[8:32], "Q") if len(content) >= _HEADER_BYTES else (0, 0, 1)
    )
    if content[:8] != _MAGIC or zero or len(content) != _HEADER_BYTES + 28 * count + 24:
        raise InvalidStore(fault)
    if at + records_size != manifest_size:
        raise InvalidStore(
            f"{directory / MANIFEST}: {manifest_size} bytes, but its index says {at + records_size}; "
            f"{HOW_TO_FIX}"
        )
    step = 8 * (count + 1)
    starts = [
        from_file(content[begin : begin + step], "Q")
        for begin in range(_HEADER_BYTES, _HEADER_BYTES + 3 * step, step)
    ]
    max_ids = from_file(content[_HEADER_BYTES + 3 * step :], "I")
    tokens, documents, records = starts
    totals = [(tokens, head.tokens), (documents, head.documents), (records, records_size)]
    for column, most in totals:
        if not is_increasing(column, 0, False) or column[-1] > most:
            raise InvalidStore(fault)
    if (tokens[0], documents[0]) != (0, 0) or (tokens[-1], documents[-1]) != (
        head.tokens,
        head.documents,
    ):
        raise InvalidStore(
            f"{path}: {tokens[-1]} tokens and {documents[-1]} documents, but the manifest says "
            f"{head.tokens} and {head.documents}; {HOW_TO_FIX}"
        )
    if largest(max_ids) >= head.n_vocab:
        raise InvalidStore(
            f"{path}: the id {largest(max_ids)} is outside the vocabulary of {head.n_vocab}; "
            f"{HOW_TO_FIX}"
        )
    for each in head.appended or ():
        if each.first_shard >= count:
            raise InvalidStore(
                f"{path}: shard {each.first_shard} was appended, but there are {count}; {HOW_TO_FIX}"
            )
    return StoreIndex(tokens, documents, records, max_ids, content[32:64].hex(), at)
