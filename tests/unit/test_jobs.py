"""Jobs of prepare: resumed, shared between runs, refused if another; and their messages."""

from __future__ import annotations

import errno
import gzip
import json
import os
import random
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reading import background_threads
from texts import rows_of

from fastprep.checks.verification import verify
from fastprep.cli.main import main
from fastprep.corpus import reader as corpora
from fastprep.corpus.documents import Bad, Batch, PlacesInFile
from fastprep.encoding.encoding import Encoding
from fastprep.errors import (
    InvalidInput,
    InvalidStore,
    InvalidUtf8,
    JobIsRunning,
    OtherJob,
    StoreExists,
    UnfinishedJob,
)
from fastprep.jobs.estimate import estimate
from fastprep.jobs.journal import Journal
from fastprep.jobs.prepare import merge_tasks, prepare
from fastprep.jobs.run import seal_if_complete
from fastprep.registry import get_encoding
from fastprep.store import writer as shards
from fastprep.store.reader import TokenStore
from fastprep.words.tokenizers import SimpleTokenizerV2, build_vocab

SETTINGS: dict[str, Any] = {"workers": 1, "shard_bytes": 2000, "progress": False}


@pytest.fixture
def corpus(tmp_path: Path) -> list[Path]:
    rng = random.Random(8)
    words = ["tea", " the", "  spaces", "\n\n", "naïve", " 東京", "😀", " 1234", "'ll"]
    texts = ["".join(rng.choices(words, k=rng.randint(1, 120))) for _ in range(60)]
    lines = [json.dumps({"text": text, "body": text[:9]}) + "\n" for text in texts[30:]]
    (tmp_path / "a.txt").write_text("<|endoftext|>".join(texts[:30]), newline="")
    (tmp_path / "b.jsonl").write_text("".join(lines))
    return [tmp_path / "a.txt", tmp_path / "b.jsonl"]


def contents(output: Path) -> dict[str, bytes]:
    return {
        path.relative_to(output).as_posix(): path.read_bytes()
        for path in sorted(output.rglob("*"))
        if path.is_file()
    }


def half_done(corpus: list[Path], output: Path, **settings: Any) -> None:
    """Leave unfinished work: the even shards."""
    assert prepare(corpus, output, task=(0, 2), **{**SETTINGS, **settings}) is None


def events(*arguments: Any, **settings: Any) -> list[dict[str, Any]]:
    logged: list[dict[str, Any]] = []
    prepare(*arguments, **{**SETTINGS, **settings}, log=logged.append)
    return logged


# -- resuming --------------------------------------------------------------------------------------


def test_resume_keeps_finished_shards_and_makes_the_others(
    corpus: list[Path], tmp_path: Path
) -> None:
    whole = prepare(corpus, tmp_path / "whole", **SETTINGS)
    half_done(corpus, tmp_path / "store")
    assert not (tmp_path / "store" / "manifest.json").exists()
    with pytest.raises(InvalidStore, match="unfinished work; run the same"):
        TokenStore(tmp_path / "store")
    kept = {path: path.stat().st_ino for path in (tmp_path / "store").glob("*.bin")}
    logged = events(corpus, tmp_path / "store")
    assert {path: path.stat().st_ino for path in kept} == kept
    assert contents(tmp_path / "store") == contents(whole.path)
    resumed = next(event for event in logged if event["event"] == "resumed")
    assert resumed["shards_finished"] == len(kept) > 2
    done = [event["shard"] for event in logged if event["event"] == "task done"]
    assert done == list(range(1, len(whole.shards), 2))
    assert logged[-1]["event"] == "finished"


@pytest.mark.parametrize("validation", [0.0, 0.5])
def test_output_inside_an_input_pattern_is_not_an_input(
    corpus: list[Path], tmp_path: Path, validation: float
) -> None:
    encoding = SimpleTokenizerV2(build_vocab("tea the spaces"))  # has a vocabulary file
    settings = {**SETTINGS, "validation": validation, "encoding": encoding}
    inputs, output = corpus[0].parent / "**", corpus[0].parent / "sub" / "store"
    assert prepare(inputs, output, **settings, task=(0, 2)) is None
    store = prepare(inputs, output, **settings)
    paths = {span.path for shard in store.manifest.shards for span in shard.inputs}
    assert paths == {str(path) for path in corpus}
    prepare(inputs, output, **settings, overwrite=True)
    verify(store)


