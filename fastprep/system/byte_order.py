"""Unsigned integers as a store's files hold them, little-endian, and as this machine does."""

from __future__ import annotations

import sys

from fastprep_ext.base import uninitialized

TYPE_CHECKING = False  # typing.TYPE_CHECKING without typing, which takes long to import
if TYPE_CHECKING:
    from mmap import mmap
    from typing import Literal, TypeAlias

    Letter: TypeAlias = Literal["H", "I", "Q"]  # of two, four and eight bytes, as struct names them

#: The bytes of an integer by its letter.
BYTES_OF = {"H": 2, "I": 4, "Q": 8}


def empty_array(count: int, letter: Letter) -> memoryview[int]:
    """Memory for so many integers, whose values mean nothing yet.

    >>> len(empty_array(3, "I"))
    3
    """
    return memoryview(uninitialized(count * BYTES_OF[letter])).cast(letter)


def to_file(items: memoryview[int]) -> memoryview[int]:
    """The bytes of some integers in little-endian order; the integers' own where that is it.

    >>> from array import array
    >>> bytes(to_file(memoryview(array("H", [513]))))
    b'\\x01\\x02'
    """
    return _swapped(items) if sys.byteorder == "big" else items.cast("B")


def from_file(content: bytes | mmap | memoryview[int], letter: Letter) -> memoryview[int]:
    """The integers in some little-endian bytes.

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
