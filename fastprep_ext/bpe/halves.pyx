"""Reader of files of halves: the bytes of each token are those of its two halves, back to back.

All the tables of a vocabulary follow from such a file in one pass each, without parsing, hashing or
looking up: o200k takes a fifth of the instructions that it takes from its ``.tiktoken`` file.
"""

cdef enum:
    HALVES_SLACK = 16      # bytes that are copied at once, beyond the last token, too
    HALVES_AT_ONCE = 64


# Fill ends and lefts, [n], and blob, of `size` bytes and slack, whose first 256 are the bytes. False if a
# half is not a token before, or too long, or if the tokens have another size in total.
cdef bint write_halves(
    const uint8_t *planes, size_t n, uint64_t *ends, uint8_t *lefts, uint8_t *blob, size_t size
) noexcept nogil:
    cdef uint32_t token, first, last
    cdef uint32_t two[HALVES_AT_ONCE][2]
    cdef uint64_t start, left, right, at = BYTE_TOKENS
    cdef size_t i, k
    for token in range(BYTE_TOKENS):
        ends[token] = token + 1
        lefts[token] = 0
    first = BYTE_TOKENS
    while first < n:
        last = min(first + HALVES_AT_ONCE, <uint32_t>n)
        # In steps, so that all tokens wait for memory together: first for the ends of their halves, ...
        for token in range(first, last):
            read_halves(planes, n, token, two[token - first])
            for k in range(2):
                if two[token - first][k] >= token:
                    return False
                prefetch(&ends[two[token - first][k]])
        # ... then for their bytes.
        for i in range(last - first):
            for k in range(2):
                prefetch(blob + (ends[two[i][k] - 1] if 0 < two[i][k] <= first else 0))
        for token in range(first, last):
            i = token - first
            start = ends[two[i][0] - 1] if two[i][0] else 0
            left = ends[two[i][0]] - start
            if left > 0xFF or left > size - at:
                return False
            copy_half(blob + start, left, blob + at)
            at += left
            start = ends[two[i][1] - 1] if two[i][1] else 0
            right = ends[two[i][1]] - start
            if right > size - at:
                return False
            copy_half(blob + start, right, blob + at)
            at += right
            ends[token] = at
            lefts[token] = <uint8_t>left
        first = last
    return at == size


# Copy a token, and bytes beyond it, which the next one overwrites.
cdef inline void copy_half(const uint8_t *half, size_t n, uint8_t *out) noexcept nogil:
    cdef size_t i = HALVES_SLACK
    memmove(out, half, HALVES_SLACK)
    while unlikely(i < n):
        memmove(out + i, half + i, HALVES_SLACK)
        i += HALVES_SLACK


def tokens_of_halves(data, ends, ids) -> tuple:
    """Make the tokens of a file of halves.

    Parameters
    ----------
    data : the file's bytes
    ends : uint64 buffer, filled with the end of each token in the returned bytes
    ids : uint32 buffer of the same length, filled with each token's id

    Returns
    -------
    (bytes, bytes) : the bytes of the tokens, back to back, and for each token the length of its left half.

    Raises
    ------
    ValueError
        For another number of tokens than the file has, and for a token that is not made of two before it.
    """
    cdef Array held = array_of(data, ITEM_UINT8), held_ends = array_of(ends, ITEM_UINT64, True)
    cdef Array held_ids = array_of(ids, ITEM_UINT32, True)
    cdef const uint8_t *file = <const uint8_t *>held.at
    cdef uint32_t *id = <uint32_t *>held_ids.at
    cdef uint32_t token, skipped
    cdef size_t n = held_ends.count, size
    cdef bytes lefts, made
    cdef uint8_t *left
    cdef PyObject *blob
    cdef uint8_t *out
    cdef bint right
    if n < BYTE_TOKENS or n > MAX_TOKENS or <size_t>held_ids.count != n \
            or <size_t>held.count != HALVES_HEADER + 6 * (n - BYTE_TOKENS) or load32(file) != n \
            or not BYTE_TOKENS <= load32(file + 4) <= MAX_VOCABULARY_BYTES:
        raise ValueError(f"{held.count} bytes are not the halves of {n} tokens")
    size = load32(file + 4)
    skipped = load32(file + 8)
    lefts = PyBytes_FromStringAndSize(NULL, n)
    left = <uint8_t *>PyBytes_AS_STRING(lefts)
    blob = new_bytes(NULL, size + HALVES_SLACK)
    out = <uint8_t *>bytes_address(blob)
    memcpy(out, file + HALVES_HEADER - BYTE_TOKENS, BYTE_TOKENS)
    with nogil:
        right = write_halves(file + HALVES_HEADER, n, <uint64_t *>held_ends.at, left, out, size)
        for token in range(<uint32_t>n):
            id[token] = token + (token >= skipped)
    # Truncated, not copied: mapping new pages takes as long as all of this.
    _PyBytes_Resize(&blob, size)
    made = <bytes>blob
    Py_DECREF(made)
    if not right:
        raise ValueError("a token is not made of two before it, or is too long")
    return made, lefts
