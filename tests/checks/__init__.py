"""Comparisons of any size: small ones are tests, tests/full.py runs them at full size.

Each is a function of a seed and a number of cases that yields what it found.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Found(NamedTuple):
    """What was compared, how many cases, how many of them differed; and figures, if it has any."""

    what: str
    cases: int
    differing: int
    figures: dict[str, Any] = {}  # noqa: RUF012 - nobody changes it
