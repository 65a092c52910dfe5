"""Embeddings: torch's own numbers, GPT-2's names, and errors that name the id."""

from __future__ import annotations

import math
import warnings
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from fastprep.errors import IdOutOfRange, InvalidWindow  # noqa: E402
from fastprep.training.embedding import (  # noqa: E402
    InputEmbedding,
    PositionalEmbedding,
    SinusoidalEmbedding,
    TokenEmbedding,
)

VOCABULARY, DIM, LENGTH = 50, 8, 6


@pytest.fixture
def pair() -> tuple[InputEmbedding, tuple[nn.Embedding, nn.Embedding]]:
    """Ours and the notebook's two layers, made under the same seed."""
    torch.manual_seed(11)
    notebook = nn.Embedding(VOCABULARY, DIM), nn.Embedding(LENGTH, DIM)
    after = torch.rand(1)
    torch.manual_seed(11)
    ours = InputEmbedding(VOCABULARY, DIM, LENGTH)
    assert torch.equal(torch.rand(1), after)
    return ours, notebook


def test_the_random_weights_are_the_notebooks(pair: Any) -> None:
    ours, (tokens, positions) = pair
    assert torch.equal(ours.wte.weight, tokens.weight)
    assert torch.equal(ours.wpe.weight, positions.weight)


@pytest.mark.parametrize("shape", [(LENGTH,), (3, LENGTH), (3, 2), (0, 4), (3, 0), (2, 3, 4)])
def test_sums_and_gradients_are_the_notebooks_bit_for_bit(pair: Any, shape: tuple[int]) -> None:
    ours, (tokens, positions) = pair
    ids = torch.randint(VOCABULARY, shape)
    got = ours(ids)
    expected = tokens(ids) + positions(torch.arange(shape[-1]))
    assert got.shape == (*shape, DIM)
    assert torch.equal(got, expected)
    direction = torch.rand_like(got)
    (got * direction).sum().backward()
    (expected * direction).sum().backward()
    assert torch.equal(ours.wte.weight.grad, tokens.weight.grad)
    assert torch.equal(ours.wpe.weight.grad, positions.weight.grad)


@pytest.mark.parametrize("name", ["uint8", "int8", "int16", "uint16", "int32", "uint32", "int64"])
def test_ids_of_any_integer_type_are_looked_up(pair: Any, name: str) -> None:
    dtype = getattr(torch, name, None)
    if dtype is None:
        pytest.skip(f"this torch has no {name}")
    ours, _ = pair
    ids = torch.tensor([[3, 1, 49], [0, 7, 7]])
    assert torch.equal(ours(ids.to(dtype)), ours(ids))
    assert torch.equal(ours.wpe(torch.tensor([2, 0]).to(dtype)), ours.wpe.weight[[2, 0]])


def test_gpt2s_weights_load_under_their_names() -> None:
    ours = InputEmbedding(VOCABULARY, DIM, LENGTH)
    assert set(ours.state_dict()) == {"wte.weight", "wpe.weight"}
    weights = {"wte.weight": torch.rand(VOCABULARY, DIM), "wpe.weight": torch.rand(LENGTH, DIM)}
    ours.load_state_dict(weights)
    ids = torch.tensor([4, 2])
    assert torch.equal(ours(ids), weights["wte.weight"][ids] + weights["wpe.weight"][:2])


def test_device_and_dtype_reach_both_weights() -> None:
    ours = InputEmbedding(VOCABULARY, DIM, LENGTH, device="meta", dtype=torch.bfloat16)
    for weight in ours.parameters():
        assert weight.device.type == "meta"
        assert weight.dtype == torch.bfloat16


@pytest.mark.parametrize("bad", [-1, VOCABULARY, 2**31 - 1])
@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_id_outside_the_vocabulary_is_named_with_its_position(bad: int, dtype: Any) -> None:
    ids = torch.zeros(2, 4, dtype=dtype)
    ids[1, 3] = bad
    for module in (
        TokenEmbedding(VOCABULARY, DIM),
        InputEmbedding(VOCABULARY, DIM, LENGTH),
    ):
        with pytest.raises(IdOutOfRange, match=rf"id {bad} at \[1, 3\].*from 0 to 49; 1 of 8"):
            module(ids)


def test_an_id_out_of_range_is_an_index_error() -> None:
    with pytest.raises(IndexError, match=r"id 50 at \[0\]"):
        TokenEmbedding(VOCABULARY, DIM)(torch.tensor([50], dtype=torch.uint8))


def test_too_long_a_sequence_is_named_with_the_limit() -> None:
    ids = torch.zeros(2, LENGTH + 1, dtype=torch.int64)
    with pytest.raises(IdOutOfRange, match="a sequence of 7 ids, but there are 6 positions"):
        InputEmbedding(VOCABULARY, DIM, LENGTH)(ids)


def test_positions_are_a_count_or_a_tensor() -> None:
    positions = PositionalEmbedding(LENGTH, DIM)
    assert torch.equal(positions(4), positions(torch.arange(4)))
    assert positions(0).shape == (0, DIM)
    with pytest.raises(IdOutOfRange, match="a sequence of 7"):
        positions(7)
    with pytest.raises(IdOutOfRange, match="a sequence of -1"):
        positions(-1)
    with pytest.raises(IdOutOfRange, match=r"position 6 at \[1\]"):
        positions(torch.tensor([0, 6]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bool, torch.complex64])
