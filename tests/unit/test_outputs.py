"""The forms of a batch that training programs want, and rows filled as nanochat fills them."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.utils.data import DataLoader  # noqa: E402

from fastprep.errors import InvalidWindow, TextTooShort  # noqa: E402
from fastprep.training.batch import collate_windows  # noqa: E402
from fastprep.training.dataset import WindowDataset  # noqa: E402
from fastprep.training.loader import create_dataloader  # noqa: E402
from fastprep.windows.packing import MAX_WAITING, fill_documents  # noqa: E402
from fastprep_ext.windows import fill_rows  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@pytest.fixture
def mapped(tmp_path: Path) -> np.memmap:
    path = tmp_path / "ids.bin"
    np.random.default_rng(3).integers(0, 50257, 2000).astype(np.uint16).tofile(path)
    return np.memmap(path, np.uint16, "r")


def expected(inputs: Any, targets: Any, outputs: str) -> Any:
    """Return a batch in the form `outputs`, in plain torch."""
    if outputs == "tokens":
        return torch.cat((inputs, targets[:, -1:]), dim=1)
    labels = torch.cat((torch.full_like(targets[:, :1], -100), targets[:, :-1]), dim=1)
    return {"input_ids": inputs, "labels": labels}


def same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[name], b[name]) for name in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(torch.equal(a, b) and a.dtype == b.dtype) if torch.is_tensor(a) else a == b


@pytest.mark.parametrize("outputs", ["dict", "tokens"])
@pytest.mark.parametrize("prefetch", [0, 3])
@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, "store"])
def test_every_form_has_the_ids_of_the_pair(
    mapped: np.memmap, outputs: Any, prefetch: int, workers: int, shuffle: bool, dtype: Any
) -> None:
    if workers and (prefetch == 0 or dtype != torch.int64):
        return
    options: Any = {
        "batch_size": 3, "max_length": 31, "seed": 4, "shuffle": shuffle, "dtype": dtype,
        "drop_last": False, "prefetch": prefetch,
    }  # fmt: skip
    if outputs == "dict" and dtype == "store":
        with pytest.raises(InvalidWindow, match="outputs='dict'"):
            create_dataloader(mapped, outputs=outputs, **options)
        return
    pairs = create_dataloader(mapped, **options)
    batches = list(create_dataloader(mapped, outputs=outputs, num_workers=workers, **options))
    assert len(batches) == len(pairs) == 22
    for batch, (inputs, targets) in zip(batches, pairs, strict=True):
        assert same(batch, expected(inputs, targets, outputs))


@pytest.mark.parametrize("outputs", ["pair", "dict", "tokens"])
def test_samples_slices_and_batches_agree(outputs: Any) -> None:
    dataset = WindowDataset(range(50), 7, outputs=outputs)
    whole = collate_windows(dataset.__getitems__([4, 0, 2]))
    assert same(collate_windows([dataset[4], dataset[0], dataset[2]]), whole)
    assert same(next(iter(DataLoader(dataset, 3, sampler=[4, 0, 2]))), whole)  # type: ignore[arg-type]
    batch = dataset.__getitems__([4, 0, 2])
    assert same(collate_windows(batch[1:]), collate_windows(dataset.__getitems__([0, 2])))
    assert [same(one, dataset[k]) for one, k in zip(batch, [4, 0, 2], strict=True)] == [True] * 3


def test_labels_are_masked_where_targets_are() -> None:
    options: Any = {
        "max_length": 8, "document_ends": [5, 12, 13, 20], "position_ids": True, "cu_seqlens": True
    }  # fmt: skip
    for layout in ("sliding", "documents", "packed", "filled"):
        pair = WindowDataset(range(20), layout=layout, pad_last=layout == "sliding", **options)
        other = WindowDataset(
            range(20), layout=layout, pad_last=layout == "sliding", outputs="dict", **options
        )
        one: Any = collate_windows(pair.__getitems__(range(len(pair))))
        two: Any = collate_windows(other.__getitems__(range(len(pair))))
        labels = expected(one.pop("inputs"), one.pop("targets"), "dict")
        assert same(two, {**labels, **one})
        batches = list(create_dataloader(other, batch_size=len(pair), shuffle=False))
        assert same(batches[0], two)


def test_a_kept_batch_of_labels_is_never_written_again(mapped: np.memmap) -> None:
    kept, copies = [], []
    for batch in create_dataloader(mapped, batch_size=3, max_length=20, outputs="dict"):
        kept.append(batch["labels"][1:])  # type: ignore[call-overload, index]
        copies.append(kept[-1].clone())
        del batch
    assert all(torch.equal(a, b) for a, b in zip(kept, copies, strict=True))
    loader = create_dataloader(range(20000), batch_size=4, max_length=10, outputs="tokens")
    assert len({batch.data_ptr() for batch in loader}) <= 8  # type: ignore[union-attr]


def test_unshuffled_tokens_of_the_stores_dtype_are_views_of_the_file(mapped: np.memmap) -> None:
    options: Any = {"batch_size": 4, "max_length": 25, "shuffle": False, "outputs": "tokens"}
    batches: list[Any] = list(create_dataloader(mapped, dtype="store", **options))
    first = batches[0].data_ptr()
    assert [batch.data_ptr() - first for batch in batches] == [k * 200 for k in range(19)]
    copied: list[Any] = list(create_dataloader(mapped, **options))
    assert all(torch.equal(a.long(), b) for a, b in zip(batches, copied, strict=True))


def test_forms_that_exclude_each_other_are_refused() -> None:
    ends = {"document_ends": [20, 50]}
    for options in (
        {"pad_last": True}, {"mask_targets": True, **ends}, {"position_ids": True, **ends},
        {"cu_seqlens": True, **ends}, {"layout": "packed", **ends}, {"layout": "documents", **ends},
    ):  # fmt: skip
        with pytest.raises(InvalidWindow, match="no place for targets of -100"):
            WindowDataset(range(50), 7, outputs="tokens", **options)  # type: ignore[arg-type]
    with pytest.raises(InvalidWindow, match="outputs must be"):
        WindowDataset(range(50), 7, outputs="list")  # type: ignore[arg-type]
    dataset = WindowDataset(range(50), 7, outputs="dict")
    with pytest.raises(InvalidWindow, match="its own outputs"):
        create_dataloader(dataset, batch_size=2, outputs="tokens")
    assert "labels" in next(iter(create_dataloader(dataset, batch_size=2)))


# ---- transformers ----------------------------------------------------------------------------


@pytest.fixture
def model() -> Any:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=60, n_positions=16, n_embd=8, n_layer=1, n_head=1, bos_token_id=0,
        eos_token_id=0, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0,
    )  # fmt: skip
    return transformers.GPT2LMHeadModel(config)


@pytest.mark.filterwarnings("ignore")  # transformers' own
def test_a_model_and_the_trainer_of_transformers_report_the_loss(
    model: Any, tmp_path: Path
) -> None:
    import transformers

    ids = torch.randint(0, 60, (161,), generator=torch.Generator().manual_seed(0))
    dataset = WindowDataset(ids, 16, outputs="dict")
    loader = create_dataloader(dataset, batch_size=2, shuffle=False)
    losses = []
    for batch, (inputs, targets) in zip(
        loader, create_dataloader(ids, batch_size=2, max_length=16, shuffle=False), strict=True
    ):
        with torch.no_grad():
            logits = model(input_ids=inputs).logits
            loss = torch.nn.functional.cross_entropy(
                logits[:, :-1].flatten(0, 1), targets[:, :-1].flatten()
            )
            every = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
            given: Any = batch
            assert model(**given).loss == pytest.approx(float(loss), rel=1e-5)
            shifted = model(input_ids=inputs, labels=targets, shift_labels=targets).loss
            assert shifted == pytest.approx(float(every), rel=1e-5)
        losses.append(float(loss))

    class InOrder(transformers.Trainer):
        def _get_train_sampler(self, *_: Any) -> Any:
            return None

    arguments = transformers.TrainingArguments(
        str(tmp_path), per_device_train_batch_size=2, num_train_epochs=1, logging_steps=1,
        report_to=[], use_cpu=True, learning_rate=0.0, disable_tqdm=True, save_strategy="no",
    )  # fmt: skip
    trainer = InOrder(model, arguments, train_dataset=dataset)
    trainer.train()
    reported = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert reported == pytest.approx(losses, rel=1e-4)


# ---- filled rows -----------------------------------------------------------------------------


def nanochats_rows(sizes: list[int], capacity: int, waiting: int) -> list[list[tuple[int, int]]]:
    """Fill rows as nanochat's loader does, with a buffer that is filled up before each choice."""
    buffer: list[int] = []
    rows: list[list[tuple[int, int]]] = []
    read = 0
    while True:
        row: list[tuple[int, int]] = []
        position = 0
        while position < capacity:
            while len(buffer) < waiting and read < len(sizes):
                buffer.append(read)
                read += 1
            if not buffer:
                return rows
            space = capacity - position
            fitting = [k for k in range(len(buffer)) if sizes[buffer[k]] <= space]
            if fitting:
                item = buffer.pop(max(fitting, key=lambda k: sizes[buffer[k]]))
            else:
                item = buffer.pop(min(range(len(buffer)), key=lambda k: sizes[buffer[k]]))
            row.append((item, min(space, sizes[item])))
            position += row[-1][1]
        rows.append(row)


