"""One task to one finished shard, wherever it runs."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fastprep.corpus import reader as corpus
from fastprep.corpus.plan import Task
from fastprep.errors import InvalidInput
from fastprep.jobs.job import Job, modified
from fastprep.jobs.journal import Done, Journal
from fastprep.store.writer import Report, ShardWriter

if TYPE_CHECKING:
    from fastprep.store.encodings import StoreEncoding


class Work(NamedTuple):
    """What every task of a run has in common; it travels to each worker once."""

    output: Path
    job: Job
    encoding: StoreEncoding
    block_bytes: int
    threads: int = 1  # that encode, in each task


def _silent(size: int, documents: int, tokens: int) -> None:
    """Nobody looks."""


def run_task(work: Work, index: int, task: Task, report: Report = _silent) -> Done:
    """Do one task: read its spans, write its shard, note that it is finished.

    A shard that somebody else has finished meanwhile is not made again.

    Raises
    ------
    JobIsRunning
        when another process writes this very shard, and goes on to.
    InvalidInput
        naming file and place; and when an input was changed while it was read.
    """
    job = work.job
    journal = Journal(work.output)
    with journal.writing(index):
        finished = journal.done(index)
        if finished is not None:
            return finished
        before = modified(task)
        whole = job.on_error != "raise" or job.split is not None
        writer = ShardWriter(
            work.encoding,
            job.end_token,
            end_token_first=job.end_token_first,
            on_error=job.on_error,
            split=job.split,
            threads=work.threads,
        )
        directories = job.directories(work.output)
        found = corpus.read(
            task,
            job.form,
            block_bytes=work.block_bytes,
            cut=work.encoding.may_be_cut and not whole,
        )
        # Closed also where writing fails: whoever keeps the error keeps no thread and no open file.
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
