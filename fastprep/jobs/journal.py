"""The journal of a job: the record of its finished shards, from which it resumes after any end.

Until a job is finished, its output directory holds, besides finished shards::

    job.json             settings, inputs and plan: written before any shard
    shard-00007.done     the record of a finished shard: written after its files
    shard-00007.draft    in a job with drafts, the documents of a task, and
    shard-00007.index    their keys: see fastprep.store.drafts
    shard-00007.ordered  the record of a shard whose documents are in order
    run.lock             held by each run in the directory
    job.lock             held while the job is started or sealed
    shard-00007.lock     held while that shard is written

Each file appears whole or not at all, and only after everything it refers to is safe on the disk. So
the directory is at any moment a true record of what is left to do. The journal is removed after the
manifests are written. The directory of a store that is appended to also holds its manifests and earlier
shards, and that of a store that is replaced has these files in its directory ``replacement``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from fastprep.corpus.documents import OnError
from fastprep.corpus.plan import Task
from fastprep.corpus.sources import modified
from fastprep.errors import InvalidStore
from fastprep.jobs.job import Job
from fastprep.store import manifest as manifests
from fastprep.store.manifest import BlockChecksum, ShardRecord, block_ranges, shard_path
from fastprep.system.atomic import remove, replacing, sync_directory
from fastprep.system.locking import holding

JOB = "job.json"
# Seconds to wait for each lock. The kernel releases those of a killed run within milliseconds, unless
# one of its threads is in the middle of a system call.
_RUN_TIMEOUT = 0.5
_SHARD_TIMEOUT = 10.0
_JOB_TIMEOUT = 600.0

T = TypeVar("T")


class Done(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The record of a finished shard.

    `records` has its entry for the manifest of each part, `modified` the times at which its inputs
    were last changed, and `on_error` the setting that it was made with.
    """

    records: list[ShardRecord]
    modified: list[int | None]
    on_error: OnError

    def kept(self, task: Task) -> Done:
        """Return the record as it is held until the store is sealed, in the memory that it has to take.

        Its spans are those of the task. The times of whole files, which no other shard reads, are None.
        """
        times = [
            None if span.start == 0 and span.end == span.size else time
            for span, time in zip(task, self.modified, strict=True)
        ]
        spans = list(task)
        records = [msgspec.structs.replace(record, inputs=spans) for record in self.records]
        return Done(records, times, self.on_error)


class Redone(NamedTuple):
    """A finished shard that has to be made again, and the reason."""

    shard: int
    reason: str


