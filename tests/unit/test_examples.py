"""The examples run, and a killed training resumes with the same losses."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fastprep

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


def test_a_model_is_trained_with_a_vocabulary_of_its_own(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the page has plots")
    first, *others = sorted((ROOT / "data").glob("*.txt"))
    options = ["--held-out", *others[:1], "--vocab-size", 500, "--steps", 7]
    done = run("own_vocabulary.py", first, *options, "--run", tmp_path / "own")
    assert done.returncode == 0, done.stderr
    assert "500 tokens, 243 merges" in done.stdout
    assert "bytes per token of held-out text: tokenizer " in done.stdout
    found = losses(done.stdout)
    assert float(found["7"]) < float(found["1"])
    encoding = fastprep.Encoding.from_file(tmp_path / "own" / "tokenizer.json")
    store = fastprep.TokenStore(tmp_path / "own" / "store")
    assert store.vocab_size == encoding.n_vocab == 500
    assert "Held-out text" in (tmp_path / "own" / "vocabulary.html").read_text("utf-8")
    # The file and the store are of one encoding: the same job returns the store.
    again = fastprep.prepare(first, tmp_path / "own" / "store", encoding=encoding, progress=False)
    assert again.num_tokens == store.num_tokens


def test_notebook_without_its_text_shows_how_it_is_called():
    done = run("notebook.py")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "usage: python examples/notebook.py the-verdict.txt\n"


def test_demonstration_compares_ids_and_ends_in_a_report(tmp_path: Path) -> None:
    pytest.importorskip("tiktoken")
    pytest.importorskip("matplotlib")
    shutil.copytree(ROOT / "data", tmp_path / "data")
    program = tmp_path / "data" / "demo.py"
    smaller = program.read_text(encoding="utf-8").replace("4_000_000", "40_000")
    program.write_text(smaller, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(program)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TIKTOKEN_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"(?m)^   tiktoken +[\d.]+ MB/s", done.stdout)
    assert re.search(r"all [\d,]+ ids are equal", done.stdout)
    report = tmp_path / "demo" / "report.html"
    assert f"open {report}" in done.stdout
    assert report.stat().st_size > 10_000


def test_installing_shows_steps_and_what_pip_said_if_it_fails(tmp_path: Path) -> None:
    step_of = runpy.run_path(str(ROOT / "data" / "install.py"))["step_of"]
    assert step_of("Collecting numpy>=1.24 (from fastprep==0.1.0)") == "numpy"
    assert step_of("Processing /files/numpy-2.4.6-cp311-cp311-linux_x86_64.whl") == "numpy"
    torch = "  Downloading torch-2.13.0-cp311-cp311-linux_x86_64.whl (190.1 MB)"
    assert step_of(torch) == "   downloading torch (190.1 MB)"
    assert step_of("Requirement already satisfied: numpy") is None
    missing = tmp_path / "missing-package"
    done = subprocess.run(
        [sys.executable, str(ROOT / "data" / "install.py"), "--no-index", str(missing)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert str(missing) in done.stderr


def test_what_the_demonstration_installs_has_nothing_of_the_developers_kit() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    rule = makefile.split("$(VENV)/for-demo: $(SOURCES)")[1].split("\n\n")[0]
    assert "-e '.[torch,report]' tiktoken==" in rule
    assert "constraints.txt" in rule
    assert ".[dev]" not in rule
