"""Stores that are read from the disk: the same batches by every way of reading, and typed errors."""

from __future__ import annotations

import itertools
import json
import os
import pickle
import shutil
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference.batches import block_order

torch = pytest.importorskip("torch")

import fastprep  # noqa: E402
from fastprep import Mixture, TokenStore, WindowDataset, create_dataloader  # noqa: E402
from fastprep.errors import InvalidStore, InvalidWindow, UnknownOption, WrongState  # noqa: E402
from fastprep.jobs.job import encoding_record  # noqa: E402
from fastprep.store import manifest as manifests  # noqa: E402
from fastprep.windows import tokens as token_sources  # noqa: E402
from fastprep_ext.windows import Order, TokenShards, on_network  # noqa: E402

# torch warns of two workers on one core, and Python 3.12 of a fork while threads run.
pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]

SIZES = (1700, 0, 3, 4093, 2500)  # tokens per shard
DOCUMENT = 37


def make_store(path: Path, dtype: str, sizes: tuple[int, ...] = SIZES) -> np.ndarray[Any, Any]:
    """Write a store with these shards, and return its ids."""
    path.mkdir()
    encoding = fastprep.get_encoding("gpt2" if dtype == "uint16" else "o200k_base")
    rng = np.random.default_rng(len(dtype))
    parts, records = [], []
    for index, size in enumerate(sizes):
        ids = rng.integers(0, encoding.n_vocab - 300, size).astype(dtype)
        ends = np.array([*range(DOCUMENT, size, DOCUMENT), *([size] if size else [])], "<u8")
        (path / f"shard-{index:05d}.bin").write_bytes(ids.tobytes())
        (path / f"shard-{index:05d}.ends").write_bytes(ends.tobytes())
        parts.append(ids)
        records.append(
            manifests.ShardRecord(
                tokens=size,
                documents=len(ends),
                max_id=int(ids.max()) if size else None,
                bin_crc32=[zlib.crc32(ids.tobytes())] if size else [],
                ends_crc32=[zlib.crc32(ends.tobytes())] if size else [],
                inputs=[],
            )
        )
    manifest = manifests.Manifest(
        format="fastprep token store",
        version=1,
        dtype=dtype,
        n_vocab=encoding.n_vocab,
        encoding=encoding_record(encoding),
        end_token=None,
        separator=None,
        field="text",
        unicode_version=manifests.UNICODE_VERSION,
        tokens=sum(sizes),
        documents=sum(record.documents for record in records),
        shards=records,
    )
    (path / manifests.MANIFEST).write_bytes(manifests.encode(manifest))
    return np.concatenate(parts)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("cold")
    for dtype in ("uint16", "uint32"):
        make_store(directory / dtype, dtype)
    return {dtype: directory / dtype for dtype in ("uint16", "uint32")}


