"""Exit statuses of the commands, as docs/command-line.md lists them: one kind of mistake, one status."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fastprep.cli.commands import COMMANDS
from fastprep.cli.main import main

ROOT = Path(__file__).parents[2]

#: Options with a wrong value, for each command: {} is a folder with inputs.
WRONG_OPTIONS = [
    f"prepare {{}}/a.txt -o {{}}/new {option}"
    for option in (
        "--workers 0",
        "--workers two",
        "--validation 2",
        "--validation -1%",
        "--validation nan",
        "--validation-documents 0",
        "--validation 0.5 --validation-documents 2",
        "--shuffle -1",
        "--shuffle x",
        "--shuffle 18446744073709551616",
        "--shard-bytes 10M",
        "--shard-bytes 0",
        "--eot-token nope",
        "--eot none --eot-token <|endoftext|>",
        "--encoding nope",
        "--field a..b",
        "--format nope",
        "--task 3/3",
        "--task 0/2 --overwrite",
        "--engine none",
        "--on-error ignore",
        "--encoding-file x.tiktoken --pattern (",
        "--log text",
        "--dry-run --eot-token nope",
        "--log json --eot-token nope",
    )
] + [
    "prepare {}/a.txt -o s --field=",
    "verify {}/store --sample 0",
    "verify {}/store --sample 5",
    "verify {}/store --against itself",
    "info {}/store --encoding-file {}/vocabulary.json",
    "export {}/store --to nothing",
    "export {}/store --to nanogpt",
    "export {}/store --to nanogpt -o {}/new --link",
    "export {}/store --to megatron --validation 1",
    "export {}/store --to megatron -o {}/new --one-file --link",
    "export {}/store --to llmc -o {}/new --one-file",
    "export {}/store --to llmc -o {}/new --shard-tokens 4000000000",
    "export {}/store --to llmc -o {}/new --validation 0",
    "import {}/store/shard-00000.bin -o {}/new --from nanogpt",
    "import {}/store/shard-00000.bin -o {}/new --from nanogpt --encoding nope",
    "import {}/store/shard-00000.bin -o {}/new --from nanogpt --encoding gpt2 --eot-token nope",
    "encode text --encoding nope",
    "encode text --pattern gpt2",
    "decode 5 --encoding nope",
    "decode 5 --special x",
    "show",
    "show {}/store --text x",
    "show {}/store first",
    "show {}/store 9:",
    "show {}/store --encoding gpt2",
    "encodings gpt2",
    "bench",
    "bench {}/a.txt --megabytes 0",
    "bench {}/a.txt --rounds 0",
    "bench {}/a.txt --vocab {}/words.json",
    "completion",
    "completion csh",
    "help nothing",
    "train {}/a.txt -o {}/new.json",
    "train {}/a.txt -o {}/new.json --vocab-size 256",
    "train {}/a.txt -o {}/new --vocab-size 300",
    "train {}/a.txt -o {}/new.json --vocab-size 300 --pattern nope",
    "train {}/a.txt -o {}/new.json --vocab-size 300 --min-frequency -1",
    "train {}/a.txt -o {}/new.json --vocab-size 300 --task 3/3",
    "train {}/a.txt -o {}/new.json --vocab-size 300 --merge",
]
#: Bad inputs, stores and outputs.
BAD_INPUTS = [
    "prepare {}/missing.txt -o {}/new",
    "prepare {}/a.txt -o {}/store --eot prepend",
    "prepare {}/bad.jsonl -o {}/new",
    "prepare {}/a.txt -o {}/new --encoding-file {}/missing.json",
    "prepare {}/a.txt -o {}/new --validation-documents 2",
    "prepare {}/a.txt -o {}/new --validation 0.0000001",
    "verify {}/missing",
    "verify {}",
    "info {}/missing",
    "export {}/missing --to megatron",
    "export {}/store --to nanogpt -o {}/new --validation 99",
    "import {}/missing.bin -o {}/new --from nanogpt --encoding gpt2",
    "encode text --vocab {}/missing.json",
    "decode 99999999",
    "decode word",
    "show {}/missing",
    "show {}/store 2",
    "show --text x --encoding {}/missing.json",
    "bench {}/missing.txt",
    "bench {}/bad.jsonl",
    "train {}/missing.txt -o {}/new.json --vocab-size 300",
    "train {}/bad.jsonl -o {}/new.json --vocab-size 300",
    "train --merge -o {}/new.json --vocab-size 300",
    "train {}/missing.counts -o {}/new.json --vocab-size 300",
]
#: Commands that read nothing that could be bad.
WITHOUT_INPUTS = {"encodings", "completion", "help"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("statuses")
    (path / "a.txt").write_text("One.<|endoftext|>Two.")
    (path / "bad.jsonl").write_text("{")
    (path / "words.json").write_text('{"One": 0, "<|unk|>": 1}')
    assert main(["prepare", str(path / "a.txt"), "-o", str(path / "store"), "--quiet"]) == 0
    return path


def status(line: str, folder: Path) -> int | str | None:
    words = [word.replace("{}", str(folder)) for word in line.split()]
    try:
        return main(words)
    except SystemExit as ended:
        return ended.code


@pytest.mark.parametrize("line", WRONG_OPTIONS)
def test_a_wrong_option_is_2(line: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(line, folder) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert ("error" in printed.err) or ("failed" in printed.err)
    assert "Traceback" not in printed.err
    assert not (folder / "new").exists()


@pytest.mark.parametrize("line", BAD_INPUTS)
def test_a_bad_input_is_1(line: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(line, folder) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("fastprep: ")
    assert "usage:" not in printed
    assert not (folder / "new" / "manifest.json").exists()


def test_every_command_has_both() -> None:
    for lines, left_out in (WRONG_OPTIONS, set()), (BAD_INPUTS, WITHOUT_INPUTS):
        assert {line.split()[0] for line in lines} == set(COMMANDS) - left_out


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_is_130_and_a_termination_143(
    tmp_path: Path, number: int, expected: int
) -> None:
    (tmp_path / "a.txt").write_text("One.")
    # The signal arrives while the job works, wherever that is.
    script = (
        "import os, sys; import fastprep.jobs.task as task\n"
        "from fastprep.cli.main import main; import fastprep.jobs.run as run\n"
        f"def killed(*_): os.kill(os.getpid(), {int(number)}); import time; time.sleep(60)\n"
        "run.check_output = killed\n"
        f"sys.exit(main(['prepare', {str(tmp_path / 'a.txt')!r}, '-o', {str(tmp_path / 'new')!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == expected, done.stderr


def test_the_documentation_has_every_status() -> None:
    text = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    assert {int(found) for found in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)} == {
        0,
        1,
        2,
        130,
        141,
        143,
    }
