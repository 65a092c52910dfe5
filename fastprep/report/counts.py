"""What is in a store, counted in one pass: how often each id occurs, how long documents are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastprep.store.blocks import read_blocks
from fastprep.store.reader import TokenStore

Counts = npt.NDArray[np.int64]

#: Lengths from here on are counted together.
LONG = 1 << 20
# np.bincount widens what it counts to 8 bytes an item: no more than 8 MiB at a time.
_CHUNK = 1 << 20


class Counted(NamedTuple):
    """``ids[i]`` is how often id ``i`` occurs, ``lengths[n]`` how many documents have ``n`` ids.

    A document's end token counts. Documents of ``LONG`` ids or more are all in ``lengths[LONG]``;
    ``longest`` is the longest one's length.
    """

    ids: Counts
    lengths: Counts
    longest: int

    def quantile(self, part: float) -> int:
        """The length that ``part`` of all documents do not exceed (at most ``LONG``).

        Examples
        --------
        >>> Counted(np.zeros(1, int), np.array([0, 3, 0, 1]), 3).quantile(0.5)
        1
        """
        reached = np.cumsum(self.lengths)
        return int(np.searchsorted(reached, part * int(reached[-1]), "left"))


def count(store: TokenStore) -> Counted:
    """Count the ids and the documents of a store.

    Every byte is held against its checksum on the way. Memory is 8 bytes for each id of the
    vocabulary and some tens of MiB, whatever the store holds.

    Raises
    ------
    InvalidStore
        for a damaged block, or an id that the vocabulary does not have.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from fastprep import prepare
    >>> directory = Path(tempfile.mkdtemp())
    >>> _ = (directory / "two.txt").write_text("One.<|endoftext|>Two.")
    >>> store = prepare(directory / "two.txt", directory / "store", progress=False)
    >>> counted = count(store)
    >>> int(counted.ids[50256]), int(counted.lengths[3]), counted.longest
    (2, 2, 3)
    """
    ids = np.zeros(store.n_vocab, np.int64)
    lengths = np.zeros(LONG + 1, np.int64)
    longest = 0
    for index in range(len(store.manifest.shards)):
        for block in read_blocks(store, index, "bin"):
            for first in range(0, len(block), _CHUNK):
                found = np.bincount(block[first : first + _CHUNK])
                ids[: len(found)] += found[: len(ids)]
        before = 0
        for ends in read_blocks(store, index, "ends"):
            sizes = np.diff(ends.astype(np.int64), prepend=before)
            before = int(ends[-1])
            longest = max(longest, int(sizes.max()))
            for first in range(0, len(sizes), _CHUNK):
                found = np.bincount(np.minimum(sizes[first : first + _CHUNK], LONG))
                lengths[: len(found)] += found
    return Counted(ids, lengths, longest)
