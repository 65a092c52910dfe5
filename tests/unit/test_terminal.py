"""What reaches a terminal: no control character, whatever files, documents and vocabularies hold."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
import traceback
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

import fastprep
from fastprep.cli.main import main
from fastprep.errors import FastprepError, InvalidInput, InvalidUtf8
from fastprep.terminal import EscapingStream, escaped

ROOT = Path(__file__).parents[2]
#: Sets the title, clears the screen, colours by one byte, reverses the text after it, hides.
HOSTILE = "\x1b]0;x\x07\x1b[2J\x9b31m\u202eab\u2066\u200b\ufeff\x7f\x08\U000e0041"
NAMES = "中文 Ünïcode नमस्ते می\u200cخواهم 日本\u3000語 😀"


def check_safe(text: str, *, allowed: str = "\n") -> None:
    """Assert that nothing in a text moves a cursor, reorders or hides."""
    for character in text:
        kind = unicodedata.category(character)
        assert kind not in ("Cc", "Cf", "Cs") or character in allowed + "\u200c", (character, text)


@pytest.mark.parametrize("character", ["\x00", "\r", "\x1b", "\x7f", "\x85", "\x9b", "\u061c"])
def test_control_characters_are_escaped_as_in_json(character):
    shown = escaped(f"a{character}b")
    assert shown == f"a\\u{ord(character):04x}b"
    assert json.loads(f'"{shown}"') == f"a{character}b"


def test_every_character_is_escaped_or_harmless():
    # All planes that have characters but those of private use.
    for start in (*range(0, 0x34000, 0x1000), 0xE0000, 0xF0000, 0x10F000):
        text = "".join(map(chr, range(start, start + 0x1000)))
        shown = escaped(text)
        check_safe(shown, allowed="\n\t\u200c\u200d")
        assert {c for c in text if unicodedata.category(c)[0] in "LMNPS"} <= set(shown)
        assert shown.encode()
    assert escaped(NAMES) == NAMES
    assert json.loads(f'"{escaped(HOSTILE)}"') == HOSTILE


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8", "utf-16"])
def test_what_a_stream_cannot_encode_is_escaped(encoding):
    shown = escaped(NAMES + HOSTILE + "\udcff", encoding)
    assert shown.encode(encoding).decode(encoding) == shown
    assert json.loads(f'"{shown}"') == NAMES + HOSTILE + "\udcff"


def test_message_of_an_error_is_escaped_where_it_is_shown():
    error = InvalidInput(f"{HOSTILE}{NAMES}: missing")
    check_safe(str(error))
    assert NAMES in str(error)
    check_safe("".join(traceback.format_exception(error)))
    check_safe(str(InvalidUtf8.at(HOSTILE, 3)))
    for model in (HOSTILE, NAMES):
        with pytest.raises(FastprepError) as caught:
            fastprep.encoding_for_model(model)
        check_safe(str(caught.value))
        assert (NAMES in str(caught.value)) == (model == NAMES)


class Screen:
    """The standard streams of commands in this process, as `fastprep` sets them up."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, encoding: str = "utf-8") -> None:
        self._bytes = io.BytesIO()
        self._stream = io.TextIOWrapper(self._bytes, encoding, write_through=True)
        self._encoding = encoding
        self._monkeypatch = monkeypatch

    def of(self, *words: object) -> tuple[int | str | None, str]:
        """Return the exit code of a command, and what it printed."""
        before = len(self._bytes.getvalue())
        with self._monkeypatch.context() as patch:
            for name in ("stdout", "stderr"):
                patch.setattr(sys, name, EscapingStream(self._stream))
            try:
                code: int | str | None = main([*map(str, words)])
            except SystemExit as end:
                code = end.code
        text = self._bytes.getvalue()[before:].decode(self._encoding)
        check_safe(text)
        return code, text


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    return Screen(monkeypatch)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / (NAMES + HOSTILE + os.fsdecode(b"\xff"))
    made.mkdir()
    return made


