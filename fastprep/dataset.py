"""Windows of a token sequence as a dataset for torch.

Nothing is cut beforehand: a window is found by arithmetic, and a batch is one copy out of the
tokens, widened to int64 on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeAlias, overload

import numpy as np
import torch
from torch.utils.data import Dataset

from fastprep.errors import InvalidWindow, TextTooShort
from fastprep.tokens import IdArray, Tokens, TokenSource
from fastprep.windows import checked_size, window_starts

# What cross_entropy ignores unless told otherwise: a place where there is nothing to predict.
IGNORED_TARGET = -100

Sample: TypeAlias = "tuple[torch.Tensor, torch.Tensor]"


class Windows(Sequence[Sample]):
    """A batch that is also the sequence of its samples.

    A collate function that knows it takes the whole batch, :attr:`inputs` and :attr:`targets`,
    with nothing left to stack; any other, such as torch's ``default_collate``, finds a sequence
    of ``(input, target)``.

    Attributes
    ----------
    inputs, targets
        int64 ``[B, L]``, contiguous; both lie in one block of memory.

    Examples
    --------
    >>> batch = WindowDataset([5, 6, 7, 8], max_length=2, stride=1).__getitems__([0, 1])
    >>> batch.targets
    tensor([[6, 7],
            [7, 8]])
    >>> batch[1]
    (tensor([6, 7]), tensor([7, 8]))
    """

    __slots__ = ("inputs", "targets")

    def __init__(self, inputs: torch.Tensor, targets: torch.Tensor) -> None:
        self.inputs = inputs
        self.targets = targets

    def __len__(self) -> int:
        return len(self.inputs)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Windows: ...
    def __getitem__(self, index: int | slice) -> Sample | Windows:
        if isinstance(index, slice):
            return Windows(self.inputs[index], self.targets[index])
        return self.inputs[index], self.targets[index]

    def __iter__(self) -> Iterator[Sample]:
        return zip(self.inputs.unbind(), self.targets.unbind(), strict=True)

    def __repr__(self) -> str:
        return f"Windows(inputs={self.inputs!r}, targets={self.targets!r})"


class WindowDataset(Dataset[Sample]):
    """Sliding windows over token ids, without a copy of them.

    Sample i is ``(input, target)``: the `max_length` ids from ``i * stride`` on, and those one
    place further on. Both are fresh int64 tensors.

    Parameters
    ----------
    tokens
        a :class:`~fastprep.store.TokenStore` or the path of one, a memory map, an array, a CPU
        tensor (uint8, uint16, uint32, int32, int64), or a sequence of ints. Only a sequence of
        ints is copied. Windows run across the shards of a store.
    max_length
        ids in an input, L: the model's context.
    stride
        ids from the begin of a window to the begin of the next; `max_length` if not given, so
        that windows do not overlap.
    pad_last
        whether the ids that the full windows leave unpredicted make one window more, at the next
        multiple of the stride; it exists if there is at least one of them to predict. Its input
        is filled up with `pad_token`, and where there is nothing to predict its target is -100,
        which ``cross_entropy`` ignores. 25 ids in windows of 10 are then three windows, the last
        of 5 ids and 4 targets.
    pad_token
        the id that fills up the input of the last window; 0, as every vocabulary has it. A causal
        model cannot see it from the places that have targets.

    Attributes
    ----------
    num_tokens
        how many ids there are.
    starts
        the position at which each window begins, a range.
    max_length, stride, pad_last, pad_token
        as given.

    Raises
    ------
    InvalidWindow
        for a wrong size, tokens of a wrong kind, or a negative id. Ids in a file are looked at
        when they are read.
    TextTooShort
        if there is not one window: that takes ``max_length + 1`` ids, with `pad_last` 2.
    InvalidStore
        for a path that is no token store.

    Notes
    -----
    A dataset of a store or of a memory map is pickled as a path, a few hundred bytes, and maps
    the file again in the process that unpickles it; so worker processes of any start method
    share one copy of the ids. ``__getitems__`` makes a whole batch in one call, which is how
    torch's DataLoader asks for it.

    Examples
    --------
    >>> dataset = WindowDataset(np.arange(100, 125, dtype=np.uint16), max_length=10, pad_last=True)
    >>> len(dataset)
    3
    >>> inputs, targets = dataset[2]
    >>> inputs
    tensor([120, 121, 122, 123, 124,   0,   0,   0,   0,   0])
    >>> targets
    tensor([ 121,  122,  123,  124, -100, -100, -100, -100, -100, -100])
    """

    def __init__(
        self,
        tokens: Tokens,
        max_length: int,
        stride: int | None = None,
        *,
        pad_last: bool = False,
        pad_token: int = 0,
    ) -> None:
        self.max_length = checked_size("max_length", max_length)
        self.stride = self.max_length if stride is None else checked_size("stride", stride)
        self.pad_last = bool(pad_last)
        self.pad_token = pad_token if pad_token == 0 else checked_size("pad_token", pad_token)
        self._source = TokenSource(tokens)
        self.num_tokens = self._source.num_tokens
        self.starts = window_starts(
            self.num_tokens, self.max_length, self.stride, pad_last=self.pad_last
        )
        if not self.starts:
            needed = 2 if self.pad_last else self.max_length + 1
            raise TextTooShort(
                f"{self.num_tokens} tokens make no window of max_length {self.max_length}: that "
                f"takes {needed}, as the target is the input one place on; use more text"
                + ("" if self.pad_last else ", a smaller max_length, or pad_last=True")
            )

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> Sample:
        batch = self.__getitems__((index,))
        return batch.inputs[0], batch.targets[0]

    def __getitems__(self, indices: Sequence[int]) -> Windows:
        """Make the samples of `indices` in one pass; a negative index counts from the end.

        Returns
        -------
        Windows
            the batch, in the order of `indices`.

        Raises
        ------
        IndexError
            for an index that is no window.
        InvalidWindow
            for a negative id.
        """
        if hasattr(indices, "tolist"):
            indices = indices.tolist()  # a range finds ten ints in the time of one numpy integer
        rows = len(indices)
        try:
            starts = np.fromiter(map(self.starts.__getitem__, indices), np.int64, rows)
        except IndexError:
            size = len(self)
            wrong = next(index for index in indices if not -size <= index < size)
            raise IndexError(
                f"window {wrong} of a dataset that has {size}, from 0 to {size - 1}"
            ) from None
        # One block, as a worker process then sends one piece of shared memory, not two: half the
        # time a batch. Made by numpy: torch.empty and Tensor.numpy take 2 microseconds more.
        block = np.empty((2, rows, self.max_length), np.int64)
        self._source.core.gather(
            starts, block[0], block[1], self.pad_token if self.pad_last else None, IGNORED_TARGET
        )
        return Windows(*torch.from_numpy(block).unbind())

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.num_tokens} tokens, {len(self)} windows, "
            f"max_length={self.max_length}, stride={self.stride})"
        )


class Tokenizer(Protocol):
    """What the notebook asks of a tokenizer."""

    def encode(self, text: str, *, allowed_special: set[str]) -> Sequence[int]:
        """Turn text into token ids; the special tokens named are ids of their own."""


class GPTDatasetV1(WindowDataset):
    """The notebook's dataset: a text, tokenized and cut into overlapping windows.

    Same arguments, samples and errors, without its lists of tensors: `input_ids` and `target_ids`
    index, slice and iterate as those did, and make each tensor when it is asked for.

    Parameters
    ----------
    txt
        a text; with ``tokenizer=None`` ids that are made already, of any kind that
        :class:`WindowDataset` takes but a path.
    tokenizer
        fastprep's or tiktoken's encoding, or anything with
        ``encode(txt, allowed_special={"<|endoftext|>"})``; None if `txt` is ids.
    max_length
        ids in an input.
    stride
        ids from the begin of a window to the begin of the next.

    Raises
    ------
    TextTooShort
        for a text of no more than `max_length` tokens, with the notebook's message; it is an
        AssertionError, too.
    InvalidWindow
        for a wrong size or ids of a wrong kind.

    Examples
    --------
    >>> dataset = GPTDatasetV1([40, 367, 2885, 1464, 1807], None, max_length=2, stride=2)
    >>> len(dataset), dataset[1]
    (2, (tensor([2885, 1464]), tensor([1464, 1807])))
    >>> list(dataset.input_ids)
    [tensor([ 40, 367]), tensor([2885, 1464])]
    """

    def __init__(
        self, txt: str | Tokens, tokenizer: Tokenizer | None, max_length: int, stride: int
    ) -> None:
        if tokenizer is None:
            tokens = txt
            if isinstance(txt, str):
                raise InvalidWindow(
                    "tokenizer=None means that txt is token ids, but it is a str; "
                    "pass a tokenizer to encode it"
                )
        else:
            tokens = _token_ids(tokenizer, txt)
        try:
            super().__init__(tokens, max_length, stride)
        except TextTooShort:
            raise TextTooShort(
                "Number of tokenized inputs must at least be equal to max_length+1"
            ) from None

    @property
    def input_ids(self) -> Sequence[torch.Tensor]:
        """The inputs, int64 [max_length] each, as a sequence."""
        return _Column(self, lambda batch: batch.inputs)

    @property
    def target_ids(self) -> Sequence[torch.Tensor]:
        """The targets, int64 [max_length] each, as a sequence."""
        return _Column(self, lambda batch: batch.targets)


class _Column(Sequence[torch.Tensor]):
    """The inputs or the targets of a dataset, each made when it is asked for."""

    def __init__(self, dataset: WindowDataset, column: Callable[[Windows], torch.Tensor]) -> None:
        self._dataset = dataset
        self._column = column

    def __len__(self) -> int:
        return len(self._dataset)

    @overload
    def __getitem__(self, index: int) -> torch.Tensor: ...
    @overload
    def __getitem__(self, index: slice) -> list[torch.Tensor]: ...
    def __getitem__(self, index: int | slice) -> torch.Tensor | list[torch.Tensor]:
        if isinstance(index, slice):
            chosen = range(len(self))[index]
            return list(self._column(self._dataset.__getitems__(chosen)).unbind())
        return self._column(self._dataset.__getitems__((index,)))[0]

    def __repr__(self) -> str:
        return f"<{len(self)} tensors of {self._dataset.max_length} ids>"


def _token_ids(tokenizer: Any, text: Any) -> Sequence[int] | IdArray:
    """The ids of the notebook's call of encode(), as an array where the tokenizer makes one."""
    allowed = {"<|endoftext|>"}
    # An encode() that some subclass has changed must not be passed by, so both methods have to
    # come from one class.
    if _home(tokenizer, "encode") is _home(tokenizer, "encode_to_numpy"):
        try:
            ids: IdArray = tokenizer.encode_to_numpy(text, allowed_special=allowed)
            return ids
        except UnicodeEncodeError:
            pass  # a lone surrogate, which encode() repairs
    encoded: Sequence[int] = tokenizer.encode(text, allowed_special=allowed)
    return encoded


def _home(tokenizer: object, method: str) -> object:
    """The class, or the object itself, that defines a method of a tokenizer."""
    if method in getattr(tokenizer, "__dict__", {}):
        return tokenizer
    return next((kind for kind in type(tokenizer).__mro__ if method in vars(kind)), None)
