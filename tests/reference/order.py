"""The order of a shuffled store, and the documents for validation, in plain Python."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

_MASK = (1 << 64) - 1


def mix(value: int) -> int:
    """Return Stafford's mix 13 of a number of 64 bits."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ value >> 30) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ value >> 27) * 0x94D049BB133111EB) & _MASK
    return value ^ value >> 31


def key_of(seed: int | None, task: int, number: int) -> int:
    """Return the key of a document of a task."""
    position = (task << 40) + number
    return position if seed is None else mix(mix(position) ^ mix(seed))


def hash_of(document: bytes) -> int:
    """Return the hash by which a document is drawn for validation."""
    return int.from_bytes(blake2b(document, digest_size=8).digest(), "big")


def shards_in_order(
    tasks: Sequence[Sequence[bytes]],
    seed: int | None,
    *,
    validation: float = 0.0,
    validation_documents: int = 0,
) -> list[list[list[bytes]]]:
    """Return the documents of each shard of each part of a store, from the documents of each task."""
    documents = [
        (key_of(seed, task, number), text)
        for task, texts in enumerate(tasks)
        for number, text in enumerate(texts)
    ]
    by_hash = sorted((hash_of(text), key, text) for key, text in documents)
    drawn = {key for hashed, key, _ in by_hash if hashed < int(validation * (1 << 64))}
    drawn |= {key for _, key, _ in by_hash[:validation_documents]}
    parts = [False, True] if validation or validation_documents else [False]
    return [
        [
            [
                text
                for key, text in sorted(documents)
                if (key >> 40 if seed is None else key * len(tasks) >> 64) == shard
                and (key in drawn) is part
            ]
            for shard in range(len(tasks))
        ]
        for part in parts
    ]
