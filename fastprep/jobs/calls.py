"""Calls of a function on threads of this process, whose results come as each call ends."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Generator
from queue import Empty, SimpleQueue
from typing import TypeAlias, TypeVar

from fastprep.system.interrupts import deferred
from fastprep.system.threads import Crew, StopFlag, Stopped
from fastprep_ext.base import release_blocks

Result = TypeVar("Result")

#: Called every TICK_SECONDS or more often while calls run.
Tick: TypeAlias = Callable[[], None]
TICK_SECONDS = 0.2
# Seconds that a stopped job waits for its threads. They check the stop flag at each block, within
# milliseconds; one in a long system call ends later, and holds the lock of its shard until then.
_STOP_TIMEOUT = 0.4


def call_on_threads(
    run: Callable[[int, StopFlag], Result], numbers: Collection[int], workers: int, tick: Tick
) -> Generator[tuple[int, Result]]:
    """Call a function with each number on `workers` threads, and yield number and result as each ends.

    The function checks the stop flag at each block of its work. The first error of a call is raised
    here. After it, as after an interrupt, the other threads stop at their next block. Interrupts
    wait until this thread waits for a call, so that they are raised between two of its steps, not
    within one.
    """
    waiting = deque(numbers)
    ended: SimpleQueue[tuple[int, Result | BaseException] | None] = SimpleQueue()
    stop = StopFlag()

    def run_tasks(stop: StopFlag = stop) -> None:
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

    crew = Crew(run_tasks)
    # None in the queue wakes this thread.
    with deferred(lambda: ended.put(None)) as signals:
        try:
            crew.start(min(workers, len(numbers)))
            done = 0
            while done < len(numbers):
                try:
                    result = ended.get(timeout=TICK_SECONDS)
                except Empty:
                    tick()
                    if not crew.running and ended.empty():
                        # No thread was started, or all ran out of memory.
                        if not waiting:
                            raise MemoryError("no memory for the result of a task") from None
                        run_tasks(_Delivering(signals))
                    continue
                if result is None:
                    signals.deliver()
                    continue
                index, found = result
                if isinstance(found, BaseException):
                    raise found
                yield index, found
                done += 1
                tick()
        finally:
            stop.set()
            crew.close(_STOP_TIMEOUT)
            release_blocks()


class _Delivering(StopFlag):
    """A stop flag for the main thread, which delivers interrupts where it is checked."""

    def __init__(self, signals: deferred) -> None:
        super().__init__()
        self._signals = signals

    def check(self) -> None:
        self._signals.deliver()
        super().check()
