"""The notebook's batches: its printed output, and a plain copy of its loader, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
tiktoken = pytest.importorskip("tiktoken")

from tiktoken.load import load_tiktoken_bpe  # noqa: E402
from tiktoken_ext.openai_public import r50k_pat_str  # noqa: E402
from torch.utils.data import DataLoader, Dataset  # noqa: E402

from fastprep.registry import get_encoding  # noqa: E402
from fastprep.training.dataset import WindowDataset  # noqa: E402
from fastprep.training.embedding import InputEmbedding, TokenEmbedding  # noqa: E402
from fastprep.training.notebook import GPTDatasetV1, create_dataloader_v1  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]

RANKS = (
    Path(__file__).parents[2] / "fastprep" / "vocabulary" / "vocabularies" / "r50k_base.tiktoken"
)


@pytest.fixture(scope="module")
def gpt2() -> Any:
    """Return the encoding that the notebook uses, made of the bundled ranks."""
    return tiktoken.Encoding(
        "gpt2",
        pat_str=r50k_pat_str,
        mergeable_ranks=load_tiktoken_bpe(str(RANKS)),
        special_tokens={"<|endoftext|>": 50256},
    )


class Oracle(Dataset):
    """A dataset of windows that are all cut in advance, two tensors each."""

    def __init__(self, ids: list[int], max_length: int, stride: int) -> None:
        starts = range(0, len(ids) - max_length, stride)
        self.input_ids = [torch.tensor(ids[i : i + max_length]) for i in starts]
        self.target_ids = [torch.tensor(ids[i + 1 : i + 1 + max_length]) for i in starts]

    def __len__(self) -> int:
        return len(self.input_ids)

    def __getitem__(self, index: int) -> Any:
        return self.input_ids[index], self.target_ids[index]


def oracle_loader(ids: list[int], size: int, length: int, stride: int, **options: Any) -> Any:
    """Return a plain loader of the oracle."""
    return DataLoader(Oracle(ids, length, stride), batch_size=size, **options)


def assert_same_batches(got: Any, expected: Any) -> None:
    got, expected = list(got), list(expected)
    assert len(got) == len(expected)
    for batch, wanted in zip(got, expected, strict=True):
        assert type(batch) is type(wanted)
        assert len(batch) == len(wanted) == 2
        for tensor, other in zip(batch, wanted, strict=True):
            assert tensor.dtype == other.dtype
            assert tensor.stride() == other.stride()
            assert torch.equal(tensor, other)


@pytest.mark.parametrize("tokenizer", ["fastprep", "tiktoken"])
def test_the_first_two_batches_are_those_that_the_notebook_prints(
    verdict: str, gpt2: Any, tokenizer: str
) -> None:
    options = {} if tokenizer == "fastprep" else {"tokenizer": gpt2}
    loader = create_dataloader_v1(
        verdict, batch_size=2, max_length=4, stride=1, shuffle=False, **options
    )
    batches = iter(loader)
    inputs, targets = next(batches)
    assert inputs.tolist() == [[40, 367, 2885, 1464], [367, 2885, 1464, 1807]]
    assert targets.tolist() == [[367, 2885, 1464, 1807], [2885, 1464, 1807, 3619]]
    assert gpt2.decode(inputs[0].tolist()) == "I HAD always"
    assert gpt2.decode(inputs[1].tolist()) == " HAD always thought"
    assert gpt2.decode(targets[0].tolist()) == " HAD always thought"
    assert gpt2.decode(targets[1].tolist()) == "AD always thought Jack"
    inputs, targets = next(batches)
    assert inputs.tolist() == [[2885, 1464, 1807, 3619], [1464, 1807, 3619, 402]]
    assert targets.tolist() == [[1464, 1807, 3619, 402], [1807, 3619, 402, 271]]
    assert gpt2.decode(inputs[0].tolist()) == "AD always thought Jack"
    assert gpt2.decode(inputs[1].tolist()) == " always thought Jack G"
    assert gpt2.decode(targets[0].tolist()) == " always thought Jack G"
    assert gpt2.decode(targets[1].tolist()) == " thought Jack Gis"


def test_the_embeddings_have_the_shapes_that_the_notebook_prints(verdict: str) -> None:
    encoding = get_encoding("gpt2")
    loader = create_dataloader_v1(verdict, batch_size=2, max_length=4, stride=1, shuffle=False)
    inputs, _ = next(iter(loader))
    tokens = TokenEmbedding(encoding.n_vocab, 128)
    assert tokens.weight.shape == (50257, 128)
    assert tokens(torch.tensor([15496, 11, 703, 389])).shape == (4, 128)
    assert InputEmbedding(encoding.n_vocab, 128, max_length=4)(inputs).shape == (2, 4, 128)


@pytest.mark.parametrize("stride", [1, 5, 10])
def test_the_windows_are_those_that_the_prose_draws(stride: int) -> None:
    # The notebook draws only inputs, over 20 tokens. The last one predicts a token if a 21st follows;
    # if not, pad_last adds it, except with stride 1, where it would predict no new id.
    drawn = [list(range(i, i + 10)) for i in range(0, 11, stride)]
    assert [x.tolist() for x, _ in WindowDataset(range(21), 10, stride)] == drawn
    if stride > 1:
        padded = WindowDataset(range(20), 10, stride, pad_last=True)
        assert [x.tolist() for x, _ in padded] == drawn


@pytest.mark.parametrize(("length", "stride"), [(4, 1), (256, 128), (16, 16), (8, 50), (5144, 1)])
def test_the_dataset_holds_the_notebooks_samples(
    verdict: str, gpt2: Any, length: int, stride: int
) -> None:
    ids = gpt2.encode(verdict, allowed_special={"<|endoftext|>"})
    assert len(ids) == 5145
    expected = Oracle(ids, length, stride)
    for tokenizer in (get_encoding("gpt2"), gpt2):
        dataset = GPTDatasetV1(verdict, tokenizer, length, stride)
        assert len(dataset) == len(expected)
        inputs, targets = torch.stack(expected.input_ids), torch.stack(expected.target_ids)
        assert torch.equal(torch.stack(list(dataset.input_ids)), inputs)
        assert torch.equal(torch.stack(list(dataset.target_ids)), targets)
        assert torch.equal(torch.stack([x for x, _ in dataset]), inputs)


def test_the_end_of_text_mark_is_one_token(gpt2: Any) -> None:
    text = "Hello, do you like tea? <|endoftext|> In the sunlit terracesof someunknownPlace."
    expected = gpt2.encode(text, allowed_special={"<|endoftext|>"})
    assert 50256 in expected
    for tokenizer in (get_encoding("gpt2"), gpt2):
        assert GPTDatasetV1(text, tokenizer, 19, 1)[0][0].tolist() == expected[:19]


def test_a_lone_surrogate_is_repaired_as_the_notebook_has_it(gpt2: Any) -> None:
    text = "one \ud83d two, and some more words after it"
    expected = gpt2.encode(text, allowed_special={"<|endoftext|>"})
    for tokenizer in (get_encoding("gpt2"), gpt2):
        assert GPTDatasetV1(text, tokenizer, 5, 1)[0][0].tolist() == expected[:5]


@pytest.mark.parametrize("drop_last", [True, False])
@pytest.mark.parametrize(("size", "length", "stride"), [(4, 256, 128), (7, 4, 3), (2, 33, 60)])
def test_under_a_seed_every_epoch_is_the_notebooks_bit_for_bit(
    verdict: str, gpt2: Any, size: int, length: int, stride: int, drop_last: bool
) -> None:
    ids = gpt2.encode(verdict, allowed_special={"<|endoftext|>"})
    ours = create_dataloader_v1(verdict, size, length, stride, True, drop_last)
    theirs = oracle_loader(ids, size, length, stride, shuffle=True, drop_last=drop_last)
    assert len(ours) == len(theirs)
    torch.manual_seed(123)
    expected = [list(theirs) for _ in range(3)]
    state = torch.get_rng_state()
    torch.manual_seed(123)
    for epoch in expected:
        assert_same_batches(ours, epoch)
    assert torch.equal(torch.get_rng_state(), state)


def test_random_numbers_drawn_between_batches_change_neither() -> None:
    ids = np.random.default_rng(0).integers(0, 50257, 900).tolist()
    runs = []
    for loader in (
        create_dataloader_v1(ids, 4, 32, 7, tokenizer=None),
        oracle_loader(ids, 4, 32, 7, shuffle=True, drop_last=True),
    ):
        torch.manual_seed(5)
        runs.append([(x, y, torch.rand(3)) for _ in range(2) for x, y in loader])
    for ours, theirs in zip(*runs, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_two_workers_make_the_same_batches_in_every_epoch(verdict: str, gpt2: Any) -> None:
    ids = gpt2.encode(verdict, allowed_special={"<|endoftext|>"})
    ours = create_dataloader_v1(verdict, 4, 64, 32, num_workers=2)
    theirs = oracle_loader(ids, 4, 64, 32, shuffle=True, drop_last=True, num_workers=2)
    torch.manual_seed(123)
    expected = [list(theirs) for _ in range(2)]
    state = torch.get_rng_state()
    torch.manual_seed(123)
    for epoch in expected:
        assert_same_batches(ours, epoch)
    assert torch.equal(torch.get_rng_state(), state)


def test_workers_that_persist_make_the_same_batches_too() -> None:
    ids = np.random.default_rng(1).integers(0, 50257, 900).tolist()
    options: Any = {"shuffle": True, "num_workers": 2, "persistent_workers": True}
    plain = create_dataloader_v1(ids, 4, 32, 7, tokenizer=None)
    ours = DataLoader(plain.dataset, 4, collate_fn=plain.collate_fn, **options)
    theirs = oracle_loader(ids, 4, 32, 7, **options)
    torch.manual_seed(9)
    expected = [list(theirs) for _ in range(2)]
    torch.manual_seed(9)
    for epoch in expected:
        assert_same_batches(ours, epoch)
