"""One run of a job, or of a slice of it: from the first look at the output to the store."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal, NamedTuple

from fastprep.corpus.in_memory import TableSpan
from fastprep.corpus.plan import Task, task_bytes
from fastprep.corpus.reader import import_readers
from fastprep.errors import InvalidInput, InvalidStore, OtherJob, StoreExists, UnfinishedJob
from fastprep.jobs.job import Job, differences
from fastprep.jobs.journal import JOB, Done, Journal
from fastprep.jobs.output import check_ours, clear, stores_in, tidy, unlock
from fastprep.jobs.planning import slice_of
from fastprep.jobs.progress import Log, Reporter
from fastprep.jobs.seal import made_by, seal
from fastprep.jobs.task import TaskCounter, Work
from fastprep.jobs.workers import Tick, run_on_threads
from fastprep.store import manifest as manifests
from fastprep.store.encodings import keep_vocabulary
from fastprep.store.reader import TokenStore
from fastprep.system.atomic import sync_directory
from fastprep.system.threads import available_cores

Engine = Literal["threads", "ray", "processes"]


class Run(NamedTuple):
    """How the work of a job is to be done; nothing here changes what comes out."""

    work: Work
    tasks: list[Task]
    engine: Engine
    workers: int | None
    task: tuple[int, int] | None

    def run(self, overwrite: bool, progress: bool | None, log: Log | None) -> TokenStore | None:
        """Do what is left to do, and make the store if that was all; see :func:`fastprep.prepare`."""
        output, job = self.work.output, self.work.job
        mine = {index: self.tasks[index] for index in slice_of(len(self.tasks), self.task)}
        journal = Journal(output)
        check_ours(output)
        if not overwrite and (whole := self._finished_store()) is not None:
            return whole
        if not output.exists():
            output.mkdir(parents=True, exist_ok=True)
            sync_directory(output.parent)
        with journal.running(shared=self.task is not None):
            with journal.deciding():
                if (whole := self._begin(journal, overwrite)) is not None:
                    unlock(output)
                    return whole
                keep_vocabulary(self.work.encoding, job.directories(output))
            finished, redone = journal.finished(job, mine)
            for shard, _ in redone:
                journal.forget(shard)
            todo = {index: task for index, task in mine.items() if index not in finished}
            before = sum(task_bytes(mine[index]) for index in finished)
            counters = {index: TaskCounter() for index in todo}
            with (
                _naming_finished(journal, len(self.tasks)),
                Reporter(todo, before, counters, progress, log, job.form) as reporter,
            ):
                reporter.say("started", **self._facts(todo))
                if finished or redone:
                    reporter.say("resumed", shards_finished=len(finished), bytes_finished=before)
                for shard, reason in redone:
                    reporter.say("redone", shard=shard, reason=reason)
                for index, done in self._results(todo, counters, reporter.tick):
                    finished[index] = done
                    reporter.task_done(index, done)
            if self.task is not None:
                store = seal_if_whole(journal)
            else:
                store = seal(output, job, [finished[index] for index in sorted(finished)])
            reporter.finished(store is not None)
        return store

    def _finished_store(self) -> TokenStore | None:
        """The store that stands here, for a task that comes late; for others it is in the way."""
        output = self.work.output
        found = stores_in(output)
        if not found or (output / JOB).exists():
            return None
        if self.task is not None:
            store = TokenStore(found[0].parent)
            made_from = [tuple(shard.inputs) for shard in store.manifest.shards]
            if made_from == self.tasks and made_by(store, self.work.job):
                return store
            raise StoreExists(
                f"{output}: a token store already, of other inputs or settings than this task's; "
                "choose another output, or remove it first"
            )
        raise StoreExists(
            f"{output}: a token store already; pass overwrite=True (--overwrite) to replace it"
        )

    def _begin(self, journal: Journal, overwrite: bool) -> TokenStore | None:
        """Note the job, or find it noted; the store if there is nothing left to do."""
        output, job = self.work.output, self.work.job
        if not overwrite and (whole := self._finished_store()) is not None:
            return whole
        then = _noted(journal, overwrite)
        if then is None or self._is_other(journal, then, overwrite):
            clear(output)
            journal.begin(job)
            return None
        directories = job.directories(output)
        if all((directory / manifests.MANIFEST).exists() for directory in directories):
            tidy(output)  # all that was left to do
            return TokenStore(directories[0])
        if then != job:
            journal.begin(job)
        return None

    def _is_other(self, journal: Journal, then: Job, overwrite: bool) -> bool:
        """Whether the job that was begun here is another one, that may be thrown away."""
        job = self.work.job
        found = differences(then, job)
        if self.task is not None and then.on_error != job.on_error:
            found.append(f"on_error was {then.on_error!r} and is {job.on_error!r}")
        if not found:
            return False
        # Where no shard is finished there is nothing to lose; but other tasks may be about it.
        if self.task is None and (overwrite or not journal.count_done()):
            return True
        anew = "pass overwrite=True (--overwrite)" if self.task is None else "remove that directory"
        raise OtherJob(
            f"{journal.output}: holds unfinished work of another job: {'; '.join(found[:5])}"
            f"{f'; and {len(found) - 5} more' if len(found) > 5 else ''}; go back to those inputs and "
            f"settings to finish it, or {anew} to begin anew"
        )

    def _results(
        self, todo: dict[int, Task], counters: dict[int, TaskCounter], tick: Tick
    ) -> Iterator[tuple[int, Done]]:
        """Run the tasks, and yield what each ends with, in the order in which they end."""
        if self.engine == "ray" and todo:
            if any(isinstance(span, TableSpan) for task in todo.values() for span in task):
                raise InvalidInput(
                    "what is in this process's memory cannot be read by others; pass files, or leave "
                    "the engine 'ray' out"
                )
            from fastprep.jobs.on_ray import run_on_ray

            return run_on_ray(self.work, todo, self.workers, tick)
        import_readers(span for task in todo.values() for span in task)
        workers = self._workers(todo)
        # Where there are more cores than tasks, as for one large compressed file, a task has several.
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
            "task": None if self.task is None else list(self.task),
            "engine": self.engine,
            "workers": self.workers if self.engine == "ray" else self._workers(todo),
        }


@contextlib.contextmanager
def _naming_finished(journal: Journal, shards: int) -> Iterator[None]:
    """Say in an error or an interrupt how many shards are finished, and that the job can be resumed."""
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


def seal_if_whole(journal: Journal) -> TokenStore | None:
    """The store of the job in a journal, if all its shards are finished.

    Raises
    ------
    UnfinishedJob
        when the job is gone, and there is no store.
    """
    with journal.deciding():
        job = journal.job()
        if job is None:  # somebody else sealed it meanwhile
            unlock(journal.output)
            found = stores_in(journal.output)
            if not found:
                raise UnfinishedJob(
                    f"{journal.output}: another run ended this job without a store, and says why"
                )
            return TokenStore(found[0].parent)
        shards = [done for index in range(job.shards) if (done := journal.done(index)) is not None]
        return seal(journal.output, job, shards) if len(shards) == job.shards else None


def _noted(journal: Journal, overwrite: bool) -> Job | None:
    try:
        return journal.job()
    except InvalidStore:
        if not overwrite:
            raise
        return None
