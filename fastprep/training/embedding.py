"""Token ids -> the vectors that enter a model: token embedding plus position embedding.

The weights are torch.nn.Embedding's, so initialisation, state dicts, weight tying and optimisers
find what they know; added are the errors that say which id or length is out of range.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from fastprep.errors import IdOutOfRange, InvalidWindow
from fastprep.windows.sliding import checked_size

# The integers that torch looks up as they are; the other ones are widened to int64.
_INDEX_DTYPES = (torch.int64, torch.int32)


class TokenEmbedding(nn.Embedding):
    """A vector for each id of a vocabulary.

    ``torch.nn.Embedding`` with the same random weights under the same seed, that takes any
    integer dtype and names the id that is out of range.

    Parameters
    ----------
    vocab_size
        how many ids there are; 50257 for gpt2.
    embedding_dim
        length of a vector, D.
    device, dtype
        of the weight; torch's defaults if not given.

    Raises
    ------
    InvalidWindow
        for a size below 1, and in a call for ids that are not integers.
    IdOutOfRange
        in a call on the CPU, for an id that is negative or at least `vocab_size`. On another
        device a look would cost a synchronisation, so the error is that device's own.

    Examples
    --------
    >>> embedding = TokenEmbedding(50257, 128)
    >>> embedding(torch.tensor([15496, 11, 703, 389])).shape
    torch.Size([4, 128])
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_dim: int,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            checked_size("vocab_size", vocab_size),
            checked_size("embedding_dim", embedding_dim),
            device=device,
            dtype=dtype,
        )

    def forward(self, ids: Tensor) -> Tensor:
        """Look up `ids`, integers of any shape [...]; the result is [..., D]."""
        if ids.dtype not in _INDEX_DTYPES:
            ids = _widened(ids)
        # torch checks every id on the CPU while it looks it up; asking it costs nothing, a look
        # at the ids beforehand would read them twice.
        try:
            return super().forward(ids)
        except IndexError:
            raise _out_of_range(ids, self.num_embeddings) from None

    def logits(self, vectors: Tensor) -> Tensor:
        """Score every id for vectors [..., D] by this very weight: [..., vocab_size].

        The tied output layer of GPT-2 (Press and Wolf, "Using the Output Embedding to Improve
        Language Models", 2017): one weight, one gradient.

        Examples
        --------
        >>> embedding = TokenEmbedding(50, 8)
        >>> embedding.logits(embedding(torch.tensor([[1, 2]]))).shape
        torch.Size([1, 2, 50])
        """
        return nn.functional.linear(vectors, self.weight)


class PositionalEmbedding(nn.Embedding):
    """A learned vector for each position in a context.

    Parameters
    ----------
    max_length
        how many positions there are: the model's context.
    embedding_dim
        length of a vector, D.
    device, dtype
        of the weight; torch's defaults if not given.

    Raises
    ------
    InvalidWindow
        for a size below 1.
    IdOutOfRange
        in a call, for more positions than `max_length`; for positions in a tensor as
        :class:`TokenEmbedding` does.

    Examples
    --------
    >>> embedding = PositionalEmbedding(4, 128)
    >>> embedding(4).shape
    torch.Size([4, 128])
    >>> torch.equal(embedding(3), embedding(torch.arange(3)))
    True
    """

    def __init__(
        self,
        max_length: int,
        embedding_dim: int,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            checked_size("max_length", max_length),
            checked_size("embedding_dim", embedding_dim),
            device=device,
            dtype=dtype,
        )

    def forward(self, positions: int | Tensor) -> Tensor:
        """Look up the first `positions` positions, [positions, D], or those in a tensor."""
        if isinstance(positions, Tensor):
            if positions.dtype not in _INDEX_DTYPES:
                positions = _widened(positions)
            try:
                return super().forward(positions)
            except IndexError:
                raise _out_of_range(positions, self.num_embeddings, "position") from None
        return self.first(positions)

    def first(self, length: int) -> Tensor:
        """Give the vectors of positions 0 to ``length - 1``, [length, D]: a view of the weight."""
        return _first(self.weight, length)


