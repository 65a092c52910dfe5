"""Unicode's normal form C, as the tokenizers library of Hugging Face computes it.

That library (0.23) has the tables of Unicode 9: later characters are never reordered, composed or
decomposed. Python has a later version, which depends on its release. Unicode's stability policy fixes
the normalization of the characters of version 9, so this is the whole difference: later characters
are left unchanged, and each part between them is normalized separately.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

# The characters after Unicode 9 that normalization changes: those with a combining class, those that
# compose and those that decompose.
_LATER = (
    *((0x05C8, 0x05C9), (0x07FD, 0x07FD), (0x0897, 0x089F), (0x08CA, 0x08D3), (0x09FE, 0x09FE)),
    *(
        (0x0C3C, 0x0C3C),
        (0x0D3B, 0x0D3C),
        (0x0EBA, 0x0EBA),
        (0x1715, 0x1715),
        (0x1ABF, 0x1AF0),
        (0x1DF6, 0x1DFA),
    ),
    *((0xA82C, 0xA82C), (0x105C9, 0x105C9), (0x105D2, 0x105D2), (0x105DA, 0x105DA)),
    *((0x105E4, 0x105E4), (0x10D24, 0x10D27), (0x10D69, 0x10D6D), (0x10EAB, 0x10EAC)),
    *((0x10ECB, 0x10ECF), (0x10EF0, 0x10EFB), (0x10EFD, 0x10EFF), (0x10F46, 0x10F50)),
    *((0x10F82, 0x10F85), (0x11070, 0x11070), (0x1133B, 0x1133B), (0x11382, 0x11391)),
    *((0x113B8, 0x113D0), (0x1145E, 0x1145E), (0x11839, 0x1183A), (0x11930, 0x11938)),
    *((0x1193D, 0x1193E), (0x11943, 0x11943), (0x119E0, 0x119E0), (0x11A34, 0x11A34)),
    *((0x11A47, 0x11A47), (0x11A99, 0x11A99), (0x11D42, 0x11D45), (0x11D97, 0x11D97)),
    *((0x11F41, 0x11F42), (0x1611E, 0x1612F), (0x16D63, 0x16D6A), (0x16FF0, 0x16FF1)),
    *((0x1D127, 0x1D128), (0x1D250, 0x1D252), (0x1D25B, 0x1D25C), (0x1D25F, 0x1D25F)),
    *((0x1D280, 0x1D281), (0x1E08F, 0x1E08F), (0x1E130, 0x1E136), (0x1E2AE, 0x1E2AE)),
    *((0x1E2EC, 0x1E2EF), (0x1E4EC, 0x1E4EF), (0x1E5EE, 0x1E5EF), (0x1E6E3, 0x1E6F5)),
)
# Those that normal form KC changes.
_LATER_K = (
    *((0x32FF, 0x32FF), (0xA7F2, 0xA7F4), (0xAB69, 0xAB69), (0x10781, 0x107BA)),
    *((0x1F16C, 0x1F16C), (0x1FBF0, 0x1FBF9)),
)
_UNCHANGED_K = re.compile(f"([{''.join(f'{chr(a)}-{chr(b)}' for a, b in _LATER + _LATER_K)}])")
_UNCHANGED = re.compile(f"([{''.join(f'{chr(a)}-{chr(b)}' for a, b in _LATER)}])")


def nfc(text: str) -> str:
    r"""Return the normal form C of `text`.

    >>> nfc("e\u0301")
    'é'
    >>> nfc("\u0344") == "\u0308\u0301"  # may be longer than the text
    True
    """
    if text.isascii():
        return text
    if _UNCHANGED.search(text) is None:
        return unicodedata.normalize("NFC", text)
    # The pattern has a group, so every second part is an unchanged character.
    parts = _UNCHANGED.split(text)
    parts[::2] = [unicodedata.normalize("NFC", part) for part in parts[::2]]
    return "".join(parts)


def nfkc(text: str) -> str:
    """Return the normal form KC of `text`.

    >>> nfkc("\ufb01")
    'fi'
    """
    if text.isascii():
        return text
    parts = _UNCHANGED_K.split(text)
    parts[::2] = [unicodedata.normalize("NFKC", part) for part in parts[::2]]
    return "".join(parts)


# -- tables of the compiled check ------------------------------------------------------------------

Tables: TypeAlias = tuple[npt.NDArray[Any], ...]

# Where characters are that have a combining class, decompose, or compose with the one before.
_BLOCKS = (
    *(range(0x00C0, 0x3100), range(0xA66F, 0xAC00), range(0xF900, 0xFB50), range(0xFE20, 0xFE30)),
    *(range(0x101FD, 0x12000), range(0x16AF0, 0x16B40), range(0x1BC9E, 0x1BCA0)),
    *(range(0x1D15E, 0x1D250), range(0x1E000, 0x1E950), range(0x2F800, 0x2FA20)),
)
_JAMO = (range(0x1161, 0x1176), range(0x11A8, 0x11C3))  # vowels and finals, which compose
_YES, _MAYBE, _NO = range(3)


@functools.cache
def tables() -> Tables:
    """Return the tables of ``fastprep_ext/bpe/changes.pxd``.

    A character is active unless it is a starter that normal form C never changes or composes with the
    one before.
    """
    later = {point for first, last in _LATER for point in range(first, last + 1)}
    classes: dict[int, int] = {}
    kinds: dict[int, int] = {point: _MAYBE for jamo in _JAMO for point in jamo}
    composed = set(range(0xAC00, 0xD7A4))
    pairs = []
    for point in (point for block in _BLOCKS for point in block):
        if point in later:
            continue
        character = chr(point)
        if combining := unicodedata.combining(character):
            classes[point] = combining
        decomposed = unicodedata.decomposition(character)
        if not decomposed or decomposed[0] == "<":
            continue
        composed.add(point)
        if unicodedata.normalize("NFC", character) != character:
            kinds[point] = _NO
        else:
            first, second = (int(part, 16) for part in decomposed.split())
            pairs.append(first << 21 | second)
            kinds.setdefault(second, _MAYBE)
    active = sorted(classes.keys() | kinds.keys())
    used = sorted({point >> 6 for point in (*active, *composed)})
    stages = np.zeros(0x4400, np.uint16)
    stages[used] = np.arange(1, len(used) + 1)
    masks = np.zeros((2, len(used) + 1), np.uint64)
    for mask, points in zip(masks, (active, composed), strict=True):
        for point in points:
            mask[stages[point >> 6]] |= np.uint64(1 << (point & 63))
    counts = [mask.bit_count() for mask in masks[0].tolist()]
    slots = np.zeros(1 << 12, np.uint64)
    for pair in pairs:
        slot = (pair * 0x9E3779B97F4A7C15 & (1 << 64) - 1) >> 40 & len(slots) - 1
        while slots[slot]:
            slot = (slot + 1) % len(slots)
        slots[slot] = pair
    return (
        stages,
        masks[0],
        masks[1],
        np.cumsum([0, *counts[:-1]]).astype(np.uint32),
        np.array([classes.get(point, 0) for point in active], np.uint8),
        np.array([kinds.get(point, _YES) for point in active], np.uint8),
        slots,
    )
