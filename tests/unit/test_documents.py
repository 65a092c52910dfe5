"""Documents in batches: marks, masks, rows that start at documents, and packing."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from reference import batches as reference  # noqa: E402

from fastprep.errors import InvalidWindow, TextTooShort  # noqa: E402
from fastprep.jobs.prepare import prepare  # noqa: E402
from fastprep.training.dataset import WindowDataset  # noqa: E402
from fastprep.training.loader import create_dataloader  # noqa: E402
from fastprep.windows.packing import cut_documents, pack_documents  # noqa: E402
from fastprep_ext.windows import DocumentEnds, best_fit  # noqa: E402

documents = st.lists(st.integers(0, 12), min_size=1, max_size=12).filter(lambda n: sum(n) > 20)
ALL = {"position_ids": True, "document_ids": True, "cu_seqlens": True}


def marked(tokens: Any, length: int, **options: Any) -> Any:
    dataset = WindowDataset(tokens, length, **{**ALL, **options})
    return dataset, dataset.__getitems__(range(len(dataset))).tensors()


def ids_of(sizes: list[int]) -> tuple[Any, Any]:
    ends = np.cumsum(sizes)
    return np.arange(100, 100 + ends[-1], dtype=np.uint16), ends


@given(documents, st.integers(1, 9), st.integers(1, 12), st.booleans(), st.integers(0, 3))
def test_marks_and_masks_are_those_of_the_slow_reference(
    sizes: list[int], length: int, stride: int, pad_last: bool, unclosed: int
) -> None:
    ids, ends = ids_of([*sizes, unclosed])
    if unclosed:
        ends = ends[:-1]
    dataset, batch = marked(ids, length, stride=stride, pad_last=pad_last, document_ends=ends)
    of = reference.documents_of(ends.tolist(), len(ids))
    pieces = [0]
    for row, start in enumerate(dataset.starts):
        positions, numbers, same = reference.marks_of_window(of, start, length)
        padding = length - len(positions)
        assert batch["position_ids"][row].tolist() == positions + list(range(padding))
        assert batch["document_ids"][row].tolist() == numbers + [-1] * padding
        targets = [int(ids[start + k + 1]) if within else -100 for k, within in enumerate(same)]
        assert batch["targets"][row].tolist() == targets + [-100] * padding
        for _, group in itertools.groupby(numbers + [-1] * padding):
            pieces.append(pieces[-1] + len(list(group)))
    assert batch["cu_seqlens"].tolist() == pieces
    assert batch["cu_seqlens"].dtype == torch.int32
    assert batch["max_seqlen"] == max(np.diff(pieces))
    plain = WindowDataset(ids, length, stride, pad_last=pad_last, document_ends=ends)
    assert torch.equal(plain.__getitems__(range(len(plain))).inputs, batch["inputs"])


def pairs_of(sizes: list[int]) -> set[tuple[int, int]]:
    """Every token and the next one of the same document."""
    ends = np.cumsum(sizes).tolist()
    return {
        (100 + k, 101 + k)
        for begin, end in zip([0, *ends[:-1]], ends, strict=True)
        for k in range(begin, end - 1)
    }


def pairs_in(batch: Any) -> list[tuple[int, int]]:
    kept = batch["targets"] != -100
    return list(zip(batch["inputs"][kept].tolist(), batch["targets"][kept].tolist(), strict=True))


@given(documents, st.integers(1, 9), st.sampled_from(["documents", "packed"]))
def test_every_pair_of_every_document_is_in_one_row(
    sizes: list[int], length: int, layout: str
) -> None:
    if max(sizes) < 2:
        return
    ids, ends = ids_of(sizes)
    dataset, batch = marked(ids, length, layout=layout, document_ends=ends)
    found = pairs_in(batch)
    assert sorted(found) == sorted(pairs_of(sizes))
    (packing,) = dataset.packing
    assert packing.cropped == 0
    assert packing.utilisation == pytest.approx(len(found) / batch["targets"].numel())
    # Only padding has no document, and positions count from the start of each piece.
    assert torch.equal(batch["document_ids"] == -1, batch["targets"] == -100)
    starts = batch["cu_seqlens"][:-1].tolist()
    assert [k for k, p in enumerate(batch["position_ids"].flatten().tolist()) if p == 0] == starts


@given(documents, st.integers(1, 9))
def test_cropping_keeps_the_begin_of_each_document(sizes: list[int], length: int) -> None:
    if max(sizes) < 2:
        return
    ids, ends = ids_of(sizes)
    dataset, batch = marked(ids, length, layout="packed", crop=True, document_ends=ends)
    begins = np.concatenate(([0], ends[:-1]))
    expected = [
        (100 + b + k, 101 + b + k)
        for b, size in zip(begins.tolist(), sizes, strict=True)
        for k in range(min(size - 1, length))
    ]
    assert sorted(pairs_in(batch)) == expected
    every = len(pairs_of(sizes))
    assert dataset.packing[0].cropped == pytest.approx(1 - len(expected) / every)


@given(st.integers(2, 40), st.integers(1, 9), st.integers(1, 12))
def test_windows_of_a_document_start_at_its_start(size: int, length: int, stride: int) -> None:
    rows = cut_documents([(size, np.array([size], np.uint64))], length, stride)
    expected = list(range(0, size - 1, stride))
    while len(expected) > 1 and expected[-2] + length >= size - 1:
        expected.pop()
    assert rows.starts.tolist() == expected
    assert rows.sizes.tolist() == [min(length, size - 1 - start) for start in expected]


@given(st.lists(st.integers(1, 200), max_size=60), st.integers(0, 100))
def test_best_fit_is_that_of_the_slow_reference(sizes: list[int], more: int) -> None:
    room = max(sizes, default=1) + more
    rows, count = best_fit(np.array(sizes, np.int32), room)
    expected = reference.best_fit(sizes, room)
    assert count == len(expected)
    assert all(rows[item] == row for row, items in enumerate(expected) for item in items)


def test_packing_real_sizes_wastes_little() -> None:
    sizes = np.random.default_rng(0).lognormal(6, 1, 20000).astype(np.int64) + 2
    rows = pack_documents([(int(sizes.sum()), np.cumsum(sizes).astype(np.uint64))], 2048)
    assert rows.utilisation > 0.999
    assert rows.cropped == 0
    cropped = pack_documents(
        [(int(sizes.sum()), np.cumsum(sizes).astype(np.uint64))], 2048, crop=True
    )
    assert 0 < cropped.cropped < 0.5


def test_a_store_of_many_shards_knows_its_documents(tmp_path: Path) -> None:
    texts = []
    for k in range(3):
        texts.append(tmp_path / f"{k}.txt")
        texts[-1].write_text("<|endoftext|>".join(["some words " * n for n in (3, 40, 7, 1)]))
    store = prepare(texts, tmp_path / "store", workers=1, shard_bytes=100, progress=False)
    assert len(store.shards) > 2
    of = reference.documents_of(store.document_ends.tolist(), store.num_tokens)
    dataset, batch = marked(store, 16)
    for row, start in enumerate(dataset.starts):
        assert batch["document_ids"][row].tolist() == of[start : start + 16]
    for layout in ("documents", "packed"):
        _, batch = marked(store, 16, layout=layout)
        real = batch["targets"] != -100
        assert int(real.sum()) == store.num_tokens - store.num_documents
        assert bool((batch["inputs"][real] != store.eot_token).all())


def test_the_loader_hands_out_marks_with_any_number_of_workers() -> None:
    ids, ends = ids_of([7, 3, 30, 2, 9, 14])
    options: Any = {"batch_size": 2, "max_length": 6, "document_ends": ends, **ALL}
    one = list(create_dataloader(ids, **options))
    assert sorted(one[0]) == [
        "cu_seqlens", "document_ids", "inputs", "max_seqlen", "position_ids", "targets"
    ]  # fmt: skip
    for other in (
        list(create_dataloader(ids, prefetch=0, **options)),
        list(create_dataloader(ids, num_workers=1, **options)),
    ):
        assert len(other) == len(one)
        for a, b in zip(one, other, strict=True):
            assert a["max_seqlen"] == b["max_seqlen"]
            assert all(torch.equal(a[k], b[k]) for k in a if k != "max_seqlen")


def test_damaged_ends_of_a_store_lead_to_no_window_outside_it(tmp_path: Path) -> None:
    (tmp_path / "text.jsonl").write_text('{"text": "a few words"}\n' * 9)
    prepare(tmp_path / "text.jsonl", tmp_path / "store", workers=1, progress=False)
    path = tmp_path / "store" / "shard-00000.ends"
    ends = np.fromfile(path, np.uint64)
    for wrong in (10**6, 2**62, 2**63 + 5):
        ends[3] = wrong
        ends.tofile(path)
        for layout in ("documents", "packed"):
            with pytest.raises(InvalidWindow, match="number 4, counted from 0, is 20, after"):
                WindowDataset(tmp_path / "store", 4, layout=layout)  # type: ignore[arg-type]


def test_options_that_do_not_go_together_are_refused() -> None:
    ids, ends = ids_of([7, 3, 30])
    with pytest.raises(InvalidWindow, match="do not record where documents end"):
        WindowDataset(ids, 4, position_ids=True)
    with pytest.raises(InvalidWindow, match="cannot hold the target -100"):
        WindowDataset(ids, 4, position_ids=True, document_ends=ends, dtype="store")
    with pytest.raises(InvalidWindow, match="do not overlap"):
        WindowDataset(ids, 4, 2, layout="packed", document_ends=ends)
    with pytest.raises(InvalidWindow, match="layout must be"):
        WindowDataset(ids, 4, layout="tight", document_ends=ends)  # type: ignore[arg-type]
    with pytest.raises(InvalidWindow, match="last document ends at token 41"):
        WindowDataset(ids, 4, document_ids=True, document_ends=[41])
    for wrong in ([5, 3], [-1, 4], [10**6, 40], [2**62, 40], [2.5], [[3]], ["a"]):
        for layout in ("sliding", "documents", "packed"):
            with pytest.raises(
                InvalidWindow,
                match=r"document_ends must (ascend|be a one-dimensional array of integers)",
            ):
                WindowDataset(ids, 4, layout=layout, document_ends=wrong)  # type: ignore[arg-type]
    with pytest.raises(TextTooShort, match="no document has two tokens"):
        WindowDataset([1, 2, 3], 4, layout="packed", document_ends=[1, 2, 3])
    with pytest.raises(InvalidWindow, match="row of uint64"):
        DocumentEnds([(5, np.array([1, 5]))])  # type: ignore[list-item]
    with pytest.raises(InvalidWindow, match="has the size 9"):
        best_fit(np.array([9], np.int32), 8)
