"""The loader of a training loop: batches, resuming, pickling and errors."""

from __future__ import annotations

import contextlib
import gc
import itertools
import json
import os
import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from reference import batches as reference  # noqa: E402
from torch.utils.data import DataLoader, DistributedSampler  # noqa: E402

from fastprep.errors import (  # noqa: E402
    IdOutOfRange,
    InvalidStore,
    InvalidWindow,
    WrongState,
)
from fastprep.jobs.prepare import prepare  # noqa: E402
from fastprep.training.batch import collate_windows  # noqa: E402
from fastprep.training.dataset import WindowDataset  # noqa: E402
from fastprep.training.loader import WindowLoader, create_dataloader  # noqa: E402
from fastprep.training.sampler import WindowSampler  # noqa: E402
from fastprep.windows.mixture import Mixture  # noqa: E402
from fastprep.windows.tokens import TokenSource  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]


@pytest.fixture
def mapped(tmp_path: Path) -> np.memmap:
    """Two thousand ids in a mapped file."""
    path = tmp_path / "ids.bin"
    np.random.default_rng(3).integers(0, 50257, 2000).astype(np.uint16).tofile(path)
    return np.memmap(path, np.uint16, "r")


def plain(batches: Any) -> list[Any]:
    return [[tensor.tolist() for tensor in batch] for batch in batches]


def windows(batches: Any) -> list[int]:
    """Return the numbers of these windows, of ids 0, 1, 2, ... with max_length 10."""
    return [row[0] // 10 for inputs, _ in batches for row in inputs.tolist()]


# ---- batches -----------------------------------------------------------------------


@pytest.mark.parametrize("prefetch", [0, 1, 2, 5])
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, "store"])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("mmap", [True, False])
def test_batches_are_the_windows_in_the_order_of_the_reference(
    mapped: np.memmap, prefetch: int, dtype: Any, shuffle: bool, mmap: bool
) -> None:
    loader = create_dataloader(
        mapped, batch_size=7, max_length=31, stride=17, seed=9, shuffle=shuffle,
        prefetch=prefetch, dtype=dtype, mmap=mmap, drop_last=False,
    )  # fmt: skip
    ids = mapped.tolist()
    count = len(loader.dataset)
    order = reference.epoch_order(count, 9, 0) if shuffle else list(range(count))
    batches = list(loader)
    assert len(batches) == len(loader)
    assert [len(inputs) for inputs, _ in batches[:-1]] == [7] * (len(batches) - 1)
    assert [row for inputs, _ in plain(batches) for row in inputs] == [
        ids[w * 17 : w * 17 + 31] for w in order
    ]
    assert [row for _, targets in plain(batches) for row in targets] == [
        ids[w * 17 + 1 : w * 17 + 32] for w in order
    ]
    for batch in batches:
        assert type(batch) is list
        for tensor in batch:
            assert tensor.dtype == (torch.uint16 if dtype == "store" else dtype)
            assert tensor.is_contiguous()


def test_a_batch_that_is_kept_is_never_written_again(mapped: np.memmap) -> None:
    loader = create_dataloader(mapped, batch_size=3, max_length=20)
    kept, copies = [], []
    for inputs, targets in loader:
        kept.append((inputs[1:], targets.view(-1)[5:]))  # views keep the memory as well
        copies.append((inputs[1:].clone(), targets.view(-1)[5:].clone()))
    assert len(kept) == len(loader)
    for views, values in zip(kept, copies, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(views, values, strict=True))


def test_memory_is_used_again_when_a_batch_is_gone() -> None:
    loader = create_dataloader(range(20000), batch_size=4, max_length=10)
    assert len({inputs.data_ptr() for inputs, _ in loader}) <= 8


def test_unshuffled_batches_of_the_stores_dtype_are_views_of_the_file(mapped: np.memmap) -> None:
    loader = create_dataloader(mapped, batch_size=4, max_length=25, shuffle=False, dtype="store")
    batches = list(loader)
    first = batches[0][0].data_ptr()
    for k, (inputs, targets) in enumerate(batches):
        assert inputs.data_ptr() == first + k * 4 * 25 * 2
        assert targets.data_ptr() == inputs.data_ptr() + 2
        assert inputs.is_contiguous()
    batches[0][0][0] = 1  # copy on write: neither a crash nor a change of the file
    assert mapped[0] == np.fromfile(mapped.filename, np.uint16)[0] != 1
    copied = create_dataloader(mapped, batch_size=4, max_length=25, shuffle=False)
    assert plain(copied) == plain(
        create_dataloader(mapped, batch_size=4, max_length=25, shuffle=False, dtype="store")
    )


