"""Stretches that threads read ahead of use: in order, and in blocks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from disk_requests import requests_of

torch = pytest.importorskip("torch")

from fastprep import create_dataloader  # noqa: E402
from fastprep.errors import InvalidStore  # noqa: E402
from fastprep.windows import tokens as token_sources  # noqa: E402
from fastprep_ext.windows import (  # noqa: E402
    BatchMaker,
    GatheredRows,
    Order,
    Prefetcher,
    TokenShards,
)

LENGTH = 1000
BLOCK = 1 << 18  # tokens: 512 KiB
OPTIONS: dict[str, Any] = {
    "max_length": LENGTH,
    "batch_size": 8,
    "seed": 3,
    "drop_last": False,
    "shuffle_block_tokens": BLOCK,
    "shuffle_buffer_tokens": 3 * BLOCK,
}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stretches") / "ids.bin"
    np.random.default_rng(1).integers(0, 50_000, 3_000_000, np.uint16).tofile(path)
    return path


@pytest.fixture(params=["kernel", "readers"])
def always_cold(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read as from a disk, also what is in the page cache; with and without the kernel's read-ahead."""
    ahead = 8 << 20 if request.param == "kernel" else 0
    monkeypatch.setattr(
        token_sources,
        "TokenShards",
        lambda *a, **options: TokenShards(
            *a, **{**options, "on_network": True, "read_ahead": ahead}
        ),
    )


def mapped(file: Path) -> np.memmap[Any, np.dtype[np.uint16]]:
    return np.memmap(file, np.uint16, "r")


@pytest.mark.usefixtures("always_cold")
@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize(
    "more",
    [
        {"shuffle": False},
        {"shuffle": False, "stride": 600, "pad_last": True},
        {"shuffle": False, "rank": 1, "world_size": 2},
        {"shuffle": "blocks"},
        {"shuffle": "blocks", "stride": 1400, "rank": 0, "world_size": 2},
    ],
)
def test_batches_are_those_of_ids_in_memory(file: Path, more: Any, mmap: bool) -> None:
    ids = mapped(file)
    found = create_dataloader(ids, mmap=mmap, **OPTIONS, **more)
    expected = create_dataloader(np.array(ids), **OPTIONS, **more)
    assert len(found) == len(expected) > 9
    for (x, y), (a, b) in zip(found, expected, strict=True):
        assert torch.equal(x, a)
        assert torch.equal(y, b)


@pytest.mark.usefixtures("always_cold")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("shuffle", [False, "blocks"])
def test_a_forked_process_reads_on_without_the_threads(file: Path, shuffle: Any) -> None:
    batches = iter(create_dataloader(mapped(file), shuffle=shuffle, **OPTIONS))
    for _ in range(20):
        next(batches)
    here, there = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(there, str(sum(int(x.sum()) for x, _ in batches)).encode())
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0
    assert int(os.read(here, 100)) == sum(int(x.sum()) for x, _ in batches)
    os.close(here)
    os.close(there)


@pytest.mark.usefixtures("always_cold")
@pytest.mark.parametrize("shuffle", [False, "blocks"])
def test_a_file_that_is_cut_while_it_is_read_ahead_is_named(
    file: Path, tmp_path: Path, shuffle: Any
) -> None:
    path = tmp_path / "cut.bin"
    shutil.copy(file, path)
    batches = iter(create_dataloader(mapped(path), shuffle=shuffle, **OPTIONS))
    next(batches)
    os.truncate(path, 0)
    with pytest.raises(InvalidStore, match=r"cut\.bin: cannot be read"):
        list(batches)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
