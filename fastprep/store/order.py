"""The order of the documents in a shuffled store: a key for each, by which they are sorted.

A document's *position* is its number in its task, counted from 0, and the task's number times 2**40. Its
key follows from the seed and the position alone, and no two positions have the same key. The keys of a
seed look independent and uniform, so each order of the documents is as likely as any other. Shard k of n
holds the documents with keys from ``k * 2**64 / n`` on, sorted by them.

The order of a store that is not shuffled is that of the positions: the key is the position itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from typing import TypeAlias

    Keys: TypeAlias = npt.NDArray[np.uint64]

KEY_BITS = 64
#: Bits of a position for the number of a document in its task.
NUMBER_BITS = 40

# As in fastprep_ext/windows/order.pyx: Stafford's mix 13, a bijection of 64 bits.
_GOLDEN = 0x9E3779B97F4A7C15
_FACTORS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_LAST_SHIFT = 31


def order_keys(seed: int | None, task: int, first: int, count: int) -> Keys:
    """Return the keys of `count` documents of a task from number `first` on.

    >>> order_keys(None, 1, 5, 2) - (1 << 40)
    array([5, 6], dtype=uint64)
    >>> [f"{key:016x}" for key in order_keys(7, 0, 0, 2)]
    ['50858203873ed679', '34cac5489fdc078a']
    """
    positions = np.arange(first, first + count, dtype=np.uint64)
    positions += np.uint64(task << NUMBER_BITS)
    if seed is None:
        return positions
    return _mix(_mix(positions) ^ _mix(np.array([seed], np.uint64)))


def key_range(seed: int | None, shard: int, shards: int) -> tuple[int, int]:
    """Return the first key of a shard, and the first one after it.

    >>> key_range(7, 1, 2) == (1 << 63, 1 << 64), key_range(None, 1, 2) == (1 << 40, 2 << 40)
    (True, True)
    """
    if seed is None:
        return shard << NUMBER_BITS, (shard + 1) << NUMBER_BITS
    return (shard << KEY_BITS) // shards, ((shard + 1) << KEY_BITS) // shards


def _mix(values: Keys) -> Keys:
    mixed = values + np.uint64(_GOLDEN)
    for shift, factor in _FACTORS:
        mixed ^= mixed >> np.uint64(shift)
        mixed *= np.uint64(factor)
    mixed ^= mixed >> np.uint64(_LAST_SHIFT)
    return mixed
