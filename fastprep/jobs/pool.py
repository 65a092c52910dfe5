"""Tasks in this process, one after another, and what all ways of running them have in common.

The other ways have files of their own, imported by who takes them: :mod:`fastprep.jobs.forks`,
:mod:`fastprep.jobs.executors`, :mod:`fastprep.jobs.on_ray`.
"""

from __future__ import annotations

import mmap
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeAlias

from fastprep.corpus.plan import Task
from fastprep.errors import FastprepError
from fastprep.jobs.journal import Done
from fastprep.jobs.task import Work, run_task
from fastprep.store.writer import Report

#: Bytes of text, documents and tokens of each task of a run so far: int64, three a task.
Counters = Any  # a memoryview, or ctypes' array, whose type has no public name

#: Called every now and then while work goes on.
Tick: TypeAlias = Callable[[], None]
TICK_SECONDS = 0.2

#: How tasks are run: one after another, in threads, in processes of either kind, in a cluster.
Way: TypeAlias = Literal["here", "threads", "forks", "spawned", "ray"]


def run_here(
    work: Work, tasks: dict[int, Task], counters: Counters, tick: Tick
) -> Iterator[tuple[int, Done]]:
    """Do some tasks in this process, one after another."""
    for row, (index, task) in enumerate(tasks.items()):
        count = counting(counters, row)

        def report(size: int, documents: int, tokens: int, count: Report = count) -> None:
            count(size, documents, tokens)
            tick()

        yield index, run_task(work, index, task, report)


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def own_process() -> None:
    """Say that this process is fastprep's alone: no other code has put anything into it.

    Workers may then be forked, which takes 2 ms each instead of 300 for a new interpreter and what it
    imports, and memory that is freed stays for the next block.
    """
    global _is_own
    _is_own = True


_is_own = False


def may_fork() -> bool:
    """Whether workers may be copies of this process, as it is now."""
    # A fork copies locks that other threads may hold at the time: only where there are no others.
    if not _is_own or sys.platform != "linux":
        return False
    for _ in range(20):
        status = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace")
        if "\nThreads:\t1\n" in status:
            return True
        time.sleep(0.001)  # a thread that has done its work may need a moment to be gone
    return False


def new_counters(tasks: int, way: Way) -> Counters:
    """Counters that this process and its workers share, whichever way they are run."""
    size = 3 * max(tasks, 1)
    if way == "spawned":
        import multiprocessing

        return multiprocessing.get_context("spawn").RawArray("q", size)
    return memoryview(mmap.mmap(-1, 8 * size)).cast("q")


def counting(counters: Counters, row: int) -> Report:
    """What counts for the task that has that row."""

    # Each task has a row of its own, so nobody waits for anybody.
    def report(size: int, documents: int, tokens: int) -> None:
        counters[3 * row] += size
        counters[3 * row + 1] += documents
        counters[3 * row + 2] += tokens

    return report


def refuse_inside_import() -> None:
    """Stop a script that calls prepare() unguarded from doing so again in each worker it starts."""
    # The same mark by which multiprocessing refuses to start a process from such an import. In a
    # process that it started it is there.
    processes = sys.modules.get("multiprocessing.process")
    if processes and getattr(processes.current_process(), "_inheriting", False):
        raise FastprepError(
            "prepare() was called while a worker process imported your script; put the call "
            'under `if __name__ == "__main__":`, or pass workers=1'
        )
