"""Windows in order: large reads of files that are not mapped, and the read-ahead of the kernel."""

from __future__ import annotations

import os
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastprep
from fastprep.windows import tokens as token_sources
from fastprep_ext.windows import TokenShards, read_ahead


@pytest.fixture
def store(tmp_path: Path) -> fastprep.TokenStore:
    text = "".join(
        f"Document {n} has some words.\n" * (n % 7 + 1) + "<|endoftext|>" for n in range(900)
    )
    (tmp_path / "a.txt").write_text(text)
    return fastprep.prepare(
        tmp_path / "a.txt", tmp_path / "store", shard_bytes=20_000, progress=False
    )


@pytest.mark.parametrize(
    ("layout", "length", "stride"),
    [("sliding", 64, 16), *product(("sliding", "documents", "packed"), (5, 64, 3000), (None,))],
)
def test_batches_in_order_are_equal_however_files_are_read(
    store: fastprep.TokenStore, layout: Any, length: int, stride: int | None
) -> None:
    options: dict[str, Any] = {"shuffle": False, "layout": layout, "drop_last": False}
    made = [
        [batch for pair in fastprep.create_dataloader(
            store, batch_size=size, max_length=length, stride=stride, mmap=mapped, **options
        ) for batch in zip(*pair, strict=True)]
        for mapped in (True, False)
        for size in (1, 6)
    ]  # fmt: skip
    assert len(made[0]) > 3
    for other in made[1:]:
        assert len(other) == len(made[0])
        assert all(
            bool((x == a).all() and (y == b).all())
            for (x, y), (a, b) in zip(made[0], other, strict=True)
        )


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="files are not evicted here")
@pytest.mark.parametrize("ahead", [0, 8 << 20])
def test_batches_do_not_depend_on_what_the_kernel_reads_ahead(
    store: fastprep.TokenStore, ahead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_sources, "read_ahead", lambda path: ahead)
    for file in store.directory.glob("*.bin"):
        with file.open("rb") as opened:
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    loader = fastprep.create_dataloader(store, batch_size=4, max_length=32, shuffle=False)
    ids = np.concatenate([inputs.numpy().ravel() for inputs, _ in loader])
    assert np.array_equal(ids, np.asarray(store)[: len(ids)])


def test_what_the_kernel_reads_ahead_is_read_from_the_system(tmp_path: Path) -> None:
    assert read_ahead(b"/a/path/that/is/not/there") == 0
    found = read_ahead(os.fsencode(tmp_path))
    assert found >= 0
    assert found % 1024 == 0
    assert TokenShards([np.arange(3)], read_ahead=found).num_tokens == 3


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="reads are not counted here")
def test_a_document_of_a_cold_store_is_read_without_its_neighbours(tmp_path: Path) -> None:
    text = "Some words of a document. " * 40
    (tmp_path / "a.txt").write_text(f"{text}<|endoftext|>" * 20_000)
    store = fastprep.prepare(tmp_path / "a.txt", tmp_path / "store", progress=False)
    if not read_ahead(os.fsencode(store.directory)):
        return  # a file system in memory
    whole = sum(file.stat().st_size for file in store.directory.glob("*.bin"))
    for file in store.directory.iterdir():
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    again = fastprep.TokenStore(store.directory)
    before = _bytes_read()
    for number in (19_000, 3, 12_000, 7_000):
        assert again.text(number).startswith(text)
    assert _bytes_read() - before < whole // 8


def _bytes_read() -> int:
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("read_bytes"))