@pytest.mark.parametrize("shuffle", [False, "blocks"])
def test_stretches_are_requested_whole_and_once(file: Path, tmp_path: Path, shuffle: Any) -> None:
    program = f"""
        import sys
        import numpy as np
        from fastprep import create_dataloader
        from fastprep.windows import tokens
        from fastprep_ext.windows import TokenShards
        tokens.TokenShards = lambda *a, **k: TokenShards(
            *a, **{{**k, "on_network": True, "read_ahead": 0}}
        )
        ids = np.memmap(sys.argv[1], np.uint16, "r")
        for _ in create_dataloader(ids, shuffle={shuffle!r}, mmap=False, **{OPTIONS!r}):
            pass
    """
    asked = requests_of(program, file, tmp_path)
    requests = asked[asked[:, 2] > 256 << 10, 1:]
    times = np.zeros(file.stat().st_size, int)
    for offset, count in requests:
        times[offset : offset + count] += 1
    # How many are requested, and not read before, depends on the threads.
    assert len(requests)
    if shuffle:
        whole = BLOCK // LENGTH * LENGTH * 2 + 2
        assert (requests[:, 1] != whole).sum() <= 2  # parts of the block at the end and the start
        assert (times > 1).sum() <= 2 * len(requests)  # two blocks share a token
    else:
        assert len(requests) < 4
        assert (times <= 1).all()


def prefetched(
    shards: list[np.ndarray[Any, Any]],
    opened: list[tuple[int, bool]],
    broken: int | None = None,
    threads: int = 0,
) -> Iterator[list[int]]:
    """Yield the first ids of the windows of each batch, of shards opened when they are wanted."""
    ahead = False

    def open_shard(number: int) -> Any:
        opened.append((number, ahead))
        if number == broken:
            raise InvalidStore("broken")
        return shards[number], None

    tokens = TokenShards(
        [shards[0][:0]], [*map(len, shards)], open_shard, in_files=True, on_network=True
    )
    rows = sum(map(len, shards)) // LENGTH - 1
    maker = BatchMaker([GatheredRows(tokens, rows, LENGTH)], LENGTH)
    order = Order([rows], seed=1, block=100, group=2)
    prefetcher: Any = Prefetcher(maker, order, threads, 4)
    try:
        for first in range(0, rows - 3, 4):
            memory = np.empty((2, 4, LENGTH), np.int64)
            prefetcher.submit(
                range(first, first + 4),
                (memory.ctypes.data, memory[1].ctypes.data, 0, 0, 0),
                memory,
            )
            found, _, _ = prefetcher.take()
            yield found[0, :, 0].tolist()
            ahead = True
            if prefetcher.wants_open:
                with suppress(InvalidStore):
                    prefetcher.open_wanted()
            ahead = False
    finally:
        prefetcher.stop()


@pytest.mark.parametrize("threads", [0, 2])
def test_shards_are_opened_before_their_blocks_are_due(threads: int) -> None:
    shards = np.split(np.arange(2_000_000, dtype=np.uint32), 20)
    opened: list[tuple[int, bool]] = []
    starts = [start for batch in prefetched(shards, opened, threads=threads) for start in batch]
    assert len(starts) == len(set(starts)) == 1996
    assert all(start % LENGTH == 0 for start in starts)
    assert len(opened) == len({number for number, _ in opened}) == 20
    # All but those of the first group, of whose blocks the first batches have windows; how soon threads
    # request a block is not known.
    assert threads or sum(ahead for _, ahead in opened) >= 15


def test_a_shard_that_cannot_be_opened_is_an_error_once_it_is_due() -> None:
    shards = np.split(np.arange(2_000_000, dtype=np.uint32), 20)
    all_opened: list[tuple[int, bool]] = []
    expected = list(prefetched(shards, all_opened))
    last = all_opened[-1][0]
    due = next(
        number
        for number, batch in enumerate(expected)
        if any(start // 100_000 == last or (start + LENGTH) // 100_000 == last for start in batch)
    )
    opened: list[tuple[int, bool]] = []
    found: list[list[int]] = []
    with pytest.raises(InvalidStore, match="broken"):
        found.extend(prefetched(shards, opened, broken=last))
    assert found == expected[:due]
