"""The parts of a job with a validation split: never empty, or with an exact number of documents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from reference.order import hash_of

from fastprep.checks.verification import verify
from fastprep.errors import InvalidArgument, InvalidInput, OtherJob
from fastprep.jobs import parts
from fastprep.jobs.estimate import estimate
from fastprep.jobs.prepare import merge_tasks, prepare
from fastprep.store.reader import TokenStore

TEXTS = [f"Document {number}." for number in range(40)]


def lines(path: Path, texts: list[str]) -> Path:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return path


def texts_of(store: TokenStore) -> list[str]:
    from fastprep import get_encoding

    decode = get_encoding("gpt2").decode
    documents = (store.document(number).tolist() for number in range(store.num_documents))
    return [decode(ids).removesuffix("<|endoftext|>") for ids in documents]


def make(path: Path, output: Path, **settings: Any) -> tuple[TokenStore, TokenStore]:
    train = prepare(path, output, progress=False, **settings)
    return train, TokenStore(output / "validation")


@pytest.mark.parametrize(
    ("texts", "settings", "message"),
    [
        (["One."], {"validation": 0.3}, r"part is empty: the inputs have 1 document, which cannot"),
        (
            ["One."],
            {"validation_documents": 1},
            "validation_documents is 1, but the inputs have 1 doc",
        ),
        (TEXTS, {"validation_documents": 40}, "at least one must be left to train on"),
        (TEXTS, {"validation": 1e-9}, "validation part is empty: .* draws none of them"),
        (TEXTS, {"validation": 0.9999999}, "train part is empty: .* draws all of them"),
        (TEXTS, {"validation": 1e-9, "shuffle": 3}, "validation part is empty"),
    ],
)
def test_an_empty_part_is_an_error_before_anything_is_written(
    tmp_path: Path, texts: list[str], settings: dict[str, Any], message: str
) -> None:
    path = lines(tmp_path / "a.jsonl", texts)
    with pytest.raises(InvalidInput, match=message):
        prepare(path, tmp_path / "store", progress=False, **settings)
    assert not (tmp_path / "store").exists()
    with pytest.raises(InvalidInput, match=message):
        estimate(path, **settings)


@pytest.mark.parametrize(
    "settings",
    [{"validation": 1e-9}, {"validation_documents": 40}, {"validation": 1e-9, "shuffle": 1}],
)
def test_what_the_first_documents_do_not_show_is_found_before_the_store_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    monkeypatch.setattr(parts, "_PEEK_BYTES", 50)
    path = lines(tmp_path / "a.jsonl", TEXTS)
    settings = {**settings, "shard_bytes": 400, "workers": 1, "progress": False}
    for _ in range(2):
        with pytest.raises(InvalidInput, match="the finished shards are kept"):
            prepare(path, tmp_path / "store", **settings)
        kept = {entry.name: entry.stat().st_ino for entry in (tmp_path / "store").glob("*.done")}
        assert len(kept) == 3
        assert not list((tmp_path / "store").rglob("manifest.json"))
    with pytest.raises(OtherJob):
        prepare(
            path, tmp_path / "store", **{**settings, "validation": 0.0, "validation_documents": 2}
        )
    with pytest.raises(InvalidInput, match="the finished shards are kept"):
        merge_tasks(tmp_path / "store")


def test_a_stream_is_not_read_before_its_task(tmp_path: Path) -> None:
    table = pa.table({"text": TEXTS})
    reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=7))
    train = prepare(reader, tmp_path / "store", progress=False, validation=0.5)
    assert 0 < train.num_documents < 40
    with pytest.raises(InvalidInput, match="part is empty"):
        prepare(pa.table({"text": ["One."]}), tmp_path / "one", progress=False, validation=0.5)
    assert not (tmp_path / "one").exists()


def test_a_bad_document_is_reported_by_its_task(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "One."}\n{"text": 5}\n')
    with pytest.raises(InvalidInput, match="line 2"):
        prepare(tmp_path / "a.jsonl", tmp_path / "store", progress=False, validation=0.5)


@pytest.mark.parametrize("count", [1, 7, 39])
def test_exactly_as_many_documents_as_asked_for(tmp_path: Path, count: int) -> None:
    texts = [*TEXTS[:30], *TEXTS[:10]]  # some twice
    path = lines(tmp_path / "a.jsonl", texts)
    expected = sorted(sorted(texts, key=lambda text: hash_of(text.encode()))[:count])
    manifests = []
    for number, settings in enumerate(
        (
            {"shard_bytes": 300},
            {"shard_bytes": 300, "workers": 3, "block_bytes": 60},
            {},
            {"shuffle": 5},
        )
    ):
        output = tmp_path / str(number)
        train, validation = make(path, output, validation_documents=count, **settings)
        assert validation.num_documents == count
        assert sorted(texts_of(validation)) == expected
        assert sorted(texts_of(train) + texts_of(validation)) == sorted(texts)
        if "shuffle" not in settings:
            # In the order of the inputs: of equal documents the first are for validation.
            left, wanted = list(expected), []
            for text in texts:
                if text in left:
                    left.remove(text)
                    wanted.append(text)
            assert texts_of(validation) == wanted
        for store in (train, validation):
            assert store.manifest.part is not None
            assert store.manifest.part.validation_documents == count
            assert verify(store, against="tiktoken").compared == store.num_documents
        manifests.append(train.manifest)
    assert manifests[0] == manifests[1]


def test_a_fraction_and_a_number_exclude_each_other(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", TEXTS)
    for settings, message in (
        ({"validation": 0.5, "validation_documents": 5}, "both given"),
        ({"validation_documents": 0}, "validation_documents is 0"),
        ({"validation_documents": True}, "validation_documents is True"),
        (
            {"validation": 100},
            "validation is 100; .*for a number of documents pass validation_documents",
        ),
    ):
        with pytest.raises(InvalidArgument, match=message):
            prepare(path, tmp_path / "store", **settings)  # type: ignore[call-overload]


def test_a_repaired_document_is_drawn_by_its_new_bytes(tmp_path: Path) -> None:
    # Of two documents one is for validation once its bad byte is replaced, and none before.
    name, below = next(
        (name, hash_of(name + "\ufffd".encode()))
        for name in (b"%d" % number for number in range(1000))
        if hash_of(name + b"\xff") > hash_of(name + "\ufffd".encode()) + (1 << 40)
    )
    good = next(text for text in TEXTS if hash_of(text.encode()) > below + (1 << 40))
    (tmp_path / "a.txt").write_bytes(name + b"\xff<|endoftext|>" + good.encode())
    train, validation = make(
        tmp_path / "a.txt",
        tmp_path / "store",
        validation=(below + (1 << 30)) / (1 << 64),
        on_error="replace",
    )
    assert (train.num_documents, validation.num_documents) == (1, 1)
