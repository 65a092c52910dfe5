"""Command lines in the documentation: all of them parse, and those of docs/command-line.md run."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from command_reference import PAGE, updated

from fastprep.cli.commands import COMMANDS, parser_of
from fastprep.cli.main import main
from fastprep.cli.parser import variable_of

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def lines_of(text: str) -> list[str]:
    """Return the lines of shell blocks that begin with fastprep."""
    blocks = re.findall(r"```(?:sh|bash|console)\n(.*?)```", text, re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [
        line.strip().removeprefix("$ ") for line in lines if re.match(r"(\$ )?fastprep\b", line)
    ]


def words_of(line: str) -> list[str]:
    """Return the words of the first command of a line, with a number for each variable."""
    line = re.sub(r"\$\(\(.*?\)\)|\$\{?\w+\}?(?=/)", "0", line)  # the I of --task I/N
    words = shlex.split(re.sub(r"\$\{?\w+\}?", "1", line), comments=True)
    ends = [index for index, word in enumerate(words) if word in ("|", "&&", ">", ">>", "&", ";")]
    return words[1 : min(ends, default=len(words))]


def check(line: str) -> None:
    words = words_of(line)
    if words[:1] in (["--version"], ["--help"], ["-V"], []):
        return
    assert words[0] in COMMANDS, line
    if words[1:] not in (["--help"], ["-h"]):
        assert callable(parser_of(words[0]).parse(words[1:]).run)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_documented_command_lines_parse(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("encoding", "workers", "log", "quiet"):
        monkeypatch.delenv(variable_of(name), raising=False)
    for line in lines_of(page.read_text(encoding="utf-8")):
        check(line)


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_of_the_help_parse(command: str) -> None:
    found = parser_of(command).examples
    assert found
    for example in found:
        # A command may be within $( ) of another.
        check(example[example.index("fastprep ") :].partition(')"')[0])


def test_examples_of_the_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fastprep.checks.peers.PEERS", {})
    for folder in ("corpus", "books", "data"):
        Path(folder).mkdir()
    for number in range(4):
        lines = (json.dumps({"text": f"Document {number}.{row}"}) for row in range(5))
        Path(f"corpus/{number}.jsonl").write_text("\n".join(lines) + "\n")
    Path("books/one.txt").write_text("A chapter.\n\n\nAnother one.\n")
    lines_ = [
        line
        for line in lines_of(PAGE.read_text(encoding="utf-8"))
        if words_of(line)[0] != "completion"
    ]
    assert {words_of(line)[0] for line in lines_} == set(COMMANDS) - {"help", "completion"}
    for line in lines_:
        assert main(words_of(line)) == 0, line
        assert capsys.readouterr().out, line


def test_the_reference_is_up_to_date() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == updated(page), "run `python tests/command_reference.py`"


def test_every_variable_is_in_the_table() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name in COMMANDS:
        for variable in map(variable_of, parser_of(name).variables):
            assert f"`{variable}`" in page