def test_views_give_way_to_copies_where_windows_cross_shards(tmp_path: Path) -> None:
    for k in range(3):
        (tmp_path / f"{k}.txt").write_text("words in a text " * 30)
    texts = [tmp_path / f"{k}.txt" for k in range(3)]
    store = prepare(texts, tmp_path / "store", workers=1, shard_bytes=100, progress=False)
    assert len(store.shards) > 2
    for drop_last, size in itertools.product((True, False), (1, 2, 3)):
        options: Any = {"batch_size": size, "max_length": 9, "drop_last": drop_last}
        views = create_dataloader(store, shuffle=False, dtype="store", **options)
        assert plain(views) == plain(create_dataloader(store, shuffle=False, **options))


@pytest.mark.parametrize("context", ["fork", "spawn", "forkserver"])
def test_workers_of_every_start_method_yield_the_same(tmp_path: Path, context: str) -> None:
    (tmp_path / "text.txt").write_text("words in a text, and more of them " * 99)
    store = prepare(tmp_path / "text.txt", tmp_path / "store", workers=1, progress=False)
    options: Any = {"batch_size": 5, "max_length": 8, "seed": 2}
    one = create_dataloader(store, **options)
    many = create_dataloader(
        store, num_workers=2, multiprocessing_context=context, persistent_workers=True, **options
    )
    for _ in range(2):
        assert plain(many) == plain(one)
        assert many.epoch == one.epoch
    assert many.epoch == 2


