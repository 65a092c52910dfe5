"""Sliding windows over a token sequence: index arithmetic, and views without a copy.

A window of ``max_length`` is ``max_length + 1`` tokens: all but the last are the input of a
training example, all but the first its target. Windows start at 0, stride, 2 * stride, ...
"""

from __future__ import annotations

from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from fastprep.errors import InvalidWindow
from fastprep.system.arguments import whole_number
from fastprep.windows.tokens import IdArray, Tokens, open_tokens

# Ids in a batch, and so in a window: the int64 inputs and targets of so many take 16 GiB, and
# cumulative lengths are int32.
MAX_BATCH_IDS = 1 << 30
MAX_STRIDE = 1 << 62

IdType = TypeVar("IdType", bound=np.integer[Any])


def checked_size(name: str, value: int, most: int = MAX_BATCH_IDS) -> int:
    """Return `value` as an int if it is an integer from 1 to `most`; raise InvalidWindow otherwise.

    `name` is what the error message calls it.

    >>> checked_size("stride", 128)
    128
    """
    return whole_number(value, name, 1, most, InvalidWindow)


def window_starts(
    num_tokens: int, max_length: int, stride: int, *, pad_last: bool = False
) -> range:
    """Return the start positions of the windows of a sequence, as a range, which takes no memory.

    The full windows start at 0, stride, 2 * stride, ... as long as ``max_length + 1`` tokens are
    left: ``ceil((num_tokens - max_length) / stride)`` of them, or none.

    With `pad_last` there is one more window, at the next multiple of the stride, if both hold:
    no full window predicts the last token, and the new window has something to predict, which
    takes at least two tokens from its start on. It is the only window that runs past the end.

    Parameters
    ----------
    num_tokens
        number of tokens in the sequence.
    max_length
        tokens in the input of one example.
    stride
        tokens from the start of a window to the start of the next; may exceed `max_length`.
    pad_last
        whether to count a shorter last window.

    Returns
    -------
    range
        the index of the first token of each window.

    Raises
    ------
    InvalidWindow
        if `max_length` or `stride` is not an integer of at least 1.

    Examples
    --------
    25 tokens in chunks of 10, without and with the rest; and overlapping by 5:

    >>> list(window_starts(25, 10, 10)), list(window_starts(25, 10, 10, pad_last=True))
    ([0, 10], [0, 10, 20])
    >>> list(window_starts(25, 10, 5)), list(window_starts(25, 10, 5, pad_last=True))
    ([0, 5, 10], [0, 5, 10, 15])
    """
    max_length = checked_size("max_length", max_length)
    stride = checked_size("stride", stride, MAX_STRIDE)
    full = range(0, max(0, num_tokens - max_length), stride)
    if not pad_last:
        return full
    last_predicted = full[-1] + max_length if full else 0
    next_start = len(full) * stride
    if last_predicted < num_tokens - 1 and next_start < num_tokens - 1:
        return range(0, next_start + 1, stride)
    return full


def num_windows(num_tokens: int, max_length: int, stride: int, *, pad_last: bool = False) -> int:
    """Count the windows of a sequence; see :func:`window_starts`, also for what it raises.

    Examples
    --------
    >>> num_windows(5145, 256, 128)
    39
    """
    return len(window_starts(num_tokens, max_length, stride, pad_last=pad_last))


@overload
def sliding_windows(tokens: NDArray[IdType], max_length: int, stride: int) -> NDArray[IdType]: ...
@overload
def sliding_windows(tokens: Tokens, max_length: int, stride: int) -> IdArray: ...
def sliding_windows(tokens: Tokens, max_length: int, stride: int) -> IdArray:
    """Return a view of all full windows of a sequence; nothing is copied or read.

    Row i is the ``max_length + 1`` tokens from position ``i * stride``: ``[:, :-1]`` are the
    inputs, ``[:, 1:]`` the targets.

    Parameters
    ----------
    tokens
        ``[num_tokens]`` ids, uint8, uint16, uint32, int32 or int64: a memory map, an array, a CPU
        tensor, or a token store with a single shard, or its path. A sequence of ints is copied.
    max_length
        tokens in the input of one example, L.
    stride
        tokens from the start of a window to the start of the next.

    Returns
    -------
    numpy.ndarray
        ``[num_windows, L + 1]``, of the dtype of the tokens, read-only, sharing their memory; no
        rows if there are at most L tokens.

    Raises
    ------
    InvalidWindow
        for a wrong size, tokens of a wrong kind, or a store of several shards, since a view
        cannot run from one file into the next.

    Examples
    --------
    >>> sliding_windows(np.arange(7, dtype=np.uint16), max_length=3, stride=2)
    array([[0, 1, 2, 3],
           [2, 3, 4, 5]], dtype=uint16)
    """
    width = checked_size("max_length", max_length) + 1
    stride = checked_size("stride", stride, MAX_STRIDE)
    opened = open_tokens(tokens)
    arrays = (opened,) if isinstance(opened, np.ndarray) else opened.shards
    shards = [array for array in arrays if array.size]
    if len(shards) > 1:
        raise InvalidWindow(
            f"these tokens are in {len(shards)} shards, and no view runs from one into the next; "
            f"use WindowDataset, whose windows do"
        )
    if not shards or shards[0].size < width:
        dtype = arrays[0].dtype if arrays else np.dtype(np.int64)
        nothing: IdArray = np.empty((0, width), dtype)
        nothing.flags.writeable = False
        return nothing
    return np.lib.stride_tricks.sliding_window_view(np.asarray(shards[0]), width)[::stride]
