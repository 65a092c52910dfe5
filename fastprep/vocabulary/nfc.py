"""Unicode's normal form C, as the tokenizers library of Hugging Face computes it.

That library (0.23) has the tables of Unicode 9: later characters are never reordered, composed or
decomposed. Python has a later version, which depends on its release. Unicode's stability policy fixes
the normalization of the characters of version 9, so this is the whole difference: later characters
are left unchanged, and each part between them is normalized separately.
"""

from __future__ import annotations

import re
import unicodedata

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
