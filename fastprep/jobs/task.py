"""One task: its spans of the inputs to one finished shard."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fastprep.corpus import reader as corpus
from fastprep.corpus.plan import Task
from fastprep.corpus.sources import modified
from fastprep.errors import InvalidInput
from fastprep.jobs.job import Job
from fastprep.jobs.journal import Done, Journal
from fastprep.store.writer import ShardWriter
from fastprep.system.threads import StopFlag

if TYPE_CHECKING:
    from fastprep.store.encodings import StoreEncoding


class Work(NamedTuple):
    """What all tasks of a run have in common."""

    output: Path
    job: Job
    encoding: StoreEncoding
    block_bytes: int
    threads: int = 1  # that encode, per task


class TaskCounter:
    """What a task has done so far: bytes of text, documents and tokens."""

    __slots__ = ("documents", "size", "tokens")

    def __init__(self, size: int = 0, documents: int = 0, tokens: int = 0) -> None:
        self.size = size
        self.documents = documents
        self.tokens = tokens

    def add(self, size: int, documents: int, tokens: int) -> None:
        """Count some more."""
        self.size += size
        self.documents += documents
        self.tokens += tokens


def run_task(
    work: Work,
    index: int,
    task: Task,
    counter: TaskCounter | None = None,
    stop: StopFlag | None = None,
) -> Done:
    """Run one task: read its spans, write its shard, note that it is finished.

    A shard that another run has finished by now is not made again. A stop is checked at each block, and
    raises :class:`~fastprep.system.threads.Stopped`.

    Raises
    ------
    JobIsRunning
        when another process writes this shard, and continues to.
    InvalidInput
        naming file and place; and when an input was changed while it was read.
    """
    counter = counter or TaskCounter()
    stop = stop or StopFlag()

    def report(size: int, documents: int, tokens: int) -> None:
        counter.add(size, documents, tokens)
        stop.check()

    job = work.job
    journal = Journal(work.output)
    with journal.writing(index):
        finished = journal.done(index)
        if finished is not None:
            return finished
        before = modified(task)
        whole = job.on_error != "raise" or job.draw is not None
        writer = ShardWriter(
            work.encoding,
            job.end_token,
            prepend=job.end_token_first,
            on_error=job.on_error,
            draw=job.draw,
            threads=work.threads,
        )
        directories = job.directories(work.output)
        found = corpus.read(
            task,
            job.form,
            block_bytes=work.block_bytes,
            cut=work.encoding.may_be_cut and not whole,
            stop=stop,
        )
        # Closed also where writing fails, so that an error that is kept keeps no thread and no file.
        with contextlib.closing(found) as batches:
            records = writer.write(directories, index, batches, list(task), report)
        for span, then, now in zip(task, before, modified(task), strict=True):
            if then != now:
                raise InvalidInput(
                    f"{span.path}: it was changed while it was read; do not change the inputs while "
                    "they are in use, and run the same command again"
                )
        done = Done(records, before, job.on_error)
        journal.finish(index, done, directories)
        return done
