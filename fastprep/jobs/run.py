"""One run of a job, or of a share of it: from the check of the output directory to the store."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from typing import Literal, NamedTuple

from fastprep.corpus.in_memory import TableSpan
from fastprep.corpus.plan import Task, task_bytes
from fastprep.corpus.reader import import_readers
from fastprep.errors import InvalidInput, InvalidStore, OtherJob, StoreExists, UnfinishedJob
from fastprep.jobs.job import Job, differences, shards_of_share
from fastprep.jobs.journal import JOB, Done, Journal
from fastprep.jobs.output import check_output, clear, find_manifests, remove_journal, remove_locks
from fastprep.jobs.progress import Log, Reporter
from fastprep.jobs.seal import is_result_of, seal
from fastprep.jobs.task import TaskCounter, Work
from fastprep.jobs.workers import Tick, run_on_threads
from fastprep.store import manifest as manifests
from fastprep.store.encodings import keep_vocabulary
from fastprep.store.reader import TokenStore
from fastprep.system.atomic import sync_directory
from fastprep.system.threads import available_cores

Engine = Literal["threads", "ray", "processes"]


class Run(NamedTuple):
    """A job and how to run it: engine, workers and share do not change the result.

    `share` is ``(i, n)`` for a run of every n-th task from the i-th on, the `task` of
    :func:`fastprep.prepare`; None for a run of all.
    """

    work: Work
    tasks: list[Task]
    engine: Engine
    workers: int | None
    share: tuple[int, int] | None

    def run(self, overwrite: bool, progress: bool | None, log: Log | None) -> TokenStore | None:
        """Run the unfinished tasks, and seal the store if none is left; see :func:`fastprep.prepare`."""
        output, job = self.work.output, self.work.job
        own = {index: self.tasks[index] for index in shards_of_share(len(self.tasks), self.share)}
        journal = Journal(output)
        check_output(output)
        if not overwrite and (store := self._finished_store()) is not None:
            return store
        if not output.exists():
            output.mkdir(parents=True, exist_ok=True)
            sync_directory(output.parent)
        with journal.lock_run(shared=self.share is not None):
            with journal.lock_job():
                if (store := self._start(journal, overwrite)) is not None:
                    remove_locks(output)
                    return store
                keep_vocabulary(self.work.encoding, job.directories(output))
            finished, redone = journal.check_shards(job, own)
            for shard, _ in redone:
                journal.remove_done(shard)
            todo = {index: task for index, task in own.items() if index not in finished}
            finished_bytes = sum(task_bytes(own[index]) for index in finished)
            counters = {index: TaskCounter() for index in todo}
            with (
                _adding_resume_hint(journal, len(self.tasks)),
                Reporter(todo, finished_bytes, counters, progress, log, job.form) as reporter,
            ):
                reporter.log("started", **self._facts(todo))
                if finished or redone:
                    reporter.log(
                        "resumed", shards_finished=len(finished), bytes_finished=finished_bytes
                    )
                for shard, reason in redone:
                    reporter.log("redone", shard=shard, reason=reason)
                # Closed also where a log raises, so that no thread runs on while the error is kept.
                with contextlib.closing(self._results(todo, counters, reporter.tick)) as results:
                    for index, done in results:
                        finished[index] = done
                        reporter.task_done(index, done)
            if self.share is not None:
                store = seal_if_complete(journal)
            else:
                store = seal(output, job, [finished[index] for index in sorted(finished)])
            reporter.finished(store is not None, output)
        return store

    def _finished_store(self) -> TokenStore | None:
        """Return the finished store here if this run's job made it and the run is of a share.

        Raises StoreExists for any other finished store.
        """
        output = self.work.output
        found = find_manifests(output)
        if not found or (output / JOB).exists():
            return None
        if self.share is None:
            raise StoreExists(
                f"{output}: a token store already; pass overwrite=True (--overwrite) to replace it"
            )
        store = TokenStore(found[0].parent)
        made_from = [tuple(shard.inputs) for shard in store.manifest.shards]
        if made_from == self.tasks and is_result_of(store, self.work.job):
            return store
        raise StoreExists(
            f"{output}: a token store already, of other inputs or settings than this task's; "
            "choose another output, or remove it first"
        )

    def _start(self, journal: Journal, overwrite: bool) -> TokenStore | None:
        """Start the job, or resume the same job; return the store if nothing is left to do."""
        output, job = self.work.output, self.work.job
        if not overwrite and (store := self._finished_store()) is not None:
            return store
        old = _read_job(journal, overwrite)
        if old is None or self._replaces(journal, old, overwrite):
            clear(output)
            journal.start(job)
            return None
        directories = job.directories(output)
        if all((directory / manifests.MANIFEST).exists() for directory in directories):
            remove_journal(output)  # the last step of a run that was cut off
            return TokenStore(directories[0])
        if old != job:
            journal.start(job)
        return None

    def _replaces(self, journal: Journal, old: Job, overwrite: bool) -> bool:
        """Return whether the job replaces the unfinished one here; False to resume that one.

        Raises OtherJob if they differ and the old one may not be removed.
        """
        job = self.work.job
        found = differences(old, job)
        if self.share is not None and old.on_error != job.on_error:
            found.append(f"on_error was {old.on_error!r} and is {job.on_error!r}")
        if not found:
            return False
        # Without a finished shard nothing is lost, but runs of other shares may be at work.
        if self.share is None and (overwrite or not journal.count_done()):
            return True
        fix = "pass overwrite=True (--overwrite)" if self.share is None else "remove that directory"
        raise OtherJob(
            f"{journal.output}: holds unfinished work of another job: {'; '.join(found[:5])}"
            f"{f'; and {len(found) - 5} more' if len(found) > 5 else ''}; use those inputs and "
            f"settings again to finish it, or {fix} to start over"
        )

    def _results(
        self, todo: dict[int, Task], counters: dict[int, TaskCounter], tick: Tick
    ) -> Generator[tuple[int, Done]]:
        """Run tasks, and yield the index and result of each as it ends."""
        if self.engine == "ray" and todo:
            if any(isinstance(span, TableSpan) for task in todo.values() for span in task):
                raise InvalidInput(
                    "other machines cannot read tables in the memory of this process; pass files, or "
                    "omit the engine 'ray'"
                )
            from fastprep.jobs.on_ray import run_on_ray

            return run_on_ray(self.work, todo, self.workers, tick)
        import_readers(span for task in todo.values() for span in task)
        workers = self._workers(todo)
        # With more cores than tasks, as for one large compressed file, a task has several threads.
        threads = max((self.workers or available_cores()) // workers, 1)
        return run_on_threads(self.work._replace(threads=threads), todo, counters, workers, tick)

    def _workers(self, todo: dict[int, Task]) -> int:
        return min(self.workers or available_cores(), max(len(todo), 1))

    def _facts(self, todo: dict[int, Task]) -> dict[str, object]:
        return {
            "output": str(self.work.output),
            "shards": len(self.tasks),
            "tasks": len(todo),
            "bytes": sum(map(task_bytes, todo.values())),
            "task": None if self.share is None else list(self.share),
            "engine": self.engine,
            "workers": self.workers if self.engine == "ray" else self._workers(todo),
        }


@contextlib.contextmanager
def _adding_resume_hint(journal: Journal, shards: int) -> Iterator[None]:
    """Add the resume hint to an error or interrupt of the block."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        interrupt.args = (resume_hint(journal, shards),)
        raise
    except Exception as error:
        # As add_note, which Python has from 3.11 on.
        notes = [*getattr(error, "__notes__", ()), resume_hint(journal, shards)]
        error.__notes__ = notes
        raise


def resume_hint(journal: Journal, shards: int) -> str:
    """Return the sentence that an error or an interrupt of a job ends with."""
    return (
        f"{journal.count_done()} of {shards} shards are finished; the same call or command resumes "
        "from them"
    )


def seal_if_complete(journal: Journal) -> TokenStore | None:
    """Return the store of a journal's job if all its shards are finished, otherwise None.

    Raises UnfinishedJob if another run has ended the job without a store.
    """
    with journal.lock_job():
        job = journal.read_job()
        if job is None:  # another run sealed it first
            remove_locks(journal.output)
            found = find_manifests(journal.output)
            if not found:
                raise UnfinishedJob(
                    f"{journal.output}: another run ended this job without a store; see its error"
                )
            return TokenStore(found[0].parent)
        shards = [
            done for index in range(job.shards) if (done := journal.read_done(index)) is not None
        ]
        return seal(journal.output, job, shards) if len(shards) == job.shards else None


def _read_job(journal: Journal, overwrite: bool) -> Job | None:
    try:
        return journal.read_job()
    except InvalidStore:
        if not overwrite:
            raise
        return None
