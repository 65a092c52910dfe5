"""JSON values that are not each on a line: the elements of an array, or values over several lines.

Only the bounds of values are found here: strings, brackets and what separates values. The content of a
value is read by the reader of lines, to which each value is given as one line.
"""

cdef enum:
    BETWEEN = 0      # outside of an array
    OPENED = 1       # in an array, before its first value
    AFTER_VALUE = 2  # in an array, after a value
    AFTER_COMMA = 3  # in an array, after a comma

cdef enum:
    INCOMPLETE = -1
    INVALID = -2


cdef inline bint is_space(uint8_t c) noexcept nogil:
    return c == c' ' or c == c'\n' or c == c'\t' or c == c'\r'


# Return the end of the string whose quote is at `i`; INCOMPLETE if it does not end before `n`, INVALID,
# with its position in `at`, for a control character, which no string may have.
cdef inline int64_t string_end(const uint8_t *text, size_t i, size_t n, size_t *at) noexcept nogil:
    i += 1
    while True:
        i = skip_plain(text, i, n)
        if i >= n:
            return INCOMPLETE
        if text[i] == c'"':
            return i + 1
        if text[i] != c'\\':
            at[0] = i
            return INVALID
        i += 2


# Return the end of the value that starts at `i`, as `string_end` does. Brackets are only counted.
cdef int64_t value_end(
    const uint8_t *text, size_t i, size_t n, bint final, size_t *at
) noexcept nogil:
    cdef size_t level = 0
    cdef int64_t end
    cdef uint8_t c
    while i < n:
        c = text[i]
        if c == c'"':
            end = string_end(text, i, n, at)
            if end < 0:
                return end
            i = end
        elif c == c'{' or c == c'[':
            level += 1
            i += 1
        elif level == 0 and (c == c',' or c == c':' or c == c'}' or c == c']'):
            at[0] = i
            return INVALID
        elif level == 0:  # a number or a word
            while i < n and not is_space(text[i]) and text[i] != c',' and text[i] != c']':
                i += 1
            return i if i < n or final else INCOMPLETE
        elif c == c'}' or c == c']':
            level -= 1
            i += 1
        else:
            i += 1
        if level == 0:
            return i
    return INCOMPLETE


def is_value_stream(text, size_t start, size_t stop) -> bool:
    """Return whether a text starts as JSON values that are not each on a line.

    It does if its first value is an array, or an object that continues after the first line.

    >>> [is_value_stream(text, 0, len(text)) for text in (b'[{"a": 1}]', b'{\\n"a": 1}', b'{"a": 1}\\n')]
    [True, True, False]
    """
    cdef Array held = array_of(text, ITEM_UINT8)
    if not start <= stop <= <size_t>held.count:
        raise ValueError(f"bytes {start} to {stop} of {held.count}")
    cdef const uint8_t *t = <const uint8_t *>held.at
    cdef size_t i = start, level = 0, at = 0
    cdef int64_t end
    cdef uint8_t last = 0
    while i < stop and is_space(t[i]):
        i += 1
    if i >= stop or t[i] != c'{':
        return i < stop and t[i] == c'['
    while i < stop and t[i] != c'\n':
        if t[i] == c'"':
            end = string_end(t, i, stop, &at)
            if end < 0:
                return False
            i, last = end, c'"'
            continue
        if t[i] == c'{' or t[i] == c'[':
            level += 1
        elif t[i] == c'}' or t[i] == c']':
            level -= 1
            if level == 0:
                return False
        if not is_space(t[i]):
            last = t[i]
        i += 1
    while i < stop and is_space(t[i]):
        i += 1
    # A line cut off after a comma is not continued by the next object.
    return i < stop and not (t[i] == c'{' and last != c':' and last != c'[')


def values_to_lines(text, size_t at, size_t stop, int state, bint final, out) -> tuple:
    """Copy the JSON values of a text to `out`, each as one line, until one is incomplete.

    Parameters
    ----------
    text
        values, one after another, or the elements of arrays.
    at, stop
        the bytes of it to read.
    state
        0 outside of an array; otherwise the state that the call for the bytes before returned.
    final
        whether the text ends at `stop`.
    out
        a buffer of at least twice the bytes and one.

    Returns
    -------
    tuple
        the byte up to which the text was read, the bytes written, the state there, and whether the byte
        there is one that no value or separator can start with.

    >>> out = bytearray(50)
    >>> values_to_lines(b'[{"a":\\n 1}, 2, {"a"', 0, 18, 0, False, out), bytes(out[:13])
    ((15, 12, 3, False), b'{"a":  1}\\n2\\n\\x00')
    """
    cdef Array held = array_of(text, ITEM_UINT8)
    cdef Array target = array_of(out, ITEM_UINT8)
    cdef const uint8_t *t = <const uint8_t *>held.at
    cdef uint8_t *o = <uint8_t *>target.at
    cdef size_t i = at, written = 0, k, bad = 0
    cdef int64_t end
    cdef bint invalid = False
    if not at <= stop <= <size_t>held.count:
        raise ValueError(f"bytes {at} to {stop} of {held.count}")
    if <size_t>target.count < 2 * (stop - at) + 1:
        raise ValueError(f"a buffer of {target.count} bytes for {stop - at}")
    with nogil:
        while True:
            while i < stop and is_space(t[i]):
                i += 1
            if i >= stop:
                break
            if state == AFTER_VALUE or (state == OPENED and t[i] == c']'):
                if t[i] != c',' and t[i] != c']':
                    invalid = True
                    break
                state = AFTER_COMMA if t[i] == c',' else BETWEEN
                i += 1
                continue
            if state == BETWEEN and t[i] == c'[':
                state = OPENED
                i += 1
                continue
            end = value_end(t, i, stop, final, &bad)
            if end == INVALID:
                i = bad
                invalid = True
            if end < 0:
                break
            # Outside of strings, where no newline can be, all space is alike.
            for k in range(i, <size_t>end):
                o[written] = c' ' if t[k] == c'\n' else t[k]
                written += 1
            o[written] = c'\n'
            written += 1
            i = end
            if state != BETWEEN:
                state = AFTER_VALUE
    return i, written, state, invalid
