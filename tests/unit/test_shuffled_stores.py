"""Stores in shuffled order: those of the reference, whatever makes them."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference.order import key_of, shards_in_order

from fastprep import Encoding, build_vocab, get_encoding
from fastprep.checks.verification import verify
from fastprep.corpus.reader import documents
from fastprep.errors import InvalidArgument, InvalidStore, OtherJob
from fastprep.exchange.exports import export_store
from fastprep.jobs import ordering
from fastprep.jobs.estimate import estimate
from fastprep.jobs.job import Settings, make_job
from fastprep.jobs.prepare import prepare
from fastprep.store import drafts
from fastprep.store.order import order_keys
from fastprep.store.reader import TokenStore
from fastprep.words.tokenizers import SimpleTokenizerV2

WORDS = ["tea", " the", "  spaces", "\n\n", "naïve", " 東京", "😀", " 1234", "'ll", "<|endoftext|>"]
TEXTS = ["".join(random.Random(n).choices(WORDS, k=n % 23)) for n in range(120)]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    return path


def contents(output: Path) -> dict[str, bytes]:
    return {
        path.relative_to(output).as_posix(): path.read_bytes()
        for path in sorted(output.rglob("*"))
        if path.is_file()
    }


def check(
    corpus: Path, output: Path, shuffle: int | None, eot: str = "append", **settings: Any
) -> None:
    """Compare the stores in a directory with the reference, document by document."""
    parts = {key: settings[key] for key in settings if key.startswith("validation")}
    gpt2 = get_encoding("gpt2")
    job, tasks = make_job(corpus, gpt2, Settings(shard_bytes=settings["shard_bytes"]))
    by_task = [list(documents(task, job.form)) for task in tasks]
    expected = shards_in_order(by_task, shuffle, **parts)
    names = ["train", "validation"] if parts else ["."]
    for name, shards in zip(names, expected, strict=True):
        store = TokenStore(output / name)
        assert [shard.documents for shard in store.manifest.shards] == [len(one) for one in shards]
        for number, text in enumerate(text for shard in shards for text in shard):
            ids = gpt2.encode_ordinary(text.decode())
            wanted = {"append": [*ids, 50256], "prepend": [50256, *ids], "none": ids}[eot]
            assert store.document(number).tolist() == wanted
        verify(store)
        recorded = [tuple(shard.inputs) for shard in store.manifest.shards]
        assert recorded == tasks


@pytest.mark.parametrize("eot", ["append", "prepend", "none"])
@pytest.mark.parametrize(
    "settings",
    [
        {"shuffle": 0},
        {"shuffle": (1 << 64) - 1, "validation": 0.3},
        {"shuffle": 7, "validation_documents": 9},
        {"shuffle": None, "validation_documents": 9},
    ],
)
def test_the_order_is_that_of_the_reference(
    corpus: Path, tmp_path: Path, eot: Any, settings: dict[str, Any]
) -> None:
    settings = {"shard_bytes": 1500, "eot": eot, **settings}
    prepare(corpus, tmp_path / "store", progress=False, **settings)
    check(corpus, tmp_path / "store", **settings)
    left = {path.suffix for path in (tmp_path / "store").rglob("*") if path.is_file()}
    assert left == {".bin", ".ends", ".json"}


@pytest.mark.parametrize("run_bytes", [64, 1000])
@pytest.mark.parametrize("limit", [2, 1 << 19])
def test_memory_limits_do_not_change_a_store(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_bytes: int, limit: int
) -> None:
    with corpus.open("a") as file:  # a document longer than all buffers
        file.write(json.dumps({"text": "a long text " * 300}) + "\n")
    settings: dict[str, Any] = {"shard_bytes": 2500, "shuffle": 7, "progress": False}
    for validation in ({}, {"validation_documents": 9}):
        prepare(corpus, tmp_path / "one", **settings, **validation, overwrite=True)
        with monkeypatch.context() as patched:
            for module in (drafts, ordering):
                patched.setattr(module, "RUN_BYTES", run_bytes)
                patched.setattr(module, "MAX_DOCUMENTS", limit)
            patched.setattr(ordering, "_GROUP_BYTES", run_bytes)
            patched.setattr(drafts, "_CHUNK_BYTES", 50)
            patched.setattr(drafts, "_READ_BYTES", 64)
            patched.setattr(drafts, "_CHECK_BYTES", 48)
            patched.setattr(drafts, "_MIN_DOCUMENTS_TO_SEARCH", 2)
            prepare(
                corpus,
                tmp_path / "two",
                **settings,
                **validation,
                overwrite=True,
                workers=2,
                block_bytes=100,
            )
        assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_workers_and_tasks_do_not_change_a_store(corpus: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"shard_bytes": 1000, "shuffle": 7, "progress": False}
    prepare(corpus, tmp_path / "1", workers=1, **settings)
    prepare(corpus, tmp_path / "3", workers=3, block_bytes=50, **settings)
    assert contents(tmp_path / "1") == contents(tmp_path / "3")
    for number in (2, 0, 1):
        made = prepare(corpus, tmp_path / "tasks", task=(number, 3), **settings)
    assert made is not None
    assert contents(tmp_path / "1") == contents(tmp_path / "tasks")
    assert contents(tmp_path / "1") != contents(
        prepare(corpus, tmp_path / "8", **{**settings, "shuffle": 8}).path
    )


def test_every_order_is_equally_likely() -> None:
    # chi-square with 23 degrees of freedom: above 49.7 for one in a thousand.
    for tasks in (1, 4):
        orders = Counter[tuple[int, ...]]()
        for seed in range(2400):
            keys = np.concatenate([order_keys(seed, task, 0, 4 // tasks) for task in range(tasks)])
            orders[tuple(np.argsort(keys).tolist())] += 1
        assert (
            sum((orders[order] - 100) ** 2 / 100 for order in orders) + 100 * (24 - len(orders))
            < 49.7
        )


def test_keys_are_those_of_the_reference() -> None:
    for seed in (None, 0, 1, (1 << 64) - 1):
        found = order_keys(seed, 5, 1000, 3).tolist()
        assert found == [key_of(seed, 5, number) for number in range(1000, 1003)]


@pytest.mark.parametrize("damage", ["draft", "index", "missing", "ordered"])
def test_a_damaged_draft_is_made_again(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    settings: dict[str, Any] = {"shard_bytes": 1000, "shuffle": 7, "progress": False, "workers": 1}
    output = tmp_path / "store"
    expected = contents(prepare(corpus, tmp_path / "whole", **settings).path)

    def fail(*_: object, **__: object) -> None:
        raise OSError("full")

    with monkeypatch.context() as patched:
        patched.setattr("fastprep.jobs.seal.remove_journal", fail)
        patched.setattr("fastprep.jobs.seal.manifests.chunks", fail)
        with pytest.raises(OSError, match="full"):
            prepare(corpus, output, **settings)
    name = {"missing": "shard-00001.draft", "ordered": "shard-00001.ordered"}
    path = output / name.get(damage, f"shard-00001.{damage}")
    if damage == "missing":
        path.unlink()
    elif damage == "ordered":
        path.write_bytes(path.read_bytes()[:-5])
    else:
        # In a middle block, which a resumed run does not look at first.
        monkeypatch.setattr("fastprep.jobs.journal._file_fault", lambda *_: None)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        with pytest.raises(InvalidStore, match=rf"shard-00001\.{damage}.* same command again"):
            prepare(corpus, output, **settings)
    prepare(corpus, output, **settings)
    assert contents(output) == expected


def test_an_ordered_shard_is_kept_and_not_that_of_other_drafts(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {"shard_bytes": 1000, "shuffle": 7, "progress": False, "workers": 1}
    output, events = tmp_path / "store", []
    real = ordering._write_shard

    def first_two(*arguments: Any) -> Any:
        if arguments[1] == 2:
            raise OSError("full")
        return real(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(ordering, "_write_shard", first_two)
        with pytest.raises(OSError, match="full") as caught:
            prepare(corpus, output, **settings)
    assert any("shards are finished" in note for note in caught.value.__notes__)
    kept = [(output / f"shard-0000{number}.bin").stat().st_ino for number in (0, 1)]
    with pytest.raises(OtherJob, match="shuffle was 7 and is 8"):
        prepare(corpus, output, **{**settings, "shuffle": 8})
    prepare(corpus, output, **settings, log=events.append)
    assert kept == [(output / f"shard-0000{number}.bin").stat().st_ino for number in (0, 1)]
    steps = [event["shards_finished"] for event in events if event["event"] == "ordering"]
    assert steps[0] == 2
    assert steps[-1] == len(list(output.glob("*.bin")))


@pytest.mark.parametrize("parts", [{}, {"validation": 0.3}])
@pytest.mark.parametrize("on_error", ["skip", "replace"])
def test_a_shuffled_store_is_compared_with_its_inputs(
    tmp_path: Path, on_error: Any, parts: dict[str, Any]
) -> None:
    path = tmp_path / "a.jsonl"
    lines = [json.dumps({"text": text}).encode() for text in TEXTS]
    lines[5:5] = [b"not json", b'{"text": "a\xffb"}']
    path.write_bytes(b"\n".join(lines))
    settings = {"shard_bytes": 1000, "shuffle": 7, "progress": False, "on_error": on_error, **parts}
    store = prepare(path, tmp_path / "store", **settings)
    assert sum(shard.bad_documents for shard in store.manifest.shards) == 2
    assert verify(store, against="tiktoken").compared == store.num_documents
    assert verify(store, against="tiktoken", sample=5).compared == 5
    path.write_bytes(path.read_bytes().replace(b"1234", b"1243", 1))
    with pytest.raises(InvalidStore, match="differs from tiktoken's"):
        verify(store, against="tiktoken")


def test_words_and_exports_follow_the_order(corpus: Path, tmp_path: Path) -> None:
    tokenizer = SimpleTokenizerV2(build_vocab(" ".join(TEXTS)))
    settings: dict[str, Any] = {"shuffle": 7, "shard_bytes": 1000, "progress": False}
    words = prepare(corpus, tmp_path / "words", encoding=tokenizer, **settings)
    assert verify(words, against="notebook").compared == words.num_documents
    store = prepare(corpus, tmp_path / "store", **settings)
    export_store(store, format="nanogpt", output=tmp_path / "nano")
    assert np.fromfile(tmp_path / "nano" / "train.bin", np.uint16).tolist() == store[:].tolist()
    plain = prepare(corpus, tmp_path / "plain", shard_bytes=1000, progress=False)
    assert sorted(plain[:].tolist()) == sorted(store[:].tolist())
    assert plain[:].tolist() != store[:].tolist()


def test_the_estimate_has_the_drafts(corpus: Path) -> None:
    found = estimate(corpus, shuffle=7)
    assert found.draft_bytes == found.store_bytes + 16 * found.documents
    assert estimate(corpus).draft_bytes == 0


@pytest.mark.parametrize("seed", [-1, 1 << 64, 1.5, True, "7"])
def test_a_seed_is_a_number_of_64_bits(corpus: Path, tmp_path: Path, seed: Any) -> None:
    with pytest.raises(InvalidArgument, match="shuffle is "):
        prepare(corpus, tmp_path / "store", shuffle=seed)
    assert not (tmp_path / "store").exists()


def test_an_encoding_of_four_bytes(corpus: Path, tmp_path: Path) -> None:
    store = prepare(
        corpus,
        tmp_path / "store",
        encoding="o200k_base",
        shuffle=3,
        shard_bytes=1000,
        progress=False,
    )
    assert store.manifest.dtype == "uint32"
    assert verify(store, against="tiktoken").compared == len(TEXTS)
    assert isinstance(get_encoding("o200k_base"), Encoding)
