"""SIGINT and SIGTERM at random moments of every command and of the Python call."""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from checks import Found

ROOT = Path(__file__).resolve().parents[2]
# Each program says when it begins: what happens before that is the interpreter's.
BEGIN = "import os; os.write(1, b'!'); import sys; "
COMMAND = BEGIN + "from fastprep.cli.main import command; command()"
CALL = (
    BEGIN + "import fastprep; "
    "fastprep.prepare(sys.argv[2:], sys.argv[1], shard_bytes=40000, workers=2, progress=False)"
)
NAMES = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
MAX_SECONDS = (
    20.0  # after a signal, on a machine that does other work too; then it counts as hanging
)
FIRST_SECONDS = 0.3


class Program(NamedTuple):
    """A program to interrupt: its command line, in a directory that it may write to."""

    name: str
    words: list[str]
    is_call: bool = False
    output: str | None = None


def programs(directory: Path, seed: int) -> list[Program]:
    """Write small inputs, and return the programs that use them."""
    rng = random.Random(seed)
    words = ["tea", " the", "  spaces", "\n\n", "naïve", " 東京", "😀", " 1234", "'ll"]
    lines = "".join(
        json.dumps({"text": "".join(rng.choices(words, k=rng.randint(1, 300)))}) + "\n"
        for _ in range(400)
    )
    (directory / "a.jsonl").write_text(lines)
    (directory / "b.jsonl.gz").write_bytes(gzip.compress(lines.encode(), 1))
    (directory / "c.txt").write_text("Some text.<|endoftext|>" * 2000)
    run = [sys.executable, "-c", COMMAND]
    inputs = ["a.jsonl", "b.jsonl.gz", "c.txt"]
    prepare = [*run, "prepare", *inputs, "-o", "out", "--shard-bytes", "40000"]
    programs = [
        Program("prepare --workers 1", [*prepare, "--workers", "1"], output="out"),
        Program("prepare --workers 3", [*prepare, "--workers", "3"], output="out"),
        Program("prepare --log json", [*prepare, "--log", "json"], output="out"),
        Program(
            "prepare --words",
            [*run, "prepare", *inputs, "-o", "out", "--words", "--workers", "2"],
            output="out",
        ),
        Program("verify", [*run, "verify", "store"]),
        Program("info", [*run, "info", "store", "--json"]),
        Program(
            "export", [*run, "export", "store", "--to", "nanogpt", "-o", "files"], output="files"
        ),
        Program(
            "import",
            [*run, "import", "ids/train.bin", "--from=nanogpt", "-o", "out", "--encoding=gpt2"],
            output="out",
        ),
        Program(
            "train",
            [*run, "train", *inputs, "-o", "voc/tokenizer.json", "--vocab-size", "900"],
            output="voc",
        ),
        Program("completion", [*run, "completion", "zsh"]),
        Program("encode", [*run, "encode", "text " * 20_000]),
        Program("show", [*run, "show", "store", "0:20", "--tokens"]),
        Program("encodings", [*run, "encodings"]),
        Program("decode", [*run, "decode", *["15496"] * 1000]),
        Program(
            "prepare() in Python",
            [sys.executable, "-c", CALL, "out", *inputs],
            is_call=True,
            output="out",
        ),
    ]
    for words_ in (
        [*run, "prepare", *inputs, "-o", "store", "--shard-bytes", "100000"],
        [*run, "export", "store", "--to", "nanogpt", "-o", "ids"],
    ):
        subprocess.run(words_, cwd=directory, env=environment(), capture_output=True, check=True)
    return programs


