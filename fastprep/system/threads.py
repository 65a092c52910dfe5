"""Threads that do the same as the one that began them, until there is nothing left."""

from __future__ import annotations

import contextlib
import threading

TYPE_CHECKING = False  # typing.TYPE_CHECKING without typing, which takes long to import
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def helped(
    work: Callable[[], object], threads: int, *, stop: Callable[[], object]
) -> Iterator[None]:
    """So many threads do ``work`` beside the block; behind it they are told to stop and waited for.

    It pays where the work lets go of the GIL. What the block raises is raised when no thread is left; a
    thread that could not be begun raises, too.

    >>> done = []
    >>> with helped(lambda: done.append("work"), 2, stop=lambda: done.append("stop")):
    ...     pass
    >>> sorted(done)
    ['stop', 'work', 'work']
    """
    helpers = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
    try:
        for helper in helpers:
            helper.start()
        yield
    finally:
        stop()
        for helper in helpers:
            if helper.ident is not None:
                helper.join()
