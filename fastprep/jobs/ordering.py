"""The second step of a job with drafts: the documents of all drafts, in order, as shards of stores.

Shard k of n has the documents whose keys are in its range (:mod:`fastprep.store.order`). It is
written in parts of about 32 MiB of ids: each is read from all drafts, one piece per run, sorted in
memory, and appended. So the memory of a thread is bounded, and no file stays open.

A shard that is written has a record, ``shard-00007.ordered``, from which an interrupted step
resumes. The drafts are removed with the journal, after the manifests are written.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from fastprep.errors import InvalidStore
from fastprep.jobs.calls import Tick, call_on_threads
from fastprep.jobs.job import Job
from fastprep.jobs.journal import Done, Journal, fault_of_shard
from fastprep.jobs.parts import check_drawn
from fastprep.store.drafts import (
    MAX_DOCUMENTS,
    RUN_BYTES,
    Documents,
    Run,
    check_draft,
    documents_between,
    entries_of,
    in_order,
    read_document,
    read_tokens,
    split_mask,
)
from fastprep.store.manifest import ShardRecord, dtype_for
from fastprep.store.order import KEY_BITS, key_range
from fastprep.store.validation import Limit, limit_of
from fastprep.store.writer import BadDocuments, Files, open_shard
from fastprep.system.atomic import remove, replacing, sync_directory
from fastprep.system.byte_order import BYTES_OF
from fastprep.system.threads import StopFlag, available_cores
from fastprep_ext.base import largest

if TYPE_CHECKING:
    from fastprep.store.drafts import Entries
    from fastprep.store.order import Keys
    from fastprep.store.writer import Ends, Ids
    from fastprep.system.byte_order import Letter


# Of ids, of the shards that are read together.
_GROUP_BYTES = 24 << 20


class Ordered(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The record of a shard that is in order: what it was made from, and its entry for each part."""

    source: str
    records: list[ShardRecord]


class _Drafts(NamedTuple):
    """The drafts of a job: their runs in the order of the drafts, and what all of them hold.

    `letter` is the type of their tokens.
    """

    output: Path
    job: Job
    shards: list[Done]
    letter: Letter
    runs: list[list[Run]]
    limit: Limit | None

    @property
    def ids_letter(self) -> Letter:
        """The type of the ids of a shard."""
        return _letter_of(self.job)

    @property
    def tokens(self) -> int:
        return sum(done.records[0].tokens for done in self.shards)

    @property
    def documents(self) -> int:
        return sum(done.records[0].documents for done in self.shards)


def order_documents(
    output: Path,
    job: Job,
    shards: list[Done],
    workers: int | None = None,
    tick: Tick = lambda: None,
    report: Callable[[int, int], object] = lambda finished, shards: None,
) -> list[Done]:
    """Write the shards of a job's stores from its drafts, and return their records in order.

    `shards` are the records of the drafts. `report` is called with the number of shards in order and
    that of all, at first and after each. Raises InvalidStore if a draft is damaged, whose task is then
    repeated by the same call of :func:`fastprep.prepare`, and InvalidInput if a part would be empty.
    """
    workers = workers or available_cores()
    drafts = _checked(output, job, shards, workers, tick)
    source = _digest(drafts)
    ordered: dict[int, list[ShardRecord]] = {}
    for index in range(len(shards)):
        records = _finished(drafts, index, source)
        if records is not None:
            ordered[index] = records
    report(len(ordered), len(shards))

    def write(number: int, stop: StopFlag) -> list[list[ShardRecord]]:
        group = groups[number]
        shared: _Portion | None = None
        if len(group) > 1:
            low, high = (
                key_range(job.shuffle, index, len(shards)) for index in (group[0], group[-1])
            )
            found = _between(drafts, group[0], low[0], high[1])
            if (
                found
                and sum(each.tokens for each in found) * BYTES_OF[drafts.letter] <= 2 * RUN_BYTES
            ):
                shared = _loaded(drafts, found)
        written = []
        for index in group:
            portions: Iterable[_Portion | _LongDocument] = _portions(drafts, index, stop)
            if shared is not None:
                portions = [shared.between(*key_range(job.shuffle, index, len(shards)))]
            written.append(_write_shard(drafts, index, portions, stop))
            for directory in {output, *job.directories(output)}:
                sync_directory(directory)
            with replacing(_record_path(output, index), sync_names=False) as file:
                file.write(msgspec.json.encode(Ordered(source, written[-1])))
        return written

    groups = _groups(
        drafts, [index for index in range(len(shards)) if index not in ordered], workers
    )
    with contextlib.closing(call_on_threads(write, range(len(groups)), workers, tick)) as results:
        for number, written in results:
            ordered.update(zip(groups[number], written, strict=True))
            report(len(ordered), len(shards))
    for name in ("tokens", "documents"):
        total = sum(getattr(record, name) for records in ordered.values() for record in records)
        if total != getattr(drafts, name):
            raise InvalidStore(
                f"{output}: the drafts have {getattr(drafts, name)} {name}, but the shards made from "
                f"them {total}: the files were changed; run the same command with --overwrite"
            )
    return [Done(ordered[index], done.modified, done.on_error) for index, done in enumerate(shards)]


