"""Batches: a torch DataLoader over the windows of a text."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import DataLoader, default_collate

from fastprep.dataset import GPTDatasetV1, Sample, Tokenizer, Windows
from fastprep.tokens import Tokens


def collate_windows(samples: Any) -> list[torch.Tensor]:
    """Make a batch of samples: ``[inputs, targets]``, int64 ``[B, L]`` each, contiguous.

    A :class:`~fastprep.dataset.Windows` is a batch already and handed on; for anything else this
    is torch's ``default_collate``. Use it as the `collate_fn` of a DataLoader of your own.

    Examples
    --------
    >>> from fastprep.dataset import WindowDataset
    >>> dataset = WindowDataset([5, 6, 7, 8], max_length=2, stride=1)
    >>> loader = DataLoader(dataset, batch_size=2, collate_fn=collate_windows)
    >>> next(iter(loader))
    [tensor([[5, 6],
            [6, 7]]), tensor([[6, 7],
            [7, 8]])]
    """
    if isinstance(samples, Windows):
        return [samples.inputs, samples.targets]
    batch: list[torch.Tensor] = default_collate(samples)
    return batch


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
        of a :class:`~fastprep.dataset.GPTDatasetV1`; a batch is ``[inputs, targets]``, int64
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