@pytest.fixture(params=["maps", "cold maps", "pread", "network", "itself"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool | None:
    """Return the option mmap. Windows are read cold until 256 of them need no disk, or always."""
    if request.param == "cold maps":
        monkeypatch.setattr(
            token_sources,
            "TokenShards",
            lambda *a, **options: TokenShards(*a, **{**options, "on_network": True}),
        )
    if request.param == "network":
        monkeypatch.setattr(token_sources, "on_network", lambda path: True)
    return {"maps": True, "cold maps": True, "pread": False}.get(request.param)


def batches(loader: Any) -> list[Any]:
    """Return the batches of an epoch as lists."""
    return [
        {name: value.tolist() for name, value in batch.items() if hasattr(value, "tolist")}
        if isinstance(batch, dict)
        else [tensor.tolist() for tensor in batch]
        for batch in loader
    ]


def in_memory(path: Path) -> Any:
    """Return the ids of a store in memory, and where its documents end."""
    store = TokenStore(path)
    return np.array(store[:]), np.array(store.document_ends, np.int64)


@pytest.mark.parametrize(
    ("dtype", "shuffle"), [("uint16", True), ("uint32", "blocks"), ("uint16", False)]
)
@pytest.mark.parametrize(
    "form",
    [
        {"max_length": 7, "stride": 5, "pad_last": True},
        {"max_length": 8, "position_ids": True, "document_ids": True},
        {"max_length": 40, "layout": "filled"},
        {"max_length": 24, "layout": "packed"},
        {"max_length": 24, "layout": "documents"},
    ],
)
def test_every_way_of_reading_makes_the_batches_of_ids_in_memory(
    stores: dict[str, Path], dtype: str, form: Any, shuffle: Any, way: bool | None
) -> None:
    ids, ends = in_memory(stores[dtype])
    more: Any = {
        "batch_size": 3, "seed": 4, "shuffle": shuffle, "drop_last": False,
        "shuffle_block_tokens": 64, "shuffle_buffer_tokens": 640,
    }  # fmt: skip
    expected: Any
    if form.get("layout") == "packed":  # shard by shard
        expected = create_dataloader(stores[dtype], prefetch=0, **form, **more)
    else:
        expected = create_dataloader(ids, document_ends=ends, prefetch=0, **form, **more)
    for prefetch, epoch in ((0, 0), (2, 1)):
        expected.set_epoch(epoch)
        loader = create_dataloader(
            stores[dtype], prefetch=prefetch, epoch=epoch, mmap=way, **form, **more
        )
        assert batches(loader) == batches(expected)


@pytest.mark.parametrize("shuffle", [True, "blocks"])
def test_mixtures_ranks_and_resumption_by_every_way(
    stores: dict[str, Path], tmp_path: Path, shuffle: Any, way: bool | None
) -> None:
    more: Any = {
        "max_length": 6, "seed": 9, "shuffle": shuffle, "shuffle_block_tokens": 60,
        "shuffle_buffer_tokens": 300,
    }  # fmt: skip
    make_store(tmp_path / "other", "uint16", (900, 800))
    mixture = Mixture({stores["uint16"]: 3, tmp_path / "other": 1})
    arrays = Mixture([(in_memory(stores["uint16"])[0], 3), (in_memory(tmp_path / "other")[0], 1)])
    expected = batches(create_dataloader(arrays, batch_size=20, prefetch=0, **more))
    whole = create_dataloader(mixture, batch_size=20, mmap=way, **more)
    assert batches(whole) == expected
    rows = [row for batch in expected for row in batch[0]]
    first = [
        create_dataloader(mixture, batch_size=5, rank=rank, world_size=4, mmap=way, **more)
        for rank in range(4)
    ]
    iterators = [iter(loader) for loader in first]
    steps = [[next(each)[0].tolist() for each in iterators] for _ in range(7)]
    assert [row for step in steps for batch in step for row in batch] == rows[:140]
    state = json.loads(json.dumps(first[2].state_dict()))
    resumed = create_dataloader(mixture, batch_size=10, mmap=way, **more)
    resumed.load_state_dict(state)
    assert [row for batch in batches(resumed) for row in batch[0]] == rows[140:]


def test_workers_and_single_samples_by_every_way(stores: dict[str, Path], way: bool | None) -> None:
    ids, _ = in_memory(stores["uint16"])
    dataset = WindowDataset(stores["uint16"], 10, mmap=way)
    assert dataset[5][0].tolist() == ids[50:60].tolist()
    assert pickle.loads(pickle.dumps(dataset))[169][0].tolist() == ids[1690:1700].tolist()
    options: Any = {"batch_size": 50, "shuffle": "blocks"}
    expected = batches(create_dataloader(ids, max_length=10, **options))
    options["multiprocessing_context"] = "fork"
    assert batches(create_dataloader(dataset, num_workers=1, **options)) == expected


@pytest.mark.parametrize("size", [1, 2, 9, 10, 11, 59, 60, 61, 119, 120, 121, 250, 1000])
@pytest.mark.parametrize(("block", "group"), [(1, 1), (1, 7), (10, 6), (7, 1), (2000, 3)])
def test_blocks_are_shuffled_as_the_reference_does(size: int, block: int, group: int) -> None:
    for epoch in (0, 3):
        order = Order([size], seed=8, epoch=epoch, block=block, group=group)
        found = order.take(range(size))
        assert found == block_order(size, 8, epoch, min(block, size), group)
        assert sorted(found) == [*range(size)]
        assert order.take(range(size // 2, size, 3)) == found[size // 2 :: 3]


def test_windows_together_come_from_the_blocks_of_one_buffer() -> None:
    found = Order([100_000], seed=3, block=100, group=20).take(range(4_000))
    for part in (found[:2_000], found[2_000:]):
        # A block starts at any window.
        first = sorted(part)
        stretches = 1 + sum(b != a + 1 for a, b in itertools.pairwise(first))
        assert stretches <= 21
        assert len({window // 1000 for window in part[:64]}) > 10


def test_a_huge_order_in_blocks_starts_at_once_anywhere() -> None:
    order = Order([1 << 40], seed=3, block=4096, group=64)
    found = order.take(range((1 << 40) - 5, 1 << 40))
    assert len({*found}) == 5
    assert max(found) < 1 << 40


def test_options_of_the_shuffle_are_checked(stores: dict[str, Path]) -> None:
    def make(**options: Any) -> Any:
        return create_dataloader(stores["uint16"], batch_size=2, max_length=8, **options)

    with pytest.raises(UnknownOption, match="must be True, False or 'blocks'"):
        make(shuffle="block")
    with pytest.raises(InvalidWindow, match="less than one block of 100"):
        make(shuffle="blocks", shuffle_block_tokens=100, shuffle_buffer_tokens=99)
    for name in ("shuffle_block_tokens", "shuffle_buffer_tokens"):
        with pytest.raises(InvalidWindow, match=name):
            make(shuffle="blocks", **{name: 0})


def test_the_state_of_another_shuffle_is_refused(stores: dict[str, Path]) -> None:
    def make(**options: Any) -> Any:
        return create_dataloader(stores["uint16"], batch_size=2, max_length=8, **options)

    blocks: Any = {"shuffle": "blocks", "shuffle_block_tokens": 80, "shuffle_buffer_tokens": 400}
    state = make(**blocks).state_dict()
    assert state["fingerprint"]["shuffle"] == "blocks of 10 windows, 5 together"
    make(**blocks).load_state_dict(state)
    for other in ({}, {**blocks, "shuffle_buffer_tokens": 480}):
        with pytest.raises(WrongState, match="shuffle: 'blocks of 10 windows, 5 together'"):
            make(**other).load_state_dict(state)


def test_a_store_decides_how_it_is_read(
    stores: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stores["uint16"]
    assert not on_network(os.fsencode(path))
    assert not on_network(b"/a/path/that/is/not/there")
    assert token_sources.TokenSource(path).mapped
    monkeypatch.setattr(token_sources, "MAX_MAPPED_SHARDS", len(SIZES) - 1)
    assert not token_sources.TokenSource(path).mapped
    assert token_sources.TokenSource(path, mmap=True).mapped
    monkeypatch.undo()
    monkeypatch.setattr(token_sources, "on_network", lambda path: True)
    source = token_sources.TokenSource(path)
    assert not source.mapped
    assert not pickle.loads(pickle.dumps(source)).mapped
    assert token_sources.TokenSource(path, mmap=True).mapped
    assert token_sources.TokenSource(np.arange(9)).mapped


@pytest.fixture
def doomed(tmp_path: Path) -> Path:
    make_store(tmp_path / "doomed", "uint16", (4000, 4000))
    return tmp_path / "doomed"


@pytest.mark.parametrize("prefetch", [0, 3])
@pytest.mark.parametrize("shuffle", [True, "blocks"])
def test_a_file_that_shrinks_while_it_is_read_is_named(
    doomed: Path, way: bool | None, prefetch: int, shuffle: Any
) -> None:
    loader = create_dataloader(
        doomed, batch_size=4, max_length=8, prefetch=prefetch, shuffle=shuffle, mmap=way,
        shuffle_block_tokens=160, shuffle_buffer_tokens=1600,
    )  # fmt: skip
    iterator = iter(loader)
    next(iterator)
    os.truncate(doomed / "shard-00001.bin", 0)
    with pytest.raises(InvalidStore, match=r"shard-00001\.bin: cannot be read"):
        list(iterator)


def test_a_file_that_is_removed_while_it_is_read_is_still_read(
    doomed: Path, way: bool | None
) -> None:
    ids, _ = in_memory(doomed)
    loader = create_dataloader(doomed, batch_size=4, max_length=8, mmap=way)
    expected = batches(create_dataloader(ids, batch_size=4, max_length=8))
    iterator = iter(loader)
    first = [tensor.tolist() for tensor in next(iterator)]
    shutil.rmtree(doomed)
    assert [first, *batches(iterator)] == expected


FAILING_PREAD = """
#define _GNU_SOURCE
#define getrusage hidden
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#undef getrusage
static int calls;
ssize_t pread64(int file, void *out, size_t size, off64_t at) {
    if (getenv("FAIL")) { errno = EIO; return -1; }
    return syscall(SYS_pread64, file, out, size, at);
}
int getrusage(int who, struct rusage *used) { /* the disk is always read */
    int status = syscall(SYS_getrusage, who, used);
    used->ru_inblock += ++calls;
    return status;
}
ssize_t pread(int file, void *out, size_t size, off_t at) { return pread64(file, out, size, at); }
"""


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_a_disk_that_fails_while_reads_are_in_flight_is_an_error(
    tmp_path: Path, doomed: Path
) -> None:
    (tmp_path / "fail.c").write_text(FAILING_PREAD)
    library = tmp_path / "fail.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, tmp_path / "fail.c"], check=True)
    program = """
        import os, sys
        import fastprep
        for mmap in (None, False):
            loader = fastprep.create_dataloader(sys.argv[1], batch_size=4, max_length=8, mmap=mmap)
            os.environ.pop("FAIL", None)
            iterator = iter(loader)
            next(iterator)
            os.environ["FAIL"] = "1"
            try:
                list(iterator)
            except fastprep.errors.InvalidStore as error:
                assert "shard-0000" in str(error) and "cannot be read" in str(error), error
                print("named")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(doomed)],
        env={**os.environ, "LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["named", "named"]


SLOW_CLOCK = """
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
long slow, asked;
int clock_gettime(clockid_t kind, struct timespec *now) { /* a second per call */
    int status = syscall(SYS_clock_gettime, kind, now);
    if (slow) now->tv_sec += slow++;
    return status;
}
int posix_fadvise(int file, long offset, long count, int advice) { return asked++, 0; }
int posix_fadvise64(int file, long offset, long count, int advice) { return asked++, 0; }
"""


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_a_hot_store_that_becomes_slow_is_requested_within_a_batch(tmp_path: Path) -> None:
    """A batch is read cold after its first 8 rows if they took long."""
    make_store(tmp_path / "store", "uint16", (20000,))
    (tmp_path / "slow.c").write_text(SLOW_CLOCK)
    library = tmp_path / "slow.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, tmp_path / "slow.c"], check=True)
    program = """
        import ctypes, sys
        import fastprep
        library = ctypes.CDLL(sys.argv[2])
        slow, asked = (ctypes.c_long.in_dll(library, name) for name in ("slow", "asked"))
        loader = fastprep.create_dataloader(sys.argv[1], batch_size=32, max_length=8, prefetch=0)
        batches, counts = [], []
        for number, (inputs, _) in enumerate(loader):
            batches += inputs.tolist()
            counts.append(asked.value)
            asked.value = 0
            slow.value = int(number == 50)
        assert counts[0] > 32, counts  # its own, and those of the next batches
        assert sum(counts[30:51] + counts[52:]) == 0, counts
        assert counts[51] == 32 - 8, counts
        ids = [*fastprep.TokenStore(sys.argv[1])[:]]
        loader = fastprep.create_dataloader(ids, batch_size=32, max_length=8, prefetch=0)
        assert batches == [row for inputs, _ in loader for row in inputs.tolist()]
    """
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "store"), str(library)],
        env={**os.environ, "LD_PRELOAD": str(library)},
        check=True,
    )
