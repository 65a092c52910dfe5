"""Fixtures for the doctests of every folder."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(autouse=True)
def name_of_temporary_directory(
    request: pytest.FixtureRequest, doctest_namespace: dict[str, Any]
) -> None:
    """Give each doctest an empty directory, ``tmp``."""
    if isinstance(request.node, pytest.DoctestItem):
        doctest_namespace["tmp"] = request.getfixturevalue("tmp_path")
