"""The examples run, and a killed training resumes with the same losses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

ROOT = Path(__file__).parents[2]


def run(script: str, *arguments: object, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run an example; `settings` are added to its environment."""
    return subprocess.run(
        [sys.executable, str(ROOT / "examples" / script), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **settings},
        capture_output=True,
        text=True,
        check=False,
    )


def losses(output: str) -> dict[str, str]:
    lines = [line.split() for line in output.splitlines() if line.startswith("step")]
    return {step: loss for _, step, _, loss in lines}


# Each run has another number of threads, as on another machine or next to other processes.
def test_killed_training_resumes_to_the_same_losses(tmp_path: Path) -> None:
    texts = sorted((ROOT / "data").glob("*.txt"))
    options = ["--steps", 7, "--save-every", 2]
    whole = run("train.py", *texts, *options, "--run", tmp_path / "whole", OMP_NUM_THREADS="3")
    assert whole.returncode == 0, whole.stderr
    expected = losses(whole.stdout)
    assert len(expected) == 7
    assert float(expected["7"]) < float(expected["1"])

    there = ["--run", tmp_path / "killed"]
    killed = run("train.py", *texts, *options, *there, "--die-after", 5, OMP_NUM_THREADS="1")
    assert killed.returncode == -9
    resumed = run("train.py", *texts, *options, *there, OMP_NUM_THREADS="2", OMP_DYNAMIC="true")
    assert "# resumes after step 4" in resumed.stdout
    assert losses(killed.stdout) | losses(resumed.stdout) == expected
    assert list(losses(resumed.stdout)) == [str(step) for step in range(5, 8)]


def test_notebook_without_its_text_shows_how_it_is_called():
    done = run("notebook.py")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "usage: python examples/notebook.py the-verdict.txt\n"
