"""The row of each token of a list of merges."""

# Codes between the bytes of merges.
cdef enum:
    CODE_NO_BYTE = 256
    CODE_SPACE = 257
    CODE_END = 258

NO_BYTE = CODE_NO_BYTE
SPACE = CODE_SPACE
END_OF_MERGE = CODE_END

cdef enum:
    MERGE_NOT_TWO = 1      # not two tokens with one space between them
    MERGE_NO_LEFT = 2
    MERGE_NO_RIGHT = 3
    MERGE_NO_MADE = 4


# Find the rows of merges: left, right, and the token that they make. `scratch` must hold n bytes. 0,
# or the error of merge number count[0].
cdef int find_merge_rows(
    const Ranks *ranks, const uint16_t *codes, size_t n, uint8_t *scratch, uint32_t *rows,
    size_t capacity, size_t *count
) noexcept nogil:
    cdef size_t at = 0, length, left
    cdef uint32_t *row
    cdef int spaces, strange
    count[0] = 0
    while at < n and count[0] < capacity:
        length = left = 0
        spaces = strange = 0
        while at < n and codes[at] != CODE_END:
            if codes[at] == CODE_SPACE:
                spaces += 1
                left = length
            elif codes[at] == CODE_NO_BYTE:
                strange += 1
            else:
                scratch[length] = <uint8_t>codes[at]
                length += 1
            at += 1
        at += 1
        if spaces != 1:
            return MERGE_NOT_TWO
        row = rows + 3 * count[0]
        row[0] = ranks_find(ranks, scratch, left) if left else NO_RANK
        row[1] = ranks_find(ranks, scratch + left, length - left) if length > left else NO_RANK
        row[2] = ranks_find(ranks, scratch, length) if length else NO_RANK
        if strange or row[0] == NO_RANK:
            return MERGE_NO_LEFT
        if row[1] == NO_RANK:
            return MERGE_NO_RIGHT
        if row[2] == NO_RANK:
            return MERGE_NO_MADE
        count[0] += 1
    return 0


cdef class TokenRows:
    """Tokens of a vocabulary, looked up by their bytes.

    Parameters
    ----------
    blob : bytes
        All tokens' bytes, back to back.
    ends : buffer of uint64, [n]
        End of each token in `blob`; none may be empty.

    Raises
    ------
    BadVocabulary
        For too many tokens, a token that occurs twice, or tokens crafted to collide.
    """

    cdef Ranks ranks
    cdef bytes _blob
    cdef Array _ends

    def __cinit__(self, bytes blob not None, ends):
        cdef Array held = array_of(ends, ITEM_UINT64)
        cdef const uint64_t *end = <const uint64_t *>held.at
        cdef size_t n = held.count
        cdef int status
        if n == 0 or n > MAX_TOKENS or end[n - 1] != <size_t>len(blob):
            raise BadVocabulary(f"{n} tokens; a vocabulary has 1 to {MAX_TOKENS}")
        self._blob = blob
        self._ends = held
        self.ranks.n = n
        self.ranks.blob = <const uint8_t *><char *>blob
        self.ranks.ends = end
        with nogil:
            status = ranks_build_pieces(&self.ranks)
        if status == RANKS_DUPLICATE:
            raise BadVocabulary("the same token is listed twice; remove one")
        if status == RANKS_TOO_MANY_PAIRS:
            raise BadVocabulary("its tokens are too long and too similar to be looked up")
        if status != 0:
            raise MemoryError("no memory for the tokens")

    def __dealloc__(self):
        ranks_free(&self.ranks)

    def find(self, token) -> int:
        """Return the row of a token, or -1."""
        cdef Array bytes = array_of(token, ITEM_UINT8)
        cdef uint32_t row = NO_RANK
        if bytes.count:
            row = ranks_find(&self.ranks, <const uint8_t *>bytes.at, bytes.count)
        return -1 if row == NO_RANK else row

    def of_merges(self, codes, rows) -> tuple:
        """Find the rows of merges: each is two tokens with SPACE between them, and END_OF_MERGE
        separates merges.

        Fills `rows`, [3 * m], with the rows of the two tokens and of the token they make. Returns 0
        and the number of merges, or an error and the number of the merge: 1 if there are not two
        tokens; 2 to 4 if the left token, the right one or the one they make is not in the
        vocabulary.
        """
        cdef Array held = array_of(codes, ITEM_UINT16), out = array_of(rows, ITEM_UINT32, True)
        cdef size_t n = held.count, count = 0
        cdef Memory scratch = allocate(n)
        cdef int status
        with nogil:
            status = find_merge_rows(
                &self.ranks, <const uint16_t *>held.at, n, <uint8_t *>scratch.at,
                <uint32_t *>out.at, out.count // 3, &count,
            )
        return status, count