def test_rows_are_filled_as_nanochat_fills_them() -> None:
    rng = np.random.default_rng(5)
    for _ in range(300):
        capacity = int(rng.integers(1, 140))
        sizes = rng.integers(1, capacity + 2, rng.integers(0, 60)).astype(np.int32)
        waiting = int(rng.integers(1, 20))
        items, taken, first = fill_rows(sizes, capacity, waiting)
        rows = [
            list(zip(items[a:b].tolist(), taken[a:b].tolist(), strict=True))
            for a, b in itertools.pairwise(first)
        ]
        assert rows == nanochats_rows(sizes.tolist(), capacity, waiting)
    with pytest.raises(InvalidWindow, match="item 1 has the size 6"):
        fill_rows(np.array([1, 6], np.int32), 4, 3)


def filled_case() -> tuple[np.ndarray, list[int], list[list[int]]]:
    """Return ids, document ends, and the rows of 10 + 1 tokens that nanochat would make."""
    rng = np.random.default_rng(6)
    sizes = rng.integers(1, 25, 40)
    ids = rng.integers(0, 500, sizes.sum()).astype(np.uint16)
    ends = np.cumsum(sizes).tolist()
    documents = [
        ids[end - size : end].tolist() for size, end in zip(sizes, ends, strict=True) if size > 1
    ]
    lengths = [min(len(document), 12) for document in documents]
    rows = nanochats_rows(lengths, 11, MAX_WAITING)
    return ids, ends, [[t for d, n in row for t in documents[d][:n]] for row in rows]