def test_every_command_prints_names_safely(screen, folder):
    text = folder.parent / f"{NAMES}{HOSTILE}.txt"  # not in a folder without UTF-8
    text.write_text("One.<|endoftext|>Two.")
    store = folder / "store"
    for words in (
        ["prepare", text, "-o", folder / "dry", "--dry-run"],
        ["prepare", text, "-o", store],
        [
            "prepare",
            text,
            "-o",
            folder / "parts",
            "--validation-documents",
            "1",
            "--on-error",
            "replace",
        ],
        ["prepare", text, "-o", folder / "task", "--task", "1/2"],
        ["info", store],
        ["verify", store],
        ["export", store, "--to", "nanogpt", "-o", folder / "out"],
        ["import", text.with_suffix(".bin"), "-o", folder / "in"],
    ):
        if words[0] == "import":
            (folder / "out" / "train.bin").rename(text.with_suffix(".bin"))
            words += ["--from", "nanogpt", "--encoding", "gpt2"]
        code, shown = screen.of(*words)
        assert code == 0, shown
        assert "--dry-run" in words or NAMES in shown
    code, shown = screen.of("info", store, "--json")
    assert json.loads(shown)["path"] == str(store)
    code, shown = screen.of("prepare", text, "-o", folder / "logged", "--log", "json")
    events = [json.loads(line) for line in shown.splitlines() if line.startswith("{")]
    assert events[0]["output"] == str(folder / "logged")


def test_every_error_prints_names_safely(screen, folder):
    bad = folder / "bad.jsonl"
    bad.write_bytes(b'{"text": "a"}\n{"text": "\xff' + HOSTILE.encode() + b'"}\n{' + b"\x1b[2J")
    store = folder / "store"
    vocabulary = folder / "tokenizer.json"
    vocabulary.write_text(json.dumps({"version": "1.0", HOSTILE: 3, "model": {"type": HOSTILE}}))
    for words in (
        ["prepare", folder / "missing.txt", "-o", store],
        ["prepare", bad, "-o", store],
        ["prepare", bad, "-o", store, "--on-error", "skip"],
        ["prepare", bad, "-o", store, "--field", HOSTILE],
        ["prepare", folder / "a.unknown", "-o", store],
        ["info", folder],
        ["info", store, HOSTILE],
        ["verify", folder / "none"],
        [HOSTILE],
        ["encode", "text", "--encoding", HOSTILE],
        ["encode", "text", "--encoding-file", vocabulary],
        ["encode", "text", "--vocab", vocabulary],
        ["decode", HOSTILE],
        ["prepare", bad, "-o", store, "--eot-token", HOSTILE],
        ["prepare", bad, "-o", store, "--task", HOSTILE],
    ):
        code, shown = screen.of(*words)
        assert code in (0, 1, 2), words
        assert "Traceback" not in shown
        assert shown


def test_stream_without_the_characters_of_a_name_gets_escapes(tmp_path):
    text = tmp_path / "数.txt"
    text.write_text("One.")
    done = subprocess.run(
        [sys.executable, "-m", "fastprep", "prepare", text, "-o", tmp_path / f"数{HOSTILE}\udcff"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert f"\\u6570{escaped(HOSTILE)}\\udcff: 3 tokens in 1 document" in done.stdout


def on_terminal(run: Callable[[int], object]) -> bytes:
    """Return what a function writes to a terminal, whose descriptor it gets."""
    ours, theirs = pty.openpty()
    try:
        run(theirs)
        os.close(theirs)
        content = b""
        while True:
            try:
                part = os.read(ours, 1 << 16)
            except OSError:  # the end, on Linux
                part = b""
            if not part:
                return content
            content += part
    finally:
        os.close(ours)


def test_decoded_text_is_escaped_on_a_terminal_only(tmp_path):
    ids = fastprep.get_encoding("gpt2").encode("é\x1b[2J\u202e!")
    command = [sys.executable, "-m", "fastprep", "decode", *map(str, ids)]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}

    def run(descriptor: int) -> None:
        subprocess.run(command, env=env, stdout=descriptor, check=True)

    assert on_terminal(run).decode() == "é\\u001b[2J\\u202e!\r\n"
    done = subprocess.run(command, env=env, capture_output=True, check=True)
    assert done.stdout.decode() == "é\x1b[2J\u202e!"


def test_progress_bar_returns_to_the_start_of_its_line():
    tqdm = pytest.importorskip("tqdm")
    plain = io.StringIO()
    stream = io.StringIO()
    for file in (plain, EscapingStream(stream)):
        with tqdm.tqdm(total=3, file=file, ascii=True, bar_format="{n}", mininterval=0) as bar:
            bar.update(1)
    assert stream.getvalue() == plain.getvalue()
    assert "\r" in stream.getvalue()