def test_a_pickled_loader_or_dataset_is_small(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("words in a text, and more of them<|endoftext|>" * 99)
    store = prepare(tmp_path / "text.txt", tmp_path / "store", workers=1, progress=False)
    for options in ({}, {"layout": "packed", "position_ids": True}, {"mmap": False}):
        loader = create_dataloader(store, batch_size=5, max_length=8, **options)  # type: ignore[arg-type]
        parcel = pickle.dumps(loader.dataset)
        assert len(parcel) <= 4096
        again = create_dataloader(pickle.loads(parcel), batch_size=5)
        assert all(
            torch.equal(a[k], b[k])
            for a, b in zip(loader, again, strict=True)
            for k in (a if isinstance(a, dict) else range(2))
        )


def test_twenty_billion_windows_start_at_once_without_memory(tmp_path: Path) -> None:
    path = tmp_path / "sparse.bin"
    with path.open("wb") as file:
        file.truncate(2 * (20 * 10**9 + 64))
    loader = create_dataloader(
        np.memmap(path, np.uint16, "r"), batch_size=4, max_length=64, stride=1
    )
    assert len(loader.dataset) == 20 * 10**9
    inputs, _ = next(iter(loader))
    assert not inputs.any()
    assert len(pickle.dumps(loader.dataset)) <= 4096


# ---- order and state -------------------------------------------------------------------------


@pytest.mark.parametrize("drop_last", [True, False])
@pytest.mark.parametrize(
    ("count", "size", "ranks"), [(97, 3, 5), (64, 4, 4), (10, 7, 3), (5, 2, 7)]
)
@pytest.mark.filterwarnings("ignore:.*windows on 7 ranks:UserWarning")
def test_every_window_comes_once_an_epoch_over_all_ranks(
    count: int, size: int, ranks: int, drop_last: bool
) -> None:
    if drop_last and count < size * ranks:
        with pytest.raises(InvalidWindow, match=f"{count} windows make no batch"):
            create_dataloader(
                range(count * 10 + 1), batch_size=size, max_length=10, rank=0, world_size=ranks
            )
        return
    for epoch in range(3):
        loaders = [
            create_dataloader(
                range(count * 10 + 1), batch_size=size, max_length=10, seed=1, epoch=epoch,
                rank=rank, world_size=ranks, drop_last=drop_last,
            )
            for rank in range(ranks)
        ]  # fmt: skip
        found = sorted(w for loader in loaders for w in windows(loader))
        whole = count // (size * ranks) * size * ranks
        assert len(found) == len(set(found)) == (whole if drop_last else count)
        if drop_last:
            assert len({len(loader) for loader in loaders}) == 1


def test_epochs_follow_each_other_and_differ() -> None:
    loader = create_dataloader(range(301), batch_size=3, max_length=10)
    epochs = [windows(loader) for _ in range(3)]
    assert loader.epoch == 3
    assert len({tuple(e) for e in epochs}) == 3
    loader.set_epoch(1)
    assert windows(loader) == epochs[1]
    next(iter(loader))
    assert loader.epoch == 2
    assert windows(loader) == epochs[2]  # a break does not end the epoch
    loader.sampler.set_epoch(0)  # as Lightning does
    assert windows(loader) == epochs[0]
    with pytest.raises(InvalidWindow, match="epoch is -1"):
        loader.set_epoch(-1)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_run_resumes_after_any_batch(workers: int) -> None:
    options: Any = {"batch_size": 3, "max_length": 10, "seed": 5, "drop_last": False}
    make = lambda **more: create_dataloader(range(201), **{**options, **more})  # noqa: E731
    whole = windows(make())
    loader = make(num_workers=workers)
    for step, _ in enumerate(loader, 1):
        if workers and step % 3:
            continue
        state = json.loads(json.dumps(loader.state_dict()))
        resumed = make(prefetch=4, dtype=torch.int32)
        resumed.load_state_dict(state)
        assert resumed.state_dict() == state
        assert windows(resumed) == whole[3 * step :]
        assert (resumed.epoch, resumed.position) == (1, 0)
    assert (loader.epoch, loader.position) == (1, 0)


@pytest.mark.parametrize("drop_last", [True, False])
@pytest.mark.filterwarnings("ignore:.*windows on 7 ranks:UserWarning")
def test_run_of_8_ranks_resumes_with_any_other_number(drop_last: bool) -> None:
    def make(rank: int, ranks: int, size: int) -> WindowLoader:
        return create_dataloader(
            range(5031), batch_size=size, max_length=10, seed=5, rank=rank, world_size=ranks,
            drop_last=drop_last,
        )  # fmt: skip

    for steps in (1, 7, 20):
        done, states = [], []
        for rank in range(8):
            loader = make(rank, 8, 3)
            done += windows(itertools.islice(loader, steps))
            states.append(loader.state_dict())
        assert all(state == states[0] for state in states)
        for ranks, size in [(4, 3), (16, 3), (1, 24), (7, 1), (3, 5)]:
            rest = []
            for rank in range(ranks):
                loader = make(rank, ranks, size)
                loader.load_state_dict(states[0])
                rest += windows(loader)
            together = done + rest
            assert len(set(together)) == len(together)
            assert len(together) == 503 if not drop_last else 503 - len(together) < ranks * size


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_may_be_chosen_until_the_first_batch(workers: int) -> None:
    def make() -> Any:
        return create_dataloader(range(301), batch_size=3, max_length=10, num_workers=workers)

    loader = make()
    whole = [windows(loader) for _ in range(4)]
    loader = make()
    loader.load_state_dict({**loader.state_dict(), "epoch": 1, "position": 12})
    batches = iter(loader)
    loader.set_epoch(2)  # Lightning does this between the two
    first = windows([next(batches)])
    assert (loader.epoch, loader.position) == (2, 3)
    loader.set_epoch(3)
    assert first + windows(batches) == whole[2]
    assert windows(loader) == whole[3]


def test_state_counts_yielded_not_prefetched_batches() -> None:
    loader = create_dataloader(range(1001), batch_size=2, max_length=10, prefetch=16)
    batches = iter(loader)
    assert loader.position == 0
    next(batches)
    assert loader.position == 2
    next(batches)
    assert loader.state_dict()["position"] == 4


def test_a_state_of_other_tokens_or_another_order_is_refused(mapped: np.memmap) -> None:
    options: Any = {"batch_size": 2, "max_length": 10, "stride": 5, "seed": 1}
    state = create_dataloader(mapped, **options).state_dict()
    for name, other in [("max_length", 11), ("stride", 4), ("seed", 2), ("shuffle", False)]:
        loader = create_dataloader(mapped, **{**options, name: other})
        with pytest.raises(WrongState, match=name):
            loader.load_state_dict(state)
    changed = np.array(mapped)
    changed[0] += 1
    with pytest.raises(WrongState, match="tokens"):
        create_dataloader(changed, **options).load_state_dict(state)
    loader = create_dataloader(mapped, **options)
    for bad in (None, {}, {"version": 1}, {**state, "version": 2}, {**state, "position": -1},
                {**state, "epoch": "0"}):  # fmt: skip
        with pytest.raises(WrongState):
            loader.load_state_dict(bad)  # type: ignore[arg-type]


def test_state_of_other_document_ends_is_refused() -> None:
    def make(*ends: int) -> Any:
        return create_dataloader(
            range(101), batch_size=2, max_length=10, layout="packed", document_ends=ends
        )

    state = make(30, 60, 101).state_dict()
    make(30, 60, 101).load_state_dict(state)
    with pytest.raises(WrongState, match="layout: 'packed by ends"):
        make(30, 61, 101).load_state_dict(state)


def test_a_mixture_resumes_and_reports_the_epochs_of_its_sources() -> None:
    mixture = Mixture([(range(0, 1001), 3), (range(2000, 2101), 1)], num_windows=60)
    options: Any = {"batch_size": 4, "max_length": 10, "seed": 3}
    loader = create_dataloader(mixture, **options)
    whole = [windows(loader) for _ in range(3)]
    for epoch in whole:
        assert [sum(w < 200 for w in epoch), sum(w >= 200 for w in epoch)] == [45, 15]
    assert loader.source_epochs() == [1.35, 4.5]
    loader.set_epoch(1)
    batches = iter(loader)
    seen = windows([next(batches), next(batches)])
    resumed = create_dataloader(mixture, num_workers=1, **options)
    resumed.load_state_dict(loader.state_dict())
    assert seen + windows(resumed) == whole[1]
    other = create_dataloader(Mixture([(range(0, 1001), 2), (range(2000, 2101), 1)]), **options)
    with pytest.raises(WrongState, match="shares"):
        other.load_state_dict(loader.state_dict())


# ---- with torch's own ----------------------------------------------------------------------


def test_torchs_samplers_accept_a_dataset(mapped: np.memmap) -> None:
    dataset = WindowDataset(mapped, 20)
    parts = [
        list(
            DataLoader(
                dataset, 4, collate_fn=collate_windows,
                sampler=DistributedSampler(dataset, 3, rank, shuffle=True, drop_last=True),
            )
        )
        for rank in range(3)
    ]  # fmt: skip
    rows = [tuple(row) for part in parts for inputs, _ in part for row in inputs.tolist()]
    assert len(set(rows)) == len(rows) == len(dataset) // 3 * 3


def test_the_sampler_gives_a_plain_dataloader_the_loaders_order(mapped: np.memmap) -> None:
    dataset = WindowDataset(mapped, 20)
    ours = create_dataloader(dataset, batch_size=4, seed=8)
    theirs = DataLoader(
        dataset, 4, sampler=WindowSampler(dataset, 4, seed=8), collate_fn=collate_windows
    )
    assert plain(theirs) == plain(ours)
    assert plain(DataLoader(dataset, batch_sampler=ours.batch_sampler)) != plain(theirs)
    ours.set_epoch(0)
    batches = DataLoader(dataset, batch_sampler=ours.batch_sampler, collate_fn=collate_windows)
    assert plain(batches) == plain(theirs)


@pytest.mark.filterwarnings("ignore:.*deprecated")  # a warning of torchdata about torch
@pytest.mark.parametrize("workers", [0, 2])
def test_torchdatas_loader_saves_and_resumes_the_sampler(mapped: np.memmap, workers: int) -> None:
    stateful = pytest.importorskip("torchdata.stateful_dataloader")
    dataset = WindowDataset(mapped, 20)

    def make() -> Any:
        return stateful.StatefulDataLoader(
            dataset, 4, sampler=WindowSampler(dataset, 4, seed=8), collate_fn=collate_windows,
            num_workers=workers,
        )  # fmt: skip

    whole = plain(make())
    loader = make()
    for step, _ in enumerate(loader, 1):
        if step in (1, 5, 20):
            resumed = make()
            resumed.load_state_dict(loader.state_dict())
            assert plain(resumed) == whole[step:]


@pytest.mark.filterwarnings("ignore:.*deprecated")
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("chosen", [None, 2])
def test_finished_epoch_does_not_restart_in_torchdatas_loader(
    mapped: np.memmap, workers: int, chosen: int | None
) -> None:
    stateful = pytest.importorskip("torchdata.stateful_dataloader")
    dataset = WindowDataset(mapped, 50)

    def make() -> Any:
        sampler = WindowSampler(dataset, 4, seed=8, epoch=1)
        loader = stateful.StatefulDataLoader(
            dataset, 4, sampler=sampler, collate_fn=collate_windows, num_workers=workers
        )
        return sampler, loader

    _, loader = make()
    plain(loader)
    sampler, resumed = make()
    resumed.load_state_dict(loader.state_dict())
    if chosen is not None:
        sampler.set_epoch(chosen)
    expected = plain(create_dataloader(dataset, batch_size=4, seed=8, epoch=2))
    assert plain(resumed) == expected


def test_accelerate_accepts_the_loader(mapped: np.memmap) -> None:
    accelerate = pytest.importorskip("accelerate")
    loader = create_dataloader(mapped, batch_size=4, max_length=20)
    prepared = accelerate.Accelerator(cpu=True).prepare(loader)
    assert plain(prepared) == plain(create_dataloader(mapped, batch_size=4, max_length=20))


@pytest.mark.filterwarnings("ignore")
def test_grain_reads_a_dataset_as_a_random_access_source(mapped: np.memmap) -> None:
    grain = pytest.importorskip("grain.python")
    dataset = WindowDataset(mapped, 20)
    assert isinstance(dataset, grain.RandomAccessDataSource)
    rows = list(grain.MapDataset.source(dataset).map(lambda sample: sample[0].tolist()))
    assert rows == [x.tolist() for x, _ in dataset]


# ---- threads, processes, faults --------------------------------------------------------------


def test_many_loaders_in_many_threads_do_not_disturb_each_other(mapped: np.memmap) -> None:
    expected = plain(create_dataloader(mapped, batch_size=2, max_length=10))
    found: list[Any] = []

    def read() -> None:
        for _ in range(5):
            found.append(plain(create_dataloader(mapped, batch_size=2, max_length=10, prefetch=3)))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 40
    assert all(batches == expected for batches in found)


def test_iterator_continues_in_a_forked_process(mapped: np.memmap) -> None:
    loader = create_dataloader(mapped, batch_size=2, max_length=10, prefetch=4)
    batches = iter(loader)
    next(batches)
    expected = plain(create_dataloader(mapped, batch_size=2, max_length=10))[1:]
    child = os.fork()
    if child == 0:
        os._exit(0 if plain(batches) == expected else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert plain(batches) == expected


def memory() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    raise AssertionError


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_ten_thousand_epochs_leak_nothing(mapped: np.memmap) -> None:
    loader = create_dataloader(mapped, batch_size=2, max_length=100)

    def epochs(count: int) -> None:
        for k in range(count):
            batches = iter(loader)
            next(batches)
            if k % 2:
                for _ in batches:
                    pass
            del batches

    epochs(500)
    gc.collect()
    descriptors, before = len(list(Path("/proc/self/fd").iterdir())), memory()
    epochs(10000)
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
    assert len(list(Path("/proc/self/task").iterdir())) < 40
    assert memory() - before < 4 << 20


@pytest.mark.parametrize("prefetch", [0, 2])
@pytest.mark.parametrize("mmap", [True, False])
def test_a_file_that_shrank_is_an_error_not_a_crash(
    tmp_path: Path, prefetch: int, mmap: bool
) -> None:
    path = tmp_path / "ids.bin"
    np.arange(100_000, dtype=np.uint16).tofile(path)
    ids = np.memmap(path, np.uint16, "r")
    loader = create_dataloader(
        ids, batch_size=2, max_length=1000, shuffle=False, prefetch=prefetch, mmap=mmap
    )
    batches = iter(loader)
    next(batches)
    os.truncate(path, 4096)
    with pytest.raises(InvalidStore, match=r"ids\.bin: cannot be read"):
        list(batches)
    with pytest.raises(InvalidStore, match=r"ids\.bin: cannot be read"):
        loader.dataset[90]


def test_files_that_are_read_are_closed_even_after_modules_are_gone(
    mapped: np.memmap, monkeypatch: pytest.MonkeyPatch
) -> None:
    already = _descriptors_of(mapped.filename)
    source = TokenSource(mapped, mmap=False)
    assert len(_descriptors_of(mapped.filename) - already) == 1
    monkeypatch.setattr("fastprep.windows.tokens.os", None)  # as when the interpreter ends
    del source
    gc.collect()
    monkeypatch.undo()
    assert _descriptors_of(mapped.filename) == already


def _descriptors_of(name: str) -> set[str]:
    """Return the descriptors of this process that are of a file: a memory map has one."""
    found = set()
    for path in Path("/dev/fd").iterdir():
        with contextlib.suppress(OSError):  # the descriptor of the listing
            if path.samefile(name):
                found.add(path.name)
    return found


def test_a_file_that_vanished_is_still_read(mapped: np.memmap) -> None:
    expected = plain(create_dataloader(mapped, batch_size=2, max_length=10))
    for mmap in (True, False):
        loader = create_dataloader(mapped, batch_size=2, max_length=10, mmap=mmap)
        if not mmap:
            Path(mapped.filename).unlink()
        assert plain(loader) == expected


def test_ids_are_checked_against_the_models_vocabulary(mapped: np.memmap, tmp_path: Path) -> None:
    largest = int(mapped.max())
    options: Any = {"batch_size": 4, "max_length": 10, "drop_last": False}
    assert len(list(create_dataloader(mapped, vocab_size=largest + 1, **options))) == 50
    for prefetch in (0, 2):
        loader = create_dataloader(mapped, vocab_size=largest, prefetch=prefetch, **options)
        with pytest.raises(IdOutOfRange, match=f"is {largest}, but ids must be below {largest}"):
            list(loader)
    (tmp_path / "text.txt").write_text("some text")
    store = prepare(tmp_path / "text.txt", tmp_path / "store", workers=1, progress=False)
    with pytest.raises(IdOutOfRange, match="shard 0 has the id 50256"):
        create_dataloader(store, batch_size=1, max_length=2, vocab_size=50256)
    wide = np.array([1, 2**31, 3], np.uint32)
    with pytest.raises(IdOutOfRange, match="position 1 is 2147483648"):
        list(create_dataloader(wide, batch_size=1, max_length=2, dtype=torch.int32))


def test_wrong_options_are_refused(mapped: np.memmap) -> None:
    for options, message in [
        ({"max_length": 4, "batch_size": 0}, "batch_size is 0"),
        ({"max_length": 4, "prefetch": -1}, "prefetch is -1"),
        ({"max_length": 4, "rank": 0}, "go together"),
        ({"max_length": 4, "rank": "0", "world_size": 2}, "rank is .0."),
        ({"max_length": 4, "seed": 1.5}, "seed is 1.5"),
        ({"max_length": 4, "seed": -1}, "seed is -1"),
        ({"max_length": 4, "epoch": "1"}, "epoch is .1."),
        ({"max_length": 4, "dtype": torch.float32}, "dtype must be"),
        ({}, "max_length is missing"),
    ]:
        with pytest.raises(InvalidWindow, match=message):
            create_dataloader(mapped, **{"batch_size": 1, **options})  # type: ignore[arg-type]
    dataset = WindowDataset(mapped, 4)
    own: dict[str, Any] = {"dtype": torch.int32, "layout": "packed", "stride": 2, "vocab_size": 9}
    for name, value in {"max_length": 4, **own}.items():
        with pytest.raises(InvalidWindow, match=f"its own {name}; .*pass none here"):
            create_dataloader(dataset, batch_size=1, **{name: value})
    whole = WindowDataset(mapped, 4, dtype=torch.int32)
    assert len(create_dataloader(whole, batch_size=1, dtype=torch.int32)) == len(whole)
    if not torch.cuda.is_available():
        with pytest.raises(InvalidWindow, match="needs CUDA"):
            create_dataloader(mapped, batch_size=1, max_length=4, pin_memory=True)
