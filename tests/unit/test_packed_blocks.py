"""Packed rows of stores with many documents: planned block by block, with nothing lost or used twice."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from disk_requests import requests_of
from reference.batches import block_order

from fastprep import Mixture, TokenStore, WindowDataset, create_dataloader, prepare
from fastprep.errors import InvalidStore, WrongState
from fastprep.windows import blocks
from fastprep.windows.blocks import BlockRows
from fastprep_ext.windows import BatchMaker, GatheredRows, Order, Prefetcher, TokenShards

torch = pytest.importorskip("torch")

LENGTH = 8
PACKED: dict[str, Any] = {"max_length": LENGTH, "layout": "packed"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    directory = tmp_path_factory.mktemp("blocks")
    rng = np.random.default_rng(5)
    texts = [
        " ".join(f"w{number}x{k}" for k in range(size))
        for number, size in enumerate(rng.integers(1, 9, 160))
    ]
    texts[7] = texts[70] = "long " * 60
    (directory / "a.txt").write_text("<|endoftext|>".join(texts))
    return prepare(directory / "a.txt", directory / "store", shard_bytes=500, progress=False)


@pytest.fixture
def in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "MAX_WHOLE", 100)
    monkeypatch.setattr(blocks, "MIN_DOCUMENTS", 12)
    monkeypatch.setattr(blocks, "MIXED", 3)


def pairs(batches: Iterator[Any]) -> list[tuple[int, int]]:
    """Return the pairs of input and target of all batches that are not padding."""
    found = []
    for inputs, targets in batches:
        for one, other in zip(inputs.flatten().tolist(), targets.flatten().tolist(), strict=True):
            if other >= 0:
                found.append((one, other))
    return sorted(found)


def expected_pairs(store: TokenStore) -> list[tuple[int, int]]:
    documents = [store.document(number).tolist() for number in range(store.num_documents)]
    return sorted(pair for ids in documents for pair in itertools.pairwise(ids))


@pytest.mark.usefixtures("in_blocks")
@pytest.mark.parametrize("options", [{}, {"num_workers": 1}, {"prefetch": 0}, {"shuffle": False}])
def test_every_pair_is_in_one_row(store: TokenStore, options: dict[str, Any]) -> None:
    loader = create_dataloader(store, batch_size=3, drop_last=False, **PACKED, **options)
    (plan,) = loader.dataset.packing
    assert isinstance(plan, BlockRows)
    assert len(plan.row_starts) > 5
    batches = [*loader]
    assert sum(len(inputs) for inputs, _ in batches) == len(loader.dataset) == len(plan)
    assert pairs(iter(batches)) == expected_pairs(store)
    assert all((targets >= 0).any(1).all() for _, targets in batches)
    places = sum(targets.numel() for _, targets in batches)
    assert plan.utilisation == len(expected_pairs(store)) / places > 0.9
    again = create_dataloader(store, batch_size=3, drop_last=False, **PACKED, **options)
    for (one, _), (other, _) in zip(batches, again, strict=True):
        assert torch.equal(one, other)


@pytest.mark.usefixtures("in_blocks")
def test_documents_are_marked_as_their_ends_say(store: TokenStore) -> None:
    options: dict[str, Any] = {"document_ids": True, "position_ids": True, "cu_seqlens": True}
    for batch in create_dataloader(store, batch_size=4, drop_last=False, **PACKED, **options):
        for row in range(len(batch["input_ids"] if "input_ids" in batch else batch["inputs"])):
            inputs = batch["input_ids" if "input_ids" in batch else "inputs"][row].tolist()
            documents, positions = batch["document_ids"][row].tolist(), batch["position_ids"][row]
            for document, group in itertools.groupby(range(LENGTH), documents.__getitem__):
                places = [*group]
                if document < 0:
                    continue
                ids = store.document(document).tolist()
                part = [inputs[place] for place in places]
                assert any(ids[at : at + len(part)] == part for at in range(len(ids)))
                assert positions[places].tolist()[0] == 0
        assert batch["cu_seqlens"][-1] == batch["document_ids"].numel()


@pytest.mark.usefixtures("in_blocks")
def test_a_run_resumes_anywhere_on_other_ranks(store: TokenStore) -> None:
    form: dict[str, Any] = {"seed": 4, **PACKED}
    loader = create_dataloader(store, batch_size=2, **form)
    batches, states = [], []
    for inputs, _ in loader:
        batches += inputs.tolist()
        states.append(loader.state_dict())
    for number in range(0, len(states) - 1, 5):
        rest = []
        loaders = [
            create_dataloader(store, batch_size=1, rank=r, world_size=2, **form) for r in (0, 1)
        ]
        for each in loaders:
            each.load_state_dict(states[number])
        for step in zip(*loaders, strict=True):
            rest += [row for batch in step for row in batch[0].tolist()]
        assert rest == batches[2 * (number + 1) :]
    assert states[3]["fingerprint"]["layout"] == "packed by blocks, rule 1"


def test_a_state_of_the_whole_plan_is_refused_in_words(
    store: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = create_dataloader(store, batch_size=2, **PACKED).state_dict()
    assert state["fingerprint"]["layout"] == "packed"
    monkeypatch.setattr(blocks, "MAX_WHOLE", 100)
    with pytest.raises(
        WrongState, match="layout: 'packed' in the state, 'packed by blocks, rule 1'"
    ):
        create_dataloader(store, batch_size=2, **PACKED).load_state_dict(state)


@pytest.mark.usefixtures("in_blocks")
def test_a_mixture_draws_rows_of_blocks(store: TokenStore) -> None:
    single = WindowDataset(store, **PACKED)
    mixture = Mixture([(store, 1), (store.path, 2)], num_windows=3 * len(single))
    loader = create_dataloader(mixture, batch_size=1, **PACKED)
    found = [inputs.tolist() for inputs, _ in loader]
    rows = [[single[number][0].tolist()] for number in range(len(single))]
    assert sorted(found) == sorted(rows * 3)


@pytest.mark.usefixtures("in_blocks")
@pytest.mark.parametrize("excess", [1.0, 1.3])
def test_a_block_has_as_many_rows_as_were_counted(
    store: TokenStore, monkeypatch: pytest.MonkeyPatch, excess: float
) -> None:
    """Also if it would need more or fewer."""
    monkeypatch.setattr(BlockRows, "_excess", lambda self, pairs: excess)
    loader = create_dataloader(store, batch_size=3, drop_last=False, **PACKED)
    assert pairs(iter(loader)) == expected_pairs(store)
    for length in (1, 2, 5, 64):
        rows = BlockRows(store, length)
        for block in range(len(rows.row_starts) - 1):
            first, _, sizes, _ = rows.plan(block)
            assert len(first) == rows.row_starts[block + 1] - rows.row_starts[block] + 1
            fills = np.add.reduceat(sizes, first[:-1])
            assert 0 < fills.min() <= fills.max() <= length


@pytest.mark.usefixtures("in_blocks")
def test_ends_that_contradict_the_manifest_are_an_error(store: TokenStore, tmp_path: Path) -> None:
    path = Path(shutil.copytree(store.path, tmp_path / "store"))
    dataset = WindowDataset(path, **PACKED)
    ends = np.fromfile(path / "shard-00001.ends", "<u8")
    ends[0], ends[1] = ends[1], ends[0]
    ends.tofile(path / "shard-00001.ends")
    with pytest.raises(InvalidStore, match=r"shard-00001\.ends: document ends that do not ascend"):
        _ = [dataset[number] for number in range(len(dataset))]


@pytest.mark.parametrize("options", [{"crop": True}, {"layout": "documents"}])
def test_what_cannot_be_planned_by_blocks_is_planned_whole(
    store: TokenStore, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    whole = WindowDataset(store, **{**PACKED, **options})
    monkeypatch.setattr(blocks, "MAX_WHOLE", 100)
    assert len(WindowDataset(store, **{**PACKED, **options})) == len(whole)


@pytest.mark.parametrize("size", [1, 2, 7, 10, 63, 1000, 1027])
@pytest.mark.parametrize("chunk", [1, 3, 10, 500, 5000])
@pytest.mark.parametrize("mixed", [1, 3, 8])
def test_an_order_of_chunks_is_that_of_the_reference(size: int, chunk: int, mixed: int) -> None:
    orders = [Order([size], seed=3, epoch=epoch, chunks=[chunk], mixed=mixed) for epoch in (0, 1)]
    found = [order.take(range(size)) for order in orders]
    chunk = min(chunk, size)
    assert found == [block_order(size, 3, epoch, chunk, mixed, shifted=False) for epoch in (0, 1)]
    assert sorted(found[0]) == [*range(size)]
    if size > 60:
        assert found[0] != found[1]
    assert [orders[1].take(range(p, p + 1))[0] for p in range(size)] == found[1]


@pytest.mark.parametrize("kept", [1, 20, 1 << 20])
@pytest.mark.parametrize("ahead", [0, 3])
def test_plans_are_dropped_and_made_again(kept: int, ahead: int) -> None:
    """Also while a thread makes batches of them."""
    rows, per = 400, 10
    ids = np.arange(rows * 4, dtype=np.uint16)
    planned = []

    def plan(block: int) -> Any:
        planned.append(block)
        starts = np.arange(block * per, (block + 1) * per) * 4
        return np.arange(per + 1), starts, np.full(per, 3, np.int32), np.arange(per) + block * per

    source = GatheredRows(
        TokenShards([ids]), rows, 4, blocks=(np.arange(0, rows + 1, per), plan), max_stretches=kept
    )
    maker = BatchMaker([source], 4)
    order = Order([rows], seed=1)
    prefetcher: Any = Prefetcher(maker, order, ahead)
    memory = [np.empty((2, 8, 4), np.int64) for _ in range(max(ahead, 1))]
    found = []
    batches = [range(first, first + 8) for first in range(0, rows, 8)]
    for number in range(len(batches) + len(memory) - 1):
        if number < len(batches):
            own = memory[number % len(memory)]
            places = (own[0].ctypes.data, own[1].ctypes.data, 0, 0, 0)
            prefetcher.submit(batches[number], places, own)
        if number >= len(memory) - 1:
            own, _, _ = prefetcher.take()
            found += own[0, :, 0].tolist()
    prefetcher.stop()
    assert [start // 4 for start in found] == order.take(range(rows))
    assert (len(planned) == rows // per) is (kept > rows)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
@pytest.mark.parametrize("shuffle", [True, "blocks"])
def test_the_documents_of_all_rows_are_requested_from_the_disk(
    store: TokenStore, tmp_path: Path, shuffle: Any
) -> None:
    program = f"""
        import sys
        from fastprep import create_dataloader
        from fastprep.windows import blocks, tokens
        from fastprep_ext.windows import TokenShards
        blocks.MAX_WHOLE, blocks.MIN_DOCUMENTS, blocks.MIXED = 100, 12, 3
        tokens.TokenShards = lambda *a, **k: TokenShards(*a, **{{**k, "on_network": True}})
        loader = create_dataloader(
            sys.argv[1], batch_size=3, max_length={LENGTH}, layout="packed", shuffle={shuffle!r},
            drop_last=False,
        )
        print(sum(len(inputs) for inputs, _ in loader))
    """
    asked = requests_of(program, store.path, tmp_path)
    for file in store.shard_files:
        requested = np.zeros(file.stat().st_size, bool)
        for _, offset, count in asked[asked[:, 0] == file.stat().st_ino]:
            requested[offset : offset + count] = True
        assert requested.all()