class SinusoidalEmbedding(nn.Module):
    """A fixed vector for each position: sines at even places, cosines at odd ones.

    Place 2i of position p is ``sin(p / 10000 ** (2i / D))``, place 2i + 1 the cosine of the same
    (Vaswani and others, "Attention Is All You Need", 2017). Nothing is learned and nothing saved:
    the state dict has no entry of it.

    Parameters
    ----------
    max_length
        how many positions there are.
    embedding_dim
        length of a vector, D; even.
    device, dtype
        of the vectors; torch's defaults if not given. They are computed in float64.

    Raises
    ------
    InvalidWindow
        for a size below 1 or an odd D.
    IdOutOfRange
        in a call, for more positions than `max_length`.

    Examples
    --------
    >>> SinusoidalEmbedding(4, 4)(2)
    tensor([[0.0000, 1.0000, 0.0000, 1.0000],
            [0.8415, 0.5403, 0.0100, 0.9999]])
    """

    table: Tensor

    def __init__(
        self,
        max_length: int,
        embedding_dim: int,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.num_embeddings = checked_size("max_length", max_length)
        self.embedding_dim = checked_size("embedding_dim", embedding_dim)
        if embedding_dim % 2:
            raise InvalidWindow(f"embedding_dim must be even for pairs; found {embedding_dim}")
        table = torch.empty(max_length, embedding_dim, device=device, dtype=dtype)
        self.register_buffer("table", table, persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Compute the vectors, as is needed after ``to_empty`` of a module on the meta device."""
        if self.table.is_meta:
            return
        device = self.table.device
        # Not every device has float64; this is small, and done once.
        places = torch.arange(0, self.embedding_dim, 2, dtype=torch.float64)
        rates = torch.exp(places * (-math.log(10000) / self.embedding_dim))
        angles = torch.arange(self.num_embeddings, dtype=torch.float64)[:, None] * rates
        table = torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)
        self.table.copy_(table.to(self.table.dtype).to(device))

    def forward(self, positions: int | Tensor) -> Tensor:
        """Look up the first `positions` positions, [positions, D], or those in a tensor."""
        if isinstance(positions, Tensor):
            if positions.dtype not in _INDEX_DTYPES:
                positions = _widened(positions)
            try:
                return nn.functional.embedding(positions, self.table)
            except IndexError:
                raise _out_of_range(positions, self.num_embeddings, "position") from None
        return self.first(positions)

    def first(self, length: int) -> Tensor:
        """Give the vectors of positions 0 to ``length - 1``, [length, D]: a view."""
        return _first(self.table, length)


class InputEmbedding(nn.Module):
    """What enters the model: token embedding plus position embedding.

    Equal, bit for bit, to ``nn.Embedding(vocab_size, D)(ids) +
    nn.Embedding(max_length, D)(arange(L))``, with the same weights if made under the same seed.

    Parameters
    ----------
    vocab_size
        how many ids there are.
    embedding_dim
        length of a vector, D.
    max_length
        how many positions there are.
    positions
        "learned", or "sinusoidal" for :class:`SinusoidalEmbedding`.
    device, dtype
        of the weights; torch's defaults if not given.

    Attributes
    ----------
    wte, wpe
        :class:`TokenEmbedding` and :class:`PositionalEmbedding`; ``wte.logits`` is the tied
        output layer. The names are GPT-2's, so its
        ``wte.weight`` [50257, 768] and ``wpe.weight`` [1024, 768] load as they are.

    Raises
    ------
    InvalidWindow
        for a size below 1, and in a call for ids that are not integers or have no dimension.
    IdOutOfRange
        in a call, for more than `max_length` ids in a row, and on the CPU for an id outside the
        vocabulary; see :class:`TokenEmbedding` for other devices.

    Examples
    --------
    >>> embedding = InputEmbedding(50257, 128, max_length=4)
    >>> embedding(torch.tensor([[40, 367, 2885, 1464], [367, 2885, 1464, 1807]])).shape
    torch.Size([2, 4, 128])
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_dim: int,
        max_length: int,
        *,
        positions: Literal["learned", "sinusoidal"] = "learned",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        kinds: dict[str, Any] = {
            "learned": PositionalEmbedding,
            "sinusoidal": SinusoidalEmbedding,
        }
        if positions not in kinds:
            raise InvalidWindow(f"positions must be one of {', '.join(kinds)}; found {positions!r}")
        # In the notebook's order, which decides what each draws from the random generator.
        self.wte = TokenEmbedding(vocab_size, embedding_dim, device=device, dtype=dtype)
        self.wpe = kinds[positions](max_length, embedding_dim, device=device, dtype=dtype)

    def forward(self, ids: Tensor, position_ids: Tensor | None = None) -> Tensor:
        """Embed `ids`, integers [B, L] or [L] with L up to `max_length`; adds a last axis, D.

        `position_ids`, of the same shape, are the loader's, which restart with each document.
        """
        if ids.dim() == 0:
            raise InvalidWindow("one id alone has no position; pass ids of shape [L] or [B, L]")
        # Not wpe(...), which would take a length for a position: in torch.jit.trace it is a tensor.
        alone = position_ids is None
        positions = self.wpe.first(ids.shape[-1]) if alone else self.wpe(position_ids)
        embedded: Tensor = self.wte(ids) + positions
        return embedded


def _first(table: Tensor, length: int) -> Tensor:
    if not 0 <= length <= table.shape[0]:
        raise IdOutOfRange(
            f"a sequence of {length} ids, but there are {table.shape[0]} positions; "
            f"cut it into windows of at most that max_length"
        )
    return table[:length]


def _widened(ids: Tensor) -> Tensor:
    if ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
        raise InvalidWindow(f"token ids must be integers; found {ids.dtype}")
    return ids.to(torch.int64)


def _out_of_range(ids: Tensor, limit: int, name: str = "id") -> IdOutOfRange:
    """The error that names the first of `ids` that is not below `limit`."""
    wrong = ((ids < 0) | (ids >= limit)).nonzero()
    place = wrong[0].tolist()
    found = int(ids[tuple(place)])
    return IdOutOfRange(
        f"{name} {found} at {place} is out of range: there are {limit}, from 0 to {limit - 1}; "
        f"{len(wrong)} of {ids.numel()} are, so check which tokenizer made them"
    )
