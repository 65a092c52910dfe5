"""Documents to rows: one document per row, or several packed into a row by best fit.

A row holds up to L pairs of a token and its successor: an input and its target. A document of n
tokens has n - 1 pairs: its last token predicts nothing, so it is a target and never an input and
takes no place of its own. No pair joins two documents, except in filled rows: those are L + 1 tokens
of documents one after the other, as a model sees them, and its L pairs are pairs of neighbours there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastprep.errors import InvalidWindow
from fastprep_ext.windows import best_fit, fill_rows, items_by_row

# Per part of the tokens (a shard): its number of tokens, and its document ends in tokens.
DocumentParts: TypeAlias = Iterable[tuple[int, NDArray[np.uint64]]]

MAX_WAITING = 1000  # documents from which the next of a filled row is chosen, as in nanochat


class PackedRows(NamedTuple):
    """Rows made of stretches of documents; row i is the stretches first[i] to first[i + 1] - 1.

    Attributes
    ----------
    first
        int64 ``[rows + 1]``, the index of each row's first stretch.
    starts
        int64 ``[stretches]``, the token at which each stretch starts.
    sizes
        int32 ``[stretches]``, the number of pairs in each stretch; in filled rows the number of
        tokens.
    utilisation
        the fraction of all places in all rows that hold a pair; the rest is padding.
    cropped
        the fraction of all pairs of all documents, or of all tokens, that is in no row.
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
        """The arrays that the compiled core takes."""
        return self.first, self.starts, self.sizes


def cut_documents(parts: DocumentParts, length: int, stride: int) -> PackedRows:
    """Cut each document into windows that start where the document starts, one per row.

    The windows of a document start at its tokens 0, stride, 2 * stride, ... until all its pairs
    are in one; the last is shorter. Memory: 20 bytes per row.

    >>> rows = cut_documents([(9, np.array([6, 9], np.uint64))], length=4, stride=4)
    >>> rows.starts.tolist(), rows.sizes.tolist()
    ([0, 4, 6], [4, 1, 2])
    """
    starts, pairs = _documents(parts)
    rest = np.maximum(pairs - length, 0)
    counts = np.minimum(1 + -(-rest // stride), -(-pairs // stride))
    window_starts, offsets, owners = _expand(starts, counts, stride)
    sizes = np.minimum(pairs[owners] - offsets, length)
    used = _count_covered(pairs, length, stride)
    first = np.arange(len(window_starts) + 1)
    return _packed_rows(first, window_starts, sizes, length, pairs, used)


def pack_documents(parts: DocumentParts, length: int, *, crop: bool = False) -> PackedRows:
    """Pack whole documents into rows by best fit decreasing.

    A document of more than L pairs is cut into full rows of its own and a rest that is packed like
    any other, so that nothing is lost; with `crop` everything after its first row is dropped.
    Memory: about 12 bytes per document and 8 per row, with a peak of four times that.

    >>> ends = np.array([4, 7, 10, 12], np.uint64)  # 3, 2, 2 and 1 pairs
    >>> rows = pack_documents([(12, ends)], length=4)
    >>> rows.first.tolist(), rows.starts.tolist(), rows.utilisation
    ([0, 2, 4], [0, 10, 4, 7], 1.0)
    """
    starts, pairs = _documents(parts)
    if crop:
        sizes = np.minimum(pairs, length)
    else:
        starts, offsets, owners = _expand(starts, -(-pairs // length), length)
        sizes = np.minimum(pairs[owners] - offsets, length)
    rows, count = best_fit(sizes.astype(np.int32), length)
    first, order = items_by_row(rows, count)
    return _packed_rows(first, starts[order], sizes[order], length, pairs, int(sizes.sum()))


def fill_documents(parts: DocumentParts, length: int) -> PackedRows:
    """Fill rows of exactly L + 1 tokens with documents, each row from a document's start on.

    The rule is nanochat's. Of the next 1,000 documents, the longest that fits is put into the row; if
    none fits, the shortest is cut to the space that is left and the rest of it dropped, so that there
    is no padding. Documents of more than L + 1 tokens count as equally long. A last row that is not
    full is dropped. Memory: 20 bytes per document, with a peak of three times that.

    >>> ends = np.array([4, 7, 10, 12], np.uint64)  # 4, 3, 3 and 2 tokens
    >>> rows = fill_documents([(12, ends)], length=4)
    >>> rows.first.tolist(), rows.starts.tolist(), rows.sizes.tolist()
    ([0, 2, 4], [0, 10, 4, 7], [4, 1, 3, 2])
    """
    starts, pairs = _documents(parts)
    sizes = np.minimum(pairs + 1, length + 2).astype(np.int32)
    chosen, taken, first = fill_rows(sizes, length + 1, MAX_WAITING)
    total = int(pairs.sum()) + len(pairs)
    used = int(taken.sum(dtype=np.int64))
    return PackedRows(first, starts[chosen], taken, 1.0, 1 - used / total if total else 0.0)


def checked_ends(ends: Any, num_tokens: int) -> NDArray[np.uint64]:
    """Check document ends and return them as a contiguous uint64 array.

    Raises InvalidWindow for anything but integers that ascend from at least 0 to at most
    `num_tokens`.

    >>> checked_ends([3, 5], 5)
    array([3, 5], dtype=uint64)
    """
    try:
        array = np.asarray(ends)
    except (TypeError, ValueError) as error:
        raise InvalidWindow(
            f"document_ends must be a one-dimensional array of integers: {error}"
        ) from None
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise InvalidWindow(
            f"document_ends must be a one-dimensional array of integers; found {array.dtype} "
            f"{list(array.shape)}"
        )
    wrong = np.flatnonzero(array[1:] < array[:-1])
    if array.size and (wrong.size or array[0] < 0):
        at = int(wrong[0]) + 1 if wrong.size else 0
        before = array[at - 1] if at else 0
        raise InvalidWindow(
            f"document_ends must ascend; number {at}, counted from 0, is {array[at]}, after "
            f"{before}; sort them, or restore the store that they come from"
        )
    if array.size and array[-1] > num_tokens:
        raise InvalidWindow(
            f"the last document ends at token {array[-1]}, but there are {num_tokens}"
        )
    return np.ascontiguousarray(array, np.uint64)


def _documents(parts: DocumentParts) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first token and the number of pairs of each document that has any."""
    starts, pairs, base = [], [], 0
    for tokens, ends in parts:
        edges = np.concatenate(([0], checked_ends(ends, tokens).astype(np.int64)))
        if edges[-1] < tokens:
            edges = np.append(edges, tokens)  # the tokens after the last end
        size = np.diff(edges) - 1
        some = size > 0
        starts.append(edges[:-1][some] + base)
        pairs.append(size[some])
        base += tokens
    nothing = np.empty(0, np.int64)
    return np.concatenate([nothing, *starts]), np.concatenate([nothing, *pairs])


def _expand(
    starts: NDArray[np.int64], counts: NDArray[np.int64], stride: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the start, the offset in its document, and the document of each window."""
    owners = np.repeat(np.arange(len(starts)), counts)
    before = np.cumsum(counts) - counts
    offsets = (np.arange(len(owners)) - before[owners]) * stride
    return starts[owners] + offsets, offsets, owners


def _count_covered(pairs: NDArray[np.int64], length: int, stride: int) -> int:
    """Count the distinct pairs in windows: all of them, unless the stride skips some."""
    if stride <= length:
        return int(pairs.sum())
    return int((pairs // stride * length + np.minimum(pairs % stride, length)).sum())


def _packed_rows(
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