@pytest.mark.parametrize("how", ["flipped", "cut", "missing", "ends", "note"])
def test_shard_that_differs_from_its_record_is_made_again(
    corpus: list[Path], tmp_path: Path, how: str
) -> None:
    whole = prepare(corpus, tmp_path / "whole", **SETTINGS)
    output = tmp_path / "store"
    half_done(corpus, output)
    kind = {"ends": "ends", "note": "done"}.get(how, "bin")
    path = output / f"shard-00002.{kind}"
    content = bytearray(path.read_bytes())
    content[5] ^= 1
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes(content if how in ("flipped", "ends") else content[:-2])
    redone = [event for event in events(corpus, output) if event["event"] == "redone"]
    assert [event["shard"] for event in redone] == [2]
    assert redone[0]["reason"]
    assert contents(output) == contents(whole.path)


def test_input_changed_at_equal_size_is_read_again(corpus: list[Path], tmp_path: Path) -> None:
    half_done(corpus, tmp_path / "store")
    corpus[1].write_bytes(corpus[1].read_bytes().replace(b"tea", b"two"))
    redone = [event for event in events(corpus, tmp_path / "store") if event["event"] == "redone"]
    assert redone
    assert all("b.jsonl was changed since" in event["reason"] for event in redone)
    fresh = prepare(corpus, tmp_path / "fresh", **SETTINGS)
    assert contents(tmp_path / "store") == contents(fresh.path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encoding": "cl100k_base"}, "encoding was 'gpt2' and is 'cl100k_base'"),
        ({"field": "body"}, "field was 'text' and is 'body'"),
        ({"separator": None}, "separator was '<|endoftext|>' and is None"),
        ({"eot": "prepend"}, "eot was 'append' and is 'prepend'"),
        ({"eot": "none"}, "eot was 'append' and is 'none'"),
        ({"validation": 0.5}, "validation was 0.0 and is 0.5"),
        ({"shard_bytes": 4000}, "shard_bytes was 2000 and is 4000"),
    ],
)
def test_other_settings_are_refused_by_name(
    corpus: list[Path], tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    half_done(corpus, tmp_path / "store")
    before = contents(tmp_path / "store")
    with pytest.raises(OtherJob) as info:
        prepare(corpus, tmp_path / "store", **{**SETTINGS, **settings})
    assert message in str(info.value)
    assert "--overwrite" in str(info.value)
    assert contents(tmp_path / "store") == before
    store = prepare(corpus, tmp_path / "store", **{**SETTINGS, **settings}, overwrite=True)
    verify(store)
    expected = prepare(corpus, tmp_path / "new", **{**SETTINGS, **settings})
    assert contents(tmp_path / "store") == contents(tmp_path / "new")
    assert store.num_tokens == expected.num_tokens


def test_other_inputs_are_refused_by_name(corpus: list[Path], tmp_path: Path) -> None:
    half_done(corpus, tmp_path / "store")
    before = contents(tmp_path / "store")
    more = tmp_path / "more.txt"
    more.write_text("One.")
    message = r"b\.jsonl is no longer an input; .*more\.txt is a new input"
    for settings in ({}, {"task": (0, 2)}):
        with pytest.raises(OtherJob, match=message):
            prepare(more, tmp_path / "store", **SETTINGS, **settings)
    assert contents(tmp_path / "store") == before


def test_another_job_may_start_if_no_shard_is_finished(corpus: list[Path], tmp_path: Path) -> None:
    corpus[0].write_bytes(b"\xff")
    with pytest.raises(InvalidUtf8):
        prepare(corpus, tmp_path / "store", **SETTINGS)
    corpus[0].write_text("One.")
    assert prepare(corpus, tmp_path / "store", **SETTINGS).num_documents == 31


def test_an_error_in_one_input_keeps_the_shards_of_the_others(
    corpus: list[Path], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"word " * 100 + b"\xff")
    inputs = [*corpus, bad]
    with pytest.raises(InvalidUtf8, match=r"bad\.txt, byte 500.*--on-error"):
        prepare(inputs, tmp_path / "store", **SETTINGS)
    finished = len(list((tmp_path / "store").glob("*.done")))
    logged = events(inputs, tmp_path / "store", on_error="skip")
    assert finished > 4
    assert next(e for e in logged if e["event"] == "resumed")["shards_finished"] == finished
    prepare(inputs, tmp_path / "fresh", **SETTINGS, on_error="skip")
    assert contents(tmp_path / "store") == contents(tmp_path / "fresh")


def test_error_while_many_tasks_are_queued_ends_the_job(tmp_path: Path) -> None:
    lines = ['{"text": "some words"}\n'] * 40
    corpus, store = tmp_path / "corpus.jsonl", tmp_path / "store"
    corpus.write_text("".join([*lines, "{broken\n", *lines * 50]))
    command = [sys.executable, "-m", "fastprep", "prepare", str(corpus), "-o", str(store)]
    command += ["--workers", "2", "--shard-bytes", "500"]
    for _ in range(3):
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert ended.returncode == 1
        assert "line 41" in ended.stderr
        shutil.rmtree(store)


def test_a_damaged_job_file_is_refused_and_may_be_overwritten(
    corpus: list[Path], tmp_path: Path
) -> None:
    half_done(corpus, tmp_path / "store")
    (tmp_path / "store" / "job.json").write_text("{")
    with pytest.raises(InvalidStore, match=r"job\.json: damaged.*--overwrite"):
        prepare(corpus, tmp_path / "store", **SETTINGS)
    prepare(corpus, tmp_path / "store", **SETTINGS, overwrite=True)


def test_journal_of_a_sealed_store_is_removed(corpus: list[Path], tmp_path: Path) -> None:
    whole = prepare(corpus, tmp_path / "whole", **SETTINGS)
    half_done(corpus, tmp_path / "store")
    (tmp_path / "store" / "manifest.json").write_bytes((whole.path / "manifest.json").read_bytes())
    for path in whole.path.glob("shard-*"):
        (tmp_path / "store" / path.name).write_bytes(path.read_bytes())
    prepare(corpus, tmp_path / "store", **SETTINGS)
    assert contents(tmp_path / "store") == contents(whole.path)


def test_an_input_that_changes_while_it_is_read_is_an_error(
    corpus: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = corpora.batches
    times = iter(range(1000))

    def touching(*arguments: Any, **options: Any) -> Iterator[Batch]:
        yield from real(*arguments, **options)
        os.utime(corpus[1], ns=(1, next(times)))

    monkeypatch.setattr(corpora, "batches", touching)
    with pytest.raises(InvalidInput, match=r"b\.jsonl: it was changed while it was"):
        prepare(corpus, tmp_path / "store", **SETTINGS)


# -- several runs -----------------------------------------------------------------------------


def test_run_of_another_job_is_refused_while_one_is_running(
    corpus: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastprep.jobs.run._SECONDS_BEFORE_WAITING", 0.0)
    half_done(corpus, tmp_path / "store")
    with Journal(tmp_path / "store").lock_run(shared=False):
        for settings in ({}, {"overwrite": True}, {"task": (0, 2)}):
            with pytest.raises(
                JobIsRunning, match="on another job: field was 'text' and is 'body'"
            ):
                prepare(corpus, tmp_path / "store", **SETTINGS, **settings, field="body")
        with pytest.raises(JobIsRunning, match="another run works here; wait"):
            merge_tasks(tmp_path / "store")
    with Journal(tmp_path / "store").lock_run(shared=True):
        with pytest.raises(JobIsRunning):
            prepare(corpus[0], tmp_path / "store", **SETTINGS)
        prepare(corpus, tmp_path / "store", **SETTINGS, task=(1, 2))
    verify(tmp_path / "store")


def test_file_system_without_locks_warns_once(
    corpus: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        prepare(corpus, tmp_path / "store", **SETTINGS)
    (warning,) = caught
    assert f"{tmp_path}/store: this file system has no locks" in str(warning.message)


@pytest.mark.parametrize("count", [1, 3, 50])
def test_tasks_in_any_order_make_the_same_store(
    corpus: list[Path], tmp_path: Path, count: int
) -> None:
    whole = prepare(corpus, tmp_path / "whole", **SETTINGS)
    order = list(range(count))
    random.Random(count).shuffle(order)
    made = [prepare(corpus, tmp_path / "store", **SETTINGS, task=(i, count)) for i in order]
    assert made[-1] is not None
    assert contents(tmp_path / "store") == contents(whole.path)
    # A task that comes late, or twice, has nothing to do.
    late = prepare(corpus, tmp_path / "store", **SETTINGS, task=(0, count))
    assert late is not None
    assert contents(tmp_path / "store") == contents(whole.path)
    assert merge_tasks(tmp_path / "store").num_tokens == whole.num_tokens


def test_merge_names_the_unfinished_shards(corpus: list[Path], tmp_path: Path) -> None:
    half_done(corpus, tmp_path / "store")
    with pytest.raises(UnfinishedJob, match=r"shards are not finished: 1, 3, .* task k mod N of N"):
        merge_tasks(tmp_path / "store")
    with pytest.raises(InvalidStore, match="no such directory"):
        merge_tasks(tmp_path / "nowhere")


def test_task_after_a_job_without_documents_reports_it(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(" \n" * 2000)
    half_done([tmp_path / "a.txt"], tmp_path / "store")
    journal = Journal(tmp_path / "store")
    with pytest.raises(InvalidInput, match="no documents found"):
        prepare(tmp_path / "a.txt", tmp_path / "store", **SETTINGS, task=(1, 2))
    with pytest.raises(UnfinishedJob, match="another run ended this job without a store"):
        seal_if_complete(journal)


def test_a_task_with_other_settings_is_refused(corpus: list[Path], tmp_path: Path) -> None:
    half_done(corpus, tmp_path / "store")
    for settings in ({"field": "body"}, {"on_error": "skip"}):
        with pytest.raises(OtherJob):
            prepare(corpus, tmp_path / "store", **SETTINGS, **settings, task=(1, 2))
    with pytest.raises(InvalidInput, match="a task cannot overwrite"):
        prepare(corpus, tmp_path / "store", **SETTINGS, task=(1, 2), overwrite=True)
    prepare(corpus, tmp_path / "store", **SETTINGS, task=(1, 2))
    with pytest.raises(StoreExists):
        prepare(corpus[:1], tmp_path / "store", **SETTINGS, task=(0, 2))


@pytest.mark.parametrize(
    "settings",
    [
        {"eot": "none"},
        {"eot": "prepend"},
        {"separator": "|"},
        {"field": "body"},
        {"on_error": "skip"},
        {"validation": 0.5},
        {"encoding": "r50k_base"},
    ],
)
def test_late_task_refuses_a_store_of_other_settings(
    corpus: list[Path], tmp_path: Path, settings: dict[str, Any]
) -> None:
    prepare(corpus, tmp_path / "store", **SETTINGS)
    with pytest.raises(StoreExists, match="of other inputs or settings than this task's"):
        prepare(corpus, tmp_path / "store", **SETTINGS, **settings, task=(0, 2))
    split = prepare(corpus, tmp_path / "split", **SETTINGS, validation=0.5)
    late = prepare(corpus, tmp_path / "split", **SETTINGS, validation=0.5, task=(0, 2))
    assert late is not None
    assert late.path == split.path


def test_no_message_tells_a_task_to_overwrite(corpus: list[Path], tmp_path: Path) -> None:
    half_done(corpus, tmp_path / "store")
    with pytest.raises(OtherJob, match=r"field was 'text' .* or remove that directory") as other:
        prepare(corpus, tmp_path / "store", **SETTINGS, field="body", task=(1, 2))
    prepare(corpus, tmp_path / "store", **SETTINGS)
    with pytest.raises(StoreExists, match="or remove it first") as exists:
        prepare(corpus[:1], tmp_path / "store", **SETTINGS, task=(1, 2))
    assert "overwrite" not in f"{other.value} {exists.value}"


def test_tasks_before_and_after_a_change_of_an_input_make_no_store(
    corpus: list[Path], tmp_path: Path
) -> None:
    half_done(corpus, tmp_path / "store")
    corpus[1].write_bytes(corpus[1].read_bytes().replace(b"tea", b"two"))
    with pytest.raises(InvalidInput, match=r"b\.jsonl: it was changed while it was in use; .*task"):
        prepare(corpus, tmp_path / "store", **SETTINGS, task=(1, 2))
    with pytest.raises(InvalidInput, match=r"b\.jsonl: it was changed"):
        merge_tasks(tmp_path / "store")
    assert not (tmp_path / "store" / "manifest.json").exists()
    half = prepare(corpus, tmp_path / "store", **SETTINGS, task=(0, 2))
    assert half is not None
    fresh = prepare(corpus, tmp_path / "fresh", **SETTINGS)
    assert contents(tmp_path / "store") == contents(fresh.path)


@pytest.mark.parametrize("task", [(2, 2), (-1, 2), (0, 0)])
def test_task_out_of_range_is_refused(tmp_path: Path, task: tuple[int, int]) -> None:
    with pytest.raises(InvalidInput, match=f"task {task[0]} of {task[1]}"):
        prepare(tmp_path / "a.txt", tmp_path / "store", task=task)
    assert not (tmp_path / "store").exists()


# -- documents -------------------------------------------------------------------------------------


@pytest.mark.parametrize("block_bytes", [64, 1 << 20])
def test_end_tokens_may_be_prepended(corpus: list[Path], tmp_path: Path, block_bytes: int) -> None:
    after = prepare(corpus, tmp_path / "after", **SETTINGS)
    first = prepare(corpus, tmp_path / "f", **SETTINGS, eot="prepend", block_bytes=block_bytes)
    assert (first.eot, after.eot) == ("prepend", "append")
    assert first.eot_token == 50256
    np.testing.assert_array_equal(first.document_ends, after.document_ends)
    for number in range(after.num_documents):
        *ids, token = after.document(number).tolist()
        assert first.document(number).tolist() == [token, *ids]
    assert verify(first, against="tiktoken").compared == first.num_documents


def test_end_tokens_in_the_wrong_place_are_found(corpus: list[Path], tmp_path: Path) -> None:
    first = prepare(corpus, tmp_path / "first", **SETTINGS, eot="prepend")
    manifest = json.loads((first.path / "manifest.json").read_text())
    manifest["end_token_first"] = False
    (first.path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InvalidStore, match="document 0 of the shard does not end with"):
        verify(first.path)
    after = prepare(corpus, tmp_path / "after", **SETTINGS)
    manifest = json.loads((after.path / "manifest.json").read_text())
    manifest["end_token_first"] = True
    (after.path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InvalidStore, match="document 0 of the shard does not start with"):
        verify(after.path)


def test_another_end_token_may_be_chosen(corpus: list[Path], tmp_path: Path) -> None:
    store = prepare(
        corpus, tmp_path / "s", **SETTINGS, encoding="cl100k_base", eot_token="<|fim_prefix|>"
    )
    assert store.eot_token == 100258
    for eot, token in (("append", "<|x|>"), ("none", "<|endoftext|>"), ("both", None)):
        with pytest.raises(InvalidInput):
            prepare(corpus, tmp_path / "t", **SETTINGS, eot=eot, eot_token=token)


def test_the_validation_split_is_a_function_of_each_document_alone(
    corpus: list[Path], tmp_path: Path
) -> None:
    def documents(store: TokenStore) -> list[list[int]]:
        return [store.document(number).tolist() for number in range(store.num_documents)]

    whole = prepare(corpus, tmp_path / "whole", **SETTINGS)
    train = prepare(corpus, tmp_path / "store", **SETTINGS, validation=0.3)
    assert train.path == tmp_path / "store" / "train"
    validation = TokenStore(tmp_path / "store" / "validation")
    assert validation.num_documents > 5
    assert sorted(documents(train) + documents(validation)) == sorted(documents(whole))
    other = prepare(
        corpus[::-1], tmp_path / "o", workers=2, shard_bytes=500, validation=0.3, block_bytes=70
    )
    assert sorted(documents(other)) == sorted(documents(train))
    more = prepare(corpus, tmp_path / "more", **SETTINGS, validation=0.6)
    assert all(document in documents(train) for document in documents(more))
    for store, name in ((train, "train"), (validation, "validation")):
        assert store.manifest.part is not None
        assert store.manifest.part.name == name
        assert verify(store, against="tiktoken").compared == store.num_documents
    with pytest.raises(InvalidStore, match=r"holds the stores .*train and .*validation"):
        TokenStore(tmp_path / "store")
    with pytest.raises(
        StoreExists, match=r"a token store already.*validation was 0\.3 and is 0\.0"
    ):
        prepare(corpus, tmp_path / "store", **SETTINGS)
    prepare(corpus, tmp_path / "store", **SETTINGS, overwrite=True)
    assert contents(tmp_path / "store") == contents(whole.path)


def test_store_in_a_directory_called_train_is_not_a_part(
    corpus: list[Path], tmp_path: Path
) -> None:
    prepare(corpus, tmp_path / "store" / "train", **SETTINGS)
    before = contents(tmp_path / "store")
    with pytest.raises(StoreExists, match=r"train/manifest\.json"):
        prepare(corpus, tmp_path / "store", **SETTINGS, overwrite=True, validation=0.1)
    assert contents(tmp_path / "store") == before


@pytest.mark.parametrize("fraction", [-0.1, 1, float("nan")])
def test_validation_out_of_range_is_refused(
    corpus: list[Path], tmp_path: Path, fraction: float
) -> None:
    with pytest.raises(InvalidInput, match="validation is"):
        prepare(corpus, tmp_path / "store", validation=fraction)


@pytest.mark.parametrize("validation", [0.0, 0.4])
def test_documents_that_are_not_utf8_are_skipped_or_replaced_and_listed(
    tmp_path: Path, validation: float
) -> None:
    pieces = [b"One.", b"T\xffwo.", b"Three.", b"\xe6\x9d", b"F\xc3\xa9"]
    path = tmp_path / "bad.txt"
    path.write_bytes(b"<|endoftext|>".join(pieces))
    enc = get_encoding("gpt2")
    for on_error in ("skip", "replace"):
        options: dict[str, Any] = {"on_error": on_error, "validation": validation}
        store = prepare(path, tmp_path / on_error, **SETTINGS, **options)
        stores = [store]
        if validation:
            stores.append(TokenStore(tmp_path / on_error / "validation"))
        found = [
            enc.decode_bytes(each.document(number)[:-1].tolist())
            for each in stores
            for number in range(each.num_documents)
        ]
        expected = [
            piece.decode("utf-8", "replace").encode()
            for piece in pieces
            if on_error == "replace" or piece not in (pieces[1], pieces[3])
        ]
        assert sorted(found) == sorted(expected)
        record = store.manifest.shards[0]
        assert record.bad_documents == 2
        assert record.bad[0] == Bad(f"{path}, byte 18", "0xff is not UTF-8 there")
        for each in stores:
            assert verify(each, against="tiktoken").compared == each.num_documents


def test_bad_documents_are_counted_and_their_list_is_bounded(
    gpt2: Encoding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "_MAX_LISTED", 3)
    bad = [Bad(f"line {number}", "broken") for number in range(5)]
    batches = [
        Batch(rows_of(), True, PlacesInFile(""), bad[:2]),
        Batch(rows_of(b"One."), True, PlacesInFile(""), bad[2:]),
    ]
    (record,) = shards.ShardWriter(gpt2, 50256, on_error="skip").write([tmp_path], 0, batches, [])
    assert (record.bad_documents, record.bad, record.documents) == (5, bad[:3], 1)


# -- several threads per task ------------------------------------------------------------------------


@pytest.mark.parametrize("packing", ["", ".gz"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"eot": "prepend"},
        {"eot": "none"},
        {"validation": 0.3, "eot": "prepend"},
        {"on_error": "replace"},
        {"separator": None},
    ],
    ids=str,
)
def test_task_with_several_threads_makes_the_same_bytes(
    corpus: list[Path], tmp_path: Path, settings: dict[str, Any], packing: str
) -> None:
    if packing:
        for path in corpus:
            path.with_name(path.name + packing).write_bytes(gzip.compress(path.read_bytes()))
        corpus = [path.with_name(path.name + packing) for path in corpus]
    for workers in (1, 2, 5):
        output = tmp_path / str(workers)
        prepare(corpus, output, workers=workers, block_bytes=300, progress=False, **settings)
    assert contents(tmp_path / "1") == contents(tmp_path / "2") == contents(tmp_path / "5")
    parts = len(list((tmp_path / "1").rglob("manifest.json")))
    shards = len(list((tmp_path / "1").rglob("*.bin")))
    assert shards == parts, "one task is what has several threads"


def test_threads_end_if_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_bytes(b"<|endoftext|>".join([b"text " * 20] * 300))
    real = shards._PartFiles.write
    writes = []

    def full(self: Any, *arguments: Any) -> None:
        writes.append(1)
        if len(writes) > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(self, *arguments)

    monkeypatch.setattr(shards._PartFiles, "write", full)
    with pytest.raises(OSError, match="No space") as caught:
        prepare(tmp_path / "a.txt", tmp_path / "store", workers=3, block_bytes=500, progress=False)
    assert caught.value.__traceback__ is not None
    assert not background_threads()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_kept_write_error_keeps_no_reader_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr(corpora, "_MIN_BYTES_FOR_THREAD", 1)
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"word " * 100_000))

    def full(self: Any, *_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shards._PartFiles, "write", full)
    settings = {"workers": workers, "block_bytes": 500, "progress": False}
    with pytest.raises(OSError, match="No space") as caught:
        prepare(tmp_path / "a.txt.gz", tmp_path / "store", **settings)
    assert caught.value.__traceback__ is not None
    assert not background_threads()


def test_several_threads_raise_the_first_error_in_the_file(tmp_path: Path) -> None:
    lines = [b'{"text": "line %d"}\n' % number for number in range(3000)]
    lines[2000] = b'{"text": 5}\n'
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b"".join(lines)))
    settings: dict[str, Any] = {"workers": 3, "block_bytes": 500, "progress": False}
    with pytest.raises(InvalidInput, match=r"a\.jsonl\.gz, line 2001: Expected `str`, got `int`"):
        prepare(path, tmp_path / "store", **settings)
    texts = [b"text " * 20] * 300
    texts[100] = texts[200] = b"\xff"
    (tmp_path / "a.txt").write_bytes(b"<|endoftext|>".join(texts))
    with pytest.raises(InvalidUtf8, match=r"a\.txt, byte 11300: the bytes there are not UTF-8"):
        prepare(tmp_path / "a.txt", tmp_path / "store", **settings)


