"""Messages of commands: in the words of the command line, never in those of a call in Python."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import fastprep
from fastprep.cli.commands import COMMANDS, parser_of
from fastprep.cli.main import main
from fastprep.cli.messages import in_command_words
from fastprep.cli.parser import Parser

PACKAGE = Path(fastprep.__file__).parent
#: Folders and modules whose errors no command can meet, or that hold no messages.
OTHERS = (
    *("training", "windows", "cli", "report", "load.py", "model.py", "registry.py"),
    *("vocabulary/patterns.py", "vocabulary/regex_parser.py", "corpus/streams.py"),
)
#: Messages for arguments that the command line checks itself, or does not have.
NOT_REACHED = (
    "pass a str",
    "the separator is empty",
    "Encountered text corresponding to disallowed special token",
    "pyarrow.table(inputs)",
    "after flatten_indices()",
    "pass (i, n) for",
    "overwrite and append exclude each other",
    "validation and validation_documents are both given",
    "pass a name, as 'gpt2', an Encoding of fastprep",
    "pass the data set itself",
    "a Split that is",  # quotes a file
    "two names of one option",
    *(' class="', ' data-t="'),  # HTML
    ", single_word=False)",  # a repr
)
KEYWORD = re.compile(r"\b[a-z_]+=(?:True|False|None|['\"\d])|\bpass [a-z]+(?:_[a-z]+)+\b|\w\(\)")


def messages() -> list[tuple[str, str]]:
    """Return the place and text of every string in the library that may be a message."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name.startswith(OTHERS):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        documentation = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
            and isinstance(node.body[0], ast.Expr)
        }
        parts = {
            id(part)
            for node in ast.walk(tree)
            if isinstance(node, ast.JoinedStr)
            for part in node.values
        }
        for node in ast.walk(tree):
            text = ""
            if isinstance(node, ast.JoinedStr):
                text = "".join(
                    str(part.value) if isinstance(part, ast.Constant) else "7"
                    for part in node.values
                )
            elif isinstance(node, ast.Constant) and id(node) not in documentation | parts:
                text = node.value if isinstance(node.value, str) else ""
            if " " in text.strip():
                found.append((f"{name}:{node.lineno}", text))
    return found


def every_option() -> Parser:
    """Return a parser with the options of all commands."""
    merged = parser_of("prepare")
    for name in COMMANDS:
        for action in parser_of(name).actions():
            if not any(option in merged.option_words() for option in action.option_strings):
                merged._actions.append(action)
    return merged


def test_no_message_that_a_command_prints_has_a_keyword_of_python() -> None:
    parser = every_option()
    wrong = [
        (place, shown)
        for place, text in messages()
        if not any(known in text for known in NOT_REACHED)
        for shown in [in_command_words(text, parser)]
        if KEYWORD.search(shown)
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("pass overwrite=True (--overwrite) to replace it", "pass --overwrite to replace it"),
        ("pass on_error='skip' (--on-error skip) to skip", "pass --on-error skip to skip"),
        ("pass on_error='skip' or 'replace' (--on-error)", "pass --on-error skip or replace"),
        ("pass one of text as field (--field)", "pass one of text as --field"),
        ("pass zstd_window=30 (--zstd-window 30), if", "pass --zstd-window 30, if"),
        ("pass validation_documents (--validation-documents N)", "pass --validation-documents N"),
        ("shard_bytes is 5; pass eot='none'", "--shard-bytes is 5; pass --eot none"),
        (
            "eot is 'none', so eot_token='x' has no use",
            "eot is 'none', so --eot-token x has no use",
        ),
        ("pass the format (--format) of a file", "pass the format (--format) of a file"),
        ("shard_bytes: no such file", "shard_bytes: no such file"),
        ("a/on_error.txt and on_error/a", "a/on_error.txt and on_error/a"),
        ("x=1 is not a setting", "x=1 is not a setting"),
        ("the same call or command resumes", "the same command resumes"),
    ],
)
def test_settings_become_options(message: str, shown: str) -> None:
    assert in_command_words(message, parser_of("prepare")) == shown


def test_commands_print_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("One.")
    Path("b.jsonl").write_text('{"body": "x"}\n')
    Path("c.csv").write_text("body\nx\n")
    assert main(["prepare", "a.txt", "-o", "store", "--quiet"]) == 0
    for line, option in (
        ("prepare a.txt -o store --eot none", "pass --overwrite to replace it"),
        ("prepare a.txt b.jsonl -o store", "--append to add to it"),
        ("prepare b.jsonl -o new", "pass --on-error skip to skip such lines"),
        ("prepare c.csv -o new", "as --field"),
        ("export store --to nanogpt -o store2", ""),
        ("export store --to nanogpt -o store2", "pass --overwrite to replace it"),
    ):
        code = main(line.split())
        printed = capsys.readouterr().err
        assert code == bool(option)
        assert option in printed
        assert not KEYWORD.search(printed)
