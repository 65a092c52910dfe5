"""Outputs at URLs: uploaded whole, resumed, replaced, and refused where they cannot be."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from fastprep import SimpleTokenizerV2, TokenStore, build_vocab, prepare, verify
from fastprep.cli.main import main
from fastprep.corpus import remote
from fastprep.errors import InvalidArgument, InvalidInput, InvalidStore, OtherJob, StoreExists
from fastprep.jobs.upload import work_directory
from fastprep.store.remote import cache_root

fsspec = pytest.importorskip("fsspec")
from fsspec.implementations.memory import MemoryFileSystem  # noqa: E402

Check = Callable[[], object]


class Faulty(MemoryFileSystem):  # type: ignore[misc]
    """A file system in memory that counts writes, and fails some of them."""

    protocol = "faulty"
    lock = threading.RLock()
    written: list[str] = []  # noqa: RUF012
    removed: list[str] = []  # noqa: RUF012
    failing: Callable[[int, str], BaseException | None] = staticmethod(lambda number, name: None)
    check: Check = staticmethod(lambda: None)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(MemoryFileSystem._strip_protocol(path.replace("faulty://", "memory://")))

    def put_file(self, source: str, path: str, **options: Any) -> None:
        parent = super().pipe_file
        self._step(path, lambda: parent(path, Path(source).read_bytes()))

    def pipe_file(self, path: str, value: bytes, **options: Any) -> None:
        parent = super().pipe_file
        self._step(path, lambda: parent(path, value))

    def rm_file(self, path: str) -> None:
        with self.lock:
            super().rm_file(path)
            self.removed.append(Path(path).name)
            type(self).check()

    def _step(self, path: str, write: Callable[[], object]) -> None:
        with self.lock:
            self.written.append(path.removeprefix("/b/s/"))
            error = type(self).failing(len(self.written), path)
            if error is not None:
                # Half of it may have arrived.
                if path.endswith((".bin", ".ends")):
                    super().pipe_file(path, b"half")
                type(self).check()
                raise error
            write()
            type(self).check()


fsspec.register_implementation("faulty", Faulty, clobber=True)
URL = "faulty://b/s"


@pytest.fixture(autouse=True)
def pauses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setenv("FASTPREP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(remote, "_wait", lambda seconds, stop: found.append(seconds))
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    reset()
    return found


def reset() -> None:
    Faulty.failing = staticmethod(lambda number, name: None)
    Faulty.check = staticmethod(lambda: None)
    Faulty.written.clear()
    Faulty.removed.clear()


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return lines(tmp_path / "a.jsonl", 4)


def lines(path: Path, count: int) -> Path:
    path.write_text("".join(f'{{"text": "Do you like tea {k}?"}}\n' for k in range(count)))
    return path


def make(corpus: Path, url: str | Path = URL, **options: Any) -> TokenStore:
    options = {"shard_bytes": 50, "progress": False, **options}
    return cast(TokenStore, prepare(corpus, url, **options))


def files(url: str = URL) -> dict[str, bytes]:
    system, path = fsspec.core.url_to_fs(url)
    return {name[len(path) + 1 :]: system.cat(name) for name in system.find(path)}


def local_files(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def events_of(log: list[dict[str, object]]) -> list[object]:
    return [event["event"] for event in log]


@pytest.mark.parametrize("url", [URL, f"{URL}/", "memory://b/s", "FAULTY://b/s"])
@pytest.mark.parametrize(
    "options", [{}, {"validation": 0.5}, {"shuffle": 1}, {"validation_documents": 1}]
)
def test_the_files_are_those_of_a_local_store(
    corpus: Path, tmp_path: Path, url: str, options: dict[str, Any]
) -> None:
    store = make(corpus, url, **options)
    local = make(corpus, tmp_path / "local", **options)
    assert files(remote.normal_url(url.rstrip("/"))) == local_files(tmp_path / "local")
    assert np.array_equal(store[:], local[:])
    assert "://b/s" in repr(store)


def test_the_local_files_become_the_cache(corpus: Path) -> None:
    store = make(corpus)
    system = fsspec.filesystem("faulty")
    for name in system.find("/b/s"):
        if not name.endswith(".json"):
            system.rm(name)
    assert verify(store).documents == 4
    assert [path.suffix for path in (cache_root() / "outputs").iterdir()] == [".lock"]


def test_a_manifest_is_written_last_and_once(corpus: Path) -> None:
    make(corpus, validation=0.5)
    names = [name for name in Faulty.written if name.endswith("manifest.json")]
    assert names == ["validation/manifest.json", "train/manifest.json"] == Faulty.written[-2:]
    assert len(Faulty.written) == len(set(Faulty.written))


def test_shards_are_uploaded_while_others_are_made(corpus: Path) -> None:
    seen = threading.Event()

    def failing(number: int, path: str) -> None:
        if path.endswith("shard-00000.ends"):
            seen.set()

    def log(event: dict[str, object]) -> None:
        if event["event"] == "task done" and event["shard"] == 1:
            assert seen.wait(30)

    Faulty.failing = staticmethod(failing)
    make(corpus, workers=1, log=log)
    assert seen.is_set()
    assert len(Faulty.written) == len(set(Faulty.written))


def test_the_same_call_returns_the_store_and_writes_nothing(corpus: Path) -> None:
    first = make(corpus)
    reset()
    log: list[dict[str, object]] = []
    again = make(corpus, log=log.append)
    assert np.array_equal(again[:], first[:])
    assert events_of(log) == ["reused"]
    assert log[0]["output"] == URL
    assert Faulty.written == Faulty.removed == []


@pytest.mark.parametrize("change", ["settings", "inputs", "time"])
def test_another_job_is_refused_with_its_differences_and_replaces(
    corpus: Path, tmp_path: Path, change: str
) -> None:
    make(corpus)
    before = files()
    options: dict[str, Any] = {}
    if change == "settings":
        options, message = {"separator": None, "eot": "prepend"}, "separator was"
    elif change == "inputs":
        lines(corpus, 9)
        message = "a.jsonl had"
    else:
        corpus.touch()
        os.utime(corpus, (4e9, 4e9))
        message = "a.jsonl was changed after the store was made"
    with pytest.raises(
        StoreExists, match=rf"^{URL}: a token store already.*{message}.*--overwrite"
    ):
        make(corpus, **options)
    assert files() == before
    store = make(corpus, overwrite=True, **options)
    local = make(corpus, tmp_path / "local", **options)
    assert files() == local_files(tmp_path / "local")
    assert np.array_equal(TokenStore(URL)[:], local[:])
    assert np.array_equal(store[:], local[:])


def whole_stores(valid: list[dict[str, bytes]]) -> Check:
    """Return a check that each manifest at the URL is that of a whole store, of those given."""

    def check() -> None:
        here = files()
        for name in here:
            if name.endswith("manifest.json"):
                part = name.removesuffix("manifest.json")
                whole = [
                    all(
                        here.get(each) == content
                        for each, content in store.items()
                        if each.startswith(part)
                    )
                    for store in valid
                    if store.get(name) == here[name]
                ]
                if not any(whole):
                    broken.append(sorted(here))

    broken.clear()
    return check


broken: list[list[str]] = []


@pytest.mark.parametrize("options", [{}, {"validation": 0.5}])
@pytest.mark.parametrize("old", [None, {}, {"validation": 0.5}])
def test_a_call_that_fails_at_any_write_is_completed_by_the_same_call(
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    old: dict[str, Any] | None,
) -> None:
    if old is not None:
        make(lines(tmp_path / "old.jsonl", 7), tmp_path / "old", **old)
    make(corpus, tmp_path / "new", **options)
    valid = [local_files(path) for path in (tmp_path / "old", tmp_path / "new") if path.exists()]
    for limit in range(1, 100):
        MemoryFileSystem.store.clear()
        reset()
        monkeypatch.setenv("FASTPREP_CACHE", str(tmp_path / f"cache-{limit}"))
        if old is not None:
            system = fsspec.filesystem("faulty")
            for name, content in valid[0].items():
                MemoryFileSystem.pipe_file(system, f"/b/s/{name}", content)
        overwrite = old is not None
        Faulty.check = staticmethod(whole_stores(valid))
        failed = False

        def failing(number: int, name: str, limit: int = limit) -> BaseException | None:
            nonlocal failed
            failed = failed or number >= limit
            return ConnectionResetError("cut off") if number >= limit else None

        Faulty.failing = staticmethod(failing)
        with contextlib.suppress(InvalidInput):
            make(corpus, overwrite=overwrite, **options)
        Faulty.failing = staticmethod(lambda number, name: None)
        make(corpus, overwrite=overwrite, **options)
        assert files() == valid[-1]
        assert broken == []
        if not failed:
            break
    assert 4 < limit < 99


@pytest.mark.parametrize("event", ["started", "task done", "uploading", "finished"])
def test_an_interrupted_call_is_completed_by_the_same_call(
    corpus: Path, tmp_path: Path, event: str
) -> None:
    def log(found: dict[str, object]) -> None:
        if found["event"] == event:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(corpus, log=log)
    assert ("manifest.json" in files()) == (event == "finished")
    make(corpus)
    make(corpus, tmp_path / "local")
    assert files() == local_files(tmp_path / "local")


KILLED = """
import os, sys
import fsspec
from fsspec.implementations.local import LocalFileSystem
from fastprep import prepare

