"""Signals that end a command: SIGINT (Ctrl-C) and SIGTERM.

Until a command's work begins, and where it leaves nothing half done, a signal ends the process at once:
an exception could end the import of a C extension half way. Within :func:`raising` it is raised.
"""

from __future__ import annotations

import contextlib
import os
import sys

# Not signal, whose import would be the first thing that an interrupt can meet.
from _signal import SIG_IGN, SIGINT, SIGTERM, getsignal, signal  # type: ignore[import-not-found]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: The signal that was raised within :func:`raising`, or 0: other errors are its consequences.
raised: int = 0
# Returns the last line of a command that a signal ends at once.
_last_line: Callable[[bool], str] | None = None


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command as Ctrl-C does."""


def end_at_once() -> None:
    """Let SIGINT and SIGTERM end the process with one line and status 130 or 143.

    A signal that is ignored, as in a background job of a shell, stays ignored.
    """
    for number in (SIGINT, SIGTERM):
        if getsignal(number) != SIG_IGN:
            signal(number, _end)


def ignore() -> None:
    """Ignore SIGINT and SIGTERM: the command has ended, and its status must not change any more."""
    for number in (SIGINT, SIGTERM):
        signal(number, SIG_IGN)


def set_last_line(last_line: Callable[[bool], str] | None) -> None:
    """Set the function that returns the line printed when a signal ends the process at once.

    Its argument says whether the signal is SIGTERM. None: ``fastprep: interrupted`` or ``terminated``.
    """
    global _last_line
    _last_line = last_line


def _end(number: int, _: object) -> None:
    terminated = number == SIGTERM
    line = f"fastprep: {'terminated' if terminated else 'interrupted'}"
    if _last_line is not None:
        line = _last_line(terminated)
    # sys.stderr may be in the middle of a write, and its reader may be gone.
    with contextlib.suppress(OSError):
        # On a terminal, the cursor may be after a progress bar.
        os.write(2, ("\n" * os.isatty(2) + line + "\n").encode())
    os._exit(128 + number)


def end_if_ignored(unraisable: sys.UnraisableHookArgs) -> None:
    """End the process for an interrupt that was raised where exceptions are ignored, as in a destructor.

    A hook for sys.unraisablehook.
    """
    if isinstance(unraisable.exc_value, KeyboardInterrupt):
        _end(raised or SIGINT, None)
    sys.__unraisablehook__(unraisable)


def _raise(number: int, _: object) -> None:
    global raised
    raised = number
    raise Terminated if number == SIGTERM else KeyboardInterrupt


@contextlib.contextmanager
def raising() -> Iterator[None]:
    """Raise KeyboardInterrupt or Terminated for a signal within the block, so that it can tidy up.

    All C extensions that the block needs must be imported before it. Only the main thread handles
    signals, so a command that runs in another does without.
    """
    before = {}
    try:
        for number in (SIGINT, SIGTERM):
            if (handler := getsignal(number)) != SIG_IGN:
                before[number] = handler
                signal(number, _raise)
    except ValueError:  # not the main thread
        before.clear()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal(number, handler)
