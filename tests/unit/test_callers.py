"""prepare() with its defaults works in any kind of caller, and stops on a signal or an error."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from reading import background_threads

from fastprep.errors import InvalidInput
from fastprep.jobs.prepare import prepare
from fastprep.registry import get_encoding
from fastprep.store.reader import TokenStore

CALL = "import fastprep\nfastprep.prepare('in', 'store', shard_bytes=200)\n"
ROOT = str(Path(__file__).parents[2])


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create inputs in the working directory for several shards, so for several threads."""
    (tmp_path / "in").mkdir()
    for number in range(8):
        lines = [json.dumps({"text": f"text {number} {line}"}) + "\n" for line in range(20)]
        (tmp_path / "in" / f"{number}.jsonl").write_text("".join(lines))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", ROOT)
    return tmp_path


def check_made(folder: Path) -> None:
    expected = prepare("in", folder / "expected", shard_bytes=200, progress=False)
    made = TokenStore(folder / "store")
    assert len(made.shards) > 4
    assert made[:].tolist() == expected[:].tolist()


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        **options,
    )


@pytest.mark.parametrize("how", ["script", "standard input", "-c"])
def test_program_without_a_main_guard_prepares_silently(corpus: Path, how: str) -> None:
    if how == "script":
        (corpus / "program.py").write_text(CALL)
        done = run("program.py")
    elif how == "-c":
        done = run("-c", CALL)
    else:
        done = run("-", input=CALL)
    assert (done.stdout, done.stderr) == ("", "")
    check_made(corpus)


def test_a_thread_prepares(corpus: Path) -> None:
    thread = threading.Thread(target=lambda: exec(CALL))
    thread.start()
    thread.join()
    check_made(corpus)


def test_a_worker_of_a_pool_prepares(corpus: Path) -> None:
    (corpus / "job.py").write_text(
        "def job(_):\n" + "".join(f"    {x}\n" for x in CALL.split("\n"))
    )
    run(
        "-c",
        "import multiprocessing\nfrom job import job\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('fork').Pool(1) as pool:\n"
        "        pool.map(job, [0])\n",
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{corpus}"},
    )
    check_made(corpus)


def test_a_worker_of_a_data_loader_prepares(corpus: Path) -> None:
    pytest.importorskip("torch")
    run(
        "-c",
        "import torch.utils.data\n"
        "class Items(torch.utils.data.Dataset):\n"
        "    def __len__(self): return 1\n"
        "    def __getitem__(self, index):\n"
        + "".join(f"        {line}\n" for line in CALL.splitlines())
        + "        return 0\n"
        "print(list(torch.utils.data.DataLoader(Items(), num_workers=1)))\n",
    )
    check_made(corpus)


def test_two_ranks_of_torchrun_prepare_one_each(corpus: Path) -> None:
    pytest.importorskip("torch")
    (corpus / "program.py").write_text(
        "import os, fastprep\n"
        "rank = os.environ['RANK']\n"
        "fastprep.prepare('in', 'store' if rank == '0' else 'other', shard_bytes=200)\n"
    )
    run("-m", "torch.distributed.run", "--nproc-per-node", "2", "program.py")
    check_made(corpus)
    assert TokenStore(corpus / "other")[:].tolist() == TokenStore(corpus / "store")[:].tolist()


def test_a_notebook_prepares(corpus: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CALL)])
    nbclient.NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    check_made(corpus)


def test_no_proc_is_needed(corpus: Path) -> None:
    run(
        "-c",
        "import builtins, os, pathlib\n"
        "def without_proc(real):\n"
        "    def call(path, *more, **named):\n"
        "        if str(path).startswith('/proc'): raise FileNotFoundError(path)\n"
        "        return real(path, *more, **named)\n"
        "    return call\n"
        "builtins.open, os.open = without_proc(open), without_proc(os.open)\n" + CALL,
    )
    check_made(corpus)


# -- stopping --------------------------------------------------------------------------------------


