"""Stores whose manifest has an index: opened by the index, never by that of another manifest."""

from __future__ import annotations

import ctypes
import json
import os
import pickle
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from checks import crashes

import fastprep
from fastprep import TokenStore, export_store, prepare, verify
from fastprep.cli.main import main
from fastprep.errors import IdOutOfRange, InvalidStore, WrongState
from fastprep.exchange.imports import import_tokens
from fastprep.store import index as indexes
from fastprep.store import manifest as manifests
from fastprep.store import reader

TEXTS = [f"Document {number} has {'some ' * (number % 9)}words." for number in range(60)]
SEED = 71


@pytest.fixture(autouse=True)
def short_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count a manifest as long from 1 KiB on."""
    monkeypatch.setattr(indexes, "HEAD_BYTES", 1 << 10)


def make(
    directory: Path, texts: list[str] = TEXTS, name: str = "a.txt", **options: Any
) -> TokenStore:
    (directory / name).write_text("<|endoftext|>".join(texts))
    options = {"shard_bytes": 400, "progress": False, **options}
    return prepare(directory / name, directory / "store", **options)


def only_index(path: Path) -> Path:
    (found,) = path.glob("manifest-*.index")
    return found


def test_an_index_has_what_the_manifest_has(tmp_path: Path) -> None:
    store = make(tmp_path)
    whole = manifests.load(store.path)
    assert (whole.version, len(whole.shards)) == (3, store.num_shards)
    assert store.num_shards > 4
    assert not store.head.shards
    assert store.shard_sizes == tuple(shard.tokens for shard in whole.shards)
    assert [*store.document_starts] == manifests.offsets(shard.documents for shard in whole.shards)
    assert [*store.max_ids] == [shard.max_id for shard in whole.shards]
    assert [*store.records()] == whole.shards == store.manifest.shards
    assert TokenStore(store.path).record(2) == whole.shards[2]
    assert [*TokenStore(store.path).records(1, 3)] == whole.shards[1:3]
    assert store.digest == manifests.digest(whole)
    assert only_index(store.path).stat().st_size == 88 + 28 * store.num_shards
    assert verify(store).documents == len(TEXTS)
    assert pickle.loads(pickle.dumps(store))[:].tolist() == store[:].tolist()


def test_records_read_in_many_parts_are_the_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexes, "_CHUNK_BYTES", 300)
    store = make(tmp_path)
    assert [*store.records()] == manifests.load(store.path).shards


def test_summaries_are_of_the_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = make(tmp_path)
    whole = manifests.load(store.path).shards
    found = [*TokenStore(store.path).summaries()]
    assert [*map(type, found)] == [manifests.ShardSummary] * len(whole)
    for summary, record in zip(found, whole, strict=True):
        for name in ("tokens", "documents", "max_id", "bad_documents", "mask_tokens"):
            assert getattr(summary, name) == getattr(record, name)
        assert [(span.path, span.size) for span in summary.inputs] == [
            (span.path, span.size) for span in record.inputs
        ]
    main(["info", str(store.path), "--json"])
    with_index = json.loads(capsys.readouterr().out)
    _ = store.manifest  # read whole
    assert [*store.summaries()] == whole
    assert with_index["inputs"] == 1
    assert with_index["input_bytes"] == (tmp_path / "a.txt").stat().st_size
    content = (store.path / manifests.MANIFEST).read_text()
    record = f'"tokens": {whole[2].tokens}'
    at = content.index(record, content.index('"shards": ') + 1)
    damaged = content[:at] + record[:-1] + "9" + content[at + len(record) :]
    (store.path / manifests.MANIFEST).write_text(damaged if damaged != content else content[::-1])
    with pytest.raises(InvalidStore, match="counts are not those of the index"):
        [*TokenStore(store.path).summaries()]


def test_a_short_manifest_has_no_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexes, "HEAD_BYTES", 1 << 16)
    store = make(tmp_path)
    assert not [*store.path.glob("*.index")]
    assert manifests.load(store.path).version == 2


@pytest.mark.parametrize("version", [1, 2])
def test_a_long_manifest_of_an_older_version_is_read_whole(tmp_path: Path, version: Any) -> None:
    store = make(tmp_path)
    plain = msgspec.structs.replace(store.manifest, version=version, index=msgspec.UNSET)
    expected = store[:].tolist()
    only_index(store.path).unlink()
    for content in (manifests.encode(plain), msgspec.json.encode(plain)):
        (store.path / "manifest.json").write_bytes(content)
        older = TokenStore(store.path)
        assert older.head is older.manifest
        assert older[:].tolist() == expected
        assert verify(older).tokens == len(expected)
    more = make(tmp_path, TEXTS[:5], "b.txt", append=True)
    assert more.num_documents == len(TEXTS) + 5
    assert [*more.records()][: store.num_shards] == plain.shards


def test_damage_to_an_index_is_refused_by_name(tmp_path: Path) -> None:
    path = make(tmp_path).path
    index = only_index(path)
    content = index.read_bytes()
    rng = random.Random(SEED)
    flips = [rng.randrange(8 * len(content)) for _ in range(60)]
    damaged = [
        content[: bit // 8] + bytes([content[bit // 8] ^ 1 << bit % 8]) + content[bit // 8 + 1 :]
        for bit in flips
    ]
    damaged += [content[:size] for size in range(0, len(content), 17)] + [content + b"\0"]
    for bad in damaged:
        index.write_bytes(bad)
        with pytest.raises(InvalidStore, match=r"manifest-00000\.index: not the index that the"):
            TokenStore(path)
    index.unlink()
    with pytest.raises(InvalidStore, match=r"manifest-00000\.index: missing"):
        TokenStore(path)
    os.mkfifo(index)
    index.unlink()
    index.mkdir()
    with pytest.raises((InvalidStore, IsADirectoryError)):
        TokenStore(path)


def test_an_index_that_contradicts_its_manifest_is_refused(tmp_path: Path) -> None:
    """Also where its checksum is right: its numbers become offsets of files."""
    path = make(tmp_path).path
    index, manifest = only_index(path), path / "manifest.json"
    content, whole = index.read_bytes(), manifests.load(path)
    count = len(whole.shards)
    rng = random.Random(SEED)
    for _ in range(200):
        numbers = np.frombuffer(content[64 : 64 + 24 * (count + 1)], "<u8").copy()
        numbers[rng.randrange(len(numbers))] = rng.choice([0, 1, 1 << 40, (1 << 64) - 1])
        bad = content[:64] + numbers.tobytes() + content[64 + numbers.nbytes :]
        index.write_bytes(bad)
        record = manifests.IndexRecord(index.name, len(bad), indexes.sha256(bad).hexdigest())
        manifest.write_bytes(manifests.encode(msgspec.structs.replace(whole, index=record)))
        if bad == content:
            continue
        with pytest.raises(InvalidStore, match=str(path)):
            verify(path)


def test_a_manifest_cut_short_is_refused_at_once_and_other_damage_by_verify(tmp_path: Path) -> None:
    path = make(tmp_path).path
    manifest = path / "manifest.json"
    content = manifest.read_bytes()
    for size in range(0, len(content), 97):
        manifest.write_bytes(content[:size])
        with pytest.raises(InvalidStore, match=r"manifest\.json"):
            TokenStore(path)
    rng = random.Random(SEED)
    for _ in range(150):
        bad = bytearray(content)
        bit = rng.randrange(8 * len(bad))
        bad[bit // 8] ^= 1 << bit % 8
        manifest.write_bytes(bad)
        with pytest.raises(InvalidStore):
            verify(path)


def test_files_are_checked_when_they_are_first_used(tmp_path: Path) -> None:
    path = make(tmp_path).path
    expected = TokenStore(path)[:].tolist()
    (path / "shard-00001.bin").write_bytes(b"short")
    (path / "shard-00002.ends").unlink()
    store = TokenStore(path)
    assert store[0] == expected[0]
    with pytest.raises(InvalidStore, match=r"shard-00001\.bin: 5 bytes, but the manifest says"):
        _ = store[:]
    with pytest.raises(InvalidStore, match=r"shard-00002\.ends: missing, though"):
        store.document(store.document_starts[2])
    with pytest.raises(InvalidStore, match=r"shard-00001\.bin"):
        verify(store)


def test_few_files_stay_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_MAPPED", 3)
    store = make(tmp_path)
    for _ in range(2):
        assert len([store.document(number) for number in range(len(TEXTS))]) == len(TEXTS)
        assert sum(each is not None for each in [*store._tokens, *store._ends]) <= 3
    assert len(store[:]) == store.num_tokens
    assert sum(each is not None for each in [*store._tokens, *store._ends]) <= 3
    first = store.shard_ids(0)
    _ = store[:]
    assert store[: len(first)].tolist() == first.tolist()


def test_a_reader_keeps_its_store_while_another_one_appends(tmp_path: Path) -> None:
    store, fresh = make(tmp_path), TokenStore(tmp_path / "store")
    ids, records = store[:].tolist(), manifests.load(store.path).shards
    more = make(tmp_path, TEXTS[:7], "b.txt", append=True)
    assert only_index(store.path).name == f"manifest-{store.num_shards:05d}.index"
    assert [*fresh.records()] == records == fresh.manifest.shards
    assert fresh[:].tolist() == ids == more[: len(ids)].tolist()
    assert verify(fresh).tokens == len(ids)
    assert verify(more).tokens == more.num_tokens > len(ids)
    assert pickle.loads(pickle.dumps(more)).num_tokens == more.num_tokens
    with pytest.raises(InvalidStore, match="another store than the one that was sent"):
        pickle.loads(pickle.dumps(fresh))


def test_a_reader_never_mixes_two_stores(tmp_path: Path) -> None:
    make(tmp_path)
    store = TokenStore(tmp_path / "store")
    _ = store[0]
    make(tmp_path, TEXTS[::-1], overwrite=True)
    assert store[0] is not None
    with pytest.raises(InvalidStore, match="describes other shards"):
        _ = store[-1]
    with pytest.raises(InvalidStore, match="describes other shards"):
        _ = [*store.records()]


def test_a_state_of_the_store_before_an_append_is_refused_in_words(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    options: dict[str, Any] = {"batch_size": 2, "max_length": 8}
    before = fastprep.create_dataloader(make(tmp_path), **options)
    state = before.state_dict()
    assert len(json.dumps(state)) < 1024
    again = fastprep.create_dataloader(tmp_path / "store", **options)
    again.load_state_dict(state)
    make(tmp_path, TEXTS[:7], "b.txt", append=True)
    loader = fastprep.create_dataloader(tmp_path / "store", **options)
    with pytest.raises(WrongState, match="was appended to since the state was saved"):
        loader.load_state_dict(state)
    with pytest.raises(IdOutOfRange, match="shard 0 has the id 50256, but vocab_size is 50000"):
        fastprep.WindowDataset(tmp_path / "store", 8, vocab_size=50_000)


def test_exports_and_imports_of_a_store_with_an_index(tmp_path: Path) -> None:
    store = make(tmp_path)
    export_store(store, format="nanogpt", output=tmp_path / "out")
    assert np.fromfile(tmp_path / "out" / "train.bin", "<u2").tolist() == store[:].tolist()
    files = sorted(store.path.glob("*.bin"))
    made = import_tokens(
        [str(path) for path in files],
        tmp_path / "in",
        encoding="gpt2",
        format="nanogpt",
        progress=False,
    )
    assert made.manifest.index
    assert made[:].tolist() == store[:].tolist()


@pytest.mark.skipif(sys.platform != "linux", reason="needs fork")
@pytest.mark.parametrize(
    ("kind", "settings"),
    [(crashes.Crash, {}), (crashes.Appending, {"validation": 0.3}), (crashes.Replacing, {})],
)
def test_the_store_is_whole_after_a_crash_at_any_step(kind: Any, settings: dict[str, Any]) -> None:
    for found in crashes.at_every_step(SEED, 1, kind, **settings):
        assert found.cases
        assert not found.differing, found


def test_both_manifests_have_their_index_while_one_replaces_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of the directory before each step is a whole store, the old or the new one."""
    from fastprep.system import atomic

    store = make(tmp_path)
    sizes = {store.num_tokens}
    copies: list[Path] = []

    def copy(step: str, path: Path) -> None:
        if path.suffix in (".json", ".index") or "manifest" in path.name:
            copies.append(Path(shutil.copytree(store.path, tmp_path / f"copy-{len(copies)}")))

    monkeypatch.setattr(atomic, "before", copy)
    sizes.add(make(tmp_path, TEXTS[:7], "b.txt", append=True).num_tokens)
    monkeypatch.undo()
    monkeypatch.setattr(indexes, "HEAD_BYTES", 1 << 10)
    assert len(copies) > 8
    assert {verify(path).tokens for path in copies} == sizes


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_a_rank_asks_for_what_its_own_windows_touch(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    store = make(tmp_path, TEXTS * 8)
    assert store.num_shards > 40
    options: dict[str, Any] = {"batch_size": 2, "max_length": 8, "mmap": False, "prefetch": 0}
    fastprep.create_dataloader(range(100), **options)  # all imports
    log = tmp_path / "calls"
    # PR_SET_PTRACER: a child may trace this process.
    ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(2**64 - 1), 0, 0, 0)
    kinds = "trace=file,read,pread64,getdents64,fstat,mmap"
    with subprocess.Popen(
        ["strace", "-f", "-y", "-e", kinds, "-o", log, "-p", str(os.getpid())],
        stderr=subprocess.PIPE,
    ) as tracer:
        assert tracer.stderr is not None
        attached = b"attached" in tracer.stderr.readline()
        if attached:
            next(iter(fastprep.create_dataloader(store.path, rank=3, world_size=16, **options)))
        tracer.terminate()
    if not attached:
        pytest.skip("strace may not trace here")
    calls = [line for line in log.read_text().splitlines() if str(store.path) in line]
    shards = [line for line in calls if "shard-" in line]
    touched = {
        word[:11] for line in shards for word in line.split("/") if word.startswith("shard-")
    }
    assert 1 <= len(touched) <= 4  # of a batch of two windows
    assert len(calls) - len(shards) <= 20, calls
    assert not [line for line in calls if "getdents64" in line]
    read = [line for line in calls if "read" in line.partition("(")[0] and "shard-" not in line]
    sizes = [int(line.rsplit("= ", 1)[1]) for line in read]
    assert 28 * store.num_shards < sum(sizes) <= 32 * store.num_shards + (3 << 10)