def _checked(output: Path, job: Job, shards: list[Done], workers: int, tick: Tick) -> _Drafts:
    """Check all drafts, and that no part will be empty."""
    letter: Letter = _letter_of(job) if job.messages is None else "I"
    runs: list[list[Run]] = [[] for _ in shards]

    def check(index: int, stop: StopFlag) -> list[Run]:
        stop.check()
        try:
            return check_draft(output, index, shards[index].records[0], BYTES_OF[letter])
        except InvalidStore as error:
            Journal(output).remove_done(index)
            raise InvalidStore(f"{error}; run the same command again to make it again") from None

    with contextlib.closing(call_on_threads(check, range(len(shards)), workers, tick)) as results:
        for index, found in results:
            runs[index] = found
    drafts = _Drafts(output, job, shards, letter, runs, None)
    return drafts._replace(limit=_limit(drafts)) if job.has_parts else drafts


def _letter_of(job: Job) -> Letter:
    return "H" if dtype_for(job.n_vocab) == "uint16" else "I"


def _limit(drafts: _Drafts) -> Limit:
    """Return the limit that draws the validation part. Raises InvalidInput if a part is empty."""
    job = drafts.job

    def entries() -> Iterator[Entries]:
        for index in range(len(drafts.shards)):
            yield from entries_of(drafts.output, index)

    if job.validation_documents is not None:
        check_drawn(job, drafts.documents, job.validation_documents)
        return limit_of(job.validation_documents, entries)
    assert job.draw is not None
    limit = job.draw.limit
    drawn = sum(int(np.count_nonzero(limit.draws(each["hash"], each["key"]))) for each in entries())
    check_drawn(job, drafts.documents, drawn)
    return limit


def _digest(drafts: _Drafts) -> str:
    """Return a hash of all that the shards follow from."""
    job = drafts.job
    facts = [
        [done.records[0].bin_crc32, done.records[0].ends_crc32, done.records[0].documents]
        for done in drafts.shards
    ]
    known = msgspec.json.encode([facts, job.shuffle, job.validation, job.validation_documents])
    return hashlib.sha256(known).hexdigest()


def _record_path(output: Path, index: int) -> Path:
    return output / f"shard-{index:05d}.ordered"


def _finished(drafts: _Drafts, index: int, source: str) -> list[ShardRecord] | None:
    """Return the records of a shard that is in order already; remove a record that is of no use."""
    path = _record_path(drafts.output, index)
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Ordered)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError):
        remove(path)
        return None
    directories = drafts.job.directories(drafts.output)
    if (
        found.source != source
        or len(found.records) != len(directories)
        or fault_of_shard(directories, index, found.records, BYTES_OF[drafts.ids_letter])
        is not None
    ):
        remove(path)
        return None
    return found.records


