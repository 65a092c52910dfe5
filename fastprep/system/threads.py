"""Background threads: helpers that share work, items produced ahead, a function mapped in order.

All of them are useful only if the work releases the GIL. Threads are daemons: a process that ends does
not wait for them.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
from collections import deque
from queue import Queue, SimpleQueue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, TypeVar

    T = TypeVar("T")
    Result = TypeVar("Result")

# Items that wait to be consumed: enough that neither side waits if both are equally fast.
_QUEUED = 2


class Stopped(BaseException):
    """Raised in a thread to stop its work; not an Exception, so that no handler catches it."""


class StopFlag:
    """A request to stop, made once by one thread and checked by others between steps of their work."""

    def __init__(self) -> None:
        self.is_set = False

    def set(self) -> None:
        """Request a stop."""
        self.is_set = True

    def check(self) -> None:
        """Raise Stopped if a stop was requested."""
        if self.is_set:
            raise Stopped


def available_cores() -> int:
    """Return how many cores this process may use: by its affinity, and by the quota of its cgroup."""
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    quota = cgroup_quota()
    return cores if quota is None else max(min(cores, math.ceil(quota)), 1)


def cgroup_quota(system: str = "/sys/fs/cgroup", own: str = "/proc/self/cgroup") -> float | None:
    """Return the CPU quota of this process in cores, or None if it has none.

    It is the smallest of its cgroup and those above it: ``cpu.max`` in version 2 of cgroups, the
    ``cpu.cfs_*`` files in version 1. In a container these paths may be relative to the container's own.

    >>> cgroup_quota("/nowhere", "/nowhere") is None
    True
    """
    quotas = []
    try:
        lines = _read(own).splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = f"{system}/{controllers}" if controllers else system
        parts = [part for part in path.split("/") if part]
        for depth in range(len(parts), -1, -1):
            found = _quota_in("/".join([root, *parts[:depth]]), bool(controllers))
            if found is not None:
                quotas.append(found)
    return min(quotas, default=None)


def _quota_in(folder: str, first_version: bool) -> float | None:
    """Return the quota that the files in the folder of one cgroup set."""
    try:
        if first_version:
            quota, period = (
                _read(f"{folder}/cpu.cfs_quota_us"),
                _read(f"{folder}/cpu.cfs_period_us"),
            )
        else:
            quota, period = _read(f"{folder}/cpu.max").split()
        # "max", or -1 in version 1, is no quota.
        return int(quota) / int(period) if int(quota) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:  # noqa: PTH123
        return file.read()


@contextlib.contextmanager
def helpers(
    work: Callable[[], object], count: int, *, stop: Callable[[], object]
) -> Iterator[None]:
    """Run `work` on `count` background threads while the block runs, then call `stop` and join them.

    An exception from the block propagates after the threads have ended.

    >>> done = []
    >>> with helpers(lambda: done.append("work"), 2, stop=lambda: done.append("stop")):
    ...     pass
    >>> sorted(done)
    ['stop', 'work', 'work']
    """
    threads = [threading.Thread(target=work, daemon=True) for _ in range(count)]
    try:
        for thread in threads:
            thread.start()
        yield
    finally:
        stop()
        for thread in threads:
            if thread.ident is not None:
                thread.join()


def produce_ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield the items of an iterator that a thread runs ahead; its exception is raised here.

    If the consumer closes this generator early, the iterator is closed and the thread joined.

    >>> list(produce_ahead(iter([1, 2, 3])))
    [1, 2, 3]
    """
    queue: Queue[tuple[bool, T | BaseException | None]] = Queue(_QUEUED)
    stop = StopFlag()

    def produce() -> None:
        last: tuple[bool, T | BaseException | None] = (True, None)
        try:
            try:
                for item in items:
                    queue.put((False, item))
                    if stop.is_set:
                        break
            finally:
                close = getattr(items, "close", None)
                if close is not None:
                    close()
        except BaseException as error:
            last = (True, error)
        queue.put(last)  # in any case, because the consumer waits for it

    thread = threading.Thread(target=produce, name="fastprep reader", daemon=True)
    thread.start()
    over = False
    try:
        while True:
            over, item = queue.get()
            if over:
                if isinstance(item, BaseException):
                    raise item
                return
            yield item  # type: ignore[misc]
    finally:
        stop.set()
        while not over:
            over, _ = queue.get()
        thread.join()


def map_in_order(
    function: Callable[[T], Result], items: Iterable[T], threads: int
) -> Iterator[Result]:
    """Yield ``function(item)`` of each item, in their order, computed by `threads` threads.

    The first exception in order is raised, from the function or from the items. Items are taken ahead
    of the consumer: `threads` and a few more.

    >>> list(map_in_order(str, range(5), threads=2))
    ['0', '1', '2', '3', '4']
    """
    queue: SimpleQueue[_Call | None] = SimpleQueue()
    pending: deque[_Call] = deque()
    workers: list[threading.Thread] = []
    failure: BaseException | None = None
    remaining = iter(items)
    try:
        while failure is None:
            try:
                call = _Call(function, next(remaining))
            except StopIteration:
                break
            except BaseException as error:  # raised after the results before it
                failure = error
                break
            pending.append(call)
            queue.put(call)
            # No thread for a single item, which is the most frequent case.
            if len(workers) < threads and len(pending) > 1:
                workers.append(
                    threading.Thread(
                        target=_run_calls, args=(queue,), name="fastprep worker", daemon=True
                    )
                )
                workers[-1].start()
            if len(pending) > threads + _QUEUED:
                yield pending.popleft().result()
        if not workers:
            queue.put(None)
            _run_calls(queue)
        while pending:
            yield pending.popleft().result()
        if failure is not None:
            raise failure
    finally:
        for call in pending:
            call.wanted = False
        for _ in workers:
            queue.put(None)
        for worker in workers:
            worker.join()


class _Call:
    """A call of a function that a thread makes."""

    def __init__(self, function: Callable[[Any], Any], item: Any) -> None:
        self.wanted = True
        self._function = function
        self._item = item
        self._result: Any = None
        self._error: BaseException | None = None
        self._ready = threading.Event()

    def run(self) -> None:
        try:
            if self.wanted:
                self._result = self._function(self._item)
        except BaseException as error:
            self._error = error
        self._item = None
        self._ready.set()

    def result(self) -> Any:
        """Wait for the call, and return its result or raise its exception."""
        self._ready.wait()
        if self._error is not None:
            raise self._error
        return self._result


def _run_calls(queue: SimpleQueue[_Call | None]) -> None:
    while (call := queue.get()) is not None:
        call.run()
