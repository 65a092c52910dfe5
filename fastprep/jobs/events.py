"""Log events: what a job reports to machines."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias

#: A log event as a dict for JSON; ``event`` is its kind, ``time`` the Unix time.
Event: TypeAlias = dict[str, object]
Log: TypeAlias = Callable[[Event], object]


def send(log: Log | None, event: str, **facts: object) -> None:
    """Send an event to a log, if there is one."""
    if log is not None:
        log({"event": event, "time": round(time.time(), 3), **facts})