# -- messages --------------------------------------------------------------------------------------


def test_command_logs_events_as_json(
    corpus: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["prepare", *map(str, corpus), "-o", str(tmp_path / "store"), "--workers", "1"]
    assert main([*command, "--shard-bytes", "2000", "--log", "json"]) == 0
    logged = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    kinds = [event["event"] for event in logged]
    assert kinds == ["started", *["task done"] * logged[0]["shards"], "finished"]
    assert logged[-1]["documents"] == 60
    assert logged[-1]["bytes"] == sum(path.stat().st_size for path in corpus)
    assert main([*command, "--log", "json", "--eot-token", "<|x|>"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["event"] == "failed"


def test_command_counts_bad_documents_and_reports_if_there_are_no_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, output = tmp_path / "a.jsonl", str(tmp_path / "store")
    path.write_text('{"text": 5}\n' * 12 + '{"text": "One."}\n')
    assert main(["prepare", str(path), "-o", output, "--on-error", "skip"]) == 0
    shown = capsys.readouterr()
    assert shown.err.count("Expected `str`") == 10
    assert shown.out.endswith(f"{output}: 12 bad documents skipped; the manifest lists all\n")
    path.write_text('{"text": 5}\n' * 3)
    command = ["prepare", str(path), "-o", output, "--on-error", "skip", "--overwrite"]
    assert main(command) == 1
    (line,) = capsys.readouterr().err.splitlines()[3:]
    assert "no documents found in" in line
    assert "; 3 could not be read, the first: " in line
    assert "a.jsonl, line 1: Expected `str`, got `int`" in line


def test_command_reports_finished_and_total_shards(
    corpus: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    half_done(corpus, tmp_path / "store")
    finished = len(list((tmp_path / "store").glob("*.done")))
    command = ["prepare", *map(str, corpus), "-o", str(tmp_path / "store"), "--workers", "1"]
    command += ["--shard-bytes", "2000"]
    assert main([*command, "--task", "0/2"]) == 0
    assert f"resuming: {finished} of {finished} shards" in capsys.readouterr().err
    assert main(["prepare", "--merge", "-o", str(tmp_path / "store"), "--log", "json"]) == 1
    assert json.loads(capsys.readouterr().err)["shards_finished"] == finished
    content = corpus[1].read_bytes()
    corpus[1].write_bytes(b"\xff" + content[1:])
    assert main(command) == 1
    shown = capsys.readouterr().err
    there = len(list((tmp_path / "store").glob("*.done")))
    assert f"{there} of 13 shards are finished; the same command resumes from them" in shown


def test_the_command_runs_tasks_and_merges_them(
    corpus: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = str(tmp_path / "store")
    command = ["prepare", *map(str, corpus), "-o", output, "--shard-bytes", "2000"]
    assert main([*command, "--task", "1/2", "--workers", "1"]) == 0
    assert capsys.readouterr().out == f"{output}: task 1/2 is done; others are not\n"
    assert main(["prepare", "--merge", "-o", output]) == 1
    assert "shards are not finished: 0, 2" in capsys.readouterr().err
    assert main([*command, "--workers", "1"]) == 0
    shown = capsys.readouterr()
    assert "documents" in shown.out
    assert "fastprep: resuming: " in shown.err
    assert main(["prepare", "--merge", "-o", output]) == 0


def test_dry_run_creates_nothing(
    corpus: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "store"
    command = ["prepare", *map(str, corpus), "-o", str(output), "--shard-bytes", "2000"]
    assert main([*command, "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert not output.exists()
    store = prepare(corpus, output, **SETTINGS)
    assert f"{len(store.shards)} tasks, as many shards" in shown
    assert "about 60 documents" in shown
    assert f"{store.num_tokens:,} tokens of uint16" in shown


def test_dry_run_handles_bad_documents_as_the_job_does(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"One.<|endoftext|>T\xffo.<|endoftext|>Three.")
    with pytest.raises(InvalidUtf8, match=r"a\.txt, byte 18: .*--on-error"):
        estimate(tmp_path / "a.txt")
    for on_error in ("skip", "replace"):
        found = estimate(tmp_path / "a.txt", on_error=on_error, eot="prepend")
        settings = {"on_error": on_error, "eot": "prepend", "overwrite": True}
        store = prepare(tmp_path / "a.txt", tmp_path / "store", **SETTINGS, **settings)
        assert (found.documents, found.tokens) == (store.num_documents, store.num_tokens)


@pytest.mark.parametrize("form", [".jsonl", ".txt", "a table"])
def test_dry_run_samples_everywhere_and_counts_long_documents(tmp_path: Path, form: str) -> None:
    rng = random.Random(31)
    # The middle and the end differ from the start, and some documents are long.
    texts = [("a b c d " if n < 4000 else "words ") * rng.randint(1, 200) for n in range(8000)]
    texts[::100] = ["a long document " * rng.randint(1, 9000) for _ in texts[::100]]
    inputs: Any = tmp_path / f"a{form}"
    if form == ".jsonl":
        inputs.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    elif form == ".txt":
        inputs.write_text("<|endoftext|>".join(texts))
    else:
        inputs = pytest.importorskip("pyarrow").table({"text": texts})
    store = prepare(inputs, tmp_path / "store", progress=False, workers=1)
    for shard_bytes in (None, 200_000, 300_000):
        found = estimate(inputs, shard_bytes=shard_bytes)
        assert found.input_bytes > 8_000_000
        assert found.tokens == pytest.approx(store.num_tokens, rel=0.2)


def test_bar_is_shown_on_request_with_counts(
    corpus: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("fastprep.jobs.progress._UPDATE_SECONDS", 0.0)
    monkeypatch.setenv("COLUMNS", "160")
    store = prepare(corpus, tmp_path / "store", **{**SETTINGS, "progress": True})
    shown = capsys.readouterr().err
    assert "100%" in shown
    assert f"{store.num_tokens:,} tokens, 60 documents" in shown
    assert "tokens/s" in shown


def test_empty_file_is_an_error_before_any_work_or_listed_if_skipped(
    corpus: list[Path], tmp_path: Path
) -> None:
    nothing = tmp_path / "nothing.jsonl"
    nothing.touch()
    with pytest.raises(InvalidInput, match=r"nothing\.jsonl: an empty file, of 0 bytes"):
        prepare([*corpus, nothing], tmp_path / "store", **SETTINGS)
    assert not (tmp_path / "store").exists()
    settings = {**SETTINGS, "on_error": "skip"}
    store = prepare([*corpus, nothing], tmp_path / "store", **settings)
    assert store.manifest.shards[-1].bad_documents == 1
    assert store.manifest.shards[-1].bad[0].place == str(nothing)
    fresh = prepare(corpus, tmp_path / "fresh", **settings)
    assert (store[:] == fresh[:]).all()
