"""Texts of several parts, of which only some may have special tokens: prompts of a chat.

The ids of parts are kept for a while: with each turn a chat is encoded again, and all of it but the end
was encoded before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from fastprep.errors import WrongType
from fastprep.system.threads import new_lock

#: The most characters of kept parts, for each encoding; those used least recently are dropped.
MAX_KEPT_CHARACTERS = 1 << 22
# What a part costs beside its characters and ids.
_PART_COST = 128


class Segments:
    """Encoder of texts of several parts, with a cache of parts.

    Parameters
    ----------
    trusted
        encodes a part whose special tokens are special.
    ordinary
        encodes a part that has none.

    >>> segments = Segments(lambda text: [1], lambda text: [ord(c) for c in text])
    >>> segments.encode([("<s>", True), ("ab", False)])
    [1, 97, 98]
    """

    def __init__(
        self, trusted: Callable[[str], list[int]], ordinary: Callable[[str], list[int]]
    ) -> None:
        self._encode = ordinary, trusted
        self._kept: dict[tuple[str, bool], tuple[int, ...]] = {}  # the most recently used last
        self._cost = 0
        self._lock = new_lock()

    @property
    def cost(self) -> int:
        """The characters of all kept parts, and a constant per part."""
        return self._cost

    def encode(self, segments: Iterable[tuple[str, bool]]) -> list[int]:
        """Return the ids of each part, encoded apart, one after another."""
        ids: list[int] = []
        for number, segment in enumerate(segments):
            text, trusted = _checked(segment, number)
            ids += self._part(text, trusted)
        return ids

    def _part(self, text: str, trusted: bool) -> tuple[int, ...] | list[int]:
        key = text, trusted
        with self._lock:
            kept = self._kept.pop(key, None)
            if kept is not None:
                self._kept[key] = kept
                return kept
        ids = self._encode[trusted](text)
        cost = len(text) + _PART_COST
        if cost > MAX_KEPT_CHARACTERS >> 2:  # it would push out too many others
            return ids
        with self._lock:
            if key not in self._kept:
                self._kept[key] = tuple(ids)
                self._cost += cost
            while self._cost > MAX_KEPT_CHARACTERS:
                oldest = next(iter(self._kept))
                del self._kept[oldest]
                self._cost -= len(oldest[0]) + _PART_COST
        return ids


def _checked(segment: Any, number: int) -> tuple[str, bool]:
    if (
        not isinstance(segment, (tuple, list))
        or len(segment) != 2
        or not isinstance(segment[0], str)
        or not isinstance(segment[1], bool)
    ):
        raise WrongType(
            f"segment {number} is {segment!r:.80}; pass pairs of a str and True or False, for whether "
            "its special tokens are special"
        )
    return segment[0], segment[1]
