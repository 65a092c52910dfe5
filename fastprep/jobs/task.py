"""A task: spans of the inputs, read and encoded into one finished shard."""

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
    from fastprep.chat.encoder import ChatEncoder
    from fastprep.store.encodings import StoreEncoding


class Work(NamedTuple):
    """The arguments that all tasks of a run have in common."""

    output: Path
    job: Job
    encoding: StoreEncoding
    block_bytes: int
    threads: int = 1  # per task
    chats: ChatEncoder | None = None


class TaskCounter:
    """The bytes of text, documents and tokens that a task has finished."""

    __slots__ = ("documents", "size", "tokens")

    def __init__(self, size: int = 0, documents: int = 0, tokens: int = 0) -> None:
        self.size: int = size
        self.documents: int = documents
        self.tokens: int = tokens

    def add(self, size: int, documents: int, tokens: int) -> None:
        """Add to the counts."""
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
    """Run one task: read its spans, write its shard, and record that it is finished.

    A shard that another run has finished by now is not made again. The stop flag is checked at each
    block, and raises :class:`~fastprep.system.threads.Stopped`. Raises JobIsRunning if another process
    holds the lock of this shard, and InvalidInput, with file and place, for an input that cannot be
    read or was changed while it was read.
    """
    counter = counter or TaskCounter()
    stop = stop or StopFlag()

    def report(size: int, documents: int, tokens: int) -> None:
        counter.add(size, documents, tokens)
        stop.check()

    job = work.job
    journal = Journal(work.output)
    with journal.lock_shard(index):
        finished = journal.read_done(index)
        if finished is not None:
            return finished
        before: list[int | None] = []
        whole_documents = job.on_error != "raise" or job.has_parts
        whole_documents |= job.messages is not None or job.infill is not None
        writer = ShardWriter(
            work.encoding,
            job.end_token,
            prepend=job.end_token_first,
            begin_token=job.begin_token,
            on_error=job.on_error,
            draw=None if job.has_drafts else job.draw,
            hashes=job.has_drafts and job.has_parts,
            threads=work.threads,
            chats=work.chats,
            infill=job.infill,
        )
        open_files = None
        directories = job.directories(work.output)
        if job.has_drafts:
            from fastprep.store.drafts import drafts_of

            directories, open_files = (
                [work.output],
                drafts_of(job.shuffle, writer.letter if work.chats is None else "I"),
            )
        found = corpus.read(
            task,
            job.form,
            block_bytes=work.block_bytes,
            cut=work.encoding.may_be_cut and not whole_documents,
            stop=stop,
            times=before,
        )
        # Closed also if writing fails: an error that the caller keeps must not keep threads or files.
        with contextlib.closing(found) as batches:
            records = writer.write(
                directories, index, batches, list(task), report, open_files=open_files
            )
        after = modified(task)
        if before != after:
            changed = zip(task, before, after, strict=True)
            for span in (span for span, old, new in changed if old != new):
                raise InvalidInput(
                    f"{span.path}: it was changed while it was read; do not change the inputs while "
                    "they are in use, and run the same command again"
                )
        done = Done(records, before, job.on_error)
        journal.write_done(index, done, directories)
        return done
