"""Run the notebooks in examples/ and keep their outputs: `python tests/notebooks.py`."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


def executed(path: Path, directory: Path) -> Any:
    """Return a notebook after a run in a copy of the folders that it reads, below `directory`."""
    import nbclient
    import nbformat

    for name in ("data", "docs", "examples"):
        shutil.copytree(ROOT / name, directory / name, ignore=shutil.ignore_patterns("*.svg"))
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=300,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(directory / "examples")}},
    )
    client.execute()
    # Versions of the interpreter that ran it are not part of a notebook.
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"]}
    return notebook


if __name__ == "__main__":
    import nbformat

    for path in NOTEBOOKS:
        with tempfile.TemporaryDirectory() as directory:
            nbformat.write(executed(path, Path(directory)), path)
        print(path)
