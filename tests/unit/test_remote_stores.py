"""Stores at URLs: copied to a cache on first use, checked, retried, shared by processes."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastprep import SimpleTokenizerV2, TokenStore, build_vocab, export_store, prepare, verify
from fastprep.corpus import remote
from fastprep.errors import FastprepError, InvalidStore

fsspec = pytest.importorskip("fsspec")
from fsspec.implementations.memory import MemoryFileSystem  # noqa: E402


class Breaking(MemoryFileSystem):  # type: ignore[misc]
    """A file system in memory whose reads fail `faults` times."""

    protocol = "breaking"
    faults = 0
    opened: list[str] = []  # noqa: RUF012

    def open(self, path: str, *arguments: Any, **options: Any) -> Any:
        self.opened.append(path)
        file = super().open(path, *arguments, **options)
        read = file.read

        def failing(size: int = -1) -> Any:
            if type(self).faults:
                type(self).faults -= 1
                raise ConnectionResetError("the server closed the connection")
            return read(size)

        file.read = failing
        return file


fsspec.register_implementation("breaking", Breaking, clobber=True)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FASTPREP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(remote, "_wait", lambda seconds, stop: None)
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    Breaking.faults = 0
    Breaking.opened.clear()
    return tmp_path / "cache"


@pytest.fixture
def local(tmp_path: Path) -> TokenStore:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"text": "Do you like tea {k}?"}}\n' for k in range(6)))
    return prepare(path, tmp_path / "local", shard_bytes=50, progress=False)


def upload(store: TokenStore, url: str) -> str:
    system, path = fsspec.core.url_to_fs(url)
    for file in store.path.iterdir():
        system.pipe(f"{path}/{file.name}", file.read_bytes())
    return url


@pytest.mark.parametrize("scheme", ["memory", "breaking"])
def test_a_store_at_a_url_has_the_ids_of_its_original(local: TokenStore, scheme: str) -> None:
    store = TokenStore(upload(local, f"{scheme}://bucket/s"))
    assert np.array_equal(store[:], local[:])
    assert np.array_equal(store.document_ends, local.document_ends)
    assert verify(store) == verify(local)
    assert "bucket/s" in repr(store)
    assert np.array_equal(pickle.loads(pickle.dumps(store))[:], local[:])


def test_file_urls(local: TokenStore) -> None:
    assert np.array_equal(TokenStore(f"file://{local.path}")[:], local[:])


def test_only_what_is_used_is_copied_and_once(local: TokenStore, tmp_path: Path) -> None:
    url = upload(local, "breaking://b/s")
    Breaking.opened.clear()
    store = TokenStore(url)
    assert store.num_documents == 6
    assert [path for path in Breaking.opened if "shard" in path] == []
    assert store[0] == local[0]
    assert [Path(path).name for path in Breaking.opened if "shard" in path] == ["shard-00000.bin"]
    _ = TokenStore("breaking://b/s")[:]
    before = len(Breaking.opened)
    again = TokenStore("breaking://b/s")
    assert np.array_equal(again[:], local[:])
    assert [Path(path).name for path in Breaking.opened[before:]] == ["manifest.json"]
    export_store(again, format="datatrove", output=tmp_path / "ds", link=True)


@pytest.mark.parametrize("mmap", [True, False])
def test_loaders(local: TokenStore, mmap: bool) -> None:
    pytest.importorskip("torch")
    from fastprep import create_dataloader

    url = upload(local, "memory://b/s")
    mine, expected = (
        [
            batch[0].tolist()
            for batch in create_dataloader(tokens, batch_size=2, max_length=5, mmap=mmap)
        ]
        for tokens in (url, local)
    )
    assert mine == expected
    views = create_dataloader(url, batch_size=1, max_length=4, shuffle=False, dtype="store")
    assert next(iter(views))[0].tolist() == [local[:4].tolist()]


def test_a_dropped_connection_is_retried_then_named(local: TokenStore) -> None:
    url = upload(local, "breaking://b/s")
    Breaking.faults = 2
    store = TokenStore(url)
    Breaking.faults = 1
    assert np.array_equal(store[:], local[:])
    Breaking.faults = 1000
    with pytest.raises(FastprepError, match=r"breaking://b/s/manifest\.json"):
        TokenStore(url)


@pytest.mark.parametrize("kind", ["bin", "ends"])
@pytest.mark.parametrize("damage", [b"", b"damaged", None])
def test_damage_is_found_before_a_file_is_in_the_cache(
    local: TokenStore, kind: str, damage: bytes | None, cache: Path
) -> None:
    url = upload(local, "memory://b/s")
    system, path = fsspec.core.url_to_fs(f"{url}/shard-00000.{kind}")
    if damage is None:
        system.rm(path)
    else:
        system.pipe(path, damage)
    store = TokenStore(url)
    for _ in range(2):
        with pytest.raises(FastprepError, match=rf"shard-00000\.{kind}: "):
            store.document(0)
    assert not [*cache.rglob(f"shard-00000.{kind}")]
    system.pipe(path, (local.path / f"shard-00000.{kind}").read_bytes())
    assert np.array_equal(store.document(0), local.document(0))


def test_another_store_at_the_url_has_another_cache(local: TokenStore, tmp_path: Path) -> None:
    url = upload(local, "memory://b/s")
    assert TokenStore(url)[0] == local[0]
    (tmp_path / "b.jsonl").write_text('{"text": "Another text."}\n')
    other = prepare(tmp_path / "b.jsonl", tmp_path / "other", progress=False)
    upload(other, url)
    assert np.array_equal(TokenStore(url)[:], other[:])


def test_a_store_of_words(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Do you like tea?")
    encoding = SimpleTokenizerV2(build_vocab("Do you like tea?"))
    local = prepare(tmp_path / "a.txt", tmp_path / "s", encoding=encoding, progress=False)
    url = upload(local, "memory://b/words")
    assert verify(url, against="notebook", encoding=None).compared == 1
    system, path = fsspec.core.url_to_fs(f"{url}/vocabulary.json")
    system.pipe(path, b"{}")
    system.pipe(
        f"{path[: -len('/vocabulary.json')]}/manifest.json",
        (local.path / "manifest.json").read_bytes() + b" ",
    )
    with pytest.raises(InvalidStore, match=r"vocabulary\.json: its sha256"):
        TokenStore(url)


def test_what_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(InvalidStore, match=r"memory://b/nothing/manifest\.json.*no such file"):
        TokenStore("memory://b/nothing")


def test_processes_share_the_cache(local: TokenStore, tmp_path: Path) -> None:
    code = f"from fastprep import TokenStore; print(TokenStore('file://{local.path}')[:].tolist())"
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert outputs == [f"{local[:].tolist()}\n"] * 3
