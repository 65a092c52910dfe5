"""One run of a job, or of a share of it: from the check of the output directory to the store."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from msgspec import structs

from fastprep.corpus.in_memory import TableSpan
from fastprep.corpus.passed_over import Tally, facts_of
from fastprep.corpus.plan import Task, task_bytes
from fastprep.errors import (
    InvalidArgument,
    InvalidInput,
    InvalidStore,
    JobIsRunning,
    OtherJob,
    StoreExists,
    UnfinishedJob,
)
from fastprep.jobs.calls import Tick
from fastprep.jobs.events import Log, send
from fastprep.jobs.job import (
    Base,
    Job,
    differences,
    input_differences,
    setting_differences,
)
from fastprep.jobs.journal import JOB, Done, Journal, Redone
from fastprep.jobs.output import (
    check_output,
    clear,
    find_manifests,
    identities,
    remove_locks,
    remove_work,
)
from fastprep.jobs.progress import Earlier, Reporter, say_reused
from fastprep.jobs.replace import complete_replacement, is_interrupted, replace_store
from fastprep.jobs.replan import current_job, replan
from fastprep.jobs.reuse import changed_inputs, finished_store, settings_differ, store_differences
from fastprep.jobs.seal import base_of, complete_seal, seal
from fastprep.jobs.shares import shards_of_share
from fastprep.jobs.task import TaskCounter, Work
from fastprep.jobs.workers import run_on_threads
from fastprep.store.encodings import keep_vocabulary
from fastprep.store.manifest import REPLACEMENT
from fastprep.store.reader import TokenStore
from fastprep.system.atomic import sync_directory
from fastprep.system.threads import available_cores

# Seconds of waiting before another run is taken for one that works, and not for one that ends.
_SECONDS_BEFORE_WAITING = 1.0

Engine = Literal["threads", "ray", "processes"]


class Planner(Protocol):
    """Function that plans the job of a call; see :func:`fastprep.jobs.job.make_job`."""

    def __call__(  # noqa: D102
        self, *, shard_bytes: int | None = None, base: Base | None = None
    ) -> tuple[Job, list[Task]]: ...


class Run(NamedTuple):
    """A job and how to run it: engine, workers and share do not change the result.

    `share` is ``(i, n)`` for a run of every n-th task from the i-th on, the `task` of
    :func:`fastprep.prepare`; None for a run of all. `planner` plans the job for a store to append to,
    and with the shards of unfinished work if `any_shard_bytes`.
    """

    work: Work
    tasks: list[Task]
    engine: Engine
    workers: int | None
    share: tuple[int, int] | None
    planner: Planner
    any_shard_bytes: bool = True

    def run(
        self, *, overwrite: bool, append: bool, progress: bool | None, log: Log | None
    ) -> TokenStore | None:
        """Run the unfinished tasks, and seal the store if none is left; see :func:`fastprep.prepare`."""
        self._check_engine()
        output = self.work.output
        check_output(output)
        if append:
            for span in (span for task in self.tasks for span in task):
                if isinstance(span, TableSpan):
                    raise InvalidInput(
                        f"{span.path} is in memory, and an append has to recognize inputs that the "
                        "store has already; write it to a file, as .parquet"
                    )
        before = identities(output)
        if not overwrite and not append and (store := self._finished_store()) is not None:
            _tidy(output)
            return _reused(store, progress, log)
        if not output.exists():
            output.mkdir(parents=True, exist_ok=True)
            sync_directory(output.parent)
        journal = Journal(output)
        shared = self.share is not None
        waiting = _Waiting(self, append, progress, log).wait
        while True:
            with journal.lock_run(shared=shared, waiting=waiting):
                try:
                    with journal.lock_job():
                        begun = self._begin(before, overwrite, append, alone=not shared)
                        if isinstance(begun, _Begun):
                            begun.keep_vocabulary()
                except _MustBeAlone:
                    pass
                except (StoreExists, OtherJob):
                    if not shared and not (output / JOB).exists():
                        remove_locks(output)
                    raise
                else:
                    if isinstance(begun, TokenStore):
                        remove_locks(output)
                        return _reused(begun, progress, log)
                    return begun.work(progress, log)
            # Shares of a job whose inputs were changed wait for each other once.
            with journal.lock_run(shared=False, waiting=waiting), journal.lock_job():
                begun = self._begin(before, overwrite, append, alone=True)
                if isinstance(begun, _Begun):
                    begun.report_changes(log)

    # -- from the state of the directory to what is left to do -------------------------------------

    def _finished_store(self) -> TokenStore | None:
        """Return the finished store here if it is what this job would make; None if there is none.

        Raises StoreExists for any other finished store.
        """
        output, job = self.work.output, self.work.job
        found = find_manifests(output)
        if not found or is_interrupted(output):
            return None
        if (output / JOB).exists():
            started = Journal(output).read_job()
            if started is None or not started.first_shard:
                return None
        store = TokenStore(found[0].parent)
        differences = store_differences(store, job, any_shard_bytes=self.any_shard_bytes)
        if not differences:
            return finished_store(job.directories(output))
        if self.share is not None:
            raise StoreExists(
                f"{output}: a token store already, of other inputs or settings than this task's: "
                f"{_listed(differences)}; choose another output, or remove it first"
            )
        fix = "pass overwrite=True (--overwrite) to replace it, "
        if all(difference.endswith(" is a new input") for difference in differences):
            fix += "append=True (--append) to add to it, "
        raise StoreExists(
            f"{output}: a token store already, of another job: {_listed(differences)}; {fix}or choose "
            "another output"
        )

    def _begin(
        self, before: list[tuple[int, int]], overwrite: bool, append: bool, *, alone: bool
    ) -> TokenStore | _Begun:
        """Start the job, or resume the same job; return the store if nothing is left to do.

        `before` is the state of the output when this run was called: a store that was finished since
        is not replaced if it is what this job would make.
        """
        output = self.work.output
        journal = Journal(output)
        if is_interrupted(output):
            if not alone:
                raise _MustBeAlone
            complete_replacement(output)
            before = []  # the store is that of an interrupted call, which may be this one
        old = _read_job(journal, overwrite)
        if old is not None and complete_seal(journal, old):
            old = None
        if find_manifests(output) and (old is None or old.first_shard):
            if append:
                return self._append(journal, old, alone)
            if not overwrite or identities(output) != before:
                try:
                    store = self._finished_store()
                except StoreExists:
                    if not overwrite:
                        raise
                else:
                    if store is not None:
                        return store
            return self._replace_store()
        if old is not None:
            return self._resume(journal, old, overwrite, alone)
        clear(output)
        return self._start(journal)

    def _start(self, journal: Journal) -> _Begun:
        journal.start(self.work.job)
        return _Begun(self, journal)

    def _replace_store(self) -> TokenStore | _Begun:
        """Start or resume the job in the directory of the store that will replace the one here."""
        output = self.work.output
        inner = output / REPLACEMENT
        inner.mkdir(exist_ok=True)
        sync_directory(output)
        run = self._replace(work=self.work._replace(output=inner))
        journal = Journal(inner)
        old = _read_job(journal, True)
        if old is not None and complete_seal(journal, old):
            old = None
        if old is not None:
            return run._resume(journal, old, True, True)._replace(replaces=output)
        with contextlib.suppress(StoreExists, InvalidStore):
            if run._finished_store() is not None:
                replace_store(output)
                return TokenStore(self.work.job.directories(output)[0])
        clear(inner)
        return run._start(journal)._replace(replaces=output)

    def _append(self, journal: Journal, old: Job | None, alone: bool) -> TokenStore | _Begun:
        """Start or resume a job that appends the inputs that the store here does not have."""
        output, job = self.work.output, self.work.job
        if job.has_drafts:
            raise InvalidArgument(
                f"{output}: a store with shuffle or validation_documents cannot be appended to, because "
                "other documents change the order or the part of those that it has; make the store of "
                "all inputs with overwrite=True (--overwrite)"
            )
        found = find_manifests(output)
        store = TokenStore(found[0].parent)
        manifest = store.manifest
        # The shards need not be as large as those that are there.
        wrong = settings_differ(manifest, job, any_shard_bytes=True)
        if wrong:
            raise OtherJob(
                f"{output}: made with other settings: {_listed(wrong)}; an append needs the same"
            )
        base = base_of(job.directories(output))
        here = {span.path: span.size for shard in manifest.shards for span in shard.inputs}
        wrong = [
            f"{entry.path} had {here[entry.path]} bytes and has {entry.size}"
            for entry in job.inputs
            if here.get(entry.path, entry.size) != entry.size
        ]
        again = {entry.path for entry in job.inputs if entry.path in here}
        if wrong := wrong or changed_inputs(store, again):
            raise OtherJob(
                f"{output}: cannot be appended to, because inputs that it has already are different "
                f"now: {_listed(wrong)}; leave them out, or make the store of all inputs with "
                "overwrite=True (--overwrite)"
            )
        if len(again) == len({entry.path for entry in job.inputs}):
            return finished_store(job.directories(output))
        run = self._planned(base=base)
        if old is not None and (old.first_shard, old.base) != (base.shards, base.sha256):
            if not alone:
                raise _MustBeAlone
            remove_work(output, old)  # of a store that was here before
            old = None
        return run._start(journal) if old is None else run._resume(journal, old, False, alone)

    def _planned(self, shard_bytes: int | None = None, base: Base | None = None) -> Run:
        planner = self.planner if base is None else partial(self.planner, base=base)
        job, tasks = planner(shard_bytes=shard_bytes)
        return self._replace(work=self.work._replace(job=job), tasks=tasks, planner=planner)

    def _resume(self, journal: Journal, old: Job, overwrite: bool, alone: bool) -> _Begun:
        """Resume unfinished work on this job, or on one with other inputs; or start over.

        Raises OtherJob if that work is of another job and may not be removed.
        """
        run = self
        if self.any_shard_bytes and old.shard_bytes != self.work.job.shard_bytes:
            run = self._planned(old.shard_bytes)
        job = run.work.job
        found = setting_differences(old, job)
        if self.share is not None and old.on_error != job.on_error:
            found.append(f"on_error was {old.on_error!r} and is {job.on_error!r}")
        if {entry.path for entry in old.inputs}.isdisjoint(entry.path for entry in job.inputs):
            found += input_differences(old, job)
        if found:
            # Without a finished shard nothing is lost, but runs of other shares may be at work.
            if self.share is None and (overwrite or not journal.count_done()):
                remove_work(journal.output, old)
                return self._start(journal)
            fix = (
                "pass overwrite=True (--overwrite)"
                if self.share is None
                else "remove that directory"
            )
            if old.first_shard:
                fix = "append the same inputs to finish it, and then these"
            else:
                fix = f"use those inputs and settings again to finish it, or {fix} to start over"
            raise OtherJob(
                f"{journal.output}: holds unfinished work of another job: {_listed(found)}; {fix}"
            )
        redone: list[Redone] = []
        if old.inputs != job.inputs or old.version != job.version:
            if not alone:
                raise _MustBeAlone
            if job.has_drafts:
                # The key of a document has the number of its task, which may be another one now.
                remove_work(journal.output, old)
                journal.start(job)
                return _Begun(run, journal, (), input_differences(old, job))
            redone = replan(journal, old, job, run._numbered())
        elif old != job:
            journal.start(job)
        return _Begun(run, journal, redone, input_differences(old, job))

    def _numbered(self) -> dict[int, Task]:
        """Return the tasks by the number of their shard."""
        return dict(zip(self.work.job.numbers, self.tasks, strict=True))

    def _results(
        self, todo: dict[int, Task], counters: dict[int, TaskCounter], tick: Tick
    ) -> Generator[tuple[int, Done]]:
        """Run tasks, and yield the index and result of each as it ends."""
        if self.engine == "ray" and todo:
            from fastprep.jobs.on_ray import run_on_ray

            return run_on_ray(self.work, todo, self.workers, tick)
        workers = self._workers(todo)
        # With more cores than tasks, as for one large compressed file, a task has several threads.
        threads = max((self.workers or available_cores()) // workers, 1)
        return run_on_threads(self.work._replace(threads=threads), todo, counters, workers, tick)

    def _check_engine(self) -> None:
        """Raise an error if the engine cannot run the tasks, before anything is written."""
        if self.engine != "ray":
            return
        from fastprep.jobs.on_ray import import_ray

        import_ray()
        if any(isinstance(span, TableSpan) for task in self.tasks for span in task):
            raise InvalidInput(
                "other machines cannot read tables in the memory of this process; pass files, or "
                "omit the engine 'ray'"
            )

    def _own_numbers(self) -> list[int]:
        first = self.work.job.first_shard
        return [first + index for index in shards_of_share(len(self.tasks), self.share)]

    def _workers(self, todo: dict[int, Task]) -> int:
        return min(self.workers or available_cores(), max(len(todo), 1))

    def _facts(self, todo: dict[int, Task]) -> dict[str, object]:
        return {
            "first_shard": self.work.job.first_shard,
            "shards": len(self.tasks),
            "tasks": len(todo),
            "bytes": sum(map(task_bytes, todo.values())),
            "task": None if self.share is None else list(self.share),
            "engine": self.engine,
            "workers": self.workers if self.engine == "ray" else self._workers(todo),
        }


class _Begun(NamedTuple):
    """A job that is started in a directory: its run, and what a change of its inputs has changed.

    `replaces` is the directory of the store that the new one will replace, if there is one.
    """

    run: Run
    journal: Journal
    redone: Sequence[Redone] = ()
    changes: Sequence[str] = ()
    replaces: Path | None = None

    def keep_vocabulary(self) -> None:
        """Write a word tokenizer's vocabulary into the stores that are made."""
        work = self.run.work
        keep_vocabulary(work.encoding, work.job.directories(work.output))

    def report_changes(self, log: Log | None) -> None:
        """Log what has changed in the inputs, and which shards that concerns."""
        for change in self.changes:
            send(log, "changed", change=change)
        for shard, reason in self.redone:
            send(log, "redone", shard=shard, reason=reason)

    def work(self, progress: bool | None, log: Log | None) -> TokenStore | None:
        """Run the unfinished tasks, seal the store, and put it to its place."""
        run, journal = self.run, self.journal
        output, job = run.work.output, run.work.job
        numbered = run._numbered()
        own = {index: numbered[index] for index in run._own_numbers()}
        finished, redone = journal.check_shards(job, own)
        for shard, _ in redone:
            journal.remove_done(shard)
        todo = {index: task for index, task in own.items() if index not in finished}
        earlier = Earlier.of(finished, own)
        counters = {index: TaskCounter() for index in todo}
        with (
            _adding_resume_hint(journal, len(run.tasks)),
            Reporter(todo, earlier, counters, progress, log, job.form) as reporter,
        ):
            reporter.log("started", output=str(self.replaces or output), **run._facts(todo))
            if job.passed_over:
                reporter.log("passed over", **facts_of(job.passed_over))
            self.report_changes(log)
            if finished or redone:
                reporter.log(
                    "resumed", shards_finished=earlier.shards, bytes_finished=earlier.bytes
                )
            for shard, reason in redone:
                reporter.log("redone", shard=shard, reason=reason)
            # Closed also where a log raises, so that no thread runs on while the error is kept.
            with contextlib.closing(run._results(todo, counters, reporter.tick)) as results:
                for index, done in results:
                    finished[index] = done.kept(todo[index])
                    reporter.task_done(index, done)
            members = Tally()
            for done in finished.values():
                members.add_records(done.records[0].passed_over or ())
            if members:
                reporter.log("passed over", **facts_of(members.records()))
        # Putting documents in order takes long enough to be interrupted.
        hint = _adding_resume_hint(journal, len(run.tasks)) if job.has_drafts else None
        with hint or contextlib.nullcontext():
            if run.share is not None:
                store = seal_if_complete(journal, run.workers, reporter.tick, reporter.log)
            else:
                shards = [finished[index] for index in sorted(finished)]
                store = seal(output, job, shards, run.workers, reporter.tick, reporter.log)
        if self.replaces is not None:
            replace_store(self.replaces)
            remove_locks(self.replaces)
            store = TokenStore(job.directories(self.replaces)[0])
        reporter.finished(store is not None, self.replaces or output)
        return store


