"""Pieces between characters that are next to each other in no token."""


cdef inline uint64_t pair_bit(int shift, uint32_t first, uint32_t second) noexcept nogil:
    return ((<uint64_t>first << 21 | second) * <uint64_t>0x9E3779B97F4A7C15) >> shift


cdef inline bint is_known(const Borders *self, uint32_t point) noexcept nogil:
    return self.known[point >> 6] >> (point & 63) & 1


cdef inline bint are_joined(const Borders *self, uint32_t first, uint32_t second) noexcept nogil:
    cdef uint64_t bit
    if first < 0x80 and second < 0x80:
        if self.ascii[2 * first + (second >> 6)] >> (second & 63) & 1:
            return True
    else:
        bit = pair_bit(self.shift, first, second)
        if self.pairs[bit >> 6] >> (bit & 63) & 1:
            return True
    return self.known != NULL and not is_known(self, first) and not is_known(self, second)


# Return the length of the character at `at`, in valid UTF-8.
cdef inline size_t character_at(const uint8_t *text, size_t at, uint32_t *point) noexcept nogil:
    cdef const uint8_t *here = text + at
    point[0] = here[0]
    if point[0] < 0x80:
        return 1
    if point[0] < 0xE0:
        point[0] = (point[0] & 0x1F) << 6 | (here[1] & 0x3F)
        return 2
    if point[0] < 0xF0:
        point[0] = (point[0] & 0x0F) << 12 | <uint32_t>(here[1] & 0x3F) << 6 | (here[2] & 0x3F)
        return 3
    point[0] = (point[0] & 0x07) << 18 | <uint32_t>(here[1] & 0x3F) << 12 \
        | <uint32_t>(here[2] & 0x3F) << 6 | (here[3] & 0x3F)
    return 4


cdef void borders_begin(Split *self) noexcept nogil:
    check_utf8(self)


cdef size_t borders_next(Split *self, size_t *ends, size_t capacity) noexcept nogil:
    cdef const Borders *borders = <const Borders *>self.rules
    cdef size_t at = self.at, count = 0
    cdef uint32_t last, point
    if self.invalid or self.done:
        return 0
    at += character_at(self.text, at, &last)
    while at < self.n:
        self.at = at
        at += character_at(self.text, at, &point)
        if not are_joined(borders, last, point):
            ends[count] = self.at
            count += 1
            if count == capacity:
                return count
        last = point
    self.at = self.n
    self.done = True
    if count < capacity:
        ends[count] = self.n
        count += 1
    return count


cdef class CharacterBorders(GivenSplitter):
    """Where text may be cut for a vocabulary of characters; takes the place of a number of PATTERNS.

    Parameters
    ----------
    blob, ends
        the bytes of all tokens, as for a :class:`Vocabulary`.
    rows : buffer of uint32
        the tokens that merges make.
    cut_before : str
        characters before which text is cut, whatever the tokens are.
    whole_unknown : bool
        whether a run of characters that are no tokens stays whole.
    """

    cdef Borders held
    cdef uint64_t *pairs
    cdef uint64_t *known

    def __cinit__(self, bytes blob not None, ends, rows, str cut_before not None, bint whole_unknown):
        cdef Array held_ends = array_of(ends, ITEM_UINT64), held_rows = array_of(rows, ITEM_UINT32)
        cdef const uint64_t *end = <const uint64_t *>held_ends.at
        cdef const uint32_t *row = <const uint32_t *>held_rows.at
        cdef const uint8_t *text = <const uint8_t *><char *>blob
        cdef size_t i, k, stop, tokens = held_ends.count
        cdef uint64_t bit
        cdef uint32_t first, second
        cdef int bits = 12, length
        while bits < 22 and <uint64_t>1 << bits < 16 * <uint64_t>held_rows.count:
            bits += 1
        self.held.shift = 64 - bits
        self.pairs = <uint64_t *>calloc((<size_t>1 << bits) // 64, sizeof(uint64_t))
        self.known = <uint64_t *>calloc(0x110000 // 64, sizeof(uint64_t)) if whole_unknown else NULL
        if self.pairs == NULL or (whole_unknown and self.known == NULL):
            raise MemoryError("no memory for the borders of characters")
        self.held.pairs = self.pairs
        self.held.known = self.known
        blocked = set(map(ord, cut_before))
        for i in range(<size_t>held_rows.count):
            if row[i] >= tokens:
                raise ValueError(f"row {row[i]} of {tokens}")
            k = end[row[i] - 1] if row[i] else 0
            stop = end[row[i]]
            length = utf8_decode(text + k, stop - k, &first)
            while length and k + length < stop:
                k += length
                length = utf8_decode(text + k, stop - k, &second)
                if blocked and second in blocked:
                    first = second
                    continue
                if first < 0x80 and second < 0x80:
                    self.held.ascii[2 * first + (second >> 6)] |= <uint64_t>1 << (second & 63)
                else:
                    bit = pair_bit(self.held.shift, first, second)
                    self.pairs[bit >> 6] |= <uint64_t>1 << (bit & 63)
                first = second
        if whole_unknown:
            for i in range(tokens):
                k = end[i - 1] if i else 0
                length = utf8_decode(text + k, end[i] - k, &first)
                if length and <size_t>length == end[i] - k:
                    self.known[first >> 6] |= <uint64_t>1 << (first & 63)
        self.enter(&self.held, borders_begin, borders_next)

    def __dealloc__(self):
        free(self.pairs)
        free(self.known)