def _groups(drafts: _Drafts, todo: list[int], workers: int) -> list[list[int]]:
    """Return groups of consecutive shards that fit in memory together, enough for all workers.

    The documents of a group are read at once: with many small shards, in fewer and larger pieces.
    """
    if drafts.job.shuffle is None:
        return [[index] for index in todo]
    count = len(drafts.shards)
    size = max(drafts.tokens * BYTES_OF[drafts.letter], 1)
    most = min(
        _GROUP_BYTES * count // size,
        MAX_DOCUMENTS * count // max(drafts.documents, 1),
        len(todo) // (2 * workers),
    )
    groups: list[list[int]] = []
    for index in todo:
        if groups and len(groups[-1]) < most and groups[-1][-1] == index - 1:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def _write_shard(
    drafts: _Drafts, index: int, portions: Iterable[_Portion | _LongDocument], stop: StopFlag
) -> list[ShardRecord]:
    """Write portions as a shard of each part, and return their records."""
    # Of all shards together, the inputs and bad documents are those of all tasks.
    task = drafts.shards[index].records[0]
    bad = BadDocuments()
    bad.count, bad.listed = task.bad_documents, task.bad
    bad.passed.add_records(task.passed_over or ())
    with contextlib.ExitStack() as stack:
        parts = [
            open_shard(directory, index, stack, masked=drafts.job.messages is not None)
            for directory in drafts.job.directories(drafts.output)
        ]
        for portion in portions:
            stop.check()
            portion.write(parts, None if drafts.job.messages is None else drafts.ids_letter)
            del portion  # its buffer, before the next one is filled
        return [
            part.record(task.inputs, bad if number == 0 else BadDocuments())
            for number, part in enumerate(parts)
        ]


class _Portion(NamedTuple):
    """Documents in order: where their tokens are in a buffer, and which are for validation."""

    buffer: memoryview[int]
    letter: Letter
    keys: Keys
    starts: Keys
    stops: Keys
    drawn: npt.NDArray[Any] | None

    def between(self, low: int, high: int) -> _Portion:
        """Return the documents with keys from `low` to below `high`."""
        first, last = (
            int(np.searchsorted(self.keys, np.uint64(edge))) if edge >> KEY_BITS == 0 else None
            for edge in (low, high)
        )
        keys, starts, stops = (
            column[first:last] for column in (self.keys, self.starts, self.stops)
        )
        drawn = None if self.drawn is None else self.drawn[first:last]
        return _Portion(self.buffer, self.letter, keys, starts, stops, drawn)

    def write(self, parts: list[Files], masked: Letter | None) -> None:
        """Append the documents to the files of their parts; `masked` is the type of masked ids."""
        for number, part in enumerate(parts):
            own = slice(None) if self.drawn is None else self.drawn == bool(number)
            starts, stops = self.starts[own], self.stops[own]
            if not len(starts):
                continue
            for first, last, chunk in in_order(self.buffer, starts, stops, BYTES_OF[self.letter]):
                ids = chunk.cast(self.letter)
                ends = np.cumsum(stops[first:last] - starts[first:last], dtype=np.uint64)
                _append(part, ids, memoryview(ends), masked)


class _LongDocument(NamedTuple):
    """One document that is too long for a buffer."""

    output: Path
    document: Documents
    letter: Letter
    part: int

    def write(self, parts: list[Files], masked: Letter | None) -> None:
        """Append the document to the files of its part, like :meth:`_Portion.write`."""
        left = self.document.tokens
        for ids in read_document(self.output, self.document, self.letter):
            left -= len(ids)
            ends = np.array([] if left else [len(ids)], np.uint64)
            _append(parts[self.part], ids, memoryview(ends), masked)


def _append(part: Files, ids: Ids, ends: Ends, masked: Letter | None) -> None:
    """Append tokens of a draft to the files of a shard."""
    if masked is None:
        part.write(ids, ends, largest(ids))
    else:
        plain, mask = split_mask(ids, masked)
        part.write(plain, ends, largest(plain), None, mask)


