"""The example in the README runs."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from texts import ROOT


def test_readme_example_runs(tmp_path):
    pytest.importorskip("torch")
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (tmp_path / "data").mkdir()
    text = (ROOT / "data/conversation.txt").read_text(encoding="utf-8")
    (tmp_path / "data/conversation.txt").write_text(text, encoding="utf-8")
    program = "\n".join(blocks) + "\nprint(tuple(vectors.shape[1:]), len(loader.dataset))\n"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "(64, 768) 16\n"), done.stderr
