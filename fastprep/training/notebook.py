"""The notebook's dataset and loader under their own names, with bit-identical batches."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Protocol, overload

import torch
from torch.utils.data import DataLoader

from fastprep.errors import InvalidWindow, TextTooShort
from fastprep.system.arguments import MAX_WORKERS, whole_number
from fastprep.training.batch import Sample, collate_windows
from fastprep.training.dataset import WindowDataset
from fastprep.windows.tokens import IdArray, Tokens


class Tokenizer(Protocol):
    """The tokenizer interface that the notebook uses."""

    def encode(self, text: str, *, allowed_special: set[str]) -> Sequence[int]:
        """Encode text as token ids; the special tokens in `allowed_special` become one id each."""


class GPTDatasetV1(WindowDataset):
    """The notebook's dataset: a text, tokenized and cut into overlapping windows.

    It has the same arguments, samples and errors, but no lists of tensors: `input_ids` and
    `target_ids` index, slice and iterate as those do, and make each tensor on demand.

    Parameters
    ----------
    txt
        a text; with ``tokenizer=None`` token ids, of any kind that :class:`WindowDataset` takes
        except a path.
    tokenizer
        an encoding of fastprep or tiktoken, or anything with
        ``encode(txt, allowed_special={"<|endoftext|>"})``; None if `txt` is ids.
    max_length
        ids per input, L.
    stride
        ids from the start of a window to the start of the next.

    Attributes
    ----------
    input_ids, target_ids
        sequences of int64 ``[L]`` tensors.

    Raises
    ------
    TextTooShort
        for a text of at most `max_length` tokens, with the notebook's message; it is also an
        AssertionError.
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
                    "with tokenizer=None txt must be token ids, but it is a str; "
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
        """The inputs as a sequence of int64 ``[max_length]`` tensors."""
        return _Column(self, lambda batch: batch.inputs)

    @property
    def target_ids(self) -> Sequence[torch.Tensor]:
        """The targets as a sequence of int64 ``[max_length]`` tensors."""
        return _Column(self, lambda batch: batch.targets)


class _Column(Sequence[torch.Tensor]):
    """The inputs or the targets of a dataset as a sequence, each tensor made on demand."""

    def __init__(self, dataset: WindowDataset, column: Callable[[Any], torch.Tensor]) -> None:
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
            indices = range(len(self))[index]
            return list(self._column(self._dataset.__getitems__(indices)).unbind())
        return self._column(self._dataset.__getitems__((index,)))[0]

    def __repr__(self) -> str:
        return f"<{len(self)} tensors of {self._dataset.max_length} ids>"


def _token_ids(tokenizer: Any, text: Any) -> Sequence[int] | IdArray:
    """Return the ids of the notebook's call of encode(), as an array if the tokenizer makes one."""
    allowed = {"<|endoftext|>"}
    # encode_to_numpy() stands for encode() only if one class defines both: a subclass may have
    # overridden encode() alone.
    if _definer(tokenizer, "encode") is _definer(tokenizer, "encode_to_numpy"):
        try:
            ids: IdArray = tokenizer.encode_to_numpy(text, allowed_special=allowed)
            return ids
        except UnicodeEncodeError:
            pass  # a lone surrogate, which encode() repairs
    encoded: Sequence[int] = tokenizer.encode(text, allowed_special=allowed)
    return encoded


def _definer(tokenizer: object, method: str) -> object:
    """Return the class, or the object itself, that defines a method of a tokenizer."""
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
    """Create the notebook's loader: its batches of a text, bit for bit.

    With ``torch.manual_seed`` the order is the same too, in every epoch and with any number of
    workers: the loader is torch's own and draws from torch's global generator as the notebook's.

    Parameters
    ----------
    txt
        a text; with ``tokenizer=None`` token ids.
    batch_size
        samples per batch, B.
    max_length
        ids per input, L.
    stride
        ids from the start of a window to the start of the next.
    shuffle
        whether each epoch has its own order.
    drop_last
        whether to skip a last batch of fewer than `batch_size` samples.
    num_workers
        number of processes that make batches; 0 makes them in this process, which is faster unless
        the model's steps are shorter than the copy of a batch.
    tokenizer
        an encoding, the name of one of fastprep's, or None.

    Returns
    -------
    torch.utils.data.DataLoader
        over a :class:`GPTDatasetV1`; a batch is ``[inputs, targets]``, each int64 ``[B, L]`` and
        contiguous.

    Raises
    ------
    TextTooShort
        for a text of at most `max_length` tokens.
    InvalidWindow
        for a wrong size or ids of a wrong kind.
    UnknownEncoding
        if there is no encoding of that name.

    Warns
    -----
    UserWarning
        if there is not one batch; the notebook's loader is then silently empty.

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
    # torch refuses integers of numpy as batch_size, and takes any number of num_workers.
    if batch_size is not None:
        batch_size = whole_number(batch_size, "batch_size", error=InvalidWindow)
    num_workers = whole_number(num_workers, "num_workers", 0, MAX_WORKERS, InvalidWindow)
    if isinstance(tokenizer, str):
        from fastprep.registry import get_encoding

        encoding: Tokenizer | None = get_encoding(tokenizer)
    else:
        encoding = tokenizer
    loader: DataLoader[Sample] = DataLoader(
        GPTDatasetV1(txt, encoding, max_length, stride),
        batch_size=batch_size,
        shuffle=shuffle,
        drop_last=drop_last,
        num_workers=num_workers,
        # With batch_size=None torch yields single samples, which need no collation.
        collate_fn=None if batch_size is None else collate_windows,
    )
    if not len(loader):
        warnings.warn(
            f"{len(loader.dataset)} windows make no batch of {batch_size}, and drop_last skips the "  # type: ignore[arg-type]
            "rest; pass a smaller batch_size, drop_last=False, or more text",
            stacklevel=2,
        )
    return loader
