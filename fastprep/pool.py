"""Tasks in this process, or in some processes of their own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
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
from pathlib import Path
from typing import Any, TypeAlias

from fastprep.errors import FastprepError
from fastprep.journal import Done
from fastprep.planning import Task
from fastprep.shards import Report
from fastprep.task import Work, run_task

#: Bytes of text, documents and tokens of each task of a run so far.
Counters = Any  # ctypes' array of int64; its type has no public name

#: Called every now and then while work goes on.
Tick: TypeAlias = Callable[[], None]
_TICK_SECONDS = 0.2


def run_here(
    work: Work, tasks: dict[int, Task], counters: Counters, tick: Tick
) -> Iterator[tuple[int, Done]]:
    """Do some tasks in this process, one after another."""
    for row, (index, task) in enumerate(tasks.items()):
        count = _counting(counters, row)

        def report(size: int, documents: int, tokens: int, count: Report = count) -> None:
            count(size, documents, tokens)
            tick()

        yield index, run_task(work, index, task, report)


def run_in_threads(
    work: Work, tasks: dict[int, Task], counters: Counters, workers: int, tick: Tick
) -> Iterator[tuple[int, Done]]:
    """Do some tasks in threads, for inputs that other processes do not have."""
    with ThreadPoolExecutor(workers) as pool:
        indices = {
            pool.submit(run_task, work, index, task, _counting(counters, row)): index
            for row, (index, task) in enumerate(tasks.items())
        }
        waiting = set(indices)
        try:
            while waiting:
                ended, waiting = wait(waiting, _TICK_SECONDS, FIRST_COMPLETED)
                for future in ended:
                    yield indices[future], future.result()
                tick()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def run_in_processes(
    work: Work, tasks: dict[int, Task], counters: Counters, workers: int, tick: Tick
) -> Iterator[tuple[int, Done]]:
    """Do some tasks in processes of their own; they come in the order in which they end.

    Raises
    ------
    FastprepError
        when one of the processes died.
    """
    context = multiprocessing.get_context(_start_method())
    left = enumerate(tasks.items())
    running: dict[Future[Done], int] = {}
    with ProcessPoolExecutor(workers, context, _begin_worker, (work, counters)) as pool:

        def begin(count: int) -> None:
            for row, (index, task) in islice(left, count):
                running[pool.submit(_run_in_worker, index, task, row)] = index

        try:
            # No more than there are workers: after an error nothing has to be called off, which a
            # pool does at a moment of its own: whoever waited for that might wait for ever.
            begin(workers)
            while running:
                for future in wait(running, _TICK_SECONDS, FIRST_COMPLETED).done:
                    index, done = running.pop(future), future.result()
                    begin(1)
                    yield index, done
                tick()
        except BrokenProcessPool:
            raise FastprepError(
                "a worker process ended without a word: killed (is there memory enough?), or the "
                'script calls prepare() outside `if __name__ == "__main__":`, which the workers '
                "import; mend that, or pass workers=1; then the same command goes on from the shards "
                "that are finished"
            ) from None
        finally:
            # What has begun is finished: it is little, and it is then done for good.
            wait(running)
            workers_left = list((pool._processes or {}).values())
            pool.shutdown(wait=False)
            # Not asked to end: one of them may have died with the lock in hand that asking goes through.
            for process in workers_left:
                process.kill()


def own_process() -> None:
    """Say that this process is fastprep's alone: no other code has put anything into it.

    Workers may then be forked, which takes 5 ms each instead of 300 for a new interpreter and what it
    imports.
    """
    global _is_own
    _is_own = True


_is_own = False


def _start_method() -> str:
    # A fork copies locks that other threads may hold at the time: only where there are no others.
    if _is_own and sys.platform == "linux":
        status = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace")
        if "\nThreads:\t1\n" in status:
            return "fork"
    return "spawn"


def new_counters(tasks: int) -> Counters:
    """Counters that this process and its workers share."""
    return multiprocessing.get_context("spawn").RawArray("q", 3 * max(tasks, 1))


def _counting(counters: Counters, row: int) -> Report:
    # Each task has a row of its own, so nobody waits for anybody.
    def report(size: int, documents: int, tokens: int) -> None:
        counters[3 * row] += size
        counters[3 * row + 1] += documents
        counters[3 * row + 2] += tokens

    return report


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
    return run_task(work, index, task, _counting(counters, row))


def refuse_inside_import() -> None:
    """Stop a script that calls prepare() unguarded from doing so again in each worker it starts."""
    # The same mark by which multiprocessing refuses to start a process from such an import.
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise FastprepError(
            "prepare() was called while a worker process imported your script; put the call "
            'under `if __name__ == "__main__":`, or pass workers=1'
        )
