"""Where a text may be cut so that the parts' ids, put together, are the text's ids.

All this is about text that goes to a compiled splitter as it is. Only :attr:`Encoding.may_be_cut`
says that it does: nothing is known of other patterns, and a text that is normalized, gets a space
before it or is cut at added tokens has other ids in parts.

The known patterns match pieces from left to right and look at nothing behind them. So a cut is
exact when the whole text has a piece that ends there and the text before the cut, on its own, still
ends in that same piece. Two kinds of place are such:

1.  Before a space (U+0020) that follows a character that is no whitespace. In no pattern does a
    piece hold a space after something that is no whitespace. And only runs of whitespace look at
    what comes after them, but the text before the cut ends in something else.
2.  After a newline that stands alone between two characters that are no whitespace, the second
    one no ``/``. Punctuation takes the newline with it in cl100k and o200k, with or without more
    text behind; else the newline is a piece of its own, because ``\\s+(?!\\S)`` needs two
    characters, and ``\\s++$`` at the end of the part takes just the one. A ``/`` is left out since
    o200k joins it to the newline before it.

In a chain of patterns, as DeepSeek's, what an earlier one takes out ends the text before it. It
holds neither spaces nor newlines, so it never reaches over a cut, and to the whitespace before it,
which lies behind the first kind of cut as a whole, nothing changes.

Longer runs of whitespace are no such place: at the end of a text ``\\s++$`` takes a whole run, in
the middle ``\\s+(?!\\S)`` leaves its last character.
"""

from __future__ import annotations

import re
from itertools import pairwise

# The bytes before the cut: the end of a visible ASCII character, or of any other character that
# is not one of Unicode's spaces (U+0085 U+00A0 U+1680 U+2000-200A U+2028 U+2029 U+202F U+205F
# U+3000). Each lookbehind also steps over the byte matched before it.
_AFTER_VISIBLE = (
    rb"(?<=[!-~\x80-\xbf]%(last)b)(?<!\xc2[\x85\xa0]%(last)b)(?<!\xe1\x9a\x80%(last)b)"
    rb"(?<!\xe2\x80[\x80-\x8a\xa8\xa9\xaf]%(last)b)(?<!\xe2\x81\x9f%(last)b)(?<!\xe3\x80\x80%(last)b)"
)
# The byte after a newline: visible ASCII but "/", or the lead of a character that is no space.
_BEFORE_VISIBLE = rb"(?=[!-.0-~]|[\xc3-\xe0\xe4-\xf4]|\xe3[\x81-\xbf])"
# A greedy `.*` before a literal is searched from the end, byte by byte, in C.
_BEFORE_SPACE = re.compile(rb"(?s:.*) " + _AFTER_VISIBLE % {b"last": b" "})
_AFTER_NEWLINE = re.compile(rb"(?s:.*)\n" + _AFTER_VISIBLE % {b"last": b"\n"} + _BEFORE_VISIBLE)


def last_cut(text: bytes | bytearray | memoryview, start: int, end: int) -> int:
    """The last place between ``start`` and ``end``, both excluded, to cut UTF-8; 0 when none.

    A space is looked for first, wherever it is, and a newline only in text without one.

    Examples
    --------
    >>> last_cut(b"one two three", 0, 13)
    7
    >>> last_cut("一二三。\\n四五六".encode(), 0, 22)
    13
    >>> last_cut(b"onetwothree", 0, 11)
    0
    """
    found = _BEFORE_SPACE.match(text, start, end)
    if found and found.end() - 1 > start:
        return found.end() - 1
    found = _AFTER_NEWLINE.match(text, start, end)
    return found.end() if found else 0


def cut_points(text: bytes | memoryview, part_bytes: int) -> list[int]:
    """Return where to cut a text into parts of about ``part_bytes``, or longer without a place to cut.

    >>> cut_points(b"one two three", 8)
    [7]
    """
    points = []
    start, reach = 0, part_bytes
    while len(text) - start > reach:
        at = last_cut(text, start, start + reach)
        if at:
            points.append(at)
            start, reach = at, part_bytes
        else:
            reach *= 2
    return points


def cut(text: bytes, part_bytes: int) -> list[bytes]:
    """Return a text in parts, cut at :func:`cut_points`.

    >>> cut(b"one two three", 8)
    [b'one two', b' three']
    """
    edges = [0, *cut_points(text, part_bytes), len(text)]
    return [text[start:stop] for start, stop in pairwise(edges)]
