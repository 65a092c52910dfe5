"""Background threads: helpers that share work, items produced ahead, a function mapped in order.

All of them are useful only if the work releases the GIL. Threads are daemons: a process that ends does
not wait for them.

They are started by _thread: ``threading.Thread.start`` waits for its thread without end if that one runs
out of memory before it has set an event. Here no side waits for what the other may not have begun: what
no thread has taken is done by the thread that needs it.
"""

from __future__ import annotations

import contextlib
import math
import os
from _thread import allocate_lock, start_new_thread
from collections import deque
from queue import Empty, SimpleQueue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _thread import LockType
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, TypeVar

    T = TypeVar("T")
    Result = TypeVar("Result")

# Items that wait to be consumed: enough that neither side waits if both are equally fast.
_QUEUED = 2
# Seconds after which a thread that waits for work checks whether it is still wanted, in case there
# was no memory to wake it.
_CHECK_SECONDS = 1.0


class Stopped(BaseException):
    """Raised in a thread to stop its work; not an Exception, so that no handler catches it."""


class StopFlag:
    """A request to stop, made once by one thread and checked by others between steps of their work."""

    def __init__(self) -> None:
        self.is_set: bool = False

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


def new_lock() -> LockType:
    """Return a lock. Raises MemoryError without memory for one."""
    try:
        return allocate_lock()
    except RuntimeError:  # which says that it cannot allocate one
        raise MemoryError("no memory for a lock") from None


class Crew:
    """Background threads that run one function; as many as can be started, which may be none.

    >>> done = []
    >>> crew = Crew(lambda: done.append("work"))
    >>> crew.start(2)
    2
    >>> crew.close()
    """

    def __init__(self, work: Callable[[], object]) -> None:
        self.running: int = 0
        self._work: Callable[[], object] | None = work
        self._closed = False
        self._lock = new_lock()
        self._ended = new_lock()
        self._ended.acquire()

    def start(self, count: int) -> int:
        """Start `count` threads, or fewer if memory or a limit is reached; return how many."""
        for started in range(count):
            try:
                start_new_thread(self._run, ())
            except (RuntimeError, MemoryError):
                return started
        return max(count, 0)

    def _run(self) -> None:
        # Here and below not "with", which needs memory to acquire a lock and to release it.
        self._lock.acquire()
        work = self._work
        if self._closed or work is None:
            self._lock.release()
            return
        self.running += 1
        self._lock.release()
        try:
            work()
        except MemoryError:
            pass  # others do its work
        finally:
            work = None
            self._lock.acquire()
            self.running -= 1
            if self._closed and not self.running:
                self._ended.release()
            self._lock.release()

    def close(self, timeout: float = -1) -> None:
        """Wait for the threads that have begun, at most `timeout` seconds; the others do nothing."""
        self._lock.acquire()
        wait = not self._closed and self.running
        self._closed = True
        self._lock.release()
        if wait:
            self._ended.acquire(timeout=timeout)
        self._work = None


@contextlib.contextmanager
def helpers(
    work: Callable[[], object], count: int, *, stop: Callable[[], object]
) -> Iterator[None]:
    """Run `work` on `count` background threads while the block runs, then call `stop` and join them.

    There may be fewer threads, even none, so the block must do all work that they have not begun. An
    exception from the block propagates after the threads have ended.

    >>> done = []
    >>> with helpers(lambda: done.append("work"), 2, stop=lambda: done.append("stop")):
    ...     pass
    >>> done.count("stop")
    1
    """
    crew = Crew(work)
    try:
        crew.start(count)
        yield
    finally:
        stop()
        crew.close()


