"""Reference of the loader: order, mixtures, documents and packing in slow plain Python."""

from __future__ import annotations

import math
from collections.abc import Sequence

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15
PI = 0x243F6A8885A308D3


def mix(x: int) -> int:
    """Hash 64 bits: every bit of `x` affects every bit of the result.

    >>> hex(mix(0))
    '0xe220a8397b1dcdaf'
    """
    x = (x + GOLDEN) & MASK
    x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ x >> 27) * 0x94D049BB133111EB) & MASK
    return x ^ x >> 31


def permuted(size: int, key: int, position: int) -> int:
    """Return the image of `position` under a permutation of ``range(size)`` that `key` chooses.

    >>> sorted(permuted(5, 1, position) for position in range(5))
    [0, 1, 2, 3, 4]
    """
    left_side = math.isqrt(size - 1) + 1
    right_side = -(-size // left_side)
    keys = []
    for _ in range(32 if size <= 1024 else 8):
        key = mix(key)
        keys.append(key)
    at = position
    while True:
        left, right = divmod(at, right_side)
        for even, odd in zip(keys[::2], keys[1::2], strict=True):
            left = (left + _below(left_side, right ^ even)) % left_side
            right = (right + _below(right_side, left ^ odd)) % right_side
        at = left * right_side + right
        if at < size:
            return at


def _below(limit: int, x: int) -> int:
    product = x * PI
    return ((product & MASK) ^ (product >> 64)) * limit >> 64


def order_key(seed: int, epoch: int, source: int = 0) -> int:
    """Return the key of the permutation of one source in one of its epochs."""
    return mix(mix(mix(seed) ^ epoch) ^ source)


def epoch_order(size: int, seed: int, epoch: int) -> list[int]:
    """Return the windows of one source in the order of an epoch.

    >>> epoch_order(6, seed=0, epoch=0) != epoch_order(6, seed=0, epoch=1)
    True
    """
    key = order_key(seed, epoch)
    return [permuted(size, key, position) for position in range(size)]


def rank_positions(
    length: int, batch_size: int, rank: int, world_size: int, drop_last: bool, start: int = 0
) -> list[list[int]]:
    """Return the positions in each batch of one rank, from position `start` of the epoch.

    >>> rank_positions(10, 2, rank=1, world_size=2, drop_last=False)
    [[2, 3], [6, 7], [9]]
    """
    batches = []
    while start + world_size * batch_size <= length:
        batches.append([start + rank * batch_size + row for row in range(batch_size)])
        start += world_size * batch_size
    if not drop_last and start + rank < length:
        batches.append(list(range(start + rank, length, world_size)))
    return batches


def documents_of(ends: Sequence[int], num_tokens: int) -> list[int]:
    """Return the document of each token; tokens after the last end belong to one more document.

    >>> documents_of([2, 2, 5], 6)
    [0, 0, 2, 2, 2, 3]
    """
    document, result = 0, []
    for place in range(num_tokens):
        while document < len(ends) and ends[document] <= place:
            document += 1
        result.append(document)
    return result


def marks_of_window(
    documents: Sequence[int], start: int, length: int
) -> tuple[list[int], list[int], list[bool]]:
    """Return a window's position ids, document ids, and whether each target is in the same document.

    >>> marks_of_window([0, 0, 1, 1, 1], start=1, length=3)
    ([0, 0, 1], [0, 1, 1], [False, True, True])
    """
    positions: list[int] = []
    ids: list[int] = []
    same: list[bool] = []
    for place in range(start, min(start + length, len(documents))):
        ids.append(documents[place])
        first = place == start or documents[place] != documents[place - 1]
        positions.append(0 if first else positions[-1] + 1)
        same.append(place + 1 < len(documents) and documents[place + 1] == documents[place])
    return positions, ids, same


def best_fit(sizes: Sequence[int], room: int) -> list[list[int]]:
    """Pack items into rows of size `room`: the largest first, each into the fullest row that fits.

    Of equally full rows the one that became so last is used. A row is a list of item numbers.

    >>> best_fit([3, 2, 2, 1], room=4)
    [[0, 3], [1, 2]]
    """
    rows: list[list[int]] = []
    spaces: dict[int, list[int]] = {}
    for item in sorted(range(len(sizes)), key=lambda item: (-sizes[item], item)):
        fitting = [space for space, stack in spaces.items() if stack and space >= sizes[item]]
        if fitting:
            space = min(fitting)
            row = spaces[space].pop()
        else:
            space, row = room, len(rows)
            rows.append([])
        rows[row].append(item)
        spaces.setdefault(space - sizes[item], []).append(row)
    return rows


def block_order(
    size: int, seed: int, epoch: int, block: int, group: int, *, shifted: bool = True
) -> list[int]:
    """Return the windows of an epoch of one source, of which `group` blocks are shuffled together."""
    key = mix(order_key(seed, epoch))
    offset = mix(key) % size if shifted else 0
    windows = [(offset + k) % size for k in range(size)]
    whole = size // block
    blocks = [windows[k * block : (k + 1) * block] for k in range(whole)]
    to_read = [window for k in range(whole) for window in blocks[permuted(whole, key, k)]]
    to_read += windows[whole * block :]
    groups = max(1, size // (block * group))
    found = []
    for number in range(groups):
        first = number * block * group
        last = first + block * group if number < groups - 1 else size
        own = mix(key ^ (number + 1))
        found += [to_read[first + permuted(last - first, own, k)] for k in range(last - first)]
    return found
