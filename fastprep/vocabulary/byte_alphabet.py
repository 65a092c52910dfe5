"""The byte alphabet: how vocabulary files write bytes as visible characters, since GPT-2.

A byte that is a visible character of Latin-1 is written as that character, the other 68 as U+0100 and
the following ones; a space is U+0120.
"""

from __future__ import annotations

from fastprep_ext.bpe import END_OF_MERGE, NO_BYTE, SPACE, Json

TYPE_CHECKING = False
if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_VISIBLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]


def _alphabet() -> str:
    hidden = iter(range(0x100, 0x200))
    return "".join(chr(byte if byte in _VISIBLE else next(hidden)) for byte in range(256))


#: The character for each byte.
ALPHABET = _alphabet()
_codes: npt.NDArray[np.uint16] | None = None  # made at the first use: training needs no numpy


def json_reader() -> Json:
    """Return a reader of tokens and merges in this alphabet. No two calls may use one at a time."""
    return Json(_all_codes())


def to_characters(data: bytes) -> str:
    """Write bytes as a vocabulary file does.

    >>> to_characters(b" hello")
    'Ġhello'
    """
    return data.decode("latin-1").translate(_CHARACTERS)


_CHARACTERS = {byte: ord(ALPHABET[byte]) for byte in range(256)}


def to_bytes(characters: str) -> bytes:
    """Return the bytes that characters of a vocabulary file stand for.

    >>> to_bytes("Ġhello")
    b' hello'

    Raises UnicodeEncodeError for a character that is not in the byte alphabet.
    """
    codes = codes_of(characters)
    if len(codes) and codes.max() > 255:
        at = int((codes > 255).argmax())
        reason = "stands for no byte"
        raise UnicodeEncodeError("byte alphabet", characters, at, at + 1, reason)
    return codes.astype("uint8").tobytes()


def is_spelled(characters: str) -> bool:
    """Return whether all characters are of the byte alphabet.

    >>> is_spelled("Ġa"), is_spelled(" a")
    (True, False)
    """
    return int(codes_of(characters).max(initial=0)) < SPACE - 1


def codes_of(characters: str) -> npt.NDArray[np.uint16]:
    """Return for each UTF-16 unit its byte, or SPACE, END_OF_MERGE or NO_BYTE.

    >>> codes_of("Ġa b").tolist()
    [32, 97, 257, 98]
    """
    import numpy as np

    # An index in brackets crashes in numpy when memory runs out; here and elsewhere in this package.
    units = np.frombuffer(characters.encode("utf-16-le", "surrogatepass"), np.uint16)
    return _all_codes().take(units)


def _all_codes() -> npt.NDArray[np.uint16]:
    """Return for each UTF-16 unit what :func:`codes_of` does."""
    global _codes
    if _codes is None:
        import numpy as np

        made = np.full(1 << 16, NO_BYTE, np.uint16)
        made[list(map(ord, ALPHABET))] = np.arange(256)
        made[ord(" ")] = SPACE
        made[ord("\n")] = END_OF_MERGE
        _codes = made
    return _codes
