"""Fixtures for the doctests of every folder."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

# A shell starts background jobs with SIGINT ignored, which programs respect: tests of Ctrl-C would wait.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No test writes into the cache of the user who runs it, unless it chooses another one.
os.environ.setdefault("FASTPREP_CACHE", "0")


@pytest.fixture(autouse=True)
def name_of_temporary_directory(
    request: pytest.FixtureRequest, doctest_namespace: dict[str, Any]
) -> None:
    """Give each doctest an empty directory, ``tmp``."""
    if isinstance(request.node, pytest.DoctestItem):
        doctest_namespace["tmp"] = request.getfixturevalue("tmp_path")
