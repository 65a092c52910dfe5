"""Search for special tokens: the bytes of a candidate narrow a range of the sorted tokens."""

cdef bint special_next(
    const SpecialTable *self, const uint8_t *text, size_t n, size_t at, Special *found
) noexcept nogil:
    cdef const void *place
    while at < n:
        if self.only_first >= 0:
            place = memchr(text + at, self.only_first, n - at)
            if place == NULL:
                return False
            at = <const uint8_t *>place - text
        elif not self.first[text[at]]:
            at += 1
            continue
        if special_at(self, text, n, at, found) and self.values[found.token] >> 32 == 0:
            return True
        at += 1
    return False


# Find the token of the lowest priority number that starts at `at`.
cdef bint special_at(
    const SpecialTable *self, const uint8_t *text, size_t n, size_t at, Special *found
) noexcept nogil:
    cdef size_t low = 0, high = self.n, length = 0
    cdef bint any = False
    while at + length < n:
        narrow_range(self, length, text[at + length], &low, &high)
        length += 1
        if low == high:
            break
        # The shortest token of a range is its first.
        if special_length(self, low) == length:
            if not any or self.priorities[low] < self.priorities[found.token]:
                found.begin = at
                found.end = at + length
                found.token = low
            any = True
            low += 1
            if low == high:
                break
    return any


cdef inline size_t special_length(const SpecialTable *self, size_t token) noexcept nogil:
    return self.ends[token] - (self.ends[token - 1] if token else 0)


cdef inline uint8_t special_byte(const SpecialTable *self, size_t token, size_t at) noexcept nogil:
    return self.blob[(self.ends[token - 1] if token else 0) + at]


# Narrow tokens low to high, which agree up to byte `at` and are longer, to those with `byte` there.
cdef void narrow_range(
    const SpecialTable *self, size_t at, uint8_t byte, size_t *low, size_t *high
) noexcept nogil:
    cdef size_t begin = low[0], end = high[0], middle
    if special_byte(self, begin, at) == byte and special_byte(self, end - 1, at) == byte:
        return
    while begin < end:
        middle = (begin + end) // 2
        if special_byte(self, middle, at) < byte:
            begin = middle + 1
        else:
            end = middle
    low[0] = begin
    end = high[0]
    while begin < end:
        middle = (begin + end) // 2
        if special_byte(self, middle, at) <= byte:
            begin = middle + 1
        else:
            end = middle
    high[0] = begin


cdef class Specials:
    """A set of special tokens to search for.

    Parameters
    ----------
    tokens : sequence of (bytes, int or None)
        Distinct non-empty tokens, each with its id. None: the token is found but left as text, which
        hides the other tokens that start there. Earlier tokens of the sequence have priority.
    """

    def __cinit__(self, tokens not None):
        cdef size_t count = len(tokens), i, end = 0
        cdef bytes token
        order = sorted(range(count), key=lambda row: tokens[row][0])
        self.tokens = []
        for row in order:
            self.tokens.append(tokens[row][0])
        self.blob = b"".join(self.tokens)
        self.numbers = <uint64_t *>calloc(2 * count + 1, sizeof(uint64_t))
        self.priorities = <uint32_t *>calloc(count + 1, sizeof(uint32_t))
        if self.numbers == NULL or self.priorities == NULL:
            raise MemoryError(f"no memory for {count} special tokens")
        self.table.only_first = -1
        for i in range(count):
            token = self.tokens[i]
            if not token or (i and token == self.tokens[i - 1]):
                raise ValueError(f"special token {token!r} is empty or given twice")
            end += len(token)
            value = tokens[order[i]][1]
            self.numbers[i] = end
            self.numbers[count + i] = <uint64_t>-1 if value is None else <uint32_t>value
            self.priorities[i] = order[i]
            self.table.first[<uint8_t>token[0]] = True
        if count and self.tokens[0][0] == self.tokens[count - 1][0]:
            self.table.only_first = self.tokens[0][0]
        self.table.n = count
        self.table.blob = self.blob
        self.table.ends = self.numbers
        self.table.values = self.numbers + count
        self.table.priorities = self.priorities

    def __dealloc__(self):
        free(self.numbers)
        free(self.priorities)

    def search(self, text not None):
        """Return the first of the tokens in `text`, as bytes, or None.

        Raises UnicodeEncodeError on a lone surrogate.
        """
        cdef Py_ssize_t n
        cdef const uint8_t *utf8 = utf8_of(text, &n)
        cdef Special found
        if self.table.n and special_next(&self.table, utf8, n, 0, &found):
            return self.tokens[found.token]
        return None

    def cut(self, text) -> list:
        """List the tokens in a UTF-8 text: (first byte, end, id) of each."""
        cdef Array bytes = array_of(text, ITEM_UINT8)
        cdef list cuts = []
        cdef Special found
        cdef size_t at = 0
        while self.table.n and special_next(
            &self.table, <const uint8_t *>bytes.at, bytes.count, at, &found
        ):
            cuts.append((found.begin, found.end, self.table.values[found.token]))
            at = found.end
        return cuts
