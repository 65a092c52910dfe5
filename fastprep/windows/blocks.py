"""Packed rows of a store with many documents, planned block by block when they are first used.

A block is one shard, or several consecutive ones that have too few documents. The number of its
rows follows from its numbers of tokens and documents, which the manifest or its index has, and from
the fullness of four blocks of the store, which are packed when the rows are counted. So a row is
found without a plan of the rows before it. A block is then packed into exactly that number of rows:
by best fit, after which the fullest rows give up documents, or documents of the emptiest rows are
cut to the space that is left in others. No pair is lost, and none is used twice.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastprep.errors import InvalidStore
from fastprep.store.manifest import HOW_TO_FIX
from fastprep.store.reader import TokenStore
from fastprep_ext.windows import best_fit, items_by_row

#: Stores of more documents are planned block by block: a whole plan takes 0.3 s and 68 MB for a million.
MAX_WHOLE = 1 << 20
#: A block has at least so many documents, except the last: in fewer, best fit leaves more places free.
MIN_DOCUMENTS = 1 << 14
#: Blocks whose rows are mixed in a shuffled order.
MIXED = 8
_SAMPLES = 4

#: The first stretch of each row; and of each stretch its first token, its pairs, and its document.
Plan: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]


class _Stretches(NamedTuple):
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]
    documents: NDArray[np.int64]


class BlockRows:
    """The packed rows of a store, in blocks.

    Parameters
    ----------
    store
        a store whose documents have an end token, so that none is empty.
    length
        pairs of a row.

    Attributes
    ----------
    row_starts
        int64 ``[blocks + 1]``, the first row of each block.
    utilisation
        the fraction of all places in all rows that hold a pair.
    cropped
        0: no pair is left out.

    Raises
    ------
    InvalidStore
        for document ends that contradict the manifest.

    Examples
    --------
    >>> from fastprep.jobs.prepare import prepare
    >>> _ = (tmp / "two.txt").write_text("One.<|endoftext|>Two three.<|endoftext|>Four.")
    >>> rows = BlockRows(prepare(tmp / "two.txt", tmp / "store", progress=False), 4)
    >>> rows.row_starts.tolist(), rows.utilisation
    ([0, 2], 0.875)
    """

    def __init__(self, store: TokenStore, length: int) -> None:
        self._store = store
        self._length = length
        tokens = np.array(store.token_starts, np.int64)
        documents = np.array(store.document_starts, np.int64)
        edges = np.searchsorted(documents, np.arange(0, documents[-1], MIN_DOCUMENTS))
        self._shards = np.unique(np.append(edges, store.num_shards))
        pairs = np.diff(tokens[self._shards]) - np.diff(documents[self._shards])
        self._pairs = pairs
        excess = self._excess(pairs)
        rows = np.minimum(np.ceil(pairs / length * excess).astype(np.int64), pairs)
        self.row_starts: NDArray[np.int64] = np.concatenate([[0], np.cumsum(rows)])
        places = int(self.row_starts[-1]) * length
        self.utilisation: float = int(pairs.sum()) / places if places else 0.0
        self.cropped: float = 0.0

    def __len__(self) -> int:
        return int(self.row_starts[-1])

    @property
    def rows_per_chunk(self) -> int:
        """The number of rows of an average block, by which a shuffled order proceeds."""
        return -(-len(self) // (len(self.row_starts) - 1))

    def plan(self, block: int) -> Plan:
        """Pack one block. Raises InvalidStore for document ends that contradict the manifest."""
        rows = int(self.row_starts[block + 1] - self.row_starts[block])
        stretches = self._stretches(block)
        assigned, count = best_fit(stretches.sizes.astype(np.int32), self._length)
        if count > rows:
            stretches, assigned = _close_rows(stretches, assigned, count, rows, self._length)
        elif count < rows:
            stretches, assigned = _open_rows(stretches, assigned, count, rows)
        first, order = items_by_row(assigned, rows)
        starts, sizes, documents = (column[order] for column in stretches)
        return first, starts, sizes.astype(np.int32), documents

    def _excess(self, pairs: NDArray[np.int64]) -> float:
        """Return how many rows best fit takes for each row that the pairs of a block would fill."""
        some = np.flatnonzero(pairs)
        if not len(some):
            return 1.0
        chosen = np.unique(some[np.linspace(0, len(some) - 1, _SAMPLES).astype(np.int64)])
        counts = sum(
            best_fit(self._stretches(int(block)).sizes.astype(np.int32), self._length)[1]
            for block in chosen
        )
        return max(1.0, counts * self._length / int(pairs[chosen].sum()))

    def _stretches(self, block: int) -> _Stretches:
        """Return the documents of a block; those longer than a row are cut into rows and a rest."""
        store, length = self._store, self._length
        bases, ends = [], []
        for shard in range(*self._shards[block : block + 2]):
            found = store.shard_document_ends(shard).astype(np.int64)
            bases.append(store.token_starts[shard])
            tokens = store.token_starts[shard + 1] - bases[-1]
            if len(found) and (found[0] < 1 or (np.diff(found) < 1).any() or found[-1] != tokens):
                raise InvalidStore(
                    f"{store.shard_file(shard, 'ends')}: document ends that do not ascend to "
                    f"{tokens}, the tokens of the shard; {HOW_TO_FIX}"
                )
            ends.append(found + bases[-1])
        # Consecutive shards: each document starts where the one before it ends.
        edges = np.concatenate([np.array(bases[:1], np.int64), *ends])
        pairs = np.diff(edges) - 1
        some = np.flatnonzero(pairs)
        pairs = pairs[some]
        pieces = -(-pairs // length)
        owners = np.repeat(np.arange(len(some)), pieces)
        offsets = (np.arange(len(owners)) - (np.cumsum(pieces) - pieces)[owners]) * length
        first = store.document_starts[self._shards[block]]
        return _Stretches(
            edges[some][owners] + offsets,
            np.minimum(pairs[owners] - offsets, length),
            some[owners] + first,
        )


def _close_rows(
    given: _Stretches, assigned: NDArray[np.int64], count: int, rows: int, length: int
) -> tuple[_Stretches, NDArray[np.int64]]:
    """Move the stretches of the emptiest rows to the places that others have left, cut to fit."""
    fills = np.bincount(assigned, given.sizes, count).astype(np.int64)
    order = np.argsort(fills, kind="stable")
    closed = np.zeros(count, bool)
    closed[order[: count - rows]] = True
    numbers = np.cumsum(~closed) - 1  # of the rows that are left
    moved = np.flatnonzero(closed[assigned])
    kept = np.flatnonzero(~closed[assigned])
    # Those with the most space first, so that few stretches are cut.
    targets = order[count - rows :]
    stops = np.cumsum(given.sizes[moved])
    limits = np.cumsum(length - fills[targets])
    total = int(stops[-1])
    cuts = np.unique(np.concatenate([[0], stops, limits[limits < total]]))
    begins, sizes = cuts[:-1], np.diff(cuts)
    source = np.searchsorted(stops, begins, "right")
    shifts = begins - (stops - given.sizes[moved])[source]
    source_index = moved[source]
    stretches = _Stretches(
        np.concatenate([given.starts[kept], given.starts[source_index] + shifts]),
        np.concatenate([given.sizes[kept], sizes]),
        np.concatenate([given.documents[kept], given.documents[source_index]]),
    )
    places = numbers[targets[np.searchsorted(limits, begins, "right")]]
    return stretches, np.concatenate([numbers[assigned[kept]], places])


def _open_rows(
    given: _Stretches, assigned: NDArray[np.int64], count: int, rows: int
) -> tuple[_Stretches, NDArray[np.int64]]:
    """Give stretches rows of their own, until there are as many rows as were counted."""
    assigned = assigned.copy()
    _, firsts = np.unique(assigned, return_index=True)
    more = np.setdiff1d(np.arange(len(assigned)), firsts)[: rows - count]
    assigned[more] = np.arange(count, count + len(more))
    count += len(more)
    while count < rows:  # every row has one stretch
        largest = np.argsort(-given.sizes, kind="stable")[: rows - count]
        largest = largest[given.sizes[largest] > 1]
        halves = given.sizes[largest] // 2
        sizes = given.sizes.copy()
        sizes[largest] -= halves
        given = _Stretches(
            np.concatenate([given.starts, given.starts[largest] + sizes[largest]]),
            np.concatenate([sizes, halves]),
            np.concatenate([given.documents, given.documents[largest]]),
        )
        assigned = np.concatenate([assigned, np.arange(count, count + len(largest))])
        count += len(largest)
    return given, assigned
