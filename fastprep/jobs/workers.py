"""Threads of this process that run tasks: the only way to run them on one machine.

All that a task does to a block of text releases the GIL, so threads scale as processes would, and need
neither a fork, nor a new interpreter, nor a guard in the user's script.
"""

from __future__ import annotations

from collections.abc import Generator

from fastprep.corpus.plan import Task
from fastprep.jobs.calls import Tick, call_on_threads
from fastprep.jobs.journal import Done
from fastprep.jobs.task import TaskCounter, Work, run_task
from fastprep.system.threads import StopFlag


def run_on_threads(
    work: Work, tasks: dict[int, Task], counters: dict[int, TaskCounter], workers: int, tick: Tick
) -> Generator[tuple[int, Done]]:
    """Run tasks on `workers` threads, and yield the index and result of each as it ends."""

    def run(index: int, stop: StopFlag) -> Done:
        return run_task(work, index, tasks[index], counters[index], stop)

    return call_on_threads(run, tasks, workers, tick)
