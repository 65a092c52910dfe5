"""Sizes of every kind: what fits is taken, anything else is our error before memory is allocated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from fastprep.errors import FastprepError, IdOutOfRange, InvalidWindow, UnknownOption  # noqa: E402
from fastprep.training.dataset import WindowDataset  # noqa: E402
from fastprep.training.embedding import (  # noqa: E402
    InputEmbedding,
    PositionalEmbedding,
    SinusoidalEmbedding,
    TokenEmbedding,
)
from fastprep.training.loader import create_dataloader  # noqa: E402
from fastprep.training.notebook import create_dataloader_v1  # noqa: E402
from fastprep.training.sampler import WindowSampler  # noqa: E402
from fastprep.windows.sliding import num_windows, sliding_windows, window_starts  # noqa: E402

WRONG: list[Any] = [0, -1, True, False, 4.0, "4", None, [4], np.float64(4), 2**63 - 1, 2**63, 2**64]
IDS = np.arange(100, dtype=np.uint16)
ENDS = [30, 60, 100]

TAKES_SIZES: dict[str, Callable[[Any], object]] = {
    "max_length": lambda n: WindowDataset(IDS, n),
    "max_length, padded": lambda n: WindowDataset(IDS, n, pad_last=True),
    "max_length, packed": lambda n: WindowDataset(IDS, n, layout="packed", document_ends=ENDS),
    "max_length, filled": lambda n: WindowDataset(IDS, n, layout="filled", document_ends=ENDS),
    "stride": lambda n: WindowDataset(IDS, 4, n),
    "stride, documents": lambda n: WindowDataset(IDS, 4, n, layout="documents", document_ends=ENDS),
    "batch_size": lambda n: create_dataloader(IDS, batch_size=n, max_length=4),
    "sampler": lambda n: WindowSampler(range(9), n),
    "world_size": lambda n: create_dataloader(
        IDS, batch_size=1, max_length=4, rank=0, world_size=n
    ),
    "vocab_size": lambda n: WindowDataset(IDS, 4, vocab_size=n),
    "sliding max_length": lambda n: sliding_windows(IDS, n, 1),
    "sliding stride": lambda n: sliding_windows(IDS, 4, n),
    "starts": lambda n: window_starts(100, n, 1),
    "number": lambda n: num_windows(100, 4, n),
    "TokenEmbedding": lambda n: TokenEmbedding(n, 4),
    "embedding_dim": lambda n: TokenEmbedding(4, n),
    "PositionalEmbedding": lambda n: PositionalEmbedding(n, 4),
    "SinusoidalEmbedding": lambda n: SinusoidalEmbedding(n, 4),
    "InputEmbedding": lambda n: InputEmbedding(4, 4, n),
}


@pytest.mark.parametrize("name", TAKES_SIZES)
def test_a_wrong_size_is_refused_by_name(name: str) -> None:
    may_be_none = {"stride", "stride, documents", "vocab_size"}
    for value in WRONG:
        if value is None and (name in may_be_none or name == "world_size"):
            continue
        with pytest.raises(InvalidWindow, match="is "):
            TAKES_SIZES[name](value)
    if "stride" not in name and name not in ("number", "vocab_size"):
        for value in (2**31, 2**61):
            with pytest.raises(InvalidWindow):
                TAKES_SIZES[name](value)


@pytest.mark.parametrize("name", TAKES_SIZES)
def test_integers_of_numpy_are_sizes(name: str) -> None:
    for kind in (np.int8, np.uint16, np.int64):
        TAKES_SIZES[name](kind(4))
    TAKES_SIZES[name](1 if name != "embedding_dim" else 2)


@pytest.mark.parametrize("stride", [2**31, 2**61, 2**62])
@pytest.mark.parametrize("layout", ["sliding", "documents"])
@pytest.mark.parametrize("pad_last", [False, True])
def test_a_stride_beyond_the_text_leaves_its_first_window(
    stride: int, layout: Any, pad_last: bool
) -> None:
    dataset = WindowDataset(IDS, 4, stride, layout=layout, pad_last=pad_last, document_ends=[100])
    assert len(dataset) == 1
    assert dataset[0][0].tolist() == [0, 1, 2, 3]
    assert sliding_windows(IDS, 4, stride).tolist() == [[0, 1, 2, 3, 4]]


def test_a_batch_too_large_for_memory_is_refused_before_it_is_made() -> None:
    for options in (
        {"batch_size": 2**10, "max_length": 2**21},
        {"batch_size": 2**30, "max_length": 2},
        {"batch_size": 1, "max_length": 2**31 - 1},
    ):
        with pytest.raises(InvalidWindow, match=r"1073741824"):
            create_dataloader(IDS, pad_last=True, drop_last=False, **options)  # type: ignore[arg-type]
    many = create_dataloader(IDS, batch_size=2**20, max_length=4, drop_last=False)
    assert [len(inputs) for inputs, _ in many] == [24]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("prefetch", [-1, True, 1.0, 2**62, None]),
        ("num_workers", [-1, True, 1.0, 2**62, None]),
        ("seed", [-1, True, 1.5, 2**64, None, "0"]),
        ("epoch", [-1, True, 1.5, 2**62, None, "0"]),
        ("pad_token", [-1, True, 1.5, 2**63]),
    ],
)
def test_other_numbers_are_checked_alike(name: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(InvalidWindow, match=f"{name} is"):
            create_dataloader(IDS, batch_size=1, max_length=4, **{name: value})
    for rank in (-1, 2, True, "0", 2**64):
        with pytest.raises(InvalidWindow, match="rank is"):
            create_dataloader(IDS, batch_size=1, max_length=4, rank=rank, world_size=2)


def test_the_numbers_of_the_notebooks_loader_are_checked_alike() -> None:
    for value in (-1, True, 1.0, 2**62, None, float("nan"), "0"):
        with pytest.raises(InvalidWindow, match="num_workers is"):
            create_dataloader_v1(IDS, tokenizer=None, num_workers=value)
    for value in (0, -1, True, 1.0, "0"):
        with pytest.raises(InvalidWindow, match="batch_size is"):
            create_dataloader_v1(IDS, batch_size=value, tokenizer=None)
    loader = create_dataloader_v1(
        IDS, batch_size=np.int64(2), max_length=4, stride=4, num_workers=np.int8(0), tokenizer=None
    )
    assert [len(side) for side in next(iter(loader))] == [2, 2]


def test_a_pad_token_fits_the_dtype_of_the_batch() -> None:
    signed = np.arange(100, dtype=np.int32)
    for dtype, largest in ((torch.int32, 2**31 - 1), ("store", 2**31 - 1)):
        dataset = WindowDataset(signed, 64, pad_last=True, dtype=dtype, pad_token=largest)
        assert int(dataset[1][0][-1]) == largest
        with pytest.raises(InvalidWindow, match=f"pad_token is {largest + 1}"):
            WindowDataset(signed, 64, pad_last=True, dtype=dtype, pad_token=largest + 1)


# ---- typing errors in names ------------------------------------------------------------------


@pytest.mark.parametrize("tokens", [IDS, WindowDataset(IDS, 4)])
@pytest.mark.parametrize(
    ("typo", "name"), [("shufle", "shuffle"), ("batchsize", "batch_size"), ("vocab", "vocab_size")]
)
def test_a_typo_is_named_as_one(tokens: Any, typo: str, name: str) -> None:
    with pytest.raises(UnknownOption, match=f"no option '{typo}'; did you mean '{name}'"):
        create_dataloader(tokens, batch_size=2, **{typo: True})
    with pytest.raises(TypeError, match="no option 'zzz'; see its documentation"):
        create_dataloader(tokens, batch_size=2, zzz=1)  # type: ignore[call-arg]


# ---- embeddings ------------------------------------------------------------------------------


def test_tables_that_no_machine_holds_are_refused() -> None:
    for make in (TokenEmbedding, PositionalEmbedding, SinusoidalEmbedding):
        with pytest.raises(InvalidWindow, match="numbers"):
            make(2**31 - 1, 2**31 - 2)
    with pytest.raises(InvalidWindow, match="max_length is True"):
        SinusoidalEmbedding(True, 4)
    assert SinusoidalEmbedding(np.int64(3), np.int32(4))(2).shape == (2, 4)  # type: ignore[arg-type]


@pytest.mark.parametrize("module", [TokenEmbedding(9, 4), InputEmbedding(9, 4, 5)])
def test_ids_may_be_lists_and_arrays(module: Any) -> None:
    expected = module(torch.tensor([[1, 8], [0, 3]]))
    for ids in ([[1, 8], [0, 3]], ((1, 8), (0, 3)), [np.array([1, 8]), np.array([0, 3])]):
        assert torch.equal(module(ids), expected)
    for dtype in (np.uint8, np.uint16, np.uint32, np.uint64, np.int8, np.int64):
        array = np.array([[1, 8], [0, 3]], dtype)
        array.flags.writeable = False
        assert torch.equal(module(array), expected)
    assert module([]).shape == (0, 4)
    assert module(range(3)).shape == (3, 4)
    with pytest.raises(IdOutOfRange, match="id 9 at"):
        module([[1, 9]])
    with pytest.raises(IdOutOfRange, match="out of range"):
        module(np.array([2**63], np.uint64))
    for bad in ("text", None, [1.5], [True], [[1], [2, 3]], {"a": 1}, [None], [2**70], object()):
        with pytest.raises(FastprepError):
            module(bad)


@pytest.mark.parametrize("module", [PositionalEmbedding(5, 4), SinusoidalEmbedding(5, 4)])
def test_positions_may_be_a_number_or_a_list(module: Any) -> None:
    assert torch.equal(module([2, 0]), module(torch.tensor([2, 0])))
    assert torch.equal(module(np.int64(3)), module(range(3)))
    for bad in (True, 2.5, "2", None):
        with pytest.raises(InvalidWindow, match="positions must be a number"):
            module(bad)
    for bad in (6, -1):
        with pytest.raises(IdOutOfRange):
            module(bad)


@pytest.mark.parametrize("kind", [TokenEmbedding, PositionalEmbedding])
def test_a_weight_that_exists_becomes_an_embedding(kind: Any) -> None:
    weight = torch.randn(6, 4)
    embedding = kind.from_pretrained(weight)
    assert type(embedding) is kind
    assert embedding.weight.data_ptr() == weight.data_ptr()
    assert not embedding.weight.requires_grad
    assert torch.equal(embedding([1, 5]), weight[[1, 5]])
    trained = kind.from_pretrained(weight, freeze=False, padding_idx=2)
    assert trained.weight.requires_grad
    trained([1, 2]).sum().backward()
    assert trained.weight.grad[2].abs().sum() == 0
    with pytest.raises(IdOutOfRange):
        embedding([6])
    for bad in (torch.zeros(3), torch.zeros(2, 2, dtype=torch.int64), [[1.0]], None):
        with pytest.raises(InvalidWindow, match="embeddings must be"):
            kind.from_pretrained(bad)
