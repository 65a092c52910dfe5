"""Threads of this process that run tasks: the only way to run them on one machine.

All that a task does to a block of text releases the GIL, so threads scale as processes would, and need
neither a fork, nor a new interpreter, nor a guard in the user's script.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Generator
from queue import Empty, SimpleQueue
from typing import TypeAlias, TypeVar

from fastprep.corpus.plan import Task
from fastprep.jobs.journal import Done
from fastprep.jobs.task import TaskCounter, Work, run_task
from fastprep.system.threads import StopFlag, Stopped
from fastprep_ext.base import release_blocks

Result = TypeVar("Result")

#: Called every TICK_SECONDS or more often while tasks run.
Tick: TypeAlias = Callable[[], None]
TICK_SECONDS = 0.2
# Seconds that a stopped job waits for its threads. They check the stop flag at each block, within
# milliseconds; one in a long system call ends later, and holds the lock of its shard until then.
_STOP_TIMEOUT = 0.4


def run_on_threads(
    work: Work, tasks: dict[int, Task], counters: dict[int, TaskCounter], workers: int, tick: Tick
) -> Generator[tuple[int, Done]]:
    """Run tasks on `workers` threads, and yield the index and result of each as it ends.

    The first error of a task is raised here. After it, as after an interrupt, the other threads stop
    at their next block.
    """

    def run(index: int, stop: StopFlag) -> Done:
        return run_task(work, index, tasks[index], counters[index], stop)

    return call_on_threads(run, tasks, workers, tick)


def call_on_threads(
    run: Callable[[int, StopFlag], Result], numbers: Collection[int], workers: int, tick: Tick
) -> Generator[tuple[int, Result]]:
    """Call a function with each number, and yield number and result as :func:`run_on_threads` does.

    The function checks the stop flag at each block of its work.
    """
    waiting = deque(numbers)
    ended: SimpleQueue[tuple[int, Result | BaseException]] = SimpleQueue()
    stop = StopFlag()

    def run_tasks() -> None:
        while not stop.is_set:
            try:
                index = waiting.popleft()
            except IndexError:
                return
            try:
                ended.put((index, run(index, stop)))
            except Stopped:
                return
            except BaseException as error:
                stop.set()
                ended.put((index, error))

    threads = [
        threading.Thread(target=run_tasks, name="fastprep task", daemon=True)
        for _ in range(min(workers, len(numbers)))
    ]
    started = []
    try:
        for thread in threads:
            with contextlib.suppress(RuntimeError):  # no further thread can be started
                thread.start()
                started.append(thread)
        if numbers and not started:
            run_tasks()
        for _ in numbers:
            index, result = _next(ended, tick)
            if isinstance(result, BaseException):
                raise result
            yield index, result
            tick()
    finally:
        stop.set()
        deadline = time.monotonic() + _STOP_TIMEOUT
        for thread in started:
            thread.join(max(deadline - time.monotonic(), 0))
        release_blocks()


def _next(
    ended: SimpleQueue[tuple[int, Result | BaseException]], tick: Tick
) -> tuple[int, Result | BaseException]:
    while True:
        try:
            return ended.get(timeout=TICK_SECONDS)
        except Empty:
            tick()
