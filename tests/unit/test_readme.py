"""The README is short, its examples run, its links have targets, and its figure was measured."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from texts import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def repository() -> str:
    found = re.search(r'^Repository = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.M)
    assert found is not None
    return found[1]


def test_readme_has_at_most_150_lines():
    assert README.count("\n") <= 150


def test_readme_example_runs_also_a_second_time(tmp_path):
    pytest.importorskip("torch")
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len([line for line in blocks[0].splitlines() if line]) <= 10
    (tmp_path / "data").mkdir()
    text = (ROOT / "data/conversation.txt").read_text(encoding="utf-8")
    (tmp_path / "data/conversation.txt").write_text(text, encoding="utf-8")
    once = "\n".join(blocks) + "\nprint(tuple(vectors.shape[1:]), len(loader.dataset))\n"
    done = subprocess.run(
        [sys.executable, "-c", once + once],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "(64, 768) 16\n" * 2), done.stderr


def test_links_work_on_a_package_index_and_have_targets():
    links = re.findall(r"\]\(([^)]*)\)", README)
    pages = f"{repository()}/"
    pictures = pages.replace("https://github.com/", "https://raw.githubusercontent.com/")
    assert len(links) > 20
    for link in links:
        assert link.startswith((pages, pictures)), link
        path = re.sub(r"^(blob/|tree/)?main/", "", link.removeprefix(pages).removeprefix(pictures))
        assert (ROOT / path).exists(), link
    assert any(link.startswith(pictures) for link in links)


def test_the_one_figure_is_that_of_the_results():
    ratios = []
    for path in (ROOT / "benchmarks" / "results").glob("prepare-*.json"):
        for row in json.loads(path.read_text(encoding="utf-8"))["rows"]:
            rates = row["megabytes_per_second"]
            ratios.append(rates["fastprep, 1 worker"] / rates["tiktoken"])
    assert f"**{min(ratios):.0f} to {max(ratios):.0f} times as fast**" in README


def test_the_commands_of_a_checkout_are_named():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for command in ("demo", "test", "bench", "docs"):
        assert f"make {command}" in README
        assert re.search(rf"^{command}:", makefile, re.MULTILINE)
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").rstrip().endswith("exec make test")