def test_a_run_over_a_trillion_tokens_resumes_anywhere(tmp_path: Path) -> None:
    """The files are sparse, with ids only where they are read."""
    pytest.importorskip("torch")
    shards, tokens = 4, 1 << 38
    plain = make(tmp_path).manifest
    path = tmp_path / "large"
    path.mkdir()
    record = manifests.ShardRecord(tokens, 1, 0, [0] * (tokens >> 23), [0], [])
    for index in range(shards):
        for kind, size in (("bin", 2 * tokens), ("ends", 8)):
            with (path / f"shard-{index:05d}.{kind}").open("wb") as file:
                file.truncate(size)
    indexes.write_manifest(
        path,
        msgspec.structs.replace(
            plain, shards=[record] * shards, tokens=shards * tokens, documents=shards
        ),
    )
    options: dict[str, Any] = {"batch_size": 1, "max_length": 64, "mmap": False, "prefetch": 0}
    loader = fastprep.create_dataloader(path, **options)
    state = loader.state_dict()
    assert len(json.dumps(state)) <= 1024
    for position in (0, 1, loader.sampler.length // 3, loader.sampler.length - 1):
        (window,) = loader.sampler.order().take(range(position, position + 1))
        start = 64 * window
        ids = np.arange(position % 1000, position % 1000 + 65, dtype="<u2")
        with (path / f"shard-{start // tokens:05d}.bin").open("r+b") as file:
            file.seek(2 * (start % tokens))
            file.write(ids.tobytes())
        resumed = fastprep.create_dataloader(path, **options)
        resumed.load_state_dict({**state, "position": position})
        inputs, targets = next(iter(resumed))
        assert inputs.tolist() == [ids[:-1].tolist()]
        assert targets.tolist() == [ids[1:].tolist()]


def test_a_store_at_a_url_has_its_index_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fsspec")
    monkeypatch.setenv("FASTPREP_CACHE", str(tmp_path / "cache"))
    local = make(tmp_path)
    url = "memory://indexed/store"
    options: dict[str, Any] = {"shard_bytes": 400, "progress": False}
    for _ in range(2):
        made = prepare(tmp_path / "a.txt", url, **options)
        assert only_index(made.path).read_bytes() == only_index(local.path).read_bytes()
        assert verify(made).documents == len(TEXTS)
        shutil.rmtree(tmp_path / "cache")
        store = TokenStore(url)
        assert not store.head.shards
        assert store[-5:].tolist() == local[-5:].tolist()
        assert verify(store).documents == len(TEXTS)
    prepare(tmp_path / "a.txt", url, overwrite=True, **{**options, "shard_bytes": 1 << 20})
    assert TokenStore(url).num_shards == 1
