"""Usage errors: what is wrong, the name that was probably meant, and where the help is."""

from __future__ import annotations

import contextlib
import sys

from fastprep.terminal import RED, Pen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn

DOCUMENTATION = "https://fastprep.github.io/fastprep/"


def raise_usage(message: str, usage: str, help_: str) -> NoReturn:
    """Print the two lines of a usage error on stderr, and exit with status 2."""
    pen = Pen(sys.stderr)
    with contextlib.suppress(OSError):  # the exit code says it
        pen.print(f"{pen('fastprep: error:', RED)} {pen(message)}")
        pen.print(f"usage: {usage}; see {help_}")
    raise SystemExit(2)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean ...?`` for the name that is most like a word, or nothing.

    >>> nearest("--worker", ["--words", "--workers"]), nearest("xyz", ["gpt2"])
    ('; did you mean --workers?', '')
    """
    from difflib import get_close_matches

    found = get_close_matches(word.lower(), list(known), 1, 0.6)
    return f"; did you mean {found[0]}?" if found else ""
