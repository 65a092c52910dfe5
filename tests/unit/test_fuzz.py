"""The fuzz targets accept their seeds, and a few mutations find nothing."""

from __future__ import annotations

import fuzz
import pytest


@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_a_target_accepts_its_seeds_and_finds_nothing(target: str) -> None:
    seeds = fuzz.TARGETS[target].seeds()
    assert all(fuzz.attempt(target, seed) for seed in seeds)
    found = fuzz.fuzz(target, 0.5, seed=11)
    assert found["finding"] is None, found


def test_what_a_target_finds_is_kept_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(content: bytes, folder: object) -> None:
        raise ValueError("found")

    target = fuzz.Target(lambda: [b"seed"], fail, (b"word",))
    monkeypatch.setitem(fuzz.TARGETS, "mine", target)
    found = fuzz.fuzz("mine", 5, seed=1)
    path, _, error = str(found["finding"]).partition(": ")
    assert error == "ValueError: found"
    with open(path, "rb") as file:  # noqa: PTH123
        assert file.read() == b"seed"
