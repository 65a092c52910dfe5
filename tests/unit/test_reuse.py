"""Calls that find the finished store of the same job, or another process that is making it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from fastprep.cli.main import main
from fastprep.errors import InvalidStore, JobIsRunning, StoreExists
from fastprep.jobs.journal import Journal
from fastprep.jobs.prepare import prepare
from fastprep.store.reader import TokenStore
from fastprep.system.locking import holding
from fastprep.words.tokenizers import SimpleTokenizerV2, build_vocab

SETTINGS: dict[str, Any] = {"workers": 1, "progress": False}


@pytest.fixture
def corpus(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "a.jsonl", tmp_path / "b.txt"]
    paths[0].write_text("".join(f'{{"text": "line {n}", "body": "b"}}\n' for n in range(40)))
    paths[1].write_text("<|endoftext|>".join(f"document {n}" for n in range(40)))
    return paths


def later(path: Path, than: Path) -> None:
    """Give a file a time after that of another one."""
    time = than.stat().st_mtime_ns + 10**9
    os.utime(path, ns=(time, time))


def events(*arguments: Any, **settings: Any) -> list[str]:
    logged: list[dict[str, Any]] = []
    prepare(*arguments, **{**SETTINGS, **settings}, log=logged.append)
    return [event["event"] for event in logged]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"shard_bytes": 300},
        {"validation": 0.3},
        {"eot": "prepend"},
        {"eot": "none", "separator": None},
        {"on_error": "skip"},
        {"encoding": SimpleTokenizerV2(build_vocab("line document"))},
    ],
    ids=str,
)
def test_second_call_returns_the_finished_store_at_once(
    corpus: list[Path], tmp_path: Path, settings: dict[str, Any]
) -> None:
    first = prepare(corpus, tmp_path / "store", **SETTINGS, **settings)
    inodes = [path.stat().st_ino for path in sorted((tmp_path / "store").rglob("*"))]
    for more in ({}, {"workers": 2}, {"task": (0, 2)}, {"block_bytes": 64}):
        options = {**SETTINGS, **settings, **more}
        again = prepare(corpus, tmp_path / "store", **options)
        assert again is not None
        assert (again.path, again.manifest) == (first.path, first.manifest)
        assert events(corpus, tmp_path / "store", **options) == ["reused"]
    assert inodes == [path.stat().st_ino for path in sorted((tmp_path / "store").rglob("*"))]


def test_default_size_of_shards_takes_any(corpus: list[Path], tmp_path: Path) -> None:
    prepare(corpus, tmp_path / "store", **SETTINGS, shard_bytes=300)
    assert events(corpus, tmp_path / "store") == ["reused"]
    with pytest.raises(StoreExists, match="shard_bytes was 300 and is 400"):
        prepare(corpus, tmp_path / "store", **SETTINGS, shard_bytes=400)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encoding": "r50k_base"}, "encoding was 'gpt2' and is 'r50k_base'"),
        ({"field": "body"}, "field was 'text' and is 'body'"),
        ({"separator": "|"}, r"separator was '<\|endoftext\|>' and is '\|'"),
        ({"eot": "prepend"}, "eot was 'append' and is 'prepend'"),
        ({"on_error": "skip"}, "on_error was 'raise' and is 'skip'"),
        ({"validation": 0.5}, "validation was 0.0 and is 0.5"),
        ({"field": "body", "eot": "none"}, "eot was 'append' and is 'none'; field was"),
    ],
)
def test_another_job_is_refused_and_the_differences_are_named(
    corpus: list[Path], tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    store = prepare(corpus, tmp_path / "store", **SETTINGS)
    for more in ({}, {"task": (0, 2)}):
        with pytest.raises(StoreExists, match=message):
            prepare(corpus, tmp_path / "store", **SETTINGS, **settings, **more)
    assert TokenStore(store.path).manifest == store.manifest


def test_other_inputs_are_named(corpus: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "store"
    store = prepare(corpus, output, **SETTINGS)
    new = tmp_path / "new.txt"
    new.write_text("One.")
    for inputs, message in (
        (corpus[:1], r"b\.txt is no longer an input; pass overwrite=True"),
        ([*corpus, new], r"new\.txt is a new input; .*append=True \(--append\)"),
        (corpus[::-1], "the inputs are in another order"),
    ):
        with pytest.raises(StoreExists, match=message):
            prepare(inputs, output, **SETTINGS)
    later(corpus[1], store.shard_files[0])
    with pytest.raises(StoreExists, match=r"b\.txt was changed after the store was made"):
        prepare(corpus, output, **SETTINGS)
    corpus[1].write_text("Shorter.")
    with pytest.raises(StoreExists, match=r"b\.txt had \d+ bytes and has 8"):
        prepare(corpus, output, **SETTINGS)


def test_inputs_in_memory_cannot_be_compared(tmp_path: Path) -> None:
    table = pytest.importorskip("pyarrow").table({"text": ["One.", "Two."]})
    prepare(table, tmp_path / "store", **SETTINGS)
    with pytest.raises(StoreExists, match="<table 1> is in memory, so it cannot be compared"):
        prepare(table, tmp_path / "store", **SETTINGS)


def test_a_manifest_of_the_first_version_is_compared(corpus: list[Path], tmp_path: Path) -> None:
    store = prepare(corpus, tmp_path / "store", **SETTINGS, shard_bytes=300)
    manifest = json.loads((store.path / "manifest.json").read_text())
    del manifest["shard_bytes"]
    (store.path / "manifest.json").write_text(json.dumps({**manifest, "version": 1}))
    assert TokenStore(store.path).manifest.version == 1
    assert events(corpus, store.path, shard_bytes=77) == ["reused"]
    with pytest.raises(StoreExists, match="field was"):
        prepare(corpus, store.path, **SETTINGS, field="body")


def test_a_damaged_store_is_not_reused(corpus: list[Path], tmp_path: Path) -> None:
    store = prepare(corpus, tmp_path / "store", **SETTINGS, validation=0.3)
    shutil.rmtree(store.path.with_name("validation"))
    with pytest.raises(InvalidStore, match="validation: no such directory"):
        prepare(corpus, tmp_path / "store", **SETTINGS, validation=0.3)
    store.shard_files[0].write_bytes(b"")
    with pytest.raises(InvalidStore, match="0 bytes, but the manifest says"):
        prepare(corpus, tmp_path / "store", **SETTINGS, validation=0.3)


def test_command_says_that_nothing_is_left_to_do(
    corpus: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["prepare", *map(str, corpus), "-o", str(tmp_path / "store"), "--workers", "1"]
    assert main(command) == 0
    first = capsys.readouterr()
    assert main(command) == 0
    again = capsys.readouterr()
    assert again.out == first.out
    sentence = "these inputs and settings made it already; nothing to do"
    assert again.err == f"fastprep: {tmp_path}/store: {sentence}\n"
    assert main([*command, "--log", "json"]) == 0
    assert json.loads(capsys.readouterr().err)["event"] == "reused"


def test_locks_left_in_a_whole_store_are_removed(corpus: list[Path], tmp_path: Path) -> None:
    store = prepare(corpus, tmp_path / "store", **SETTINGS)
    for name in ("run.lock", "job.lock", "shard-00000.lock"):
        (store.path / name).touch()
    assert TokenStore(store.path).manifest == store.manifest
    with holding(store.path / "run.lock", "busy"):
        prepare(corpus, store.path, **SETTINGS)
        assert (store.path / "run.lock").exists()
    prepare(corpus, store.path, **SETTINGS)
    assert sorted(path.suffix for path in store.path.iterdir()) == [".bin", ".ends", ".json"]
    (store.path / "run.lock").touch()
    prepare(corpus[0], store.path, **SETTINGS, overwrite=True)
    assert sorted(path.suffix for path in store.path.iterdir()) == [".bin", ".ends", ".json"]


# -- other processes ----------------------------------------------------------------------------


def ranks(
    corpus: list[Path], output: Path, count: int, *options: str
) -> list[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "fastprep", "prepare", *map(str, corpus), "-o", str(output)]
    command += ["--workers", "1", "--shard-bytes", "300", *options]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return [subprocess.Popen(command, **pipes) for _ in range(count)]


@pytest.mark.parametrize("options", [[], ["--validation", "0.5"], ["--append"]], ids=str)
def test_all_ranks_get_the_store_that_one_makes(
    corpus: list[Path], tmp_path: Path, options: list[str]
) -> None:
    started = ranks(corpus, tmp_path / "store", 3, *options)
    shown = [each.communicate(timeout=100) for each in started]
    assert [each.returncode for each in started] == [0, 0, 0], shown
    assert len({out for out, _ in shown}) == 1
    assert sum("nothing to do" in err for _, err in shown) == 2
    files = {path.suffix for path in (tmp_path / "store").rglob("*") if path.is_file()}
    assert files == {".bin", ".ends", ".json"}


def test_a_waiting_call_says_so_and_returns_the_store(
    corpus: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastprep.jobs.run._SECONDS_BEFORE_WAITING", 0.0)
    output = tmp_path / "store"
    prepare(corpus, output, **SETTINGS, shard_bytes=300, task=(0, 2))
    waiting, results = threading.Event(), []
    logged: list[str] = []

    def log(event: dict[str, Any]) -> None:
        logged.append(event["event"])
        waiting.set()

    def wait() -> None:
        results.append(prepare(corpus, output, **SETTINGS, shard_bytes=300, log=log))

    with Journal(output).lock_run(shared=True):
        thread = threading.Thread(target=wait)
        thread.start()
        assert waiting.wait(60)
        # The one that works finishes the job.
        prepare(corpus, output, **SETTINGS, shard_bytes=300, task=(1, 2))
    thread.join(60)
    assert logged == ["waiting", "reused"]
    assert results[0].num_documents == 80


def test_a_waiting_call_takes_over_if_the_other_one_dies(
    corpus: list[Path], tmp_path: Path
) -> None:
    output = tmp_path / "store"
    prepare(corpus, output, **SETTINGS, shard_bytes=300, task=(0, 2))
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom fastprep.jobs.journal import Journal\n"
        "with Journal(Path(sys.argv[1])).lock_run(shared=False):\n"
        "    print('locked', flush=True)\n    time.sleep(600)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(output)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "locked\n"
    (waiter,) = ranks(corpus, output, 1)
    assert waiter.stderr is not None
    line = waiter.stderr.readline()
    assert line == f"fastprep: {output}: another run works here; waiting until it ends\n"
    holder.kill()
    out, err = waiter.communicate(timeout=100)
    holder.communicate()
    assert waiter.returncode == 0
    assert "resuming:" in err
    assert "80 documents" in out


def test_a_waiting_call_can_be_interrupted(corpus: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "store"
    output.mkdir()
    with Journal(output).lock_run(shared=False):
        (waiter,) = ranks(corpus, output, 1)
        assert waiter.stderr is not None
        assert "waiting until it ends" in waiter.stderr.readline()
        waiter.send_signal(signal.SIGINT)
        _, err = waiter.communicate(timeout=100)
    assert waiter.returncode == 130
    assert "interrupted" in err


def test_a_run_of_another_job_is_not_waited_for(
    corpus: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastprep.jobs.run._SECONDS_BEFORE_WAITING", 0.0)
    prepare(corpus, tmp_path / "store", **SETTINGS, shard_bytes=300, task=(0, 2))
    message = r"on another job: .*b\.txt is no longer an input"
    with (
        Journal(tmp_path / "store").lock_run(shared=False),
        pytest.raises(JobIsRunning, match=message),
    ):
        prepare(corpus[0], tmp_path / "store", **SETTINGS, shard_bytes=300)


def test_python_prints_that_it_waits(
    corpus: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def busy(*_: Any, waiting: Any, **__: Any) -> Any:
        waiting(0.5)
        waiting(2.0)
        waiting(3.0)
        raise KeyboardInterrupt

    monkeypatch.setattr("fastprep.jobs.journal.holding", busy)
    for progress in (None, False):
        with pytest.raises(KeyboardInterrupt):
            prepare(corpus, tmp_path / "store", progress=progress)
    shown = capsys.readouterr().err
    assert shown.count(f"fastprep: {tmp_path}/store: another run works here; waiting") == 1
