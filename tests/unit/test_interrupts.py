"""Signals at any moment, threads that cannot be started, and output that cannot be written."""

from __future__ import annotations

import _thread
import gzip
import importlib.abc
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest
from checks.interrupts import _interrupted, environment, programs

from fastprep import get_encoding, prepare, verify
from fastprep.checks.verification import verify as verify_store
from fastprep.corpus.documents import Format
from fastprep.system.interrupts import deferred
from fastprep.system.threads import Crew, map_in_order, produce_ahead
from fastprep.words.corpus import words_of_inputs

FASTPREP = [sys.executable, "-m", "fastprep"]


def run(*words: str, **settings: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        [*FASTPREP, *words],
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
        **settings,
    )


def test_a_signal_at_any_moment_ends_each_program_with_one_line(tmp_path: Path) -> None:
    rng = random.Random(7)
    for program in programs(tmp_path, 7):
        found = _interrupted(program, tmp_path, rng, 2)
        assert not found.differing, (program.name, found.figures)


def test_an_ignored_signal_stays_ignored(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "from fastprep.cli import encode, main\n"
        "encode._encode = lambda options: (os.kill(os.getpid(), signal.SIGINT), print('done'))\n"
        "sys.argv[1:] = ['encode', 'x']; main.command()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "done\n"


def test_an_error_that_an_interrupt_causes_is_the_interrupt() -> None:
    program = (
        "import os, signal, sys\n"
        "from fastprep.cli import encode, main, signals\n"
        "def run(options):\n"
        "    with signals.raising():\n"
        "        try:\n"
        "            os.kill(os.getpid(), signal.SIGTERM)\n"
        "        except KeyboardInterrupt:\n"
        "            raise ImportError('half imported') from None\n"
        "encode._encode = run\n"
        "sys.argv[1:] = ['encode', 'x']; main.command()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (143, "fastprep: terminated\n")


def test_deferred_signals_wait_for_the_end_of_the_block() -> None:
    calls: list[str] = []

    def work() -> None:
        with deferred(lambda: calls.append("notified")):
            os.kill(os.getpid(), signal.SIGINT)
            calls.append("after it")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert sorted(calls) == ["after it", "notified"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_error_of_the_block_is_not_replaced_by_a_deferred_signal() -> None:
    def work() -> None:
        with deferred():
            os.kill(os.getpid(), signal.SIGINT)
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        work()


def test_other_threads_defer_nothing() -> None:
    found = []

    def work() -> None:
        with deferred() as signals:
            signals.deliver()
        found.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [True]


class Imports(importlib.abc.MetaPathFinder):
    """Records the imports of every thread but this one."""

    def __init__(self) -> None:
        self.main = threading.get_ident()
        self.found: list[str] = []

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> None:
        if threading.get_ident() != self.main:
            self.found.append(name)


@pytest.fixture
def imports() -> Iterator[Imports]:
    finder = Imports()
    kept = {
        name: module
        for name, module in sys.modules.items()
        if name.partition(".")[0] in ("json", "isal", "zlib", "tempfile")
    }
    for name in kept:
        del sys.modules[name]
    sys.meta_path.insert(0, finder)
    yield finder
    sys.meta_path.remove(finder)
    sys.modules.update(kept)


def test_worker_threads_import_nothing(tmp_path: Path, imports: Imports) -> None:
    lone = b'{"text": "\\ud800"}\n'  # which another JSON decoder reads
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "one"}\n' * 2000 + lone)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b'{"text": "two"}\n' * 2000))
    (tmp_path / "c.txt").write_bytes(b"three<|endoftext|>four")
    inputs = [tmp_path / name for name in ("a.jsonl", "b.jsonl.gz", "c.txt")]
    settings = {"shard_bytes": 5000, "workers": 3, "progress": False}
    store = prepare(inputs, tmp_path / "s", on_error="replace", validation=0.5, **settings)
    verify(store)
    verify_store(store)
    words_of_inputs(inputs, Format(on_error="replace"), 3)
    get_encoding("gpt2").encode_batch(["text"] * 1000, num_threads=3)
    assert imports.found == []


@pytest.fixture(params=["none starts", "none runs", "the second fails"])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let threads fail to start, or start and never run."""
    count = []

    def start(function: object, arguments: tuple[object, ...]) -> int:
        count.append(1)
        if request.param == "none runs":
            return 0
        if request.param == "none starts" or len(count) == 2:
            raise RuntimeError("can't start new thread")
        return _thread.start_new_thread(function, arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("fastprep.system.threads.start_new_thread", start)
    return str(request.param)


def test_work_is_done_with_fewer_threads(tmp_path: Path, threads: str) -> None:
    assert list(map_in_order(str, range(100), 4)) == [str(number) for number in range(100)]
    assert list(produce_ahead(iter(range(100)))) == list(range(100))
    encoding = get_encoding("gpt2")
    texts = [f"text {number} " * 999 for number in range(99)]
    expected = [encoding.encode(text) for text in texts]
    assert encoding.encode_batch(texts, num_threads=8) == expected
    (tmp_path / "a.txt").write_text("<|endoftext|>".join(texts))
    count = encoding.encode_file(tmp_path / "a.txt", tmp_path / "a.bin", workers=4)
    assert count == len(encoding.encode_ordinary("<|endoftext|>".join(texts)))
    settings = {"shard_bytes": 100_000, "progress": False}
    store = prepare(tmp_path / "a.txt", tmp_path / "s", workers=4, **settings)
    assert [*store[:].tolist()] == [id for ids in expected for id in [*ids, 50256]]
    verify(store)


def test_a_thread_that_fails_is_reported_where_its_result_is_needed() -> None:
    def fail(number: int) -> int:
        raise MemoryError(str(number))

    with pytest.raises(MemoryError, match="0"):
        list(map_in_order(fail, range(10), 3))


def test_a_crew_does_not_wait_for_threads_that_have_not_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("fastprep.system.threads.start_new_thread", lambda *_: 0)
    crew = Crew(lambda: None)
    assert crew.start(3) == 3
    crew.close()


@pytest.mark.parametrize(
    "words",
    [
        ["--version"],
        ["--help"],
        ["encode", "hello"],
        ["info", "store"],
        ["info", "--help"],
        ["show", "store"],
    ],
)
def test_output_that_cannot_be_written_is_one_line(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "a.txt").write_text("text")
    prepare(tmp_path / "a.txt", tmp_path / "store", progress=False)
    with Path("/dev/full").open("w") as full:
        done = run(*words, stdout=full, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        "fastprep: error: [Errno 28] No space left on device: 'standard output'\n"
    )


def test_without_stderr_the_status_says_it(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*FASTPREP, "info", "none"], stderr=full, env=environment(), cwd=tmp_path, check=False
        )
    assert done.returncode == 1


def test_a_second_interpreter_is_refused_and_the_first_continues() -> None:
    program = (
        "import _xxsubinterpreters as interpreters\n"
        "import fastprep\n"
        "encoding = fastprep.get_encoding('gpt2')\n"
        "second = interpreters.create()\n"
        "for line in ('import fastprep_ext.base', 'import fastprep; fastprep.get_encoding(\"gpt2\")'):\n"
        "    try:\n"
        "        interpreters.run_string(second, line)\n"
        "    except interpreters.RunFailedError as error:\n"
        "        print('ImportError' in str(error))\n"
        "interpreters.destroy(second)\n"
        "print(encoding.encode('hello'))\n"
    )
    pytest.importorskip("_xxsubinterpreters", reason="its name differs between versions of Python")
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "True\nTrue\n[31373]\n"), done.stderr
