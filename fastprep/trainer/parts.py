"""Counting in parts, which resumes after any end: each part of the inputs has a file of counts.

The directory of a count that is not finished holds::

    count.json           settings, inputs and plan: written before any part
    part-00007.counts    the counts of a part of the inputs: whole or not there at all
    run.lock             held by each run in the directory

The parts follow from the inputs and settings alone. Several runs may each count a share of them, at any
time and on any machine with the same files.
"""

from __future__ import annotations

import contextlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from fastprep.corpus.documents import OnError
from fastprep.corpus.in_memory import TableSpan
from fastprep.corpus.plan import Task, task_bytes
from fastprep.corpus.sources import modified
from fastprep.errors import DamagedInput, InvalidInput, InvalidStore, OtherJob, UnfinishedJob
from fastprep.jobs.calls import call_on_threads
from fastprep.jobs.events import Log, send
from fastprep.jobs.shares import Input, shards_of_share
from fastprep.system.atomic import remove, replacing
from fastprep.system.locking import holding
from fastprep.system.threads import StopFlag
from fastprep.trainer.counting import Plan, Run, Settings, Tables, plan_of, report_passed_over
from fastprep.trainer.counts import PieceCounts, Unit, add_up
from fastprep.trainer.splitting import splitting_by

if TYPE_CHECKING:
    from fastprep.corpus.inputs import Inputs

_JOB = "count.json"
_LOCK = "run.lock"
# A part takes as long as a fiftieth of its time to save.
_MIN_PART_BYTES = 64 << 20
# Longer values, as those of patterns and inputs, are not shown in errors.
_MAX_SHOWN = 200


