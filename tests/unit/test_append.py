"""Appends to a finished store, which stays whole while it grows."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastprep.checks.verification import verify
from fastprep.cli.main import main
from fastprep.errors import InvalidInput, InvalidUtf8, OtherJob, StoreExists, WrongState
from fastprep.jobs.prepare import merge_tasks, prepare
from fastprep.store.reader import TokenStore
from fastprep.training.loader import create_dataloader
from fastprep.words.tokenizers import SimpleTokenizerV2, build_vocab

SETTINGS: dict[str, Any] = {"workers": 1, "shard_bytes": 400, "progress": False}


@pytest.fixture
def corpus(tmp_path: Path) -> list[Path]:
    """Return six files; the larger ones are cut into several shards."""
    paths = []
    for name in "abcdef":
        path = tmp_path / f"{name}.jsonl"
        lines = 40 if name in "ad" else 6
        path.write_text("".join(f'{{"text": "text {name} {n}"}}\n' for n in range(lines)))
        paths.append(path)
    return paths


def contents(output: Path) -> dict[str, bytes]:
    return {
        path.relative_to(output).as_posix(): path.read_bytes()
        for path in sorted(output.rglob("*"))
        if path.is_file()
    }


def documents(store: TokenStore) -> list[list[int]]:
    return [store.document(number).tolist() for number in range(store.num_documents)]


def unfinished_append(inputs: list[Path], output: Path, **settings: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastprep.jobs.run.seal", interrupt)
        with pytest.raises(KeyboardInterrupt):
            prepare(inputs, output, **{**SETTINGS, **settings}, append=True)


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "settings",
    [{}, {"validation": 0.4}, {"eot": "prepend", "on_error": "skip"}, {"encoding": "words"}],
    ids=str,
)
def test_append_adds_shards_for_new_inputs_and_keeps_the_others(
    corpus: list[Path], tmp_path: Path, settings: dict[str, Any]
) -> None:
    if settings.get("encoding") == "words":
        settings = {"encoding": SimpleTokenizerV2(build_vocab("text a b c d e f"))}
    output = tmp_path / "store"
    first = prepare(corpus[:2], output, **SETTINGS, **settings)
    before, digest = contents(output), manifest_sha256(first)
    reader = documents(first)
    store = prepare(corpus[:4], output, **SETTINGS, **settings, append=True)
    after = contents(output)
    kept = {name: content for name, content in after.items() if name in before}
    changed = {name for name in kept if kept[name] != before[name]}
    assert changed == {name for name in before if name.endswith("manifest.json")}
    assert store.manifest.appended
    (appended,) = store.manifest.appended
    assert appended.first_shard == len(first.manifest.shards)
    assert appended.manifest_sha256 == digest
    for path in output.rglob("manifest.json"):
        verify(path.parent)
    # All documents, in the order of the inputs, and none twice; a reader of the old store keeps it.
    fresh = prepare(corpus[:4], tmp_path / "fresh", **SETTINGS, **settings)
    assert documents(store) == documents(fresh)
    assert documents(first) == reader
    # Twice, and then nothing is left to append.
    twice = prepare(corpus[4:], output, **SETTINGS, **settings, append=True)
    assert twice.manifest.appended
    before_last, last = twice.manifest.appended
    assert before_last == appended
    assert last.first_shard == len(store.manifest.shards)
    assert documents(twice) == documents(prepare(corpus, tmp_path / "all", **SETTINGS, **settings))
    before = contents(output)
    logged: list[dict[str, Any]] = []
    prepare(corpus, output, **SETTINGS, **settings, append=True, log=logged.append)
    prepare(corpus, output, **{**SETTINGS, "shard_bytes": None}, **settings, log=logged.append)
    assert [event["event"] for event in logged] == ["reused", "reused"]
    assert contents(output) == before


def manifest_sha256(store: TokenStore) -> str:
    return hashlib.sha256((store.path / "manifest.json").read_bytes()).hexdigest()


def test_append_without_a_store_makes_one(corpus: list[Path], tmp_path: Path) -> None:
    prepare(corpus[:2], tmp_path / "store", **SETTINGS, append=True)
    prepare(corpus[:2], tmp_path / "fresh", **SETTINGS)
    assert contents(tmp_path / "store") == contents(tmp_path / "fresh")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encoding": "r50k_base"}, "encoding was 'gpt2' and is 'r50k_base'"),
        ({"eot": "none"}, "eot was 'append' and is 'none'"),
        ({"separator": None, "field": "body"}, "and is None; field was 'text' and is 'body'"),
        ({"on_error": "skip"}, "on_error was 'raise' and is 'skip'"),
        ({"validation": 0.5}, "validation was 0.0 and is 0.5"),
    ],
)
def test_other_settings_are_named(
    corpus: list[Path], tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    prepare(corpus[:2], tmp_path / "store", **SETTINGS)
    before = contents(tmp_path / "store")
    with pytest.raises(OtherJob, match=message):
        prepare(corpus, tmp_path / "store", **SETTINGS, **settings, append=True)
    assert contents(tmp_path / "store") == before
    # Shards may have another size.
    prepare(corpus, tmp_path / "store", **{**SETTINGS, "shard_bytes": 200}, append=True)


def test_inputs_of_the_store_that_were_changed_are_named(
    corpus: list[Path], tmp_path: Path
) -> None:
    store = prepare(corpus[:2], tmp_path / "store", **SETTINGS)
    time = store.shard_files[0].stat().st_mtime_ns + 10**9
    os.utime(corpus[0], ns=(time, time))
    with pytest.raises(OtherJob, match=r"a\.jsonl was changed after .*leave them out"):
        prepare(corpus, tmp_path / "store", **SETTINGS, append=True)
    corpus[0].write_text('{"text": "shorter"}\n')
    with pytest.raises(OtherJob, match=r"a\.jsonl had \d+ bytes and has 20; leave them out"):
        prepare(corpus, tmp_path / "store", **SETTINGS, append=True)
    assert prepare(corpus[1:], tmp_path / "store", **SETTINGS, append=True).num_documents == 104


def test_append_and_overwrite_exclude_each_other(corpus: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="overwrite and append exclude each other"):
        prepare(corpus, tmp_path / "store", append=True, overwrite=True)
    command = ["prepare", str(corpus[0]), "-o", str(tmp_path / "store"), "--append", "--overwrite"]
    with pytest.raises(SystemExit, match="2"):
        main(command)


def test_tables_in_memory_are_not_appended_twice(corpus: list[Path], tmp_path: Path) -> None:
    table = pytest.importorskip("pyarrow").table({"text": ["One.", "Two."]})
    prepare(table, tmp_path / "store", **SETTINGS)
    with pytest.raises(
        InvalidInput, match="<table 2> is in memory, and an append has to recognize"
    ):
        prepare([corpus[0], table], tmp_path / "store", **SETTINGS, append=True)


def test_appended_shards_without_documents_leave_the_store_alone(
    corpus: list[Path], tmp_path: Path
) -> None:
    store = prepare(corpus[:2], tmp_path / "store", **SETTINGS)
    before = contents(store.path)
    blank = tmp_path / "blank.txt"
    blank.write_text(" \n" * 500)
    with pytest.raises(InvalidInput, match="no documents found"):
        prepare(blank, store.path, **SETTINGS, append=True)
    assert contents(store.path) == before


@pytest.mark.parametrize("settings", [{}, {"validation": 0.4}], ids=["one", "parts"])
def test_the_store_is_whole_while_an_append_is_unfinished(
    corpus: list[Path], tmp_path: Path, settings: dict[str, Any]
) -> None:
    output = tmp_path / "store"
    store = prepare(corpus[:2], output, **SETTINGS, **settings)
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"word " * 100 + b"\xff")
    with pytest.raises(InvalidUtf8):
        prepare([*corpus, bad], output, **SETTINGS, **settings, append=True)
    finished = len(list(output.glob("*.done")))
    assert finished
    for path in output.rglob("manifest.json"):
        verify(path.parent)
    assert TokenStore(store.path).manifest == store.manifest
    # Its own job is done; another one is refused as ever; the append resumes without the bad file.
    assert prepare(corpus[:2], output, **SETTINGS, **settings).manifest == store.manifest
    with pytest.raises(StoreExists):
        prepare(corpus, output, **SETTINGS, **settings)
    other = tmp_path / "other.txt"
    other.write_text("One.")
    with pytest.raises(OtherJob, match="append the same inputs to finish it"):
        prepare(other, output, **SETTINGS, **settings, append=True)
    logged: list[dict[str, Any]] = []
    prepare(corpus, output, **SETTINGS, **settings, append=True, log=logged.append)
    resumed = next(event for event in logged if event["event"] == "resumed")
    assert resumed["shards_finished"] >= finished - 1
    fresh = tmp_path / "fresh"
    prepare(corpus[:2], fresh, **SETTINGS, **settings)
    prepare(corpus, fresh, **SETTINGS, **settings, append=True)
    assert contents(output) == contents(fresh)


@pytest.mark.parametrize("then", ["the same", "others"])
def test_an_append_is_completed_if_only_one_part_has_it(
    corpus: list[Path], tmp_path: Path, then: str
) -> None:
    settings = {**SETTINGS, "validation": 0.4}
    output, fresh = tmp_path / "store", tmp_path / "fresh"
    for path in (output, fresh):
        prepare(corpus[:2], path, **settings)
    renames = []

    def stop(step: str, path: Path) -> None:
        if step == "rename" and path.name == "manifest.json":
            renames.append(path)
            if len(renames) == 2:
                raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastprep.system.atomic.before", stop)
        with pytest.raises(KeyboardInterrupt):
            prepare(corpus[:4], output, **settings, append=True)
    for path in renames:
        verify(path.parent)
    assert TokenStore(output / "validation").manifest.appended
    assert not TokenStore(output / "train").manifest.appended
    if then == "others":
        prepare(corpus[4:], output, **settings, append=True)
    prepare(corpus[:4], output, **settings, append=True)
    prepare(corpus[:4], fresh, **settings, append=True)
    if then == "others":
        prepare(corpus[4:], fresh, **settings, append=True)
    assert contents(output) == contents(fresh)


def test_an_unfinished_append_is_dropped_if_the_store_is_replaced(
    corpus: list[Path], tmp_path: Path
) -> None:
    output = tmp_path / "store"
    prepare(corpus[:2], output, **SETTINGS)
    unfinished_append(corpus[:4], output)
    prepare(corpus[4:], output, **SETTINGS, overwrite=True)
    fresh = prepare(corpus[4:], tmp_path / "fresh", **SETTINGS)
    assert contents(output) == contents(fresh.path)
    # Also if only its store is another one.
    prepare(corpus[:2], tmp_path / "other", **SETTINGS)
    unfinished_append(corpus[:4], tmp_path / "other")
    manifest = tmp_path / "other" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"field": "text"', '"field":  "text"'))
    prepare(corpus[:3], tmp_path / "other", **SETTINGS, append=True)
    assert TokenStore(tmp_path / "other").num_documents == 52
    assert not list((tmp_path / "other").glob("*.done"))


def test_an_unfinished_append_keeps_the_size_of_its_shards(
    corpus: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastprep.corpus.plan._MIN_SHARD_BYTES", 300)
    prepare(corpus[:2], tmp_path / "store", workers=1, progress=False)
    unfinished_append(corpus, tmp_path / "store", shard_bytes=None)
    inodes = {path.stat().st_ino for path in (tmp_path / "store").glob("*.bin")}
    monkeypatch.setattr("fastprep.corpus.plan._MIN_SHARD_BYTES", 8000)
    store = prepare(corpus, tmp_path / "store", workers=1, progress=False, append=True)
    assert {path.stat().st_ino for path in store.shard_files} == inodes
    assert store.num_documents == 104


def test_tasks_append_together(corpus: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "store"
    prepare(corpus[:2], output, **SETTINGS)
    for number in (1, 0, 2):
        last = prepare(corpus, output, **SETTINGS, append=True, task=(number, 3))
        assert (last is None) == (number != 2)
    assert merge_tasks(output).num_documents == 104
    prepare(corpus[:2], tmp_path / "fresh", **SETTINGS)
    prepare(corpus, tmp_path / "fresh", **SETTINGS, append=True)
    assert contents(output) == contents(tmp_path / "fresh")


def test_command_appends(
    corpus: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = str(tmp_path / "store")
    command = ["prepare", "-o", output, "--workers", "1", "--append", "--shard-bytes", "400"]
    assert main([*command, *map(str, corpus[:2])]) == 0
    assert "46 documents" in capsys.readouterr().out
    assert main([*command, *map(str, corpus)]) == 0
    assert "104 documents" in capsys.readouterr().out
    assert main([*command, *map(str, corpus)]) == 0
    assert "nothing to do" in capsys.readouterr().err
    assert main(["info", output, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["appends"] == 1
    assert main(["verify", output, "--against", "tiktoken"]) == 0


# -- loaders ------------------------------------------------------------------------------------


def test_state_of_a_loader_on_the_old_part_is_refused_with_the_reason(
    corpus: list[Path], tmp_path: Path
) -> None:
    options: dict[str, Any] = {"batch_size": 2, "max_length": 8}
    store = prepare(corpus[:2], tmp_path / "store", **SETTINGS)
    loader = create_dataloader(store, **options)
    batches = iter(loader)
    next(batches)
    state = loader.state_dict()
    expected = [batch[0].numpy() for batch in batches]
    prepare(corpus[:4], store.path, **SETTINGS, append=True)
    prepare(corpus, store.path, **SETTINGS, append=True)
    grown = create_dataloader(store.path, **options)
    message = rf"was appended to since the state was saved: it had {store.num_tokens:,} tokens"
    with pytest.raises(WrongState, match=message):
        grown.load_state_dict(state)
    # A loader that was made before the append goes on with the old part, to the end of the epoch.
    loader.load_state_dict(state)
    for (inputs, _), wanted in zip(loader, expected, strict=True):
        np.testing.assert_array_equal(inputs.numpy(), wanted)
    # Any other difference is reported as before.
    with pytest.raises(WrongState, match="seed: 0 in the state, 1 here") as caught:
        create_dataloader(store.path, **options, seed=1).load_state_dict(grown.state_dict())
    assert "appended" not in str(caught.value)
