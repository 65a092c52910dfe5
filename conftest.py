"""Fixtures for the doctests of every folder."""

from __future__ import annotations

import os
from typing import Any

import pytest

# No test writes into the cache of the user who runs it, unless it chooses another one.
os.environ.setdefault("FASTPREP_CACHE", "0")


@pytest.fixture(autouse=True)
def name_of_temporary_directory(
    request: pytest.FixtureRequest, doctest_namespace: dict[str, Any]
) -> None:
    """Give each doctest an empty directory, ``tmp``."""
    if isinstance(request.node, pytest.DoctestItem):
        doctest_namespace["tmp"] = request.getfixturevalue("tmp_path")
