"""Embeddings: token ids to the vectors that enter a model, token plus position embedding.

The weights are those of torch.nn.Embedding, so initialization, state dicts, weight tying and
optimizers work as usual; added are errors that name the id or the length that is out of range.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fastprep.errors import IdOutOfRange, InvalidWindow
from fastprep.system.arguments import whole_number

# The integer dtypes that torch looks up as they are; others are widened to int64.
_INDEX_DTYPES = (torch.int64, torch.int32)
MAX_SIZE = (1 << 31) - 1
MAX_WEIGHTS = 1 << 42  # numbers in one table: 16 TiB as float32

Ids: TypeAlias = Tensor | NDArray[np.integer[Any]] | Sequence[Any]


class _Embedding(nn.Embedding):
    """torch's embedding, with ``from_pretrained`` for classes that name their sizes otherwise."""

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls, embeddings: Tensor, freeze: bool = True, **options: Any
    ) -> Any:
        """Create an embedding whose weight is `embeddings`, floats [rows, D].

        `freeze` excludes the weight from training; `options` are those of torch's method.

        Raises
        ------
        InvalidWindow
            for anything but a matrix of floats.

        Examples
        --------
        >>> embedding = TokenEmbedding.from_pretrained(torch.eye(3))
        >>> embedding([2])
        tensor([[0., 0., 1.]])
        """
        if (
            not isinstance(embeddings, Tensor)
            or embeddings.dim() != 2
            or (not embeddings.is_floating_point())
        ):
            found = getattr(embeddings, "shape", embeddings)
            raise InvalidWindow(
                f"embeddings must be a tensor of floats [rows, embedding_dim]; found {found}"
            )
        embedding = cls.__new__(cls)
        rows, columns = embeddings.shape
        nn.Embedding.__init__(
            embedding, rows, columns, _weight=embeddings, _freeze=freeze, **options
        )
        return embedding


