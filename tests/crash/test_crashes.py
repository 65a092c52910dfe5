"""After any interruption of prepare, the same call resumes, to the same bytes (tests/full.py: more)."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from checks import Found, crashes

SEED = 20_479

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and fork")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"validation": 0.3, "eot": "prepend"},
        {"shuffle": 7},
        {"shuffle": 7, "validation_documents": 5},
    ],
    ids=["one", "two", "shuffled", "shuffled parts"],
)
def test_kills_power_cuts_and_errors_at_any_step_lose_nothing(settings: dict[str, object]) -> None:
    check_all(crashes.at_every_step(SEED, 4 if "shuffle" in settings else 8, **settings))


@pytest.mark.parametrize("validation", [0.0, 0.3], ids=["one", "two"])
@pytest.mark.parametrize("job", [crashes.Appending, crashes.Replacing, crashes.Changing])
def test_what_was_there_before_is_never_lost(job: type[crashes.Crash], validation: float) -> None:
    check_all(crashes.at_every_step(SEED, 2, job, validation=validation))


def test_kills_at_random_moments_lose_no_finished_shard() -> None:
    check_all(crashes.at_random_moments(SEED, 8, documents=100))


def test_a_full_disk_is_a_clean_error() -> None:
    check_all(crashes.on_a_small_disk(SEED, 8))


def check_all(found: Iterator[Found]) -> None:
    for each in found:
        assert each.cases
        assert not each.differing, each