def produce_ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield the items of an iterator that a thread runs ahead; its exception is raised here.

    If the consumer closes this generator early, the thread is joined and the iterator closed.

    >>> list(produce_ahead(iter([1, 2, 3])))
    [1, 2, 3]
    """
    made = _Ahead(items)
    crew = Crew(made.run)
    try:
        crew.start(1)
        while (item := made.take()) is not None:
            yield item[0]
    finally:
        made.stop()
        crew.close()
        close = getattr(items, "close", None)
        if close is not None:
            with contextlib.suppress(Exception):  # its consumer has left
                close()


class _Ahead:
    """Items of an iterator, taken from it ahead of the consumer: by a thread, or by the consumer."""

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items
        self._made: deque[tuple[Any]] = deque()
        self._over = False
        self._error: BaseException | None = None
        self._making = new_lock()  # held while the iterator runs
        self._room = new_lock()  # released when an item was taken
        self._room.acquire()

    def run(self) -> None:
        """Make items until the iterator ends or the consumer stops."""
        while not self._over:
            if len(self._made) > _QUEUED:
                self._room.acquire()
            else:
                self._make(_QUEUED)

    def _make(self, most: int) -> None:
        self._making.acquire()
        try:
            if not self._over and len(self._made) <= most:
                self._made.append((next(self._items),))
        except StopIteration:
            self._over = True
        except BaseException as error:
            self._error = error
            self._over = True
        finally:
            self._making.release()

    def take(self) -> tuple[Any] | None:
        """Return the next item in a tuple, or None at the end; raise the iterator's exception."""
        while True:
            over = self._over  # read first: no item is added after it is set
            if self._made:
                item = self._made.popleft()
                self._wake()
                return item
            if over:
                if self._error is not None:
                    raise self._error
                return None
            self._make(0)

    def stop(self) -> None:
        """Let the thread end after its current item."""
        self._over = True
        self._wake()

    def _wake(self) -> None:
        # Only the consumer releases this lock.
        if self._room.locked():
            self._room.release()


def map_in_order(
    function: Callable[[T], Result], items: Iterable[T], threads: int
) -> Iterator[Result]:
    """Yield ``function(item)`` of each item, in their order, computed by `threads` threads.

    The first exception in order is raised, from the function or from the items. Items are taken ahead
    of the consumer: `threads` and a few more.

    >>> list(map_in_order(str, range(5), threads=2))
    ['0', '1', '2', '3', '4']
    """
    calls = _Calls()
    crew = Crew(calls.run)
    pending: deque[_Call] = deque()
    started = 0
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
            calls.queue.put(call)
            # No thread for a single item, which is the most frequent case.
            if started < threads and len(pending) > 1:
                started += crew.start(1)
            if len(pending) > threads + _QUEUED:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
        if failure is not None:
            raise failure
    finally:
        for call in pending:
            call.wanted = False
        calls.stopped = True
        with contextlib.suppress(MemoryError):
            for _ in range(started):
                calls.queue.put(None)
        crew.close()


class _Call:
    """A call of a function that a thread makes, or the consumer if no thread has begun it."""

    __slots__ = ("_begun", "_ended", "_error", "_function", "_item", "_result", "wanted")

    def __init__(self, function: Callable[[Any], Any], item: Any) -> None:
        self.wanted = True
        self._function = function
        self._item = item
        self._result: Any = None
        self._error: BaseException | None = None
        self._begun = new_lock()
        self._ended = new_lock()
        self._ended.acquire()

    def run(self) -> None:
        """Make the call, unless it has begun."""
        if not self._begun.acquire(False):
            return
        try:
            if self.wanted:
                self._result = self._function(self._item)
        except BaseException as error:
            self._error = error
        self._item = None
        self._ended.release()

    def result(self) -> Any:
        """Make the call or wait for it, and return its result or raise its exception."""
        self.run()
        self._ended.acquire()
        if self._error is not None:
            raise self._error
        return self._result


class _Calls:
    """A queue of calls, and None for each thread that must end."""

    def __init__(self) -> None:
        self.queue: SimpleQueue[_Call | None] = SimpleQueue()
        self.stopped = False

    def run(self) -> None:
        """Make calls until None comes."""
        while not self.stopped:
            try:
                call = self.queue.get(timeout=_CHECK_SECONDS)
            except Empty:
                continue
            if call is None:
                return
            call.run()