class _MustBeAlone(Exception):
    """The state of the directory has to be changed while no other share works there."""


class _Waiting:
    """What a run does that waits for another one: say so once, and raise if that is another job."""

    def __init__(self, run: Run, append: bool, progress: bool | None, log: Log | None) -> None:
        self._run = run
        self._compare = not append  # one append after the other
        self._progress = progress
        self._log = log
        self._said = False

    def wait(self, seconds: float) -> None:
        """Report the wait after some time. Raises JobIsRunning if the other run is of another job."""
        if seconds < _SECONDS_BEFORE_WAITING or self._said:
            return
        output, job = self._run.work.output, self._run.work.job
        found = _running_job(output) if self._compare else None
        if found is not None and self._run.any_shard_bytes:
            found = structs.replace(found, shard_bytes=job.shard_bytes, shards=job.shards)
        if found is not None and (wrong := differences(found, job)):
            raise JobIsRunning(
                f"{output}: another run works here, on another job: {_listed(wrong)}; wait until it "
                "ends, or choose another output"
            )
        self._said = True
        sentence = (
            f"{output}: another run works here; waiting until it ends (Ctrl-C to stop waiting)"
        )
        send(self._log, "waiting", output=str(output))
        if self._log is None and self._progress is not False and sys.stderr is not None:
            print(f"fastprep: {sentence}", file=sys.stderr, flush=True)