def environment() -> dict[str, str]:
    """Return the environment of the programs: this tree's fastprep, compiled once for all of them."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    cache = Path(tempfile.gettempdir()) / f"fastprep-bytecode-{os.getuid()}"
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(cache)}


def interrupts(seed: int, cases: int) -> Iterator[Found]:
    """Interrupt each program `cases` times, half of them in its first 0.3 seconds."""
    rng = random.Random(seed)
    # In a background job of a shell SIGINT is ignored, and stays so in each program.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for program in programs(directory, seed):
            yield _interrupted(program, directory, rng, cases)


def _interrupted(program: Program, directory: Path, rng: random.Random, cases: int) -> Found:
    begin = time.perf_counter()
    subprocess.run(program.words, cwd=directory, env=environment(), capture_output=True, check=True)
    whole = time.perf_counter() - begin
    expected = _contents(directory, program)
    _remove(directory, program)
    wrong: list[str] = []
    ended = early = 0
    slowest = 0.0
    for case in range(cases):
        delay = rng.random() * (FIRST_SECONDS if case % 2 else whole)
        number = signal.SIGINT if program.is_call else rng.choice([*NAMES])
        seconds, code, err = signalled(program.words, directory, number, delay)
        slowest = max(slowest, seconds)
        if code == 0:
            ended += 1
        elif code == -number and not (program.is_call and number == signal.SIGINT):
            # The program's own first statements are Python's to interrupt.
            early += 1
            if "<string>" not in err and err:
                wrong.append(f"{code}: {err[-400:]}")
        elif not _is_right(program, number, code, err):
            wrong.append(f"{number.name} after {delay:.3f} s: {code}: {err[-400:]}")
        # A store that was whole already is not made again.
        unfinished = code and _contents(directory, program) != expected
        if unfinished and program.output is not None and rng.random() < 0.1:
            again = subprocess.run(
                program.words, cwd=directory, env=environment(), capture_output=True, check=False
            )
            if again.returncode or _contents(directory, program) != expected:
                wrong.append(f"resumed: {again.returncode}: {again.stderr.decode()[-400:]}")
        _remove(directory, program)
    return Found(
        f"signals at random moments: {program.name}",
        cases,
        len(wrong),
        {
            "had_ended": ended,
            "before_the_handlers": early,
            "slowest_seconds": round(slowest, 2),
            "wrong": wrong[:3],
        },
    )


def signalled(
    words: list[str], directory: Path, number: signal.Signals, delay: float
) -> tuple[float, int | None, str]:
    """Run a program, and send it a signal `delay` seconds after it began.

    Returns the seconds until it ended, its exit code (None if it had to be killed), and its stderr.
    """
    with (directory / "stderr").open("w+") as err:
        process = subprocess.Popen(
            words,
            cwd=directory,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=err,
        )
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), True)
        process.stdout.read(1)
        until = time.perf_counter() + delay
        code = None
        while time.perf_counter() < until and code is None:
            code = _wait(process, until - time.perf_counter())
        sent = time.perf_counter()
        process.send_signal(number)
        code = _wait(process, MAX_SECONDS)
        seconds = time.perf_counter() - sent
        if code is None:
            process.kill()
            process.wait()
        process.stdout.close()
        err.seek(0)
        return seconds, code, err.read()


def _wait(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """Wait for a process while its output is read; return its exit code, or None at the end of time."""
    assert process.stdout is not None
    until = time.perf_counter() + seconds
    os.set_blocking(process.stdout.fileno(), False)
    while process.poll() is None:
        if time.perf_counter() > until:
            return None
        while process.stdout.read(1 << 16):
            pass
        time.sleep(0.0005)
    return process.returncode


def _is_right(program: Program, number: signal.Signals, code: int | None, err: str) -> bool:
    """Return whether a program that a signal ended said so, and nothing else."""
    lines = err.splitlines()
    if program.is_call:
        # Without a line where the interpreter was at its end.
        return code == -signal.SIGINT and (not lines or "KeyboardInterrupt" in lines[-1])
    if code != 128 + number or not lines:
        return False
    if "--log" in program.words:
        events = [json.loads(line) for line in lines if line.startswith("{")]
        if len(events) == len(lines):
            return bool(events[-1]["event"] == "failed")
        # Before the options were read.
        return lines == [f"fastprep: {NAMES[number]}"]
    return lines[-1] == f"fastprep: {NAMES[number]}" and all(
        re.match(
            r"fastprep: (\d+ of \d+ shards are finished|the parts that are counted are kept)", line
        )
        for line in lines[:-1]
    )


def _contents(directory: Path, program: Program) -> dict[str, bytes]:
    if program.output is None:
        return {}
    output = directory / program.output
    return {
        path.relative_to(output).as_posix(): path.read_bytes()
        for path in sorted(output.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


def _remove(directory: Path, program: Program) -> None:
    if program.output is not None:
        shutil.rmtree(directory / program.output, ignore_errors=True)
