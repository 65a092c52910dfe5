"""Things that a thread makes ahead, while others are used."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")

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
            for thing in things:
                made.put((False, thing))
                if enough.is_set():
                    break
        except BaseException as error:
            last = (True, error)
        finally:
            close = getattr(things, "close", None)
            if close is not None:
                close()
            made.put(last)

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