def _portions(drafts: _Drafts, index: int, stop: StopFlag) -> Iterator[_Portion | _LongDocument]:
    """Yield the documents of a shard in order, as many as fit in memory at a time."""
    room = 2 * RUN_BYTES // BYTES_OF[drafts.letter]
    for low, high in pairwise(_edges(drafts, index)):
        stop.check()
        for documents in _that_fit(_between(drafts, index, low, high), room):
            stop.check()
            first = documents[0]
            if len(documents) > 1 or len(first.keys) > 1 or first.tokens <= room // 2:
                yield _loaded(drafts, documents)
                continue
            drawn = drafts.limit is not None and drafts.limit.draws(first.hashes, first.keys)[0]
            yield _LongDocument(drafts.output, first, drafts.letter, int(drawn))


def _edges(drafts: _Drafts, index: int) -> list[int]:
    """Return the edges of the ranges of keys that a shard is written in, each of bounded memory."""
    low, high = key_range(drafts.job.shuffle, index, len(drafts.shards))
    if drafts.job.shuffle is None:
        documents = drafts.shards[index].records[0].documents
        return [*range(low, low + documents, MAX_DOCUMENTS), high]
    shards = len(drafts.shards)
    bytes_per_shard = drafts.tokens * BYTES_OF[drafts.letter] // shards
    count = 1 + max(bytes_per_shard // RUN_BYTES, drafts.documents // shards // MAX_DOCUMENTS)
    return [low + (high - low) * number // count for number in range(count + 1)]


def _between(drafts: _Drafts, index: int, low: int, high: int) -> list[Documents]:
    """Return the documents with keys in a range, which is a part of that of a shard."""
    # Without a shuffle, all documents of a shard are in the draft of its number.
    among = [drafts.runs[index]] if drafts.job.shuffle is None else drafts.runs
    return [
        documents
        for runs in among
        for documents in documents_between(drafts.output, runs, low, high)
    ]


def _that_fit(found: list[Documents], room: int) -> Iterator[list[Documents]]:
    """Yield documents in the order of their keys, up to `room` tokens, or a longer one, at a time."""
    if sum(each.tokens for each in found) <= room:
        if found:
            yield found
        return
    # Longer documents than most.
    keys = np.concatenate([each.keys for each in found])
    sizes = np.concatenate([each.stops - each.starts for each in found])
    order = np.argsort(keys)
    keys, sizes = keys[order], sizes[order]
    alone = sizes > room // 2
    portion = np.cumsum(np.where(alone, 0, sizes), dtype=np.uint64) // np.uint64(room // 2)
    edges = np.flatnonzero((portion[1:] != portion[:-1]) | alone[1:] | alone[:-1]) + 1
    for first, last in pairwise([0, *edges.tolist(), len(keys)]):
        portions = []
        for each in found:
            begin = int(np.searchsorted(each.keys, keys[first]))
            end = int(np.searchsorted(each.keys, keys[last - 1], "right"))
            if begin < end:
                portions.append(each.part(begin, end))
        yield portions


def _loaded(drafts: _Drafts, documents: Sequence[Documents]) -> _Portion:
    """Read documents, and return them in order."""
    buffer, places = read_tokens(drafts.output, documents, BYTES_OF[drafts.letter])
    keys, starts, stops, hashes = (
        np.concatenate([each[column] for each in documents]) for column in (1, 2, 3, 4)
    )
    # From places in the drafts to places in the buffer.
    moved = np.array(places, np.uint64) - np.array([each.starts[0] for each in documents])
    moved = np.repeat(moved, [len(each.keys) for each in documents])
    order = np.argsort(keys)
    keys, starts, stops = keys[order], (starts + moved)[order], (stops + moved)[order]
    drawn = None if drafts.limit is None else drafts.limit.draws(hashes[order], keys)
    return _Portion(buffer, drafts.letter, keys, starts, stops, drawn)