class Disk(LocalFileSystem):
    protocol = "disk"
    left = int(sys.argv[3])

    @classmethod
    def _strip_protocol(cls, path):
        return LocalFileSystem._strip_protocol(str(path).replace("disk://", ""))

    def _step(self, path):
        Disk.left -= 1
        if not Disk.left:
            if path.endswith("bin"):
                with open(path, "wb") as file:
                    file.write(b"half")
            os._exit(9)

    def put_file(self, source, path, **options):
        self._step(path)
        super().put_file(source, path, **options)

    def pipe_file(self, path, value, **options):
        self._step(path)
        super().pipe_file(path, value, **options)

fsspec.register_implementation("disk", Disk)
prepare(sys.argv[1], sys.argv[2], shard_bytes=50, progress=False)
"""


@pytest.mark.parametrize("step", [1, 4, 6])
def test_a_process_that_is_killed_is_resumed(corpus: Path, tmp_path: Path, step: int) -> None:
    target = tmp_path / "remote" / "s"
    for left, code in ((step, 9), (0, 0)):
        words = [sys.executable, "-c", KILLED, str(corpus), f"disk://{target}", str(left)]
        assert subprocess.run(words, check=False, timeout=60).returncode == code
        assert (target / "manifest.json").exists() == (code == 0)
    make(corpus, tmp_path / "local")
    assert local_files(target) == local_files(tmp_path / "local")


def test_what_is_uploaded_is_not_uploaded_again(corpus: Path) -> None:
    Faulty.failing = staticmethod(
        lambda number, name: (
            ConnectionResetError("gone") if name.endswith("manifest.json") else None
        )
    )
    with pytest.raises(
        InvalidInput, match=rf"{URL}/manifest\.json: the connection was dropped 6 times"
    ):
        make(corpus)
    reset()
    fsspec.filesystem("memory").pipe("/b/s/shard-00000.bin", b"damaged")
    log: list[dict[str, object]] = []
    make(corpus, log=log.append)
    assert Faulty.written == ["run.lock", "shard-00000.bin", "manifest.json"]
    (uploading,) = [event for event in log if event["event"] == "uploading"]
    assert (uploading["files"], uploading["bytes"]) == (1, 2 * TokenStore(URL).shard_sizes[0])
    assert verify(TokenStore(URL)).documents == 4


def test_a_dropped_connection_is_retried_after_pauses(corpus: Path, pauses: list[float]) -> None:
    dropped: set[str] = set()

    def failing(number: int, name: str) -> BaseException | None:
        if name in dropped:
            return None
        dropped.add(name)
        return ConnectionResetError("gone")

    Faulty.failing = staticmethod(failing)
    store = make(corpus)
    assert verify(store).documents == 4
    assert pauses == [0.5] * len(dropped)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError("denied"), "the server forbids it"),
        (FileNotFoundError("bucket"), "no such file; check the address"),
        (ConnectionRefusedError("no"), "the connection was refused"),
        (OSError(113, "No route to host"), "the server cannot be reached"),
    ],
)
def test_each_fault_has_its_sentence_before_the_work(
    corpus: Path, error: Exception, message: str
) -> None:
    Faulty.failing = staticmethod(lambda number, name: error)
    log: list[dict[str, object]] = []
    with pytest.raises(InvalidInput, match=rf"^{URL}/.*: {message}"):
        make(corpus, log=log.append)
    assert log == []
    assert not work_directory(URL).parent.exists()


def test_a_server_that_is_away_during_the_upload_is_asked_again(
    corpus: Path, pauses: list[float]
) -> None:
    Faulty.failing = staticmethod(
        lambda number, name: ConnectionRefusedError("no") if 2 < number < 5 else None
    )
    assert verify(make(corpus)).documents == 4
    assert pauses


def test_unfinished_work_of_another_job_is_named_with_its_directory(corpus: Path) -> None:
    Faulty.failing = staticmethod(
        lambda number, name: (
            ConnectionResetError("gone") if name.endswith("manifest.json") else None
        )
    )
    with pytest.raises(InvalidInput, match=f"whole in {work_directory(URL)}, and the same call"):
        make(corpus)
    reset()
    message = f"^{URL}: its work directory {work_directory(URL)}: .*separator was"
    with pytest.raises((StoreExists, OtherJob), match=message):
        make(corpus, separator=None)
    assert make(corpus, separator=None, overwrite=True).manifest.separator is None


def test_a_reader_of_the_old_store_gets_an_error_and_no_new_ids(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(corpus)
    monkeypatch.setenv("FASTPREP_CACHE", str(tmp_path / "elsewhere"))
    reader = TokenStore(URL)
    make(corpus, eot="prepend", overwrite=True)
    with pytest.raises(InvalidStore, match="its checksums are not those"):
        reader[:]
    assert TokenStore(URL).eot == "prepend"


def test_a_store_that_was_removed_is_made_again(corpus: Path) -> None:
    make(corpus)
    before = files()
    fsspec.filesystem("memory").rm("/b/s", recursive=True)
    make(corpus)
    assert files() == before


@pytest.mark.parametrize("damage", [None, b"other"])
def test_a_damaged_store_is_repaired_by_overwrite(corpus: Path, damage: bytes | None) -> None:
    make(corpus)
    before = files()
    system = fsspec.filesystem("memory")
    if damage is None:
        system.rm("/b/s/shard-00001.ends")
        with pytest.raises(InvalidStore, match=f"^{URL}/shard-00001.ends: missing.*--overwrite"):
            make(corpus)
    else:
        system.pipe("/b/s/shard-00001.ends", damage)
    make(corpus, overwrite=True)
    assert files() == before


def test_what_is_no_store_is_refused(corpus: Path) -> None:
    system = fsspec.filesystem("memory")
    for name, message in (
        ("/b/s/notes.txt", "holds files that are not a token store's"),
        ("/b/s/other/shard-00000.bin", "holds files that are not a token store's"),
        ("/b/s", "a file of that name is in the way"),
    ):
        MemoryFileSystem.store.clear()
        MemoryFileSystem.pseudo_dirs[:] = [""]
        system.pipe(name, b"text")
        with pytest.raises(StoreExists, match=f"^{URL}: {message}"):
            make(corpus)
        assert [*MemoryFileSystem.store] == [name]


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        ("https://host/x", {}, "storage that can be written"),
        ("simplecache::s3://b/x", {}, "storage that can be written"),
        ("memory://", {}, "names no directory"),
        (URL, {"task": (0, 2)}, "an output that all machines share"),
        (URL, {"engine": "ray"}, "an output that all machines share"),
        (URL, {"append": True}, "cannot be appended to"),
    ],
)
def test_what_a_url_cannot_be_is_refused(
    corpus: Path, tmp_path: Path, url: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidArgument, match=message):
        make(corpus, url, **options)
    assert not Faulty.written


def test_a_file_url_is_a_local_output(corpus: Path, tmp_path: Path) -> None:
    store = make(corpus, f"file://{tmp_path}/store")
    assert store.path == tmp_path / "store"
    assert not cache_root().exists()


def test_the_vocabulary_of_words_is_uploaded(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Do you like tea?")
    encoding = SimpleTokenizerV2(build_vocab("Do you like tea?"))
    make(tmp_path / "a.txt", encoding=encoding)
    assert "vocabulary.json" in files()
    assert verify(URL, against="notebook", encoding=None).compared == 1


def test_the_command(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["prepare", str(corpus), "-o", URL, "--validation", "0.5"]
    Faulty.failing = staticmethod(
        # written by the main thread
        lambda number, name: KeyboardInterrupt() if name.endswith("manifest.json") else None
    )
    assert main(words) == 130
    assert "the store is made; the same command uploads the rest" in capsys.readouterr().err
    reset()
    assert main(words) == 0
    output, errors = capsys.readouterr()
    assert [line.partition(": ")[0] for line in output.splitlines()] == [
        f"{URL}/train",
        f"{URL}/validation",
    ]
    assert f"bytes, from {work_directory(URL)}" in errors
    assert main(words) == 0
    assert f"{URL}: these inputs and settings made it already" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*words, "--task", "0/2"])
