"""Interrupts: SIGINT and SIGTERM whose Python handlers wait until a safe moment.

A handler that raises, as Ctrl-C does with KeyboardInterrupt, raises between any two instructions: within
the import of a C extension, which then is half imported, or while threads are started.
"""

from __future__ import annotations

# Not signal, which imports enum (3 ms).
from _signal import SIGINT, SIGTERM, getsignal, signal  # type: ignore[import-not-found]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class deferred:
    """Defer the Python handlers of SIGINT and SIGTERM until the end of a block.

    `notify` is called when a signal comes. In the block, :meth:`deliver` calls the handlers of the
    signals that wait, and raises what they raise. Only the main thread has handlers, so in others
    this does nothing.

    >>> with deferred() as signals:
    ...     signals.deliver()
    """

    def __init__(self, notify: Callable[[], object] | None = None) -> None:
        self._notify = notify
        self._waiting: list[int] = []
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> deferred:
        for number in (SIGINT, SIGTERM):
            handler = getsignal(number)
            if callable(handler):
                self._handlers[number] = handler
                try:
                    signal(number, self._note)
                except ValueError:  # not the main thread
                    self._handlers.clear()
                    break
        return self

    def _note(self, number: int, _: object) -> None:
        self._waiting.append(number)
        if self._notify is not None:
            self._notify()

    def deliver(self) -> None:
        """Call the handlers of the signals that came."""
        while self._waiting:
            number = self._waiting.pop()
            self._handlers[number](number, None)

    def __exit__(self, kind: object, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal(number, handler)
        if kind is None:
            self.deliver()