class Journal:
    """The files in an output directory that record the progress of its job.

    >>> journal = Journal(tmp)
    >>> journal.read_job() is None, journal.read_done(0) is None
    (True, True)
    """

    def __init__(self, output: Path) -> None:
        self.output = output

    # -- locks ------------------------------------------------------------------------------------

    def lock_run(
        self, *, shared: bool, waiting: Callable[[float], object] | None = None
    ) -> AbstractContextManager[None]:
        """Lock the directory for a run, either alone or `shared` with runs of other shares.

        With `waiting` another run is waited for; see :func:`fastprep.system.locking.holding`.
        """
        return holding(
            self.output / "run.lock",
            f"{self.output}: another run works here; wait until it ends, or stop it, and run the "
            "same command again",
            shared=shared,
            timeout=_RUN_TIMEOUT,
            waiting=waiting,
        )

    def lock_job(self) -> AbstractContextManager[None]:
        """Lock the job for the moments in which it is started or sealed."""
        return holding(
            self.output / "job.lock",
            f"{self.output}: another run has been starting or sealing this job for "
            f"{_JOB_TIMEOUT:.0f} s; check whether it hangs",
            timeout=_JOB_TIMEOUT,
        )

    def lock_shard(self, index: int) -> AbstractContextManager[None]:
        """Lock a shard while it is written."""
        path = self._shard_file(index, "lock")
        return holding(
            path,
            f"{path}: another process writes this shard; let it finish, or stop it, and run the same "
            "command again",
            timeout=_SHARD_TIMEOUT,
        )

    # -- the job ----------------------------------------------------------------------------------

    def read_job(self) -> Job | None:
        """Return the job that was started here, or None; raise InvalidStore if its file is damaged."""
        return self._read(self.output / JOB, Job)

    def start(self, job: Job) -> None:
        """Write the job's file, before any of its shards or when the job is changed."""
        for directory in job.directories(self.output):
            directory.mkdir(exist_ok=True)
        with replacing(self.output / JOB, replace_link=False) as file:
            file.writelines(manifests.json_chunks(job, "inputs"))

    def count_done(self) -> int:
        """Count the finished shards, those of other runs included."""
        return sum(entry.suffix == ".done" for entry in self.output.iterdir())

    # -- its shards -------------------------------------------------------------------------------

    def read_done(self, index: int) -> Done | None:
        """Return the record of a finished shard, or None if it is not finished."""
        return self._read(self._shard_file(index, "done"), Done)

    def find_done(self) -> dict[int, Done]:
        """Return the records of all finished shards by number; damaged records are left out."""
        found = {}
        for entry in self.output.iterdir():
            if entry.suffix == ".done":
                with contextlib.suppress(InvalidStore):
                    index = int(entry.stem.removeprefix("shard-"))
                    if (done := self.read_done(index)) is not None:
                        found[index] = done
        return found

    def write_done(self, index: int, done: Done, directories: Iterable[Path]) -> None:
        """Write the record of a finished shard, whose files are synced but whose names are not."""
        for directory in directories:
            if directory != self.output:
                sync_directory(directory)
        sync_directory(self.output)
        # Not synced: if a power cut loses this name, the shard is made again, and that is all.
        path = self._shard_file(index, "done")
        with replacing(path, sync_names=False, replace_link=False) as file:
            file.write(msgspec.json.format(msgspec.json.encode(done), indent=2) + b"\n")

    def check_shards(
        self, job: Job, tasks: dict[int, Task]
    ) -> tuple[dict[int, Done], list[Redone]]:
        """Return which tasks have a finished shard that is usable, and which one that is not."""
        finished: dict[int, Done] = {}
        redone = []
        for index, task in tasks.items():
            try:
                done = self.read_done(index)
                reason = None if done is None else self._fault(job, index, task, done)
            except InvalidStore as error:
                done, reason = None, str(error)
            if reason is not None:
                redone.append(Redone(index, reason))
            elif done is not None:
                finished[index] = done.kept(task)
        return finished, redone

    def remove_done(self, index: int) -> None:
        """Remove the record of a finished shard, so that it is made again."""
        remove(self._shard_file(index, "done"))

    def _fault(self, job: Job, index: int, task: Task, done: Done) -> str | None:
        """Return why a finished shard cannot be used, or None if it can."""
        directories = [self.output] if job.has_drafts else job.directories(self.output)
        if len(done.records) != len(directories) or done.records[0].inputs != list(task):
            return "it was made from other inputs"
        if done.on_error != job.on_error and done.records[0].bad_documents:
            return f"its bad documents were handled as on_error={done.on_error!r} says"
        for span, old, new in zip(task, done.modified, modified(task), strict=True):
            if old != new:
                return f"{span.path} was changed since"
        itemsize = manifests.itemsize_of(manifests.dtype_for(job.n_vocab))
        if job.has_drafts:
            from fastprep.store.drafts import draft_files

            files = draft_files(done.records[0], itemsize if job.messages is None else 4)
            return first_fault(
                (self._shard_file(index, kind), size, 1, checksums)
                for kind, size, checksums in files
            )
        return fault_of_shard(directories, index, done.records, itemsize)

    # -- files ------------------------------------------------------------------------------------

    def _shard_file(self, index: int, kind: str) -> Path:
        return self.output / f"shard-{index:05d}.{kind}"

    def _read(self, path: Path, kind: type[T]) -> T | None:
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            return msgspec.json.decode(content, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidStore(
                f"{path}: damaged, or of another version of fastprep: {error}; pass overwrite=True "
                "(--overwrite) to start over"
            ) from None


def fault_of_shard(
    directories: list[Path], index: int, records: list[ShardRecord], itemsize: int
) -> str | None:
    """Return how the files of a shard differ from the record of each part, or None."""
    return first_fault(
        file
        for directory, record in zip(directories, records, strict=True)
        for file in (
            (shard_path(directory, index, "bin"), record.tokens, itemsize, record.bin_crc32),
            (shard_path(directory, index, "ends"), record.documents, 8, record.ends_crc32),
            (shard_path(directory, index, "mask"), record.tokens, 1, record.checksums("mask")),
        )
        if record.mask_crc32 is not msgspec.UNSET or file[0].suffix != ".mask"
    )


def first_fault(files: Iterable[tuple[Path, int, int, list[int]]]) -> str | None:
    """Return the fault of the first file that has one; each is a path, items, their size, checksums."""
    for path, count, size, checksums in files:
        fault = _file_fault(path, count, size, checksums)
        if fault is not None:
            return f"{path.name} {fault}"
    return None


def _file_fault(path: Path, count: int, itemsize: int, checksums: list[int]) -> str | None:
    """Check a file's size, and the checksums of its first and last block; return what is wrong."""
    blocks = block_ranges(count, itemsize)
    if path.is_symlink():
        return "is a symbolic link"
    try:
        if path.stat().st_size != count * itemsize:
            return f"has {path.stat().st_size} bytes, not {count * itemsize}"
        with path.open("rb") as file:
            for number in sorted({0, len(blocks) - 1} if blocks else ()):
                start, stop = blocks[number]
                file.seek(start * itemsize)
                checksum = BlockChecksum()
                checksum.update(file.read((stop - start) * itemsize))
                if checksum.values() != checksums[number : number + 1]:
                    return "is damaged"
    except FileNotFoundError:
        return "is missing"
    return None
