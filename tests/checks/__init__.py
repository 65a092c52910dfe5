"""Checks of any size: tests run them small, tests/full.py at full size.

Each is a function of a seed and a number of cases that yields its findings.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Found(NamedTuple):
    """A finding: what was compared, the numbers of cases and of differing ones, and other figures."""

    what: str
    cases: int
    differing: int
    figures: dict[str, Any] = {}  # noqa: RUF012 - never changed
