"""The notebook's loader: batches, the behaviour of torch's DataLoader, and worker processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.utils.data import DataLoader, RandomSampler, SequentialSampler  # noqa: E402

from fastprep.errors import InvalidWindow, TextTooShort  # noqa: E402
from fastprep.training.batch import collate_windows  # noqa: E402
from fastprep.training.dataset import WindowDataset  # noqa: E402
from fastprep.training.notebook import GPTDatasetV1, create_dataloader_v1  # noqa: E402

# torch warns of two workers on one core, and Python 3.12 of a fork while threads run.
pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]


def test_a_batch_is_a_list_of_two_contiguous_int64_tensors() -> None:
    loader = create_dataloader_v1(range(100), tokenizer=None, max_length=8, stride=3)
    for batch in loader:
        assert type(batch) is list
        inputs, targets = batch
        for tensor in (inputs, targets):
            assert type(tensor) is torch.Tensor
            assert tensor.shape == (4, 8)
            assert tensor.dtype == torch.int64
            assert tensor.is_contiguous()
            tensor.view(-1)
        assert torch.equal(inputs + 1, targets)


def test_defaults_are_the_notebooks() -> None:
    loader = create_dataloader_v1(range(2000), tokenizer=None)
    assert isinstance(loader, DataLoader)
    assert isinstance(loader.dataset, GPTDatasetV1)
    assert (loader.batch_size, loader.drop_last, loader.num_workers) == (4, True, 0)
    assert (loader.dataset.max_length, loader.dataset.stride) == (256, 128)
    assert isinstance(loader.sampler, RandomSampler)
    assert loader.generator is None
    loader = create_dataloader_v1(range(2000), shuffle=False, drop_last=False, tokenizer=None)
    assert isinstance(loader.sampler, SequentialSampler)
    assert loader.drop_last is False


def test_arguments_may_be_in_the_notebooks_order() -> None:
    loader = create_dataloader_v1(range(20), 3, 4, 5, False, False, 0, tokenizer=None)
    assert [x.tolist() for x, _ in loader] == [
        [[0, 1, 2, 3], [5, 6, 7, 8], [10, 11, 12, 13]],
        [[15, 16, 17, 18]],
    ]


def test_without_a_batch_size_samples_come_one_by_one() -> None:
    none: Any = None
    loader = create_dataloader_v1(range(9), none, 4, 4, False, False, tokenizer=None)
    assert [[t.tolist() for t in sample] for sample in loader] == [
        [[0, 1, 2, 3], [1, 2, 3, 4]],
        [[4, 5, 6, 7], [5, 6, 7, 8]],
    ]


def test_collate_takes_plain_samples_too() -> None:
    dataset = WindowDataset(range(20), 4)
    plain = collate_windows([dataset[2], dataset[0]])
    whole = collate_windows(dataset.__getitems__([2, 0]))
    assert type(plain) is type(whole) is list
    assert all(torch.equal(a, b) for a, b in zip(plain, whole, strict=True))


def test_errors_come_when_the_loader_is_made() -> None:
    with pytest.raises(TextTooShort, match="must at least be equal to max_length"):
        create_dataloader_v1(range(256), tokenizer=None)
    with pytest.raises(InvalidWindow, match="stride"):
        create_dataloader_v1(range(300), stride=0, tokenizer=None)


@pytest.mark.parametrize("context", ["fork", "spawn", "forkserver"])
def test_workers_of_every_start_method_map_the_file_again(tmp_path: Path, context: str) -> None:
    path = tmp_path / "ids.bin"
    np.random.default_rng(5).integers(0, 50257, 3000).astype(np.uint16).tofile(path)
    dataset = WindowDataset(np.memmap(path, np.uint16, "r")[100:], 50, 20, pad_last=True)
    loader = DataLoader(
        dataset,
        batch_size=16,
        collate_fn=collate_windows,
        num_workers=2,
        multiprocessing_context=context,
    )
    at = 0
    for inputs, targets in loader:
        whole = dataset.__getitems__(range(at, at + len(inputs)))
        assert torch.equal(inputs, whole.inputs)
        assert torch.equal(targets, whole.targets)
        assert inputs.is_contiguous()
        assert targets.is_contiguous()
        at += len(inputs)
    assert at == len(dataset)
