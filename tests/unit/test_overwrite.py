"""Replacement of a store: the old one stays until the new one is whole, and then is gone."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from fastprep.checks.verification import verify
from fastprep.cli.main import main
from fastprep.errors import InvalidStore, InvalidUtf8, StoreExists
from fastprep.exchange.exports import export_store
from fastprep.jobs.output import find_manifests
from fastprep.jobs.prepare import prepare
from fastprep.store.encodings import encoding_of_store
from fastprep.store.reader import TokenStore
from fastprep.words.tokenizers import SimpleTokenizerV2, build_vocab

SETTINGS: dict[str, Any] = {"workers": 1, "shard_bytes": 300, "progress": False}
PARTS: dict[str, Any] = {"validation": 0.4}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "old.jsonl"
    path.write_text("".join(f'{{"text": "old {n}"}}\n' for n in range(60)))
    return path


@pytest.fixture
def new(tmp_path: Path) -> Path:
    path = tmp_path / "new.jsonl"
    path.write_text("".join(f'{{"text": "new {n}"}}\n' for n in range(40)))
    return path


def contents(output: Path) -> dict[str, bytes]:
    return {
        path.relative_to(output).as_posix(): path.read_bytes()
        for path in sorted(output.rglob("*"))
        if path.is_file()
    }


def ids(store: TokenStore) -> list[int]:
    found: list[int] = store[:].tolist()
    return found


@pytest.mark.parametrize("before", [{}, PARTS], ids=["one", "parts"])
@pytest.mark.parametrize("after", [{}, PARTS], ids=["one", "parts"])
def test_new_store_replaces_the_old_one_when_it_is_whole(
    old: Path, new: Path, tmp_path: Path, before: dict[str, Any], after: dict[str, Any]
) -> None:
    output = tmp_path / "store"
    first = prepare(old, output, **SETTINGS, **before)
    seen = []

    def log(event: dict[str, Any]) -> None:
        if event["event"] == "task done":
            assert ids(TokenStore(first.path)) == expected
            seen.append(event)

    expected = ids(first)
    store = prepare(new, output, **SETTINGS, **after, overwrite=True, log=log)
    assert len(seen) > 2
    prepare(new, tmp_path / "fresh", **SETTINGS, **after)
    assert contents(output) == contents(tmp_path / "fresh")
    assert {path.name for path in output.iterdir() if path.is_dir()} == (
        {"train", "validation"} if after else set()
    )
    verify(store)


def test_an_error_leaves_the_old_store_and_the_same_call_resumes(
    old: Path, new: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "store"
    store = prepare(old, output, **SETTINGS)
    before = contents(output)
    bad = tmp_path / "z.txt"
    bad.write_bytes(b"\xff" + b"text " * 10)
    with pytest.raises(InvalidUtf8) as caught:
        prepare([new, bad], output, **SETTINGS, overwrite=True)
    total = len(list((output / "replacement").glob("*.done"))) + 1
    assert f"{total - 1} of {total} shards are finished" in caught.value.__notes__[-1]
    assert {name: contents(output)[name] for name in before} == before
    verify(store)
    prepare(old, output, **SETTINGS)  # is as it was
    command = ["prepare", str(new), str(bad), "-o", str(output), "--shard-bytes", "300"]
    command += ["--workers", "1", "--overwrite"]
    assert main(command) == 1
    assert f"{total - 1} of {total} shards are finished; the same" in capsys.readouterr().err
    bad.write_bytes(b"good")
    assert main(command) == 0
    assert f"resuming: {total - 1} of {total} shards" in capsys.readouterr().err
    prepare([new, bad], tmp_path / "fresh", **SETTINGS)
    assert contents(output) == contents(tmp_path / "fresh")


@pytest.mark.parametrize("before", [{}, PARTS], ids=["one", "parts"])
@pytest.mark.parametrize("after", [{}, PARTS], ids=["one", "parts"])
def test_at_every_step_one_of_the_stores_is_whole(
    old: Path,
    new: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    before: dict[str, Any],
    after: dict[str, Any],
) -> None:
    output = tmp_path / "store"
    settings = {"workers": 1, "progress": False}
    prepare(old, output, **settings, **before)
    prepare(new, tmp_path / "fresh", **settings, **after)
    one = {name: ids(store) for name, store in stores_in(output).items()}
    two = {name: ids(store) for name, store in stores_in(tmp_path / "fresh").items()}
    steps = []

    def look(step: str, path: Path) -> None:
        steps.append(step)
        found = stores_in(output)
        for name, store in found.items():
            verify(store)
            assert ids(store) in (one.get(name), two.get(name)), name
        assert found.keys() >= one.keys() or found.keys() >= two.keys()

    with monkeypatch.context() as patch:
        patch.setattr("fastprep.system.atomic.before", look)
        prepare(new, output, **settings, **after, overwrite=True)
    assert contents(output) == contents(tmp_path / "fresh")
    assert len(steps) > 20


def stores_in(output: Path) -> dict[str, TokenStore]:
    directories = [path.parent for path in find_manifests(output)]
    return {str(path.relative_to(output)): TokenStore(path) for path in directories}


def test_an_interrupted_move_is_completed_by_any_call(
    old: Path, new: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = prepare(new, tmp_path / "fresh", **SETTINGS)
    for number, overwrite in ((0, False), (1, True), (2, False)):
        output = tmp_path / f"store {number}"
        prepare(old, output, **SETTINGS)
        with monkeypatch.context() as patch:
            patch.setattr("fastprep.jobs.replace.link_or_copy", interrupt)
            with pytest.raises(KeyboardInterrupt):
                prepare(new, output, **SETTINGS, overwrite=True)
        assert ids(TokenStore(output)) == ids(fresh)
        assert TokenStore(output).shard_files[0].parent.name == "replacement"
        verify(output, against="tiktoken")
        if number == 2:
            with pytest.raises(StoreExists):
                prepare(old, output, **SETTINGS)
        else:
            prepare(new, output, **SETTINGS, overwrite=overwrite)
        assert contents(output) == contents(fresh.path)


@pytest.mark.parametrize("reads", ["map", "pread"])
def test_a_store_opened_within_the_move_is_read_at_its_final_place(
    old: Path, new: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: str
) -> None:
    fresh = prepare(new, tmp_path / "fresh", **SETTINGS)
    output = tmp_path / "store"
    prepare(old, output, **SETTINGS)
    with monkeypatch.context() as patch:
        patch.setattr("fastprep.jobs.replace.link_or_copy", interrupt)
        with pytest.raises(KeyboardInterrupt):
            prepare(new, output, **SETTINGS, overwrite=True)
    store = TokenStore(output)
    moved: list[Path] = []
    find = TokenStore.shard_file

    def late(self: TokenStore, index: int, kind: Any) -> Path:
        path = find(self, index, kind)
        if not moved:  # between the look-up of the path and its use
            moved.append(path)
            prepare(new, output, **SETTINGS)
        return path

    with monkeypatch.context() as patch:
        patch.setattr(TokenStore, "shard_file", late)
        if reads == "map":
            assert ids(store) == ids(fresh)
        else:
            assert store.checked_file(0)[0] == output / "shard-00000.bin"
    assert moved[0].parent.name == "replacement"
    # The unfinished work of another replacement is not part of this store.
    (output / "replacement").mkdir()
    assert store.directory == output


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_replacement_that_is_whole_but_not_in_place_is_not_made_again(
    old: Path, new: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "store"
    store = prepare(old, output, **SETTINGS)
    with monkeypatch.context() as patch:
        patch.setattr("fastprep.jobs.run.replace_store", interrupt)
        with pytest.raises(KeyboardInterrupt):
            prepare(new, output, **SETTINGS, overwrite=True)
    assert ids(TokenStore(output)) == ids(store)
    assert prepare(old, output, **SETTINGS).manifest == store.manifest
    logged: list[dict[str, Any]] = []
    prepare(new, output, **SETTINGS, overwrite=True, log=logged.append)
    assert [event["event"] for event in logged] == ["reused"]
    fresh = prepare(new, tmp_path / "fresh", **SETTINGS)
    assert contents(output) == contents(fresh.path)


def test_file_system_without_hard_links_gets_copies(
    old: Path, new: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    prepare(old, tmp_path / "store", **SETTINGS)
    prepare(new, tmp_path / "store", **SETTINGS, overwrite=True)
    fresh = prepare(new, tmp_path / "fresh", **SETTINGS)
    assert contents(tmp_path / "store") == contents(fresh.path)


def test_readers_of_the_old_store_keep_it_or_are_told(old: Path, new: Path, tmp_path: Path) -> None:
    output = tmp_path / "store"
    store = prepare(old, output, **SETTINGS)
    mapped, opened = TokenStore(output), TokenStore(output)
    expected = ids(mapped)
    sent = pickle.dumps(opened)
    assert pickle.loads(sent).manifest == opened.manifest
    # The same sizes, so that only the files' identity tells.
    new.write_text(old.read_text().replace("old", "new"))
    prepare(new, output, **SETTINGS, overwrite=True)
    assert TokenStore(output).manifest.shards[0].tokens == store.manifest.shards[0].tokens
    assert ids(mapped) == expected
    with pytest.raises(
        InvalidStore, match="the store was replaced or removed since it was opened; open it again"
    ):
        opened[:]
    with pytest.raises(InvalidStore, match="another store than the one that was sent"):
        pickle.loads(sent)


def test_words_and_indexes_of_the_old_store_are_replaced(
    old: Path, new: Path, tmp_path: Path
) -> None:
    output = tmp_path / "store"
    words = SimpleTokenizerV2(build_vocab("old 1 2 3"))
    store = prepare(old, output, **SETTINGS, encoding=words)
    others = SimpleTokenizerV2(build_vocab("new 1 2 3 4"))
    store = prepare(new, output, **SETTINGS, encoding=others, overwrite=True)
    assert encoding_of_store(store).n_vocab == len(others.str_to_int)
    assert json.loads((output / "vocabulary.json").read_text()) == others.str_to_int
    prepare(old, output, **SETTINGS, overwrite=True)
    export_store(TokenStore(output), format="megatron")
    assert list(output.glob("*.idx"))
    prepare(new, output, **SETTINGS, overwrite=True)
    assert contents(output) == contents(prepare(new, tmp_path / "fresh", **SETTINGS).path)


def test_output_may_have_the_name_of_a_replacement(old: Path, new: Path, tmp_path: Path) -> None:
    logged: list[dict[str, Any]] = []
    for inputs in (old, new):
        output = tmp_path / "replacement"
        store = prepare(inputs, output, **SETTINGS, overwrite=True, log=logged.append)
        assert store.path == output
    assert {event["output"] for event in logged if event["event"] == "started"} == {str(output)}
    assert contents(output) == contents(prepare(new, tmp_path / "fresh", **SETTINGS).path)


def test_a_damaged_store_may_be_replaced(old: Path, new: Path, tmp_path: Path) -> None:
    store = prepare(old, tmp_path / "store", **SETTINGS)
    fresh = contents(prepare(new, tmp_path / "fresh", **SETTINGS).path)
    store.shard_files[0].unlink()
    prepare(new, store.path, **SETTINGS, overwrite=True)
    assert contents(store.path) == fresh
    (store.path / "manifest.json").write_text("{")
    prepare(new, store.path, **SETTINGS, overwrite=True)
    assert contents(store.path) == fresh


# -- links --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["train", "validation", "replacement", "job.json", "run.lock"])
def test_no_part_of_an_output_is_reached_through_a_link(
    old: Path, new: Path, tmp_path: Path, name: str
) -> None:
    output, mine = tmp_path / "store", tmp_path / "mine"
    other = prepare(old, mine / "train", **SETTINGS)
    before = contents(mine)
    output.mkdir()
    is_file = "." in name
    (output / name).symlink_to(other.shard_files[0] if is_file else other.path)
    for settings in ({}, PARTS):
        with pytest.raises(StoreExists, match=rf"{name}: a symbolic link"):
            prepare(new, output, **SETTINGS, **settings, overwrite=True)
    assert contents(mine) == before
    assert [path.name for path in output.iterdir()] == [name]


def test_output_may_be_a_link_to_a_directory(old: Path, new: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "store").symlink_to(tmp_path / "disk")
    prepare(old, tmp_path / "store", **SETTINGS)
    prepare(new, tmp_path / "store", **SETTINGS, overwrite=True)
    assert (tmp_path / "store").is_symlink()
    fresh = prepare(new, tmp_path / "fresh", **SETTINGS)
    assert contents(tmp_path / "disk") == contents(fresh.path)
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    with pytest.raises(StoreExists, match=r"gone: a link to .*nowhere, which does not exist"):
        prepare(new, tmp_path / "gone", **SETTINGS)


def test_linked_shards_of_an_import_may_be_replaced(old: Path, new: Path, tmp_path: Path) -> None:
    output = tmp_path / "store"
    store = prepare(old, output, **SETTINGS)
    elsewhere = tmp_path / "elsewhere.bin"
    store.shard_files[0].rename(elsewhere)
    store.shard_files[0].symlink_to(elsewhere)
    before = elsewhere.read_bytes()
    prepare(new, output, **SETTINGS, overwrite=True)
    assert elsewhere.read_bytes() == before
    fresh = prepare(new, tmp_path / "fresh", **SETTINGS)
    assert contents(output) == contents(fresh.path)
    assert not any(path.is_symlink() for path in output.iterdir())


# -- several calls ------------------------------------------------------------------------------


def test_a_store_that_was_made_while_waiting_is_not_replaced(
    old: Path, new: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "store"
    prepare(old, output, **SETTINGS)
    import fastprep.jobs.journal as journals

    holding = journals.holding
    logged: list[dict[str, Any]] = []

    def late(path: Path, *arguments: Any, **options: Any) -> Any:
        # Another call with the same arguments is faster.
        monkeypatch.setattr(journals, "holding", holding)
        prepare(new, output, **SETTINGS, overwrite=True)
        return holding(path, *arguments, **options)

    monkeypatch.setattr(journals, "holding", late)
    store = prepare(new, output, **SETTINGS, overwrite=True, log=logged.append)
    assert [event["event"] for event in logged] == ["reused"]
    prepare(old, output, **SETTINGS, overwrite=True)
    with pytest.raises(
        InvalidStore, match="the store was replaced or removed since it was opened; open it again"
    ):
        ids(store)


def test_unfinished_work_of_another_job_is_replaced_in_place(
    old: Path, new: Path, tmp_path: Path
) -> None:
    output = tmp_path / "store"
    prepare(old, output, **SETTINGS, task=(0, 2))
    prepare(new, output, **SETTINGS, overwrite=True)
    fresh = prepare(new, tmp_path / "fresh", **SETTINGS)
    assert contents(output) == contents(fresh.path)
    # And so is an unfinished replacement.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastprep.jobs.run.seal", interrupt)
        with pytest.raises(KeyboardInterrupt):
            prepare(old, output, **SETTINGS, overwrite=True)
    prepare(new, output, **SETTINGS, overwrite=True, eot="none")
    prepare(new, tmp_path / "none", **SETTINGS, eot="none")
    assert contents(output) == contents(tmp_path / "none")