def _running_job(output: Path) -> Job | None:
    """Return the job of the unfinished work in a directory, or None if it cannot be read."""
    with contextlib.suppress(InvalidStore, OSError):
        return Journal(output / REPLACEMENT).read_job() or Journal(output).read_job()
    return None


def _tidy(output: Path) -> None:
    """Remove the locks that an interrupted run left in a finished store, unless they are held."""
    if any(output.glob("*.lock")):
        with contextlib.suppress(JobIsRunning, OSError), Journal(output).lock_run(shared=False):
            remove_locks(output)


def _reused(store: TokenStore, progress: bool | None, log: Log | None) -> TokenStore:
    say_reused(str(store.path), progress, log)
    send(
        log,
        "reused",
        output=str(store.path),
        documents=store.num_documents,
        tokens=store.num_tokens,
    )
    return store


def _listed(found: list[str]) -> str:
    more = f"; and {len(found) - 5} more" if len(found) > 5 else ""
    return "; ".join(found[:5]) + more


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


def seal_if_complete(
    journal: Journal,
    workers: int | None = None,
    tick: Tick = lambda: None,
    log: Callable[..., object] = lambda event, **facts: None,
) -> TokenStore | None:
    """Return the store of a journal's job if all its shards are finished, otherwise None.

    Raises UnfinishedJob if another run has ended the job without a store.
    """
    with journal.lock_job():
        job = current_job(journal)
        if job is None:  # another run sealed it first
            remove_locks(journal.output)
            found = find_manifests(journal.output)
            if not found:
                raise UnfinishedJob(
                    f"{journal.output}: another run ended this job without a store; see its error"
                )
            return TokenStore(found[0].parent)
        shards = [done for index in job.numbers if (done := journal.read_done(index)) is not None]
        if len(shards) < job.shards:
            return None
        return seal(journal.output, job, shards, workers, tick, log)


def _read_job(journal: Journal, overwrite: bool) -> Job | None:
    try:
        return current_job(journal)
    except InvalidStore:
        if not overwrite:
            raise
        return None
