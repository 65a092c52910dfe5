"""Outline of a JSON text before it is decoded: number of keys and items, length of the longest string.

A decoder keeps the last of two equal keys and makes an object per item. So the cost of decoding a
file, and whether a key occurs in it twice, must be known beforehand. Nothing else is validated
here.
"""

cdef struct Outline:
    size_t keys
    size_t items
    size_t longest             # bytes of the longest string, as written


# Return the index of the quote that ends the string whose first byte is at `i`; n or more if there is
# none.
cdef inline size_t end_of_string(const uint8_t *text, size_t n, size_t i) noexcept nogil:
    while True:
        while i < n and text[i] != c'"' and text[i] != c'\\':
            i += 1
        if i >= n or text[i] == c'"':
            return i
        i += 2


cdef void read_outline(const uint8_t *text, size_t n, size_t limit, Outline *out) noexcept nogil:
    cdef size_t i = 0, depth = 0, begin
    cdef uint8_t c
    out.keys = 0
    out.items = 0
    out.longest = 0
    while i < n:
        c = text[i]
        if c == c'"':
            begin = i + 1
            i = end_of_string(text, n, begin)
            if i - begin > out.longest:
                out.longest = i - begin
        elif c == c'{' or c == c'[':
            depth += 1
        elif c == c'}' or c == c']':
            depth -= depth > 0
        elif depth <= limit:
            out.keys += c == c':'
            out.items += c == c','
        i += 1


def json_outline(text, Py_ssize_t limit=-1) -> tuple:
    """Count the colons and commas outside the strings of a JSON text, and measure its longest string.

    Parameters
    ----------
    text : the JSON, in UTF-8
    limit : count only down to this depth; 1 is the outermost value. Negative: all.

    Returns
    ------- (int, int, int) : colons, commas, bytes of the longest string as written. The numbers
    mean nothing for a text that is not JSON.
    """
    cdef Array bytes = array_of(text, ITEM_UINT8)
    cdef Outline found
    with nogil:
        read_outline(<const uint8_t *>bytes.at, bytes.count, <size_t>limit, &found)
    return found.keys, found.items, found.longest


# Write the index of each `every`-th comma of the outermost value, at most `capacity` of them; return
# how many.
cdef size_t find_json_commas(
    const uint8_t *text, size_t n, size_t every, uint64_t *places, size_t capacity
) noexcept nogil:
    cdef size_t i = 0, depth = 0, items = 0, count = 0
    cdef uint8_t c
    while i < n and count < capacity:
        c = text[i]
        if c == c'"':
            i = end_of_string(text, n, i + 1)
        elif c == c'{' or c == c'[':
            depth += 1
        elif c == c'}' or c == c']':
            depth -= depth > 0
        elif c == c',' and depth == 1:
            items += 1
            if items % every == 0:
                places[count] = i
                count += 1
        i += 1
    return count


def json_commas(text, Py_ssize_t every, places) -> int:
    """Write the index of each `every`-th comma between the items of a JSON array or object to `places`.

    Returns how many there are, at most as many as fit into `places`.
    """
    cdef Array bytes = array_of(text, ITEM_UINT8), out = array_of(places, ITEM_UINT64, True)
    cdef size_t count
    if every < 1:
        raise ValueError(f"every is {every}; it must be at least 1")
    with nogil:
        count = find_json_commas(
            <const uint8_t *>bytes.at, bytes.count, every, <uint64_t *>out.at, out.count
        )
    return count
