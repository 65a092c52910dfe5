"""Tasks in copies of this process: nothing is imported, read or built a second time.

A worker is told the row of its next task through a pipe and answers through another, whose end says
that it died. It ends itself when its parent does: a third pipe, which only the parent holds open.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
from _thread import start_new_thread
from collections.abc import Iterator
from typing import NamedTuple, NoReturn

import msgspec

from fastprep.corpus.plan import Task
from fastprep.errors import FastprepError
from fastprep.jobs.journal import Done
from fastprep.jobs.pool import TICK_SECONDS, Counters, Tick, counting
from fastprep.jobs.task import Work, run_task

# What begins an answer, and how many bytes say how long it is.
_DONE, _FAILED = b"d", b"f"
_SIZE_BYTES = 8


class _Worker(NamedTuple):
    """A worker as its parent sees it: its process, where to ask, where it answers."""

    process: int
    asks: int
    answers: int


def run_in_forks(
    work: Work, tasks: dict[int, Task], counters: Counters, workers: int, tick: Tick
) -> Iterator[tuple[int, Done]]:
    """Do some tasks in processes of their own; they come in the order in which they end.

    Raises
    ------
    FastprepError
        when one of the processes died.
    """
    jobs = list(tasks.items())
    rows = iter(range(len(jobs)))
    idle: list[_Worker] = []
    busy: dict[int, tuple[_Worker, int]] = {}  # by where they answer: the worker and its row
    ours, theirs = os.pipe()
    try:
        for _ in range(workers):
            idle.append(_fork(work, jobs, counters, ours, theirs))
        poll = select.poll()
        for worker in list(idle):
            poll.register(worker.answers, select.POLLIN)
            _ask(worker, next(rows, None), idle, busy)
        while busy:
            for answers, _ in poll.poll(TICK_SECONDS * 1000):
                if answers not in busy:  # nothing was asked, so it died
                    raise _died(next(worker for worker in idle if worker.answers == answers))
                worker, row = busy.pop(answers)
                idle.append(worker)
                done = _answer(worker)
                _ask(worker, next(rows, None), idle, busy)
                yield jobs[row][0], done
            tick()
    finally:
        try:
            # What has begun is finished: it is little, and it is then done for good.
            for answers in busy:
                _received(answers)
        finally:
            for worker in [*idle, *(worker for worker, _ in busy.values())]:
                os.kill(worker.process, signal.SIGKILL)
                os.waitpid(worker.process, 0)
                os.close(worker.asks)
                os.close(worker.answers)
            os.close(ours)
            os.close(theirs)


def _ask(
    worker: _Worker,
    row: int | None,
    idle: list[_Worker],
    busy: dict[int, tuple[_Worker, int]],
) -> None:
    """Give an idle worker a row, if there is one."""
    if row is None:
        return
    idle.remove(worker)
    busy[worker.answers] = worker, row
    # One that died meanwhile is found by what it does not answer.
    with contextlib.suppress(BrokenPipeError):
        os.write(worker.asks, row.to_bytes(_SIZE_BYTES, sys.byteorder))


def _answer(worker: _Worker) -> Done:
    """What a worker made of its task, or what it failed with."""
    received = _received(worker.answers)
    if received is None:
        raise _died(worker)
    kind, content = received
    if kind == _DONE:
        return msgspec.json.decode(content, type=Done)
    # As the standard library's own workers send theirs, and no one else writes to this pipe.
    from multiprocessing.reduction import ForkingPickler

    error, there = ForkingPickler.loads(content)
    error.__cause__ = _InWorker(there)
    raise error


def _died(worker: _Worker) -> FastprepError:
    """How a worker ended that does not answer any more."""
    # It stays to be waited for.
    ended = os.waitid(os.P_PID, worker.process, os.WEXITED | os.WNOWAIT)
    if ended is None or ended.si_code == os.CLD_EXITED:
        how = "ended without a word"
    else:
        number = ended.si_status
        hint = "; is there memory enough?" if number == signal.SIGKILL else ""
        how = f"was ended by signal {number} ({signal.strsignal(number)}{hint})"
    return FastprepError(
        f"a worker process {how}; the same command goes on from the shards that are finished"
    )


def _received(answers: int) -> tuple[bytes, bytes] | None:
    """The kind and content of an answer; None from a worker that died."""
    head = _read(answers, 1 + _SIZE_BYTES)
    size = int.from_bytes(head[1:], sys.byteorder)
    content = _read(answers, size)
    whole = len(head) == 1 + _SIZE_BYTES and len(content) == size
    return (head[:1], content) if whole else None


def _read(descriptor: int, size: int) -> bytes:
    parts = []
    while size and (part := os.read(descriptor, size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


class _InWorker(Exception):
    """The traceback of an error in the process in which it was raised."""


# -- in the worker ---------------------------------------------------------------------------------


def _fork(
    work: Work, jobs: list[tuple[int, Task]], counters: Counters, ours: int, theirs: int
) -> _Worker:
    asked, asks = os.pipe()
    answers, answered = os.pipe()
    # What is buffered would be written by both.
    sys.stdout.flush()
    sys.stderr.flush()
    # Ctrl-C reaches every process of the terminal: the parent speaks, the workers just end. It waits
    # until the worker knows that it is one.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process = os.fork()
        if process == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            _be_worker(work, jobs, counters, asked, answered, ours, theirs)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    os.close(asked)
    os.close(answered)
    return _Worker(process, asks, answers)


def _be_worker(
    work: Work,
    jobs: list[tuple[int, Task]],
    counters: Counters,
    asked: int,
    answered: int,
    ours: int,
    theirs: int,
) -> NoReturn:
    """All that a worker does."""
    try:
        os.close(theirs)
        start_new_thread(_end_with_parent, (ours,))
        while asking := _read(asked, _SIZE_BYTES):
            row = int.from_bytes(asking, sys.byteorder)
            index, task = jobs[row]
            kind, content = _attempt(work, index, task, counters, row)
            answer = kind + len(content).to_bytes(_SIZE_BYTES, sys.byteorder) + content
            while answer:
                answer = answer[os.write(answered, answer) :]
            sys.stderr.flush()
    finally:
        os._exit(1)


def _attempt(
    work: Work, index: int, task: Task, counters: Counters, row: int
) -> tuple[bytes, bytes]:
    try:
        return _DONE, msgspec.json.encode(run_task(work, index, task, counting(counters, row)))
    except BaseException as error:
        import traceback
        from multiprocessing.reduction import ForkingPickler

        there = "\n" + traceback.format_exc()
        try:
            content = bytes(ForkingPickler.dumps((error, there)))
            ForkingPickler.loads(content)
        except Exception:  # of a kind that cannot travel
            told = FastprepError(f"{type(error).__name__}: {error}")
            content = bytes(ForkingPickler.dumps((told, there)))
        return _FAILED, content


def _end_with_parent(ours: int) -> None:
    """Without its parent a worker would wait for its next task for ever."""
    os.read(ours, 1)
    os._exit(1)
