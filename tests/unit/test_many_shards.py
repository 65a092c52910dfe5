"""Stores of many shards: no file descriptor is kept per shard; files are opened at their first use."""

from __future__ import annotations

import os
import pickle
import resource
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastprep
from fastprep import TokenStore, create_dataloader, export_store, verify
from fastprep.errors import InvalidStore
from fastprep.jobs.job import encoding_record
from fastprep.store import manifest as manifests
from fastprep.store import reader
from fastprep.windows import tokens as token_sources
from fastprep_ext.windows import DocumentEnds

torch = pytest.importorskip("torch")

SHARDS, PER_SHARD = 150, 20


def make_store(path: Path, *, seed: int = 0, shards: int = SHARDS) -> np.ndarray[Any, Any]:
    """Write a store of small shards of two documents each, and return its ids."""
    path.mkdir()
    ids = np.random.default_rng(seed).integers(0, 50256, (shards, PER_SHARD)).astype("<u2")
    ends = np.array([PER_SHARD // 2, PER_SHARD], "<u8")
    ids[:, ends.astype(int) - 1] = 50256
    records = []
    for index, row in enumerate(ids):
        (path / f"shard-{index:05d}.bin").write_bytes(row.tobytes())
        (path / f"shard-{index:05d}.ends").write_bytes(ends.tobytes())
        records.append(
            manifests.ShardRecord(
                tokens=PER_SHARD,
                documents=2,
                max_id=50256,
                bin_crc32=[zlib.crc32(row.tobytes())],
                ends_crc32=[zlib.crc32(ends.tobytes())],
                inputs=[],
            )
        )
    manifest = manifests.Manifest(
        format="fastprep token store",
        version=1,
        dtype="uint16",
        n_vocab=50257,
        encoding=encoding_record(fastprep.get_encoding("gpt2")),
        end_token=50256,
        separator=None,
        field="text",
        unicode_version=manifests.UNICODE_VERSION,
        tokens=ids.size,
        documents=2 * shards,
        shards=records,
    )
    (path / manifests.MANIFEST).write_bytes(manifests.encode(manifest))
    return ids.ravel()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray[Any, Any]]:
    path = tmp_path_factory.mktemp("many") / "store"
    return path, make_store(path)


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    """Leave this process 100 more descriptors: fewer than there are shards."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(int(path.name) for path in Path("/dev/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 100, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(params=["checked when opened", "opened on demand"])
def when(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "opened on demand":
        monkeypatch.setattr(reader, "_MAX_CHECKED_SHARDS", 0)
    return str(request.param)


def windows(tokens: Any, **options: Any) -> list[list[int]]:
    loader = create_dataloader(tokens, batch_size=4, max_length=32, drop_last=False, **options)
    return sorted(inputs.tolist() for batch in loader for inputs in batch[0])


@pytest.mark.usefixtures("few_descriptors", "when")
def test_no_descriptor_is_kept_per_shard(made: Any, tmp_path: Path) -> None:
    path, ids = made
    store = TokenStore(path)
    before = len([*Path("/dev/fd").iterdir()])
    assert np.array_equal(store[:], ids)
    assert np.array_equal(store.document_ends, np.arange(1, 2 * SHARDS + 1) * 10)
    assert len(store.shards) == SHARDS
    assert verify(store).tokens == ids.size
    assert len([*Path("/dev/fd").iterdir()]) == before
    export_store(store, format="nanogpt", output=tmp_path / "out")
    assert np.array_equal(np.fromfile(tmp_path / "out" / "train.bin", "<u2"), ids)
    assert np.array_equal(pickle.loads(pickle.dumps(store))[:], ids)


@pytest.mark.usefixtures("few_descriptors", "when")
@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("as_path", [True, False])
def test_loaders_read_more_shards_than_descriptors(made: Any, mmap: bool, as_path: bool) -> None:
    path, ids = made
    expected = sorted(ids[start : start + 32].tolist() for start in range(0, len(ids) - 32, 32))
    tokens = path if as_path else TokenStore(path)
    assert windows(tokens, mmap=mmap, seed=3) == expected
    assert windows(tokens, mmap=mmap, num_workers=1, prefetch=0) == expected
    form: Any = {"batch_size": 3, "max_length": 32, "mmap": mmap, "drop_last": False}
    marked = create_dataloader(tokens, document_ids=True, **form)
    assert sum(len(batch["document_ids"]) for batch in marked) == len(expected)
    packed = create_dataloader(tokens, layout="packed", **form)
    assert sum(int((targets >= 0).sum()) for _, targets in packed) == SHARDS * 2 * 9


def mapped_ends(path: Path) -> int:
    """Return how many files of document ends of a store are mapped."""
    maps = Path("/proc/self/maps")
    if not maps.exists():
        return 0
    return sum(
        f"{path}/" in line and line.endswith(".ends") for line in maps.read_text().split("\n")
    )


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("max_open", [1, 3, 1000])
@pytest.mark.parametrize("length", [7, 64])
def test_few_document_ends_are_mapped_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mmap: bool, max_open: int, length: int
) -> None:
    """Also while a thread marks documents, and of rows of more shards than stay open."""
    path = tmp_path / "store"
    make_store(path, shards=40)
    form: Any = {
        "batch_size": 3, "max_length": length, "stride": 5, "drop_last": False, "mmap": mmap,
        "document_ids": True, "position_ids": True, "cu_seqlens": True, "mask_targets": True,
    }  # fmt: skip
    expected = [*create_dataloader(path, **form)]
    del form["mmap"]
    monkeypatch.setattr(reader, "_MAX_CHECKED_SHARDS", 0)
    monkeypatch.setattr(reader, "MAX_MAPPED", 2)
    monkeypatch.setattr(
        token_sources, "DocumentEnds", lambda *a: DocumentEnds(*a, max_open=max_open)
    )
    before = mapped_ends(path)
    for prefetch in (0, 3):
        loader = create_dataloader(path, prefetch=prefetch, mmap=mmap, **form)
        assert mapped_ends(path) <= before
        highest = 0
        for batch, other in zip(loader, expected, strict=True):
            highest = max(highest, mapped_ends(path))
            assert batch.keys() == other.keys()
            for name, value in batch.items():
                assert torch.equal(torch.as_tensor(value), torch.as_tensor(other[name])), name
        # Those of a row, of the store, and those that were dropped while they were read.
        assert highest - before <= max(max_open, 5) + 2 + 3 or max_open == 1000
        del loader


@pytest.mark.parametrize("layout", ["packed", "documents", "filled"])
def test_documents_are_planned_with_few_maps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    path = tmp_path / "store"
    make_store(path, shards=40)
    monkeypatch.setattr(reader, "_MAX_CHECKED_SHARDS", 0)
    monkeypatch.setattr(reader, "MAX_MAPPED", 2)
    dataset = fastprep.WindowDataset(path, 8, layout=layout)
    assert len(dataset) > 40
    assert mapped_ends(path) <= 3


def test_damaged_document_ends_are_found_when_they_are_first_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store"
    make_store(path, shards=3)
    monkeypatch.setattr(reader, "_MAX_CHECKED_SHARDS", 0)
    dataset = fastprep.WindowDataset(path, 5, document_ids=True)
    (path / "shard-00001.ends").write_bytes(b"short")
    assert dataset[0]["document_ids"].tolist() == [0] * 5
    with pytest.raises(InvalidStore, match=r"shard-00001\.ends: 5 bytes"):
        dataset[5]
    np.array([30, 40], "<u8").tofile(path / "shard-00002.ends")
    with pytest.raises(fastprep.errors.FastprepError, match="ends at token 40, but there are 20"):
        dataset[10]


@pytest.mark.usefixtures("few_descriptors", "when")
def test_views_of_more_shards_than_descriptors(made: Any) -> None:
    path, ids = made
    loader = create_dataloader(path, batch_size=1, max_length=8, shuffle=False, dtype="store")
    batches = [(inputs, targets) for inputs, targets in loader]
    assert np.array_equal(
        torch.cat([inputs[0] for inputs, _ in batches]).numpy(), ids[:-1][: 8 * len(batches)]
    )
    batches[0][0][:] = 1  # does not reach the file
    assert np.array_equal(TokenStore(path)[:8], ids[:8])


def test_a_store_of_many_shards_is_opened_without_a_look_at_each_file(
    made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_MAX_CHECKED_SHARDS", SHARDS - 1)
    looked: list[Any] = []
    stat = os.stat
    monkeypatch.setattr(os, "stat", lambda path, **more: looked.append(path) or stat(path, **more))
    store = TokenStore(made[0])
    dataset = fastprep.WindowDataset(store, 8)
    assert not [path for path in looked if "shard" in os.fspath(path)]
    assert dataset[0][0].tolist() == made[1][:8].tolist()
    assert [index for index, ids in enumerate(store._tokens) if ids is not None] == [0]


@pytest.mark.parametrize("mmap", [True, False])
def test_damage_is_found_when_a_shard_is_first_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mmap: bool
) -> None:
    monkeypatch.setattr(reader, "_MAX_CHECKED_SHARDS", 0)
    path = tmp_path / "store"
    make_store(path, shards=3)
    (path / "shard-00001.bin").write_bytes(b"short")
    store = TokenStore(path)
    dataset = fastprep.WindowDataset(store, 5, mmap=mmap)
    assert len(dataset[0][0]) == 5
    for read in (
        lambda: store[:],
        lambda: dataset[5],
        lambda: list(create_dataloader(dataset, batch_size=11)),
    ):
        with pytest.raises(
            InvalidStore, match=r"shard-00001\.bin: 5 bytes, but the manifest says 40"
        ):
            read()
    (path / "shard-00002.bin").unlink()
    with pytest.raises(InvalidStore, match=r"shard-00002\.bin: missing"):
        _ = dataset[10]
    with pytest.raises(InvalidStore, match=r"shard-00002\.bin: missing"):
        TokenStore(path)


@pytest.mark.parametrize("mmap", [True, False])
def test_shards_of_another_store_are_never_mixed_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mmap: bool
) -> None:
    monkeypatch.setattr(reader, "_MAX_CHECKED_SHARDS", 0)
    path = tmp_path / "store"
    ids = make_store(path, shards=3)
    dataset = fastprep.WindowDataset(path, 5, mmap=mmap)
    assert dataset[0][0].tolist() == ids[:5].tolist()
    manifest = path / manifests.MANIFEST
    content = manifest.read_bytes()
    manifest.unlink()  # as a job that overwrites begins
    with pytest.raises(InvalidStore, match="replaced or removed since it was opened"):
        _ = dataset[5]
    manifest.write_bytes(content)  # the same store, restored
    assert dataset[5][0].tolist() == ids[25:30].tolist()
    shutil.rmtree(path)
    make_store(path, seed=1, shards=3)
    with pytest.raises(InvalidStore, match="describes other shards"):
        _ = dataset[10]


def test_a_small_store_outlives_its_files(tmp_path: Path) -> None:
    ids = make_store(tmp_path / "store", shards=3)
    dataset = fastprep.WindowDataset(tmp_path / "store", 5)
    shutil.rmtree(tmp_path / "store")
    assert dataset[10][0].tolist() == ids[50:55].tolist()


def test_a_relative_path_stays_valid_in_another_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = make_store(tmp_path / "store", shards=2)
    monkeypatch.chdir(tmp_path)
    store = TokenStore("store")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert np.array_equal(store[:], ids)
    assert store.path == tmp_path / "store"


def test_a_directory_that_is_gone_is_not_to_be_overwritten(tmp_path: Path) -> None:
    make_store(tmp_path / "store", shards=2)
    store = TokenStore(tmp_path / "store")
    (tmp_path / "store").rename(tmp_path / "moved")
    with pytest.raises(InvalidStore, match="open the store where it is now") as caught:
        _ = store[:]
    assert "overwrite" not in str(caught.value)


def test_opening_reads_no_more_than_the_manifest_has(tmp_path: Path) -> None:
    make_store(tmp_path / "store", shards=2)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = (
        int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self").exists() else 0
    )
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (256 << 20), hard))
    try:
        assert TokenStore(tmp_path / "store").num_tokens == 40
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