def test_other_types_than_integers_are_refused(dtype: Any) -> None:
    with pytest.raises(InvalidWindow, match=f"must be integers; found {dtype}"):
        InputEmbedding(VOCABULARY, DIM, LENGTH)(torch.zeros(2, dtype=dtype))


def test_one_id_alone_has_no_position() -> None:
    with pytest.raises(InvalidWindow, match="no position"):
        InputEmbedding(VOCABULARY, DIM, LENGTH)(torch.tensor(3))


@pytest.mark.parametrize("bad", [0, -1, 2.5])
def test_sizes_below_one_are_refused(bad: Any) -> None:
    for sizes, name in (
        ((bad, 8, 8), "vocab_size"),
        ((8, bad, 8), "embedding_dim"),
        ((8, 8, bad), "max_length"),
    ):
        with pytest.raises(InvalidWindow, match=f"{name} is"):
            InputEmbedding(*sizes)


def test_it_is_traced_whole_and_for_any_length(pair: Any) -> None:
    ours, _ = pair
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, while it loads its compiler
        compiled = torch.compile(ours, backend="eager", fullgraph=True, dynamic=True)
        for length in (2, 3, LENGTH):
            ids = torch.randint(VOCABULARY, (2, length))
            assert torch.equal(compiled(ids), ours(ids))


def test_a_trace_keeps_the_numbers_and_the_length_open(pair: Any) -> None:
    ours, _ = pair
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the check of the length is not part of the trace
        traced = torch.jit.trace(ours, (torch.randint(VOCABULARY, (2, 3)),))
    for length in (3, LENGTH):
        ids = torch.randint(VOCABULARY, (2, length))
        assert torch.equal(traced(ids), ours(ids))


# ---- sines, tied weights, half precision, meta -----------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_sines_are_those_of_the_paper(dtype: Any) -> None:
    table = SinusoidalEmbedding(LENGTH, DIM, dtype=dtype)(LENGTH)
    for position in range(LENGTH):
        for place in range(DIM):
            angle = position / 10000 ** (place // 2 * 2 / DIM)
            value = math.sin(angle) if place % 2 == 0 else math.cos(angle)
            assert table[position, place] == torch.tensor(value, dtype=torch.float64).to(dtype)


def test_sines_are_added_and_never_learned_or_saved() -> None:
    ours = InputEmbedding(VOCABULARY, DIM, LENGTH, positions="sinusoidal")
    ids = torch.randint(VOCABULARY, (2, 4))
    assert torch.equal(ours(ids), ours.wte(ids) + ours.wpe.table[:4])
    assert [name for name, _ in ours.named_parameters()] == ["wte.weight"]
    assert set(ours.state_dict()) == {"wte.weight"}
    with pytest.raises(IdOutOfRange, match="a sequence of 7"):
        ours(torch.zeros(LENGTH + 1, dtype=torch.int64))
    with pytest.raises(IdOutOfRange, match=r"position 6 at \[0\]"):
        ours.wpe(torch.tensor([6], dtype=torch.uint8))
    with pytest.raises(InvalidWindow, match="must be even"):
        SinusoidalEmbedding(4, 7)
    with pytest.raises(InvalidWindow, match="positions must be"):
        InputEmbedding(4, 4, 4, positions="rotary")  # type: ignore[arg-type]


def test_sines_come_back_from_the_meta_device() -> None:
    ours = SinusoidalEmbedding(LENGTH, DIM, device="meta")
    ours.to_empty(device="cpu").reset_parameters()
    assert torch.equal(ours(LENGTH), SinusoidalEmbedding(LENGTH, DIM)(LENGTH))


@pytest.mark.parametrize("positions", ["learned", "sinusoidal"])
def test_position_ids_of_packed_documents_are_looked_up(positions: Any) -> None:
    ours = InputEmbedding(VOCABULARY, DIM, LENGTH, positions=positions)
    ids, places = torch.randint(VOCABULARY, (1, 5)), torch.tensor([[0, 1, 0, 1, 2]])
    assert torch.equal(ours(ids, places)[:, 2:], ours(ids[:, 2:]))


def test_tied_logits_use_and_teach_the_same_weight() -> None:
    ours = TokenEmbedding(VOCABULARY, DIM)
    vectors = torch.rand(2, 3, DIM)
    assert torch.allclose(ours.logits(vectors), vectors @ ours.weight.T)
    ours.logits(ours(torch.tensor([1, 2]))).sum().backward()
    assert ours.weight.grad is not None
    assert (ours.weight.grad != 0).any(dim=1).all()
    head = nn.Linear(DIM, VOCABULARY, bias=False)
    head.weight = ours.weight
    assert torch.equal(head(vectors), ours.logits(vectors))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_the_bare_sum_too(dtype: Any) -> None:
    ours = InputEmbedding(VOCABULARY, DIM, LENGTH, dtype=dtype)
    ids = torch.randint(VOCABULARY, (3, LENGTH))
    expected = nn.functional.embedding(ids, ours.wte.weight) + ours.wpe.weight
    assert ours(ids).dtype == dtype
    assert torch.equal(ours(ids), expected)
