"""The command line: what it prints, where, and with which exit code."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import get_args

import pytest

from fastprep.cli.commands import COMMANDS, parser_of
from fastprep.cli.main import main
from fastprep.cli.options import separator
from fastprep.jobs.job import Eot, Settings

VERDICT = "I HAD always thought Jack Gisburn rather a cheap genius"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "two.txt"
    path.write_text("One.<|endoftext|>Two.")
    return path


def run(*arguments: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "fastprep", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        check=False,
    )


def test_a_store_is_made_described_and_verified(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = str(tmp_path / "store")
    assert main(["prepare", str(text), "-o", store]) == 0
    assert capsys.readouterr().out == f"{store}: 6 tokens in 2 documents, 1 shard\n"
    assert main(["info", store]) == 0
    shown = capsys.readouterr().out
    assert "tokens             6\n" in shown
    assert "end token          50256\n" in shown
    assert main(["info", store, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["tokens"] == 6
    assert facts["encoding"] == "gpt2"
    assert main(["verify", store, "--against", "tiktoken"]) == 0
    assert "good: 6 tokens, 2 documents, 2 compared" in capsys.readouterr().out


def test_options_reach_the_job(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = str(tmp_path / "store")
    command = ["prepare", str(text), "-o", store, "--quiet", "--eot", "none"]
    assert main([*command, "--separator", r"One\\."]) == 0
    assert main([*command, "--whole-files", "--overwrite"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["info", store]) == 0
    shown = capsys.readouterr().out
    assert "separator          none\n" in shown
    assert "end token          none\n" in shown
    assert "documents          1\n" in shown


def test_defaults_of_the_command_are_those_of_the_library() -> None:
    options = parser_of("prepare").parse(["a.txt", "-o", "store"])
    assert Settings(**{name: getattr(options, name) for name in Settings._fields}) == Settings()
    for eot in get_args(Eot):
        assert (
            parser_of("import").parse(["a.bin", "-o", "store", "--from", "llmc", "--eot", eot]).eot
            == eot
        )


def test_an_error_is_one_line_on_stderr(tmp_path: Path) -> None:
    done = run("prepare", tmp_path / "none.txt", "-o", tmp_path / "store")
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.startswith(b"fastprep: error: ")
    assert done.stderr.endswith(b"none.txt: no such file; check the path\n")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["mend"],
        ["prepare", "a.txt"],
        ["prepare", "a.txt", "-o", "s", "--workers", "0"],
        ["prepare", "a.txt", "-o", "s", "--separator", ""],
        ["prepare", "a.txt", "-o", "s", "--separator", "\\q"],
        ["prepare", "a.txt", "-o", "s", "--separator", "x", "--whole-files"],
        ["verify", "s", "--against", "itself"],
        ["verify", "s", "--sample", "5"],
        ["encode", "a", "--encoding-file", "a.tiktoken", "--pattern", "cl100k_base"],
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as info:
        main(arguments)
    assert info.value.code == 2
    assert "usage: fastprep" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "meant"),
    [(r"\n\n", "\n\n"), (r"\t\r\0", "\t\r\0"), (r"\\n", r"\n"), (r"a\\\n", "a\\\n"), ("ü", "ü")],
)
def test_a_separator_may_be_typed_with_escapes(typed: str, meant: str) -> None:
    assert separator(typed) == meant


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_of_each_command_ends_with_examples_and_a_link(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if command:
        with pytest.raises(SystemExit) as info:
            main([command, "--help"])
        assert info.value.code == 0
    else:
        assert main(["--help"]) == 0
    examples = capsys.readouterr().out.partition("\nexamples\n")[2].splitlines()
    assert "fastprep " in examples[0]
    assert examples[-1].startswith("documentation: https://")


def test_import_has_no_default_encoding(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["import", "--help"])
    assert "default: gpt2" not in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["import", str(text), "-o", str(tmp_path / "store"), "--from", "nanogpt"])
    assert "name what made the ids: --encoding" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="names are UTF-8 elsewhere")
def test_directory_whose_name_is_not_utf8_is_valid_json(text: Path, tmp_path: Path) -> None:
    output = os.fsencode(tmp_path) + b"/store-\xff"
    done = run("prepare", text, "-o", os.fsdecode(output), "--log", "json")
    assert done.returncode == 0
    started = json.loads(done.stderr.splitlines()[0])
    assert os.fsencode(started["output"]) == output
    shown = run("info", os.fsdecode(output), "--json").stdout
    assert os.fsencode(json.loads(shown)["path"]) == output


def test_encode_and_decode_round_trip_every_byte() -> None:
    text = "I HAD always\r\n thought 東京 <|endoftext|>\n".encode()
    for option in ([], ["--allow-special"]):
        ids = run("encode", *option, stdin=text).stdout
        assert (b"50256" in ids) == bool(option)
        assert run("decode", stdin=ids).stdout == text
        assert run("decode", *ids.decode().split()).stdout == text


def test_encode_takes_an_argument(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", "Hello, do you like tea?"]) == 0
    assert capsys.readouterr().out == "15496 11 466 345 588 8887 30\n"
    assert main(["encode", ""]) == 0
    assert capsys.readouterr().out == "\n"


def test_bad_bytes_and_bad_ids_are_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"ab\xff")))
    assert main(["encode", "-"]) == 1
    assert "standard input, byte 2: 0xff" in capsys.readouterr().err
    for word in ("x", "50257", "99999999999999999999", "-1"):
        assert main(["decode", "--", word]) == 1
        assert f"'{word}' is not a token id of gpt2" in capsys.readouterr().err


def test_a_closed_pipe_ends_quietly(text: Path, tmp_path: Path) -> None:
    assert run("prepare", text, "-o", tmp_path / "store").returncode == 0
    done = subprocess.run(
        f"{sys.executable} -m fastprep info {tmp_path / 'store'} | true; echo ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        check=False,
    )
    assert done.stdout in (b"141\n", b"0\n")
    assert done.stderr == b""


def test_process_without_standard_streams_works(tmp_path: Path) -> None:
    lines = '{"text": "some words"}\n' * 100
    (tmp_path / "a.jsonl").write_text(lines)
    command = (
        f"{sys.executable} -m fastprep prepare {tmp_path}/a.jsonl --shard-bytes 500 --workers 2"
    )
    for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        done = subprocess.run(
            f"{command} --overwrite -o {tmp_path}/store {closed}",
            shell=True,
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert (b"300 tokens in 100 documents" in done.stdout) == (">&-" not in closed.split())
    done = subprocess.run(
        f"{sys.executable} -m fastprep encode <&-", shell=True, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"\n", b"")


def test_an_interrupt_exits_with_130(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fastprep.jobs.prepare.prepare", interrupted)
    assert main(["prepare", "a.txt", "-o", str(tmp_path / "store")]) == 130
    assert capsys.readouterr().err == "fastprep: interrupted\n"


def test_version_is_that_of_the_package() -> None:
    import fastprep

    assert run("--version").stdout == f"fastprep {fastprep.__version__}\n".encode()


def test_prepare_leaves_the_handler_of_sigterm_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Some text.")
    before = signal.getsignal(signal.SIGTERM)
    command = ["prepare", str(tmp_path / "a.txt"), "--quiet", "-o"]
    assert main([*command, str(tmp_path / "one")]) == 0
    assert signal.getsignal(signal.SIGTERM) is before
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(main([*command, str(tmp_path / "two")])))
    thread.start()
    thread.join()
    assert codes == [0]
