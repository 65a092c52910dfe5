"""Things that threads make ahead, while others are used."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")
Made = TypeVar("Made")

# So many wait to be used: enough that neither side waits for the other where both are even.
_WAITING = 2


def ahead(things: Iterator[T]) -> Iterator[T]:
    """The same things in the same order, made by a thread; what it raises is raised here.

    It pays where making them lets go of the GIL, as unpacking does. Whoever stops before the end
    closes the iterator, and the thread ends with it.

    Examples
    --------
    >>> list(ahead(iter([1, 2, 3])))
    [1, 2, 3]
    """
    made: queue.Queue[tuple[bool, T | BaseException | None]] = queue.Queue(_WAITING)
    enough = threading.Event()

    def make() -> None:
        last: tuple[bool, T | BaseException | None] = (True, None)
        try:
            try:
                for thing in things:
                    made.put((False, thing))
                    if enough.is_set():
                        break
            finally:
                close = getattr(things, "close", None)
                if close is not None:
                    close()
        except BaseException as error:
            last = (True, error)
        made.put(last)  # whatever happened: somebody waits for it

    thread = threading.Thread(target=make, name="fastprep reader", daemon=True)
    thread.start()
    over = False
    try:
        while True:
            over, thing = made.get()
            if over:
                if isinstance(thing, BaseException):
                    raise thing
                return
            yield thing  # type: ignore[misc]
    finally:
        enough.set()
        while not over:
            over, _ = made.get()
        thread.join()


def in_order(make: Callable[[T], Made], things: Iterable[T], threads: int) -> Iterator[Made]:
    """What ``make`` makes of each thing, in their order, by so many threads at once.

    It pays where ``make`` lets go of the GIL. Of errors the first in order is raised, also where it is
    the things that fail. A few things more than there are threads are taken ahead of what is used.

    Examples
    --------
    >>> list(in_order(str, range(5), threads=2))
    ['0', '1', '2', '3', '4']
    """
    asked: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()
    waiting: deque[_Asked] = deque()
    helpers: list[threading.Thread] = []
    failure: BaseException | None = None
    following = iter(things)
    try:
        while failure is None:
            try:
                one = _Asked(make, next(following))
            except StopIteration:
                break
            except BaseException as error:  # after what was made before it
                failure = error
                break
            waiting.append(one)
            asked.put(one)
            # The first thing has a thread when there is a second: often there is none.
            if len(helpers) < threads and len(waiting) > 1:
                helpers.append(
                    threading.Thread(
                        target=_help, args=(asked,), name="fastprep maker", daemon=True
                    )
                )
                helpers[-1].start()
            if len(waiting) > threads + _WAITING:
                yield waiting.popleft().made()
        if not helpers:
            asked.put(None)
            _help(asked)
        while waiting:
            yield waiting.popleft().made()
        if failure is not None:
            raise failure
    finally:
        for one in waiting:
            one.wanted = False
        for _ in helpers:
            asked.put(None)
        for helper in helpers:
            helper.join()


class _Asked:
    """Something that a thread is asked to make."""

    def __init__(self, make: Callable[[Any], Any], thing: Any) -> None:
        self.wanted = True
        self._make = make
        self._thing = thing
        self._result: Any = None
        self._error: BaseException | None = None
        self._ready = threading.Event()

    def work(self) -> None:
        """Make it."""
        try:
            if self.wanted:
                self._result = self._make(self._thing)
        except BaseException as error:
            self._error = error
        self._thing = None
        self._ready.set()

    def made(self) -> Any:
        """What was made, when it is ready."""
        self._ready.wait()
        if self._error is not None:
            raise self._error
        return self._result


def _help(asked: queue.SimpleQueue[_Asked | None]) -> None:
    while (one := asked.get()) is not None:
        one.work()
