"""Every snippet of Python and shell in README and docs/ runs, or its page says that it does not."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from texts import ROOT

import fastprep

DOCS = ROOT / "docs"
#: Pages whose sections are programs of their own.
SEPARATE = {"integrations"}
#: Pages that make their text themselves, in an empty directory.
COMPLETE = {"tutorial"}
#: Pages with a test of their own: tests/unit/test_training_page.py.
ELSEWHERE = {"training"}
_FENCE = re.compile(r"(```+)(\w*)")
_NOT_RUN = re.compile(r"\*.*not run by the tests.*\*", re.IGNORECASE)


#: A page that prepares `store` starts without one; the others may read it.
MAKES_STORE = re.compile(r'prepare .* -o store\b|prepare\([^)]*"store"')


class Snippet(NamedTuple):
    """A fenced block: its kind, its code, and whether the line before it says that it is not run."""

    kind: str
    code: str
    line: int
    runs: bool


def snippets(text: str, first_line: int = 1) -> list[Snippet]:
    """Return the blocks of a page that are Python or shell."""
    found: list[Snippet] = []
    lines = text.splitlines()
    opened: tuple[int, str, str] | None = None
    for number, line in enumerate(lines):
        fence = _FENCE.fullmatch(line)
        if opened is None and fence:
            opened = (number, *fence.groups())
        elif opened is not None and line == opened[1]:
            start, _, kind = opened
            if kind in ("python", "sh"):
                runs = not (start and _NOT_RUN.fullmatch(lines[start - 1]))
                code = "\n".join(lines[start + 1 : number])
                found.append(Snippet(kind, code, first_line + start + 1, runs))
            opened = None
    return found


def programs() -> list[Any]:
    """Return the snippets that share a directory and names: those of a page or of a section."""
    found = []
    for path in sorted(DOCS.rglob("*.md")):
        name = path.relative_to(DOCS).with_suffix("").as_posix()
        text = path.read_text(encoding="utf-8")
        parts = [text]
        if name in ELSEWHERE:
            continue
        if name in SEPARATE:
            parts = re.split(r"^(?=## )", text, flags=re.MULTILINE)
        line = 1
        for part in parts:
            runnable = [one for one in snippets(part, line) if one.runs]
            title = part.splitlines()[0].strip("# ").replace(" ", "-")
            if runnable:
                label = f"{name}-{title}" if name in SEPARATE else name
                found.append(pytest.param(path, runnable, id=label))
            line += part.count("\n")
    readme = ROOT / "README.md"
    # Others install packages, or call make.
    commands = [one for one in snippets(readme.read_text(encoding="utf-8"))
                if one.kind == "sh" and one.code.startswith("fastprep")]  # fmt: skip
    assert commands
    return [*found, pytest.param(readme, commands, id="README")]


def test_a_block_that_is_not_run_says_so():
    page = "# A\n*Not run by the tests: it needs a bucket.*\n```sh\nrm x\n```\n```python\n1\n```\n"
    assert [(one.kind, one.line, one.runs) for one in snippets(page)] == [
        ("sh", 4, False), ("python", 7, True)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with what the pages assume: corpus, more, books, store, tokenizer.json."""
    folder = tmp_path_factory.mktemp("material")
    for name, count in (("corpus/part-1", 40), ("corpus/part-2", 30), ("more/part-3", 5)):
        path = folder / f"{name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        lines = (
            f"Document {i} of {name}. The ship sailed on. " * (i % 4 + 2) for i in range(count)
        )
        path.write_text("".join(json.dumps({"text": line}) + "\n" for line in lines))
    (folder / "books").mkdir()
    for name in "ab":
        (folder / "books" / f"{name}.txt").write_text(f"Book {name} is a book. It has words.\n" * 9)
    (folder / "data").mkdir()
    shutil.copy(ROOT / "data" / "conversation.txt", folder / "data")
    ranks = {bytes([i]): i for i in range(256)} | {b"th": 256, b"in": 257, b"he": 258}
    small = fastprep.Encoding(
        "small",
        pat_str=fastprep.get_encoding("gpt2").pat_str,
        mergeable_ranks=ranks,
        special_tokens={"<|endoftext|>": 259},
    )
    small.save(folder / "tokenizer.json")
    command = folder / "bin" / "fastprep"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fastprep "$@"\n')
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    return folder


def run_shell(snippet: Snippet, path: Path, bin_directory: Path) -> None:
    """Run a block of shell; a command that fails ends it."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", snippet.code],
        env={
            **os.environ,
            "PATH": f"{bin_directory}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{path}:{snippet.line}\n{done.stdout}{done.stderr}"


def test_every_error_says_what_to_do():
    for name, error in vars(fastprep.errors).items():
        if not name.startswith("_") and isinstance(error, type) and name != "FastprepError":
            assert "What to do: " in (error.__doc__ or ""), name


def test_every_page_is_in_the_menu():
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    menu = re.findall(r"^([\w/-]+)$", index, re.MULTILINE)
    pages = {path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md")}
    assert sorted(menu) == sorted(pages - {"index"})


@pytest.mark.parametrize(("path", "program"), programs())
@pytest.mark.filterwarnings("ignore")  # of other packages
def test_the_snippets_of_a_page_run(
    path: Path, program: list[Snippet], material: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    code = "\n".join(one.code for one in program if one.kind == "python")
    for package in re.findall(r"^(?:import|from) (\w+)", code, re.MULTILINE):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    if re.search("create_dataloader|WindowDataset", code):
        pytest.importorskip("torch").set_num_threads(1)  # other tests use the other cores
    monkeypatch.chdir(tmp_path)
    if path.stem not in COMPLETE:
        shutil.copytree(material, tmp_path, dirs_exist_ok=True)
    if not MAKES_STORE.search("\n".join(one.code for one in program)):
        fastprep.prepare("corpus/*.jsonl", "store", progress=False)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TQDM_DISABLE", "1")
    names: dict[str, Any] = {"__name__": "example"}
    for snippet in program:
        if snippet.kind == "sh":
            run_shell(snippet, path, material / "bin")
        else:
            # The lines of the page are those of a traceback.
            source = "\n" * (snippet.line - 1) + snippet.code
            exec(compile(source, str(path), "exec", dont_inherit=True), names)
