"""The outline of a JSON text, before anything is decoded: how many keys and items, how long strings.

A decoder keeps the last of two equal keys and makes an object of every item, so what a file would
cost, and whether a key stands in it twice, has to be known first. Nothing is checked here but that.
"""

from libc.stdint cimport uint8_t

__all__ = ["outline"]

cdef struct Outline:
    size_t keys
    size_t items
    size_t longest             # bytes of the longest string, as it is written


cdef void read_outline(const uint8_t *text, size_t n, size_t most, Outline *out) noexcept nogil:
    cdef size_t i = 0, depth = 0, begin
    cdef uint8_t c
    out.keys = 0
    out.items = 0
    out.longest = 0
    while i < n:
        c = text[i]
        if c == c'"':
            i += 1
            begin = i
            while i < n and text[i] != c'"':
                i += 2 if text[i] == c'\\' else 1
            if i - begin > out.longest:
                out.longest = i - begin
        elif c == c'{' or c == c'[':
            depth += 1
        elif c == c'}' or c == c']':
            depth -= depth > 0
        elif depth <= most:
            out.keys += c == c':'
            out.items += c == c','
        i += 1


def outline(const uint8_t[::1] text not None, Py_ssize_t most=-1) -> tuple:
    """How many colons and commas stand outside the strings of a JSON text, and its longest string.

    Parameters
    ----------
    text : the JSON, in UTF-8
    most : count those at this depth or above only; 1 is the outermost value. Negative: all.

    Returns
    -------
    (int, int, int) : colons, commas, bytes of the longest string as it is written. For a text that is
    no JSON, some numbers.
    """
    cdef Outline found
    if text.shape[0] == 0:
        return 0, 0, 0
    with nogil:
        read_outline(&text[0], text.shape[0], <size_t>most, &found)
    return found.keys, found.items, found.longest
