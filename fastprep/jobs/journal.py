"""What a job has done so far, so that it can go on after anything that ended it.

While a job is not finished its output directory holds, besides finished shards::

    job.json             settings, inputs and plan: written before any shard
    shard-00007.done     that a shard is finished, and what is in it: written after its files
    run.lock             held by whoever works here; job.lock, while the job is begun or sealed;
    shard-00007.lock     while that shard is written

Each file appears whole or not at all, and only after all that it speaks of is safe on the disk. So at
any moment the directory says truly what is left to do. All of it is removed when the manifests stand.
"""

from __future__ import annotations

from collections.abc import Iterable
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
# How long to wait for a shard that somebody else writes: the workers of a killed run end in
# milliseconds, but may be in the middle of a system call.
_WRITER_SECONDS = 10.0
_LEADER_SECONDS = 0.5  # they share its lock if they were forked
_SEALING_SECONDS = 600.0

T = TypeVar("T")


class Done(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A finished shard: its entry in each part's manifest, how old its inputs were, what was asked."""

    records: list[ShardRecord]
    modified: list[int | None]
    on_error: OnError


class Redone(NamedTuple):
    """A shard that was finished once and has to be made again, and why."""

    shard: int
    reason: str


class Journal:
    """The files in an output directory that say how far its job is.

    Parameters
    ----------
    output
        the directory.

    Examples
    --------
    >>> journal = Journal(tmp)
    >>> journal.job() is None, journal.done(0) is None
    (True, True)
    """

    def __init__(self, output: Path) -> None:
        self.output = output

    # -- locks ------------------------------------------------------------------------------------

    def running(self, *, shared: bool) -> AbstractContextManager[None]:
        """Held while somebody works here: alone, or with others that share the work."""
        return holding(
            self.output / "run.lock",
            f"{self.output}: another run works here; wait for its end, or stop it, and run the same "
            "command again",
            shared=shared,
            timeout=_LEADER_SECONDS,
        )

    def deciding(self) -> AbstractContextManager[None]:
        """Held for the moments in which a job is begun or sealed; waits for its turn."""
        return holding(
            self.output / "job.lock",
            f"{self.output}: another run has been beginning or sealing this job for "
            f"{_SEALING_SECONDS:.0f} s; look after it",
            timeout=_SEALING_SECONDS,
        )

    def writing(self, index: int) -> AbstractContextManager[None]:
        """Held while a shard is written."""
        path = self._shard_file(index, "lock")
        return holding(
            path,
            f"{path}: another process writes this shard; let it finish, or stop it, and run the same "
            "command again",
            timeout=_WRITER_SECONDS,
        )

    # -- the job ----------------------------------------------------------------------------------

    def job(self) -> Job | None:
        """The job that was begun here, None when there is none.

        Raises
        ------
        InvalidStore
            when its file is damaged.
        """
        return self._read(self.output / JOB, Job)

    def begin(self, job: Job) -> None:
        """Note the job, before any of it is done."""
        for directory in job.directories(self.output):
            directory.mkdir(exist_ok=True)
        self._write(self.output / JOB, job, sync_names=True)

    def count_done(self) -> int:
        """How many shards are finished, whoever made them."""
        return sum(entry.suffix == ".done" for entry in self.output.iterdir())

    # -- its shards -------------------------------------------------------------------------------

    def done(self, index: int) -> Done | None:
        """What is known of a shard that is finished, None for one that is not."""
        return self._read(self._shard_file(index, "done"), Done)

    def finish(self, index: int, done: Done, directories: Iterable[Path]) -> None:
        """Note that a shard is finished: all its files are there and synced, but not their names."""
        for directory in directories:
            if directory != self.output:
                sync_directory(directory)
        # The names of the shard's files, where they lie here, become safe with this one.
        sync_directory(self.output)
        # Should a power cut take back this name, the shard is made again and nothing else.
        self._write(self._shard_file(index, "done"), done, sync_names=False)

    def finished(self, job: Job, tasks: dict[int, Task]) -> tuple[dict[int, Done], list[Redone]]:
        """Which of some tasks are done and need not be done again; and which must be, and why."""
        finished: dict[int, Done] = {}
        redone = []
        for index, task in tasks.items():
            try:
                done = self.done(index)
                reason = None if done is None else self._unfit(job, index, task, done)
            except InvalidStore as error:
                done, reason = None, str(error)
            if reason is not None:
                redone.append(Redone(index, reason))
            elif done is not None:
                finished[index] = done
        return finished, redone

    def forget(self, index: int) -> None:
        """Take back that a shard is finished."""
        remove(self._shard_file(index, "done"))

    def _unfit(self, job: Job, index: int, task: Task, done: Done) -> str | None:
        """Why a finished shard cannot be used, if it cannot."""
        directories = job.directories(self.output)
        if len(done.records) != len(directories) or done.records[0].inputs != list(task):
            return "it was made from other inputs"
        if done.on_error != job.on_error and done.records[0].bad_documents:
            return f"its bad documents were handled as on_error={done.on_error!r} says"
        for span, then, now in zip(task, done.modified, modified(task), strict=True):
            if then != now:
                return f"{span.path} was changed since"
        itemsize = manifests.itemsize_of(manifests.dtype_for(job.n_vocab))
        for directory, record in zip(directories, done.records, strict=True):
            for path, count, size, checksums in (
                (shard_path(directory, index, "bin"), record.tokens, itemsize, record.bin_crc32),
                (shard_path(directory, index, "ends"), record.documents, 8, record.ends_crc32),
            ):
                fault = _fault(path, count, size, checksums)
                if fault is not None:
                    return f"{path.name} {fault}"
        return None

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
                "(--overwrite) to begin anew"
            ) from None

    def _write(self, path: Path, content: Job | Done, *, sync_names: bool) -> None:
        with replacing(path, sync_names=sync_names) as file:
            file.write(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")


def _fault(path: Path, count: int, itemsize: int, checksums: list[int]) -> str | None:
    """What is wrong with a file: its size, or the checksum of its first or last block."""
    blocks = block_ranges(count, itemsize)
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