class CountJob(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The settings, inputs and plan that the parts follow from."""

    patterns: list[str]
    by_ranks: bool
    documents: Unit
    separator: str | None
    field: str
    on_error: OnError
    input_format: str | None
    zstd_window: int | None
    part_bytes: int
    parts: int
    inputs: list[Input]
    format: Literal["fastprep count 1"] = "fastprep count 1"


def count_in_parts(
    directory: Path,
    inputs: Inputs,
    settings: Settings,
    *,
    part_bytes: int | None = None,
    share: tuple[int, int] | None = None,
    progress: bool | None = None,
    log: Log | None = None,
) -> PieceCounts | None:
    """Count the pieces of inputs part by part, into a directory; return the sum of all parts.

    With a `share` (i, n) only every n-th part from the i-th on is counted; None is returned while
    parts of other shares are missing. Finished parts of an earlier call are kept, unless their
    inputs were changed.

    Raises OtherJob if the directory has parts of other settings or inputs, InvalidInput as
    :func:`fastprep.count_pieces`.
    """
    found = plan_of(inputs, settings.form, part_bytes, _MIN_PART_BYTES)
    if any(isinstance(span, TableSpan) for span in found.spans):
        raise InvalidInput("inputs in memory cannot be counted in parts: nothing could resume them")
    report_passed_over(found.passed, log)
    job = _job_of(found, settings)
    directory.mkdir(parents=True, exist_ok=True)
    with _locked(directory, shared=share is not None):
        _start(directory, job, alone=share is None)
        own = shards_of_share(len(found.tasks), share)
        _count_missing(directory, found, own, settings, progress, log)
        if missing := _missing(directory, job):
            if share is None:
                raise UnfinishedJob(f"{directory}: {_listed(missing)} disappeared; run it again")
            return None
        return _sum_of(directory, job)


def counts_of_parts(directory: Path) -> PieceCounts:
    """Return the sum of the parts that several runs have counted.

    Raises UnfinishedJob naming the parts that are missing, InvalidStore if there are none.
    """
    job = _read(directory)
    if job is None:
        raise InvalidStore(f"{directory}: nothing was counted here; run the tasks first")
    with _locked(directory, shared=False):
        if missing := _missing(directory, job):
            raise UnfinishedJob(
                f"{directory}: {_listed(missing)} of {job.parts} not counted yet; run the tasks that "
                "are missing"
            )
        return _sum_of(directory, job)


def remove_parts(directory: Path) -> None:
    """Remove the directory of a count whose result is no longer needed."""
    for path in sorted(directory.glob("part-*.counts*")):
        remove(path)
    for name in (_JOB, _LOCK):
        remove(directory / name)
    with contextlib.suppress(OSError):  # other files are not ours
        directory.rmdir()


def _locked(directory: Path, *, shared: bool) -> contextlib.AbstractContextManager[None]:
    return holding(
        directory / _LOCK,
        f"{directory}: another run counts here; wait until it ends, and run the same command again",
        shared=shared,
        timeout=0.5,
    )


def _job_of(found: Plan, settings: Settings) -> CountJob:
    form, splitting = settings.form, settings.splitting
    return CountJob(
        patterns=list(splitting.patterns),
        by_ranks=splitting.by_ranks,
        documents=settings.documents,
        separator=form.separator,
        field=form.field,
        on_error=form.on_error,
        input_format=form.format,
        zstd_window=form.zstd_window,
        part_bytes=found.task_bytes,
        parts=len(found.tasks),
        inputs=[Input(span.path, span.size) for span in found.spans],
    )


def _read(directory: Path) -> CountJob | None:
    path = directory / _JOB
    try:
        return msgspec.json.decode(path.read_bytes(), type=CountJob)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidStore(
            f"{path}: damaged: {error}; remove {directory}, and count again"
        ) from None


def _start(directory: Path, job: CountJob, *, alone: bool) -> None:
    """Write the job, or check that it is the one that was started.

    A job of which no part was counted is replaced if the run is `alone` in the directory.
    """
    old = _read(directory)
    if old is None or (alone and next(directory.glob("part-*.counts"), None) is None):
        with replacing(directory / _JOB, replace_link=False) as file:
            file.write(msgspec.json.format(msgspec.json.encode(job), indent=2) + b"\n")
        return
    if old != job:
        raise OtherJob(
            f"{directory}: it has a count that is not finished, in which {_changed(old, job)}; finish "
            "it with the same command, or remove the directory to start over"
        )


def _changed(old: CountJob, job: CountJob) -> str:
    """Return in what two jobs differ, in words."""
    changed = []
    for name in CountJob.__struct_fields__:
        was, now = getattr(old, name), getattr(job, name)
        if was == now:
            continue
        short = len(repr(was)) + len(repr(now)) <= _MAX_SHOWN
        changed.append(f"{name} was {was!r} and is {now!r}" if short else f"{name} differs")
    return ", ".join(changed)


def _path(directory: Path, index: int) -> Path:
    return directory / f"part-{index:05d}.counts"


def _record(task: Task) -> Any:
    """Return what a part's file remembers of its inputs."""
    times = modified(task)
    return [[s.path, s.start, s.end, time] for s, time in zip(task, times, strict=True)]


def _count_missing(
    directory: Path,
    found: Plan,
    own: list[int],
    settings: Settings,
    progress: bool | None,
    log: Log | None,
) -> None:
    todo = []
    for index in own:
        reason = _fault(_path(directory, index), found.tasks[index])
        if reason is not None:
            todo.append(index)
        if reason:
            send(log, "redone", part=index, reason=reason)
    size = sum(task_bytes(found.tasks[index]) for index in todo)
    send(log, "counting", tasks=len(todo), bytes=size, inputs=len(found.spans))
    if len(todo) < len(own):
        send(log, "resumed", parts_finished=len(own) - len(todo))
    workers = min(settings.workers, max(len(todo), 1))
    inner = max(settings.workers // max(len(todo), 1), 1)

    def one(run: Run, index: int, stop: StopFlag) -> int:
        tables = Tables(settings.splitting, settings.documents, inner, settings.memory // workers)
        task = found.tasks[index]
        record = _record(task)
        documents = run.count(task, tables, inner, stop)
        records, sums = tables.records()
        counts = PieceCounts(records, settings.splitting, settings.documents, sums)
        counts.write(_path(directory, index), record)
        return documents

    with Run(settings.form, size, progress, log) as run:
        count = partial(one, run)
        with contextlib.closing(call_on_threads(count, todo, workers, run.tick)) as ended:
            for index, documents in ended:
                send(log, "task done", task=index, documents=documents)


def _fault(path: Path, task: Task) -> str | None:
    """Return why the file of a part cannot be used: empty if there is none, None if it can."""
    try:
        _, facts = PieceCounts.read(path)
    except FileNotFoundError:
        return ""
    except DamagedInput as error:
        return str(error)
    return None if facts.job == _record(task) else "its inputs were changed since"


def _missing(directory: Path, job: CountJob) -> list[int]:
    return [index for index in range(job.parts) if not _path(directory, index).exists()]


def _listed(parts: list[int]) -> str:
    shown = ", ".join(map(str, parts[:10])) + (", ..." if len(parts) > 10 else "")
    return f"part{'' if len(parts) == 1 else 's'} {shown}"


def _sum_of(directory: Path, job: CountJob) -> PieceCounts:
    if not job.parts:
        splitting = splitting_by(job.patterns, by_ranks=job.by_ranks)
        return PieceCounts(b"", splitting, job.documents)
    return add_up([PieceCounts.read(_path(directory, index))[0] for index in range(job.parts)])
