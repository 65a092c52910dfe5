"""Exact cuts: positions where a text may be cut so that the ids of the parts are the text's ids.

This holds for text that reaches a compiled splitter unchanged, which :attr:`Encoding.may_be_cut`
tells: nothing is known of other patterns, and a text that is normalized, gets a space before it or is
cut at added tokens has other ids in parts.

The compiled patterns match pieces from left to right and do not look behind a piece's start. So a cut
is exact if the whole text has a piece that ends there and the text before the cut, on its own, still
ends in the same piece. This is so at two kinds of position:

1.  Before a space (U+0020) that follows a non-whitespace character. In no pattern does a piece have
    a space after a non-whitespace character. And only runs of whitespace depend on the text that
    follows them, but the text before the cut does not end in whitespace.
2.  After a single newline between two non-whitespace characters, the second of which is not ``/``.
    In cl100k and o200k, punctuation includes the newline after it, whether or not more text follows;
    otherwise the newline is a piece of its own, because ``\\s+(?!\\S)`` needs two characters, and
    ``\\s++$`` at the end of the part matches only the newline. ``/`` is excluded because o200k joins
    it to the newline before it.

In a chain of patterns, as DeepSeek's, a match of an earlier pattern ends the text before it for the
later ones. It has neither spaces nor newlines, so it never extends over a cut; and the whitespace
before it is as a whole after a cut of the first kind, so nothing changes there.

Longer runs of whitespace are not exact: at the end of a text ``\\s++$`` matches a whole run, in the
middle ``\\s+(?!\\S)`` leaves its last character.
"""

from __future__ import annotations

import re
from itertools import pairwise

# The bytes before the cut: a visible ASCII character, or the end of any other character that is not
# one of Unicode's spaces (U+0085 U+00A0 U+1680 U+2000-200A U+2028 U+2029 U+202F U+205F U+3000). Each
# lookbehind also includes the byte matched before it.
_AFTER_VISIBLE = (
    rb"(?<=[!-~\x80-\xbf]%(last)b)(?<!\xc2[\x85\xa0]%(last)b)(?<!\xe1\x9a\x80%(last)b)"
    rb"(?<!\xe2\x80[\x80-\x8a\xa8\xa9\xaf]%(last)b)(?<!\xe2\x81\x9f%(last)b)(?<!\xe3\x80\x80%(last)b)"
)
# The byte after a newline: visible ASCII except "/", or the lead byte of a non-space character.
_BEFORE_VISIBLE = rb"(?=[!-.0-~]|[\xc3-\xe0\xe4-\xf4]|\xe3[\x81-\xbf])"
# A greedy `.*` before a literal makes re search from the end, byte by byte, in C.
_BEFORE_SPACE = re.compile(rb"(?s:.*) " + _AFTER_VISIBLE % {b"last": b" "})
_AFTER_NEWLINE = re.compile(rb"(?s:.*)\n" + _AFTER_VISIBLE % {b"last": b"\n"} + _BEFORE_VISIBLE)


def last_cut(text: bytes | bytearray | memoryview, start: int, end: int) -> int:
    """Return the last exact cut of UTF-8 between ``start`` and ``end``, both excluded, or 0.

    Spaces anywhere in the text have priority over newlines.

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
