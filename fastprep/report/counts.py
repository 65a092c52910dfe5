"""Statistics of a store, in one pass: occurrences of each id, and lengths of documents."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastprep.errors import InvalidStore
from fastprep.store.blocks import read_blocks
from fastprep.store.manifest import HOW_TO_FIX, shard_path
from fastprep.store.reader import TokenStore

Counts = npt.NDArray[np.int64]

#: Documents of at least this many ids are counted together.
LONG = 1 << 20
# np.bincount widens its input to 8 bytes per item: at most 8 MiB at a time.
_CHUNK = 1 << 20


class StoreCounts(NamedTuple):
    """Counts of ids and document lengths.

    ``ids[i]``, int64 ``[n_vocab]``, is the number of occurrences of id ``i``; ``lengths[n]``, int64
    ``[LONG + 1]``, the number of documents of ``n`` ids, the end token included. Documents of at
    least ``LONG`` ids are all in ``lengths[LONG]``; ``longest`` is the length of the longest one.
    """

    ids: Counts
    lengths: Counts
    longest: int

    def quantile(self, fraction: float) -> int:
        """Return the length that `fraction` of all documents do not exceed, at most ``LONG``.

        >>> StoreCounts(np.zeros(1, int), np.array([0, 3, 0, 1]), 3).quantile(0.5)
        1
        """
        cumulative = np.cumsum(self.lengths)
        return int(np.searchsorted(cumulative, fraction * int(cumulative[-1]), "left"))


def count(store: TokenStore) -> StoreCounts:
    """Count the ids and the documents of a store.

    Every block is checked against its checksum on the way. Memory is 8 bytes per id of the
    vocabulary and some tens of MiB, whatever the size of the store. Raises InvalidStore for a
    damaged block, and for an id outside the vocabulary.

    >>> from fastprep import prepare
    >>> _ = (tmp / "two.txt").write_text("One.<|endoftext|>Two.")
    >>> store = prepare(tmp / "two.txt", tmp / "store", progress=False)
    >>> counted = count(store)
    >>> int(counted.ids[50256]), int(counted.lengths[3]), counted.longest
    (2, 2, 3)
    """
    ids = np.zeros(store.vocab_size, np.int64)
    lengths = np.zeros(LONG + 1, np.int64)
    longest = 0
    for index in range(store.num_shards):
        position = 0
        for block in read_blocks(store, index, "bin"):
            for first in range(0, len(block), _CHUNK):
                chunk = block[first : first + _CHUNK]
                found = np.bincount(chunk)
                if len(found) > len(ids):
                    place = int(np.argmax(chunk >= len(ids)))
                    raise InvalidStore(
                        f"{shard_path(store.path, index, 'bin')}: token {position + first + place} is "
                        f"{chunk[place]}, outside the vocabulary of {len(ids)} ids; {HOW_TO_FIX}"
                    )
                ids[: len(found)] += found
            position += len(block)
        if store.has_mask:
            for _ in read_blocks(store, index, "mask"):
                pass  # checked against its checksum
        before = 0
        for ends in read_blocks(store, index, "ends"):
            sizes = np.diff(ends.astype(np.int64), prepend=before)
            before = int(ends[-1])
            longest = max(longest, int(sizes.max()))
            for first in range(0, len(sizes), _CHUNK):
                found = np.bincount(np.minimum(sizes[first : first + _CHUNK], LONG))
                lengths[: len(found)] += found
    return StoreCounts(ids, lengths, longest)
