"""Conversion of unsigned integers between little-endian, as in a store's files, and native order."""

from __future__ import annotations

import sys

from fastprep_ext.base import uninitialized

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mmap import mmap
    from typing import Literal, TypeAlias

    Letter: TypeAlias = Literal["H", "I", "Q"]  # struct's names for 2, 4 and 8 bytes

#: Letter -> number of bytes of an integer.
BYTES_OF = {"H": 2, "I": 4, "Q": 8}


def empty_array(count: int, letter: Letter) -> memoryview[int]:
    """Return an uninitialized array of `count` integers; the caller must write before it reads.

    >>> len(empty_array(3, "I"))
    3
    """
    return uninitialized(count * BYTES_OF[letter]).cast(letter)


def to_file(items: memoryview[int]) -> memoryview[int]:
    """Return integers as little-endian bytes; without a copy on a little-endian machine.

    >>> from array import array
    >>> bytes(to_file(memoryview(array("H", [513]))))
    b'\\x01\\x02'
    """
    return _swapped(items) if sys.byteorder == "big" else items.cast("B")


def from_file(content: bytes | mmap | memoryview[int], letter: Letter) -> memoryview[int]:
    """Return the integers in little-endian bytes; without a copy on a little-endian machine.

    >>> from_file(b"\\x01\\x02\\x03\\x04", "H").tolist()
    [513, 1027]
    """
    if sys.byteorder == "big":
        return _swapped(memoryview(content).cast("B").cast(letter)).cast(letter)
    return memoryview(content).cast("B").cast(letter)


def _swapped(items: memoryview[int]) -> memoryview[int]:
    from array import array

    swapped = array(items.format, bytes(items))
    swapped.byteswap()
    return memoryview(swapped).cast("B")
