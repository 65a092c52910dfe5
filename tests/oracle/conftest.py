"""The size of the comparisons."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="session")
def full_size() -> bool:
    """Return whether to compare everything instead of a sample: FASTPREP_FULL=1."""
    return bool(os.environ.get("FASTPREP_FULL"))
