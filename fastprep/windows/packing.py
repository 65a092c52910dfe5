"""Documents to rows: each cut by itself, or several packed into a row.

A row has room for L pairs of a token and the one after it, an input and its target. A document of
n tokens has n - 1 of them: its last token predicts nothing, so it is a target and never an input,
and takes no room. No pair joins two documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastprep.errors import InvalidWindow
from fastprep_ext.windows import best_fit

# For each part of the tokens (a shard): how many there are, and where its documents end.
DocumentParts: TypeAlias = Sequence[tuple[int, NDArray[np.uint64]]]


class PackedRows(NamedTuple):
    """Rows that are stretches of documents; row i is the stretches first[i] to first[i + 1] - 1.

    Attributes
    ----------
    first
        int64 ``[rows + 1]``.
    starts
        int64, the token at which each stretch begins.
    sizes
        int32, how many pairs each stretch has.
    utilisation
        the share of all places in all rows that hold a pair; the rest is padding.
    cropped
        the share of all pairs of all documents that is in no row.
    """

    first: NDArray[np.int64]
    starts: NDArray[np.int64]
    sizes: NDArray[np.int32]
    utilisation: float
    cropped: float

    def __len__(self) -> int:
        return len(self.first) - 1

    @property
    def segments(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
        """What the compiled core needs."""
        return self.first, self.starts, self.sizes


def cut_documents(parts: DocumentParts, length: int, stride: int) -> PackedRows:
    """One row a window, with windows that start where documents start.

    The windows of a document begin at its token 0, stride, 2 * stride, ... until all its pairs
    are in one; the last is shorter. Memory: 20 bytes a row.

    Examples
    --------
    >>> rows = cut_documents([(9, np.array([6, 9], np.uint64))], length=4, stride=4)
    >>> rows.starts.tolist(), rows.sizes.tolist()
    ([0, 4, 6], [4, 1, 2])
    """
    begins, pairs = _documents(parts)
    rest = np.maximum(pairs - length, 0)
    windows = np.minimum(1 + -(-rest // stride), -(-pairs // stride))
    starts, places, owners = _repeat(begins, windows, stride)
    sizes = np.minimum(pairs[owners] - places, length)
    used = _covered(pairs, length, stride)
    return _packed(np.arange(len(starts) + 1), starts, sizes, length, pairs, used)


def pack_documents(parts: DocumentParts, length: int, *, crop: bool = False) -> PackedRows:
    """Whole documents packed into rows, by best fit decreasing.

    A document of more than L pairs is cut into rows of its own and a rest that is packed like any
    other, so that nothing is lost; with `crop` the rest is dropped and so is all behind the first
    row. Memory: about 12 bytes a document and 8 a row, and four times that for a moment.

    Examples
    --------
    >>> ends = np.array([4, 7, 10, 12], np.uint64)  # 3, 2, 2 and 1 pairs
    >>> rows = pack_documents([(12, ends)], length=4)
    >>> rows.first.tolist(), rows.starts.tolist(), rows.utilisation
    ([0, 2, 4], [0, 10, 4, 7], 1.0)
    """
    begins, pairs = _documents(parts)
    if crop:
        starts, sizes = begins, np.minimum(pairs, length)
    else:
        starts, places, owners = _repeat(begins, -(-pairs // length), length)
        sizes = np.minimum(pairs[owners] - places, length)
    rows, count = best_fit(sizes.astype(np.int32), length)
    order = np.argsort(rows, kind="stable")
    first = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=count), out=first[1:])
    return _packed(first, starts[order], sizes[order], length, pairs, int(sizes.sum()))


def checked_ends(ends: Any, num_tokens: int) -> NDArray[np.uint64]:
    """Check that `ends` are ends of documents in so many tokens, and give them as the core wants.

    Raises
    ------
    InvalidWindow
        for anything but integers that ascend from 0 or more to `num_tokens` at most.

    Examples
    --------
    >>> checked_ends([3, 5], 5)
    array([3, 5], dtype=uint64)
    """
    try:
        array = np.asarray(ends)
    except (TypeError, ValueError) as error:
        raise InvalidWindow(f"document_ends must be a row of integers: {error}") from None
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise InvalidWindow(
            f"document_ends must be a row of integers; found {array.dtype} {list(array.shape)}"
        )
    wrong = np.flatnonzero(array[1:] < array[:-1])
    if array.size and (wrong.size or array[0] < 0):
        at = int(wrong[0]) + 1 if wrong.size else 0
        before = array[at - 1] if at else 0
        raise InvalidWindow(
            f"document_ends must ascend; number {at}, counted from 0, is {array[at]} and stands "
            f"behind {before}; sort them, or restore the store that they are of"
        )
    if array.size and array[-1] > num_tokens:
        raise InvalidWindow(
            f"the last document ends at token {array[-1]}, but there are {num_tokens}"
        )
    return np.ascontiguousarray(array, np.uint64)


def _documents(parts: DocumentParts) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First token and number of pairs of each document that has any."""
    begins, pairs, base = [], [], 0
    for tokens, ends in parts:
        edges = np.concatenate(([0], checked_ends(ends, tokens).astype(np.int64)))
        if edges[-1] < tokens:
            edges = np.append(edges, tokens)  # what stands behind the last end
        size = np.diff(edges) - 1
        some = size > 0
        begins.append(edges[:-1][some] + base)
        pairs.append(size[some])
        base += tokens
    nothing = np.empty(0, np.int64)
    return np.concatenate([nothing, *begins]), np.concatenate([nothing, *pairs])


def _repeat(
    begins: NDArray[np.int64], windows: NDArray[np.int64], stride: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Start, place in its document, and document of each window."""
    owners = np.repeat(np.arange(len(begins)), windows)
    before = np.cumsum(windows) - windows
    places = (np.arange(len(owners)) - before[owners]) * stride
    return begins[owners] + places, places, owners


def _covered(pairs: NDArray[np.int64], length: int, stride: int) -> int:
    """How many different pairs windows hold: all of them, unless the stride jumps over some."""
    if stride <= length:
        return int(pairs.sum())
    return int((pairs // stride * length + np.minimum(pairs % stride, length)).sum())


def _packed(
    first: Any, starts: Any, sizes: Any, length: int, pairs: NDArray[np.int64], used: int
) -> PackedRows:
    places = (len(first) - 1) * length
    total = int(pairs.sum())
    return PackedRows(
        np.ascontiguousarray(first, np.int64),
        np.ascontiguousarray(starts, np.int64),
        np.ascontiguousarray(sizes, np.int32),
        int(sizes.sum()) / places if places else 0.0,
        1 - used / total if total else 0.0,
    )
