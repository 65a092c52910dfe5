"""Change of a job's inputs: finished shards that the new plan has too are kept, under their new numbers.

Renumbering has two phases, since old and new numbers overlap: files get their new names with the suffix
``.moved``, then they lose the suffix. The job's file has the moves, and says which phase is due; each
phase can be repeated. So an interrupted change is completed by the next run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from fastprep.corpus.documents import Span
from fastprep.corpus.plan import Task
from fastprep.jobs.job import Job
from fastprep.jobs.journal import Done, Journal, Redone
from fastprep.system.atomic import move, remove, sync_directory

_MOVED = ".moved"


def replan(journal: Journal, old: Job, job: Job, tasks: dict[int, Task]) -> list[Redone]:
    """Replace the unfinished job by one with other inputs; keep the finished shards that are in both.

    Returns the shards that have to be made again because their inputs have changed. The caller is alone
    in the directory.
    """
    numbers = {_key(task): index for index, task in tasks.items()}
    done = journal.find_done()
    moves, lost = [], []
    for index, each in sorted(done.items()):
        number = numbers.pop(_key(each.records[0].inputs), None)
        if number is None:
            lost.append(each)
        else:
            moves.append((index, number))
    moving = msgspec.structs.replace(job, moves=moves, phase="move")
    journal.start(moving)
    finish_moves(journal, moving)
    kept = {number for _, number in moves}
    return _redone(old, job, lost, {i: task for i, task in tasks.items() if i not in kept})


def finish_moves(journal: Journal, job: Job) -> Job:
    """Renumber the finished shards of a job as its file says; return the job without the moves."""
    directories = dict.fromkeys([journal.output, *job.directories(journal.output)])
    if job.phase == "move":
        stay = {index for index, number in job.moves if index == number}
        for directory in directories:
            for index, number in job.moves:
                if index != number:
                    for kind in ("bin", "ends", "mask", "done"):
                        name = f"shard-{number:05d}.{kind}{_MOVED}"
                        move(directory / f"shard-{index:05d}.{kind}", directory / name)
            for path, number in _shard_files(directory):
                if number >= job.first_shard and number not in stay and path.suffix != _MOVED:
                    remove(path)
            sync_directory(directory)
        job = msgspec.structs.replace(job, phase="moved")
        journal.start(job)
    for directory in directories:
        for path, _ in _shard_files(directory):
            if path.suffix == _MOVED:
                move(path, path.with_suffix(""))
        sync_directory(directory)
    job = msgspec.structs.replace(job, moves=[], phase="run")
    journal.start(job)
    return job


def current_job(journal: Journal) -> Job | None:
    """Return the job in a directory after an interrupted renumbering is completed, or None."""
    job = journal.read_job()
    return job if job is None or job.phase == "run" else finish_moves(journal, job)


def _shard_files(directory: Path) -> Iterator[tuple[Path, int]]:
    for path in sorted(directory.iterdir()):
        if path.name.startswith("shard-") and path.suffix != ".lock":
            yield path, int(path.name.partition(".")[0].removeprefix("shard-"))


def _key(spans: Task | list[Span]) -> tuple[tuple[str, int, int, int], ...]:
    return tuple((span.path, span.start, span.end, span.size) for span in spans)


def _redone(old: Job, new: Job, lost: list[Done], tasks: dict[int, Task]) -> list[Redone]:
    """Return the tasks that read inputs of shards that are lost, and what has changed."""
    before = {span.path for done in lost for span in done.records[0].inputs}
    sizes = {entry.path: entry.size for entry in old.inputs}
    now = {entry.path for entry in new.inputs}
    # The inputs that shared a shard with one that is gone.
    gone = {
        span.path: f"{path} is no longer an input"
        for done in lost
        for path in [each.path for each in done.records[0].inputs if each.path not in now][:1]
        for span in done.records[0].inputs
    }
    found = []
    for index, task in tasks.items():
        if before.isdisjoint(span.path for span in task):
            continue
        reason = next(
            (
                f"{span.path} had {sizes[span.path]} bytes and has {span.size}"
                for span in task
                if sizes.get(span.path, span.size) != span.size
            ),
            None,
        )
        reason = reason or next((gone[span.path] for span in task if span.path in gone), None)
        reason = reason or next(
            (f"{span.path} is a new input" for span in task if span.path not in sizes), None
        )
        found.append(Redone(index, reason or "its inputs are divided in another way"))
    return found