@pytest.fixture
def large(tmp_path: Path) -> list[Path]:
    """Create two compressed inputs that take seconds each."""
    rng = random.Random(3)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(50_000)]
    lines = "".join(
        json.dumps({"text": " ".join(rng.choices(words, k=2000))}) + "\n" for _ in range(600)
    ).encode()
    packed = gzip.compress(lines, 1)
    paths = [tmp_path / "a.jsonl.gz", tmp_path / "b.jsonl.gz"]
    for path in paths:
        path.write_bytes(packed * 20)
    return paths


# On a busy machine threads need longer than a job waits for them, and leave their files.
PATIENT = "import fastprep.jobs.calls as calls; calls._STOP_TIMEOUT = 60.0\n"
COMMAND = PATIENT + "from fastprep.cli.main import command; command()"
PREPARE = (
    PATIENT
    + """
import sys, threading, time, fastprep
def say(event):
    if event["event"] == "started":
        print("started", flush=True)
try:
    fastprep.prepare(sys.argv[1:], "store", shard_bytes=1000, workers=2, progress=False, log=say)
finally:
    print("ended", time.monotonic(), flush=True)
"""
)


def interrupted(
    arguments: list[str], number: signal.Signals, started: str, where: Path
) -> tuple[float, int, str]:
    """Send a signal to a process; return the seconds until it has ended, its status and its stderr."""
    process = subprocess.Popen(
        arguments,
        cwd=where,
        env={**os.environ, "PYTHONPATH": ROOT},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    stream = process.stdout if started == "started\n" else process.stderr
    assert stream is not None
    while started not in stream.readline():
        assert process.poll() is None
    time.sleep(0.3)
    begin = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    return time.monotonic() - begin, process.returncode, err


def test_ctrl_c_ends_a_python_call_at_once(large: list[Path], tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", PREPARE, *map(str, large)]
    seconds, _, err = interrupted(arguments, signal.SIGINT, "started\n", tmp_path)
    assert "KeyboardInterrupt: 0 of 2 shards are finished; the same call or command resumes" in err
    assert seconds < 60  # half a second on an idle machine; the whole job takes minutes
    assert not list((tmp_path / "store").glob("*.tmp"))


@pytest.mark.parametrize(
    ("number", "word", "status"),
    [(signal.SIGINT, "interrupted", 130), (signal.SIGTERM, "terminated", 143)],
)
def test_a_signal_ends_a_command_at_once(
    large: list[Path], tmp_path: Path, number: signal.Signals, word: str, status: int
) -> None:
    arguments = [sys.executable, "-c", COMMAND, "prepare", *map(str, large), "-o", "store"]
    arguments += ["--shard-bytes", "1000", "--workers", "2", "--log", "json"]
    _, code, err = interrupted(arguments, number, '"started"', tmp_path)
    assert code == status
    assert '"failed"' in err
    assert not list((tmp_path / "store").glob("*.tmp"))
    assert word in ("interrupted", "terminated")


def test_an_error_in_one_task_ends_the_others_at_once(large: list[Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl.gz"
    bad.write_bytes(gzip.compress(b"{broken\n") + large[1].read_bytes())
    with pytest.raises(InvalidInput, match=r"bad\.jsonl\.gz, line 1") as info:
        prepare([large[0], bad], tmp_path / "store", shard_bytes=1000, workers=2, progress=False)
    (note,) = info.value.__notes__
    assert note.startswith("0 of 2 shards are finished; the same call or command resumes")
    assert not background_threads()


def test_an_error_of_the_log_ends_the_tasks(corpus: Path) -> None:
    def fail(event: dict[str, object]) -> None:
        if event["event"] == "task done":
            raise RuntimeError("the log is full")

    with pytest.raises(RuntimeError, match="the log is full"):
        prepare("in", "store", shard_bytes=200, workers=3, progress=False, log=fail)
    assert not background_threads()
    prepare("in", "store", shard_bytes=200, progress=False)
    check_made(corpus)


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
def test_any_number_of_threads_makes_the_same_bytes(corpus: Path, workers: int) -> None:
    prepare("in", "store", shard_bytes=200, workers=workers, progress=False)
    check_made(corpus)
    for path in (corpus / "expected").iterdir():
        assert path.read_bytes() == (corpus / "store" / path.name).read_bytes()
    assert get_encoding("gpt2").name == "gpt2"
