"""The notebook's dataset and loader, under its names: bit for bit its batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, overload

import torch
from torch.utils.data import DataLoader

from fastprep.errors import InvalidWindow, TextTooShort
from fastprep.training.batch import Sample, Windows, collate_windows
from fastprep.training.dataset import WindowDataset
from fastprep.windows.tokens import IdArray, Tokens


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


def create_dataloader_v1(
    txt: str | Tokens,
    batch_size: int = 4,
    max_length: int = 256,
    stride: int = 128,
    shuffle: bool = True,
    drop_last: bool = True,
    num_workers: int = 0,
    *,
    tokenizer: Tokenizer | str | None = "gpt2",
) -> DataLoader[Sample]:
    """Make the notebook's loader: the batches of a text, bit for bit those of the notebook.

    With ``torch.manual_seed`` the order is the same too, in every epoch and with any number of
    workers: the loader is torch's own and draws from torch's global generator as it did.

    Parameters
    ----------
    txt
        a text; with ``tokenizer=None`` ids that are made already.
    batch_size
        samples in a batch, B.
    max_length
        ids in an input, L.
    stride
        ids from the begin of a window to the begin of the next.
    shuffle
        whether each epoch has an order of its own.
    drop_last
        whether a last batch of fewer than `batch_size` samples is left out.
    num_workers
        processes that make batches; 0 makes them in this one, which is faster unless the model's
        steps are shorter than the copy of a batch.
    tokenizer
        an encoding, the name of one of fastprep's, or None.

    Returns
    -------
    torch.utils.data.DataLoader
        of a :class:`~fastprep.training.dataset.GPTDatasetV1`; a batch is ``[inputs, targets]``, int64
        ``[B, L]`` each, contiguous.

    Raises
    ------
    TextTooShort
        for a text of no more than `max_length` tokens.
    InvalidWindow
        for a wrong size or ids of a wrong kind.
    UnknownEncoding
        for a name that is no encoding.

    Examples
    --------
    >>> ids = [40, 367, 2885, 1464, 1807, 3619]
    >>> loader = create_dataloader_v1(
    ...     ids, batch_size=2, max_length=4, stride=1, shuffle=False, tokenizer=None
    ... )
    >>> inputs, targets = next(iter(loader))
    >>> inputs
    tensor([[  40,  367, 2885, 1464],
            [ 367, 2885, 1464, 1807]])
    """
    if isinstance(tokenizer, str):
        from fastprep.registry import get_encoding

        encoding: Tokenizer | None = get_encoding(tokenizer)
    else:
        encoding = tokenizer
    return DataLoader(
        GPTDatasetV1(txt, encoding, max_length, stride),
        batch_size=batch_size,
        shuffle=shuffle,
        drop_last=drop_last,
        num_workers=num_workers,
        # batch_size=None hands on single samples, which are torch's own business.
        collate_fn=None if batch_size is None else collate_windows,
    )