class TokenEmbedding(_Embedding):
    """An embedding with one vector per id of a vocabulary.

    ``torch.nn.Embedding`` with the same random weights under the same seed, which takes any
    integer dtype and names the id that is out of range.

    Parameters
    ----------
    vocab_size
        number of ids, V; 50257 for gpt2.
    embedding_dim
        length of a vector, D.
    device, dtype
        of the weight ``[V, D]``; torch's defaults if not given.

    Raises
    ------
    InvalidWindow
        for a size out of range, and in a call for ids that are not integers.
    IdOutOfRange
        in a call on the CPU, for an id that is negative or at least `vocab_size`. On another
        device the check would cost a synchronization, so the error is that device's own.

    Examples
    --------
    >>> embedding = TokenEmbedding(50257, 128)
    >>> embedding(torch.tensor([15496, 11, 703, 389])).shape
    torch.Size([4, 128])
    """

    __call__: Callable[..., Tensor]

    def __init__(
        self,
        vocab_size: int,
        embedding_dim: int,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        rows, columns = _checked_shape("vocab_size", vocab_size, embedding_dim)
        super().__init__(rows, columns, device=device, dtype=dtype)

    def forward(self, ids: Ids) -> Tensor:
        """Look up `ids`, integers of any shape [...]; the result is [..., D].

        They are a tensor, or an array or lists of ints, which are moved to the weight's device.
        """
        ids = _as_tensor(ids, self.weight)
        return _look_up(super().forward, ids, self.num_embeddings, "id")

    def logits(self, vectors: Tensor) -> Tensor:
        """Score every id for `vectors` [..., D] by the same weight; the result is [..., V].

        The tied output layer of GPT-2 (Press and Wolf, "Using the Output Embedding to Improve
        Language Models", 2017): one weight, one gradient.

        Examples
        --------
        >>> embedding = TokenEmbedding(50, 8)
        >>> embedding.logits(embedding(torch.tensor([[1, 2]]))).shape
        torch.Size([1, 2, 50])
        """
        return nn.functional.linear(vectors, self.weight)


class PositionalEmbedding(_Embedding):
    """An embedding with one learned vector per position of a context.

    Parameters
    ----------
    max_length
        number of positions: the model's context length, M.
    embedding_dim
        length of a vector, D.
    device, dtype
        of the weight ``[M, D]``; torch's defaults if not given.

    Raises
    ------
    InvalidWindow
        for a size out of range.
    IdOutOfRange
        in a call, for more positions than `max_length`; for positions in a tensor as
        :class:`TokenEmbedding`.

    Examples
    --------
    >>> embedding = PositionalEmbedding(4, 128)
    >>> embedding(4).shape
    torch.Size([4, 128])
    >>> torch.equal(embedding(3), embedding(torch.arange(3)))
    True
    """

    __call__: Callable[..., Tensor]

    def __init__(
        self,
        max_length: int,
        embedding_dim: int,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        rows, columns = _checked_shape("max_length", max_length, embedding_dim)
        super().__init__(rows, columns, device=device, dtype=dtype)

    def forward(self, positions: int | Ids) -> Tensor:
        """Look up the first `positions` positions, [positions, D], or those in a tensor or list."""
        if _is_number(positions):
            return self.first(positions)  # type: ignore[arg-type]
        positions = _as_tensor(positions, self.weight)
        return _look_up(super().forward, positions, self.num_embeddings, "position")

    def first(self, length: int) -> Tensor:
        """Return the vectors of positions 0 to ``length - 1``, [length, D]: a view of the weight."""
        return _first_rows(self.weight, length)


class SinusoidalEmbedding(nn.Module):
    """An embedding with one fixed vector per position: sines at even indices, cosines at odd ones.

    Element 2i of position p is ``sin(p / 10000 ** (2i / D))``, element 2i + 1 the cosine of the
    same (Vaswani and others, "Attention Is All You Need", 2017). Nothing is learned and nothing
    is saved: the state dict has no entry for it.

    Parameters
    ----------
    max_length
        number of positions, M.
    embedding_dim
        length of a vector, D; even.
    device, dtype
        of the vectors ``[M, D]``; torch's defaults if not given. They are computed in float64.

    Raises
    ------
    InvalidWindow
        for a size out of range or an odd D.
    IdOutOfRange
        in a call, for more positions than `max_length`.

    Examples
    --------
    >>> SinusoidalEmbedding(4, 4)(2)
    tensor([[0.0000, 1.0000, 0.0000, 1.0000],
            [0.8415, 0.5403, 0.0100, 0.9999]])
    """

    __call__: Callable[..., Tensor]
    table: Tensor
    num_embeddings: int
    embedding_dim: int

    def __init__(
        self,
        max_length: int,
        embedding_dim: int,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        shape = _checked_shape("max_length", max_length, embedding_dim)
        self.num_embeddings, self.embedding_dim = shape
        if self.embedding_dim % 2:
            raise InvalidWindow(
                f"embedding_dim must be even for pairs of sine and cosine; found {embedding_dim}"
            )
        table = torch.empty(shape, device=device, dtype=dtype)
        self.register_buffer("table", table, persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Compute the vectors, as needed after ``to_empty`` of a module on the meta device."""
        if self.table.is_meta:
            return
        device = self.table.device
        # On the CPU, as not every device has float64; the table is small and computed once.
        indices = torch.arange(0, self.embedding_dim, 2, dtype=torch.float64)
        rates = torch.exp(indices * (-math.log(10000) / self.embedding_dim))
        angles = torch.arange(self.num_embeddings, dtype=torch.float64)[:, None] * rates
        table = torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)
        self.table.copy_(table.to(self.table.dtype).to(device))

    def forward(self, positions: int | Ids) -> Tensor:
        """Look up the first `positions` positions, [positions, D], or those in a tensor or list."""
        if _is_number(positions):
            return self.first(positions)  # type: ignore[arg-type]
        positions = _as_tensor(positions, self.table)
        return _look_up(self._rows, positions, self.num_embeddings, "position")

    def first(self, length: int) -> Tensor:
        """Return the vectors of positions 0 to ``length - 1``, [length, D]: a view."""
        return _first_rows(self.table, length)

    def _rows(self, positions: Tensor) -> Tensor:
        return nn.functional.embedding(positions, self.table)


class InputEmbedding(nn.Module):
    """The input layer of a model: token embedding plus position embedding.

    Equal, bit for bit, to ``nn.Embedding(vocab_size, D)(ids) +
    nn.Embedding(max_length, D)(arange(L))``, with the same weights if made under the same seed.

    Parameters
    ----------
    vocab_size
        number of ids, V.
    embedding_dim
        length of a vector, D.
    max_length
        number of positions, M.
    positions
        "learned", or "sinusoidal" for :class:`SinusoidalEmbedding`.
    device, dtype
        of the weights; torch's defaults if not given.

    Attributes
    ----------
    wte, wpe
        :class:`TokenEmbedding` ``[V, D]`` and :class:`PositionalEmbedding` ``[M, D]``;
        ``wte.logits`` is the tied output layer. The names are GPT-2's, so its ``wte.weight``
        [50257, 768] and ``wpe.weight`` [1024, 768] load as they are.

    Raises
    ------
    InvalidWindow
        for a size out of range, and in a call for ids that are not integers or have no dimension.
    IdOutOfRange
        in a call, for more than `max_length` ids in a row, and on the CPU for an id outside the
        vocabulary; see :class:`TokenEmbedding` for other devices.

    Examples
    --------
    >>> embedding = InputEmbedding(50257, 128, max_length=4)
    >>> embedding(torch.tensor([[40, 367, 2885, 1464], [367, 2885, 1464, 1807]])).shape
    torch.Size([2, 4, 128])
    """

    __call__: Callable[..., Tensor]
    wte: TokenEmbedding
    wpe: PositionalEmbedding | SinusoidalEmbedding

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
        kinds: dict[str, type[PositionalEmbedding | SinusoidalEmbedding]] = {
            "learned": PositionalEmbedding,
            "sinusoidal": SinusoidalEmbedding,
        }
        if not isinstance(positions, str) or positions not in kinds:
            raise InvalidWindow(f"positions must be one of {', '.join(kinds)}; found {positions!r}")
        # In the notebook's order, which decides what each draws from the random generator.
        self.wte = TokenEmbedding(vocab_size, embedding_dim, device=device, dtype=dtype)
        self.wpe = kinds[positions](max_length, embedding_dim, device=device, dtype=dtype)

    def forward(self, ids: Ids, position_ids: Ids | None = None) -> Tensor:
        """Embed `ids`, integers [B, L] or [L] with L up to `max_length`; the result has a last axis D.

        `position_ids`, of the same shape, are those of the loader, which restart with each document.
        """
        ids = _as_tensor(ids, self.wte.weight)
        if ids.dim() == 0:
            raise InvalidWindow("a single id has no position; pass ids of shape [L] or [B, L]")
        # Not wpe(L), which would take the length for a tensor of positions in torch.jit.trace.
        alone = position_ids is None
        positions = self.wpe.first(ids.shape[-1]) if alone else self.wpe(position_ids)
        return self.wte(ids) + positions


def _checked_shape(name: str, rows: int, embedding_dim: int) -> tuple[int, int]:
    shape = (
        whole_number(rows, name, 1, MAX_SIZE, InvalidWindow),
        whole_number(embedding_dim, "embedding_dim", 1, MAX_SIZE, InvalidWindow),
    )
    if shape[0] * shape[1] > MAX_WEIGHTS:
        raise InvalidWindow(
            f"{name} {rows} times embedding_dim {embedding_dim} is more than {MAX_WEIGHTS} numbers; "
            "make one of them smaller"
        )
    return shape


def _is_number(positions: Any) -> bool:
    """Return True for a number of positions, False for positions; raise InvalidWindow otherwise."""
    if isinstance(positions, Tensor | np.ndarray | list | tuple | range):
        return False
    if isinstance(positions, bool) or not hasattr(positions, "__index__"):
        raise InvalidWindow(
            f"positions must be a number of positions, or integers in a tensor; found {positions!r}"
        )
    return True


def _as_tensor(ids: Any, weight: Tensor) -> Tensor:
    """Return ids as a tensor; those of an array or of lists are moved to the device of `weight`.

    Raises InvalidWindow for anything that is not an array of integers.
    """
    if isinstance(ids, Tensor):
        return ids
    try:
        array = np.asarray(ids)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidWindow(
            f"a {type(ids).__name__} cannot be read as an array of ids: {error}"
        ) from None
    if array.size == 0 and not isinstance(ids, np.ndarray):
        array = array.astype(np.int64)  # numpy gives an empty list the dtype float64
    if array.dtype.kind not in "iu":
        raise InvalidWindow(f"ids must be integers; found a {type(ids).__name__} of {array.dtype}")
    if array.dtype == np.uint64 and array.size and array.max() >= 1 << 63:
        raise IdOutOfRange(f"the id {array.max()} is out of range; check which tokenizer made it")
    return torch.from_numpy(array.astype(np.int64)).to(weight.device)


def _look_up(rows: Callable[[Tensor], Tensor], ids: Tensor, limit: int, name: str) -> Tensor:
    """Return ``rows(ids)`` for ids of any integer dtype.

    Raises IdOutOfRange for the first id that is not below `limit`.
    """
    if ids.dtype not in _INDEX_DTYPES:
        if ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
            raise InvalidWindow(f"token ids must be integers; found {ids.dtype}")
        ids = ids.to(torch.int64)
    # torch checks every id on the CPU during the lookup, so catching its error costs nothing,
    # where a check beforehand would read the ids twice.
    try:
        return rows(ids)
    except IndexError:
        wrong = ((ids < 0) | (ids >= limit)).nonzero()
        place = wrong[0].tolist()
        raise IdOutOfRange(
            f"{name} {int(ids[tuple(place)])} at {place} is out of range: there are {limit}, from 0 "
            f"to {limit - 1}; {len(wrong)} of {ids.numel()} are, so check which tokenizer made them"
        ) from None


def _first_rows(table: Tensor, length: int) -> Tensor:
    if not 0 <= length <= table.shape[0]:
        raise IdOutOfRange(
            f"a sequence of {length} ids, but there are {table.shape[0]} positions; "
            f"cut it into windows of at most that max_length"
        )
    return table[:length]
