"""The notebook's chapter with fastprep prints what the notebook prints."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

ROOT = Path(__file__).parents[2]
PRINTED = [
    "Total number of character: 20479",
    "['I', 'HAD', 'always', 'thought', 'Jack', 'Gisburn', 'rather', 'a', 'cheap', 'genius', '--'",
    "4690",
    "1130",
    "('Hermia', 50)",
    "[1, 56, 2, 850, 988, 602, 533, 746, 5, 1126, 596, 5, 1, 67, 7, 38, 851, 1108, 754, 793, 7]",
    '" It\' s the last he painted, you know," Mrs. Gisburn said with pardonable pride.',
    "KeyError: 'Hello'",
    "1132",
    "[1131, 5, 355, 1126, 628, 975, 7, 1131, 999, 6, 115, 1131, 10, 1130, 55, 988, 956, 984, 722,",
    "<|unk|>, do you like tea. <|unk|> this -- a <|unk|>? <|endoftext|> In the sunlit terraces of",
    "[15496, 11, 466, 345, 588, 8887, 30, 220, 50256, 554, 262, 4252, 18250, 8812, 2114, 1659, 617",
    "First Batch:",
    "Input Tensor: tensor([[  40,  367, 2885, 1464],",
    "Decoded Tensor: AD always thought Jack",
    "Second Batch:",
    "Decoded Tensor:  thought Jack Gis",
    "torch.Size([4, 128])",
    "torch.Size([2, 4, 128])",
]


def test_the_chapter_prints_what_the_notebook_prints(verdict: str, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(verdict, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "notebook.py"), str(tmp_path / "text.txt")],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    at = 0
    for line in PRINTED:
        found = done.stdout.find(line, at)
        assert found >= 0, line
        at = found + len(line)
