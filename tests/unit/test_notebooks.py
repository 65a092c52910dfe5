"""The notebooks in examples/ run, and have the outputs of a run in them."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from notebooks import NOTEBOOKS, executed
from texts import ROOT

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("torch")
pytest.importorskip("matplotlib")


def kinds_of(notebook: Any) -> list[list[str]]:
    """Return the kinds of the outputs of each cell of code."""
    return [
        sorted({kind for output in cell.outputs for kind in output.get("data", {"text": ""})})
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def text_of(notebook: Any) -> list[str]:
    """Return what the cells of code print and return as text."""
    return [
        "".join(o.get("text", o.get("data", {}).get("text/plain", "")) for o in cell.outputs)
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def test_there_are_notebooks():
    assert [path.stem for path in NOTEBOOKS] == ["chapter", "corpus-to-training"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_has_its_outputs(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # other tests use the other cores
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")  # of Jupyter
    kept = nbformat.read(path, as_version=4)
    again = executed(path, tmp_path)
    assert kinds_of(again) == kinds_of(kept)
    if path.stem == "chapter":  # what it prints does not depend on the machine
        assert text_of(again) == text_of(kept)
    assert not re.search("Error|Traceback", "".join(text_of(kept)).replace("KeyError:", ""))
    assert sys.executable not in path.read_text(encoding="utf-8")
