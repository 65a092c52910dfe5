"""Tasks in threads, or in processes that begin as new interpreters: where nothing may be forked."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import connection

from fastprep.corpus.plan import Task
from fastprep.errors import FastprepError
from fastprep.jobs.journal import Done
from fastprep.jobs.pool import TICK_SECONDS, Counters, Tick, counting
from fastprep.jobs.task import Work, run_task

_DIED = (
    "a worker process ended without a word: killed (is there memory enough?), or the script calls "
    'prepare() outside `if __name__ == "__main__":`, which the workers import; mend that, or pass '
    "workers=1; then the same command goes on from the shards that are finished"
)


def run_in_threads(
    work: Work, tasks: dict[int, Task], counters: Counters, workers: int, tick: Tick
) -> Iterator[tuple[int, Done]]:
    """Do some tasks in threads, for inputs that other processes do not have."""
    with ThreadPoolExecutor(workers) as pool:

        def submit(row: int, index: int, task: Task) -> Future[Done]:
            return pool.submit(run_task, work, index, task, counting(counters, row))

        yield from _as_they_end(submit, tasks, workers, tick)


def run_in_new_processes(
    work: Work, tasks: dict[int, Task], counters: Counters, workers: int, tick: Tick
) -> Iterator[tuple[int, Done]]:
    """Do some tasks in processes of their own; they come in the order in which they end.

    Raises
    ------
    FastprepError
        when one of the processes died.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _begin_worker, (work, counters)) as pool:

        def submit(row: int, index: int, task: Task) -> Future[Done]:
            return pool.submit(_run_in_worker, index, task, row)

        try:
            yield from _as_they_end(submit, tasks, workers, tick)
        except BrokenProcessPool:
            raise FastprepError(_DIED) from None
        finally:
            # Not asked to end: one of them may have died with the lock in hand that asking goes through.
            for process in list((pool._processes or {}).values()):
                process.kill()


def _as_they_end(
    submit: Callable[[int, int, Task], Future[Done]],
    tasks: dict[int, Task],
    workers: int,
    tick: Tick,
) -> Iterator[tuple[int, Done]]:
    """What tasks end with, a few at a time; whoever stops waits for those that have begun."""
    left = enumerate(tasks.items())
    running: dict[Future[Done], int] = {}

    def begin(count: int) -> None:
        for row, (index, task) in islice(left, count):
            running[submit(row, index, task)] = index

    try:
        # No more than there are workers: after an error nothing has to be called off, which a
        # pool does at a moment of its own: whoever waited for that might wait for ever.
        begin(workers)
        while running:
            for future in wait(running, TICK_SECONDS, FIRST_COMPLETED).done:
                index, done = running.pop(future), future.result()
                begin(1)
                yield index, done
            tick()
    finally:
        # What has begun is finished: it is little, and it is then done for good.
        wait(running)


# Set once in a worker process, before its first task.
_worker: tuple[Work, Counters] | None = None


def _begin_worker(work: Work, counters: Counters) -> None:
    global _worker
    # Ctrl-C reaches every process of the terminal: the parent speaks, the workers just end.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker = work, counters


def _end_with_parent() -> None:
    """Without its parent a worker would wait for its next task for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _run_in_worker(index: int, task: Task, row: int) -> Done:
    if _worker is None:
        raise RuntimeError("a task came before its job")
    work, counters = _worker
    return run_task(work, index, task, counting(counters, row))