@pytest.mark.parametrize("mmap", [True, False])
def test_filled_rows_have_no_padding_and_predict_what_follows(tmp_path: Path, mmap: bool) -> None:
    ids, ends, rows = filled_case()
    path = tmp_path / "ids.bin"
    ids.tofile(path)
    options: Any = {
        "layout": "filled", "document_ends": ends, "mmap": mmap, "shuffle": False,
        "batch_size": 4, "max_length": 10, "drop_last": False,
    }  # fmt: skip
    opened = np.memmap(path, np.uint16, "r")
    for dtype in (torch.int64, "store"):
        pairs = list(create_dataloader(opened, dtype=dtype, **options))
        tokens: list[Any] = list(
            create_dataloader(opened, dtype=dtype, outputs="tokens", **options)
        )
        assert [row for batch in tokens for row in batch.tolist()] == rows
        assert [row for inputs, _ in pairs for row in inputs.tolist()] == [r[:-1] for r in rows]
        assert [row for _, targets in pairs for row in targets.tolist()] == [r[1:] for r in rows]
    packed = WindowDataset(opened, 10, layout="filled", document_ends=ends).packing[0]
    assert packed.utilisation == 1
    total = sum(b - a for a, b in itertools.pairwise([0, *ends]) if b - a > 1)
    assert packed.cropped == pytest.approx(1 - 11 * len(rows) / total)


def test_marks_of_filled_rows_restart_with_each_document() -> None:
    dataset = WindowDataset(
        range(12), 4, layout="filled", document_ends=[4, 7, 10, 12], position_ids=True,
        document_ids=True, cu_seqlens=True,
    )  # fmt: skip
    batch: Any = collate_windows(dataset.__getitems__([0, 1]))
    assert batch["inputs"].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert batch["targets"].tolist() == [[1, 2, 3, -100], [5, 6, -100, 8]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 3], [0, 1, 2, 0]]
    assert batch["document_ids"].tolist() == [[0, 0, 0, 0], [1, 1, 1, 2]]
    assert batch["cu_seqlens"].tolist() == [0, 4, 7, 8]
    unmasked = WindowDataset(
        range(12), 4, layout="filled", document_ends=[4, 7, 10, 12], position_ids=True,
        mask_targets=False,
    )  # fmt: skip
    assert collate_windows(unmasked.__getitems__([0, 1]))["targets"].tolist() == [  # type: ignore[call-overload]
        [1, 2, 3, 10], [5, 6, 7, 8]
    ]  # fmt: skip


def test_documents_that_fill_no_row_are_refused() -> None:
    with pytest.raises(TextTooShort, match="no row of 11 tokens"):
        WindowDataset(range(10), 10, layout="filled", document_ends=[4, 10])
    with pytest.raises(InvalidWindow, match="filled documents do not overlap"):
        WindowDataset(range(50), 10, 5, layout="filled", document_ends=[50])
    ends = np.arange(1, 9, dtype=np.uint64)  # documents of one token
    assert len(fill_documents([(8, ends)], 4)) == 0


# ---- Grain, torchtitan -----------------------------------------------------------------------


def test_grain_reads_a_batch_in_one_call() -> None:
    grain = pytest.importorskip("grain")
    dataset = WindowDataset(range(1001), 10)

    def read(step: int) -> Any:
        epoch, step = divmod(int(step), 12)
        order = dataset.order(seed=1, epoch=epoch)
        return dataset.__getitems__(order.take(range(8 * step, 8 * step + 8))).tensors()

    batches = list(grain.MapDataset.range(24).map(read))
    loader = create_dataloader(dataset, batch_size=8, seed=1)
    assert all(map(same, batches, [*loader, *loader]))


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled:UserWarning")
def test_the_state_goes_through_a_distributed_checkpoint(tmp_path: Path) -> None:
    import torch.distributed.checkpoint as checkpoint

    loader = create_dataloader(range(1001), batch_size=4, max_length=10)
    for _ in itertools.islice(loader, 5):
        pass
    checkpoint.save({"loader": loader}, checkpoint_id=tmp_path, no_dist=True)
    resumed = create_dataloader(range(1001), batch_size=3, max_length=10)
    checkpoint.load({"loader": resumed}, checkpoint_id=tmp_path, no_dist=True)
    assert resumed.position == 20
