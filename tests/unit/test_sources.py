"""Sources: a comparison reads what the caller permits, whatever a store's manifest names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fastprep import TokenStore, prepare, verify
from fastprep.checks.oracles import ORACLES
from fastprep.cli.main import main
from fastprep.errors import InvalidInput, InvalidStore

COUNTS = (6, 2, 2)


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a directory with ``work``, the current one, and a file outside of it."""
    (tmp_path / "work" / "in").mkdir(parents=True)
    (tmp_path / "work" / "in" / "a.txt").write_text("One.<|endoftext|>Two.")
    (tmp_path / "secret.txt").write_text("One.<|endoftext|>Two.")
    monkeypatch.chdir(tmp_path / "work")
    # Which files are read is tested here, and a real oracle takes half a second.
    monkeypatch.setitem(ORACLES, "tiktoken", lambda encoding: encoding.encode_ordinary)
    return tmp_path


@pytest.fixture
def of_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every store be one of another user."""
    uid = os.getuid()
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)


def store_of(name: str | Path) -> TokenStore:
    return prepare(name, Path.cwd() / "store", progress=False, overwrite=True)


def test_all_inputs_of_an_own_store_are_read(base: Path) -> None:
    for name in ("in/a.txt", "../secret.txt", base / "secret.txt"):
        assert verify(store_of(name), against="tiktoken") == COUNTS


@pytest.mark.usefixtures("of_another_user")
def test_only_relative_inputs_of_another_users_store_are_read(base: Path) -> None:
    assert verify(store_of("in/a.txt"), against="tiktoken") == COUNTS
    Path("link.txt").symlink_to("../secret.txt")
    for name in ("../secret.txt", base / "secret.txt", "link.txt", "in/../../secret.txt"):
        store = store_of(name)
        with pytest.raises(InvalidInput, match="another user made the store, so it is not read"):
            verify(store, against="tiktoken")
        assert verify(store).compared == 0
        assert verify(store, against="tiktoken", sources=base) == COUNTS


@pytest.mark.usefixtures("of_another_user")
@pytest.mark.parametrize("address", ["memory://secret.txt", "file:///etc/secret.txt"])
def test_no_address_of_another_users_store_is_opened(base: Path, address: str) -> None:
    store = rename_input(store_of("in/a.txt"), address)
    with pytest.raises(InvalidInput, match="another user made the store"):
        verify(store, against="tiktoken")


def rename_input(store: TokenStore, name: str) -> TokenStore:
    manifest = store.path / "manifest.json"
    (span,) = store.manifest.shards[0].inputs
    manifest.write_text(manifest.read_text().replace(f'"{span.path}"', f'"{name}"'))
    return TokenStore(store.path)


def test_with_sources_nothing_else_is_read(base: Path) -> None:
    for name in ("../secret.txt", base / "secret.txt", f"{base}/work/in/../../secret.txt"):
        with pytest.raises(InvalidInput, match="not below the sources that may be read"):
            verify(store_of(name), against="tiktoken", sources="in")
        assert verify(store_of(name), against="tiktoken", sources=["in", base]) == COUNTS
    Path("in/link.txt").symlink_to("../../secret.txt")
    with pytest.raises(InvalidInput, match="not below the sources"):
        verify(store_of("in/link.txt"), against="tiktoken", sources="in")


def test_relative_names_are_looked_up_in_the_sources(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_of("in/a.txt")
    assert verify(store, against="tiktoken", sources="in") == COUNTS
    monkeypatch.chdir("/")
    assert verify(store, against="tiktoken", sources=base / "work") == COUNTS
    with pytest.raises(InvalidInput, match=r"no such file, although .* below one of the sources"):
        verify(store, against="tiktoken", sources=base)


def test_addresses_are_read_below_the_one_that_is_given(base: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    system = fsspec.filesystem("memory")
    system.pipe("/sources/in/a.txt", b"One.<|endoftext|>Two.")
    try:
        store = store_of("memory://sources/in/a.txt")
        assert verify(store, against="tiktoken") == COUNTS
        for permitted in ("MEMORY://sources", "memory://sources/in/", "memory://sources/in/a.txt"):
            assert verify(store, against="tiktoken", sources=permitted) == COUNTS
        for other in ("memory://sources/i", "memory://other", base):
            with pytest.raises(InvalidInput, match="not below the sources"):
                verify(store, against="tiktoken", sources=other)
        escaping = rename_input(store, "memory://sources/in/../../a.txt")
        with pytest.raises(InvalidInput, match="not below the sources"):
            verify(escaping, against="tiktoken", sources="memory://sources/in")
    finally:
        system.rm("/sources", recursive=True)


def test_sources_are_checked(base: Path) -> None:
    store = store_of("in/a.txt")
    with pytest.raises(InvalidInput, match="there is no such directory of sources"):
        verify(store, against="tiktoken", sources="none")
    with pytest.raises(InvalidInput, match="sources go with against"):
        verify(store, sources="in")


def test_a_difference_shows_one_id_of_a_source(base: Path) -> None:
    store = store_of("in/a.txt")
    Path("in/a.txt").write_text("One.<|endoftext|>Six.")
    with pytest.raises(InvalidStore, match=r"token 0: 7571 in the store, 21447 from tiktoken$"):
        verify(store, against="tiktoken")


def test_the_command_takes_sources(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = str(store_of(base / "secret.txt").path)
    assert main(["verify", store, "--against", "tiktoken", "--sources", "in"]) == 1
    assert "not below the sources" in capsys.readouterr().err
    words = ["--against", "tiktoken", "--sources", "in", "--sources", str(base)]
    assert main(["verify", store, *words]) == 0
    with pytest.raises(SystemExit):
        main(["verify", store, "--sources", "in"])


@pytest.mark.parametrize("name", ["<x>.txt", "<table 1>.txt", "<stream 2>.txt"])
def test_a_file_whose_name_looks_like_an_input_in_memory_is_a_file(base: Path, name: str) -> None:
    Path(name).write_text("One.<|endoftext|>Two.")
    store = store_of(name)
    assert verify(store, against="tiktoken") == COUNTS
    assert b"in_memory" not in (store.path / "manifest.json").read_bytes()


def test_a_large_file_of_such_a_name_is_divided_like_any_other(base: Path) -> None:
    Path("<x>.txt").write_text("One.<|endoftext|>" * 100)
    store = prepare("<x>.txt", "store", shard_bytes=500, progress=False)
    assert len(store.manifest.shards) == 4


def test_inputs_in_memory_are_recorded_as_such_also_by_older_stores(base: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    store = prepare(pa.table({"text": ["One."]}), "store", progress=False)
    assert store.manifest.shards[0].inputs[0].in_memory
    manifest = store.path / "manifest.json"
    old = manifest.read_text().replace(',\n          "in_memory": true', "")
    for content in (manifest.read_text(), old):
        manifest.write_text(content)
        with pytest.raises(InvalidInput, match="it was in the memory of the process"):
            verify(TokenStore("store"), against="tiktoken")
    assert "in_memory" not in old


def test_a_job_with_a_table_resumes_from_its_finished_shards(base: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    events: list[dict[str, object]] = []
    options = {"shard_bytes": 20, "progress": False, "log": events.append}
    table = pa.table({"text": ["a text of some length"] * 4})
    assert prepare(table, "store", task=(0, 2), **options) is None
    finished = len(list(Path("store").glob("*.done")))
    prepare(table, "store", **options)
    (resumed,) = (event for event in events if event["event"] == "resumed")
    assert resumed["shards_finished"] == finished > 1
    assert not any(event["event"] == "redone" for event in events)
