"""Parser of ``.tiktoken`` files: one token per line, ``base64(bytes) rank``."""

cdef enum:
    PARSE_OK = 0
    PARSE_BASE64 = 1
    PARSE_RANK = 2
    PARSE_TOO_MANY = 3


cdef int8_t[256] BASE64_DIGITS        # value of a base64 digit, or -1; set once, below


cdef void set_base64_digits() noexcept nogil:
    cdef int value
    for value in range(256):
        BASE64_DIGITS[value] = -1
    for value in range(26):
        BASE64_DIGITS[c'A' + value] = value
        BASE64_DIGITS[c'a' + value] = value + 26
    for value in range(10):
        BASE64_DIGITS[c'0' + value] = value + 52
    BASE64_DIGITS[c'+'] = 62
    BASE64_DIGITS[c'/'] = 63


set_base64_digits()


# Decode the base64 of one line, up to its space, to out. Returns the characters read, or -1 for
# invalid base64.
cdef Py_ssize_t decode_base64(
    const uint8_t *text, size_t n, uint8_t *out, size_t *written
) noexcept nogil:
    cdef size_t i = 0, padding = 0
    cdef uint32_t bits = 0
    cdef int value, held = 0, a, b, c, d
    written[0] = 0
    # Four digits at a time; anything else, including padding, is left to the next loop.
    while i + 4 <= n:
        a, b = BASE64_DIGITS[text[i]], BASE64_DIGITS[text[i + 1]]
        c, d = BASE64_DIGITS[text[i + 2]], BASE64_DIGITS[text[i + 3]]
        if (a | b | c | d) < 0:
            break
        out[written[0]] = <uint8_t>(a << 2 | b >> 4)
        out[written[0] + 1] = <uint8_t>(b << 4 | c >> 2)
        out[written[0] + 2] = <uint8_t>(c << 6 | d)
        written[0] += 3
        i += 4
    while i < n and text[i] != c' ' and text[i] != c'\n':
        if text[i] == c'=':
            padding += 1
        else:
            value = BASE64_DIGITS[text[i]]
            if value < 0 or padding:
                return -1
            bits = bits << 6 | <uint32_t>value
            held += 6
            if held >= 8:
                held -= 8
                out[written[0]] = <uint8_t>(bits >> held)
                written[0] += 1
        i += 1
    if i == 0 or i % 4 or padding > 2 or (bits & ((1 << held) - 1)):
        return -1
    return i


cdef int parse_lines(
    const uint8_t *text, size_t n, uint8_t *blob, uint64_t *ends, uint32_t *ranks, size_t capacity,
    size_t *count, size_t *line, size_t *blob_size
) noexcept nogil:
    cdef size_t at = 0, written, digits
    cdef Py_ssize_t taken
    cdef uint64_t rank
    count[0] = 0
    line[0] = 0
    blob_size[0] = 0
    while at < n:
        line[0] += 1
        if text[at] == c'\n':
            at += 1
            continue
        if count[0] == capacity:
            return PARSE_TOO_MANY
        taken = decode_base64(text + at, n - at, blob + blob_size[0], &written)
        if taken < 0:
            return PARSE_BASE64
        at += taken
        if at >= n or text[at] != c' ':
            return PARSE_RANK
        at += 1
        rank = 0
        digits = 0
        while at < n and c'0' <= text[at] <= c'9' and digits < 10:
            rank = rank * 10 + (text[at] - c'0')
            digits += 1
            at += 1
        if at < n and text[at] == c'\r':
            at += 1
        if digits == 0 or rank >= NO_RANK or (at < n and text[at] != c'\n'):
            return PARSE_RANK
        at += 1
        blob_size[0] += written
        ends[count[0]] = blob_size[0]
        ranks[count[0]] = <uint32_t>rank
        count[0] += 1
    return PARSE_OK


def parse_tiktoken(text, ends, ranks) -> tuple:
    """Parse a ``.tiktoken`` file; tokens are in file order.

    Parameters
    ----------
    text : the file's bytes
    ends : uint64 buffer, filled with the end of each token in the returned bytes
    ranks : uint32 buffer of the same length, filled with each token's rank

    Returns
    -------
    (int, bytes, bool) : the number of tokens, their bytes back to back, whether ranks increase.

    Raises
    ------
    ValueError
        With the number of the first line that is not ``base64 rank``.
    """
    cdef Array held = array_of(text, ITEM_UINT8), held_ends = array_of(ends, ITEM_UINT64, True)
    cdef Array held_ranks = array_of(ranks, ITEM_UINT32, True)
    cdef uint32_t *rank = <uint32_t *>held_ranks.at
    cdef size_t n = held.count, count = 0, line = 0, size = 0
    cdef size_t capacity = min(held_ends.count, held_ranks.count)
    cdef int status
    cdef bint increasing = True
    cdef PyObject *blob
    cdef uint8_t *out
    if n == 0 or capacity == 0:
        return 0, b"", True
    blob = new_bytes(NULL, n)
    out = <uint8_t *>bytes_address(blob)
    with nogil:
        status = parse_lines(
            <const uint8_t *>held.at, n, out, <uint64_t *>held_ends.at, rank, capacity, &count, &line,
            &size,
        )
    # Truncated, not copied: mapping new pages takes longer than parsing.
    _PyBytes_Resize(&blob, size)
    tokens = <object>blob
    Py_DECREF(tokens)
    if status == PARSE_BASE64:
        raise ValueError(f"line {line}: the token is not base64")
    if status == PARSE_RANK:
        raise ValueError(f"line {line}: there must be one space and a rank after the token")
    if status == PARSE_TOO_MANY:
        raise ValueError(f"line {line}: more than {capacity} tokens")
    for n in range(1, count):
        increasing &= rank[n] > rank[n - 1]
    return count, tokens, increasing
