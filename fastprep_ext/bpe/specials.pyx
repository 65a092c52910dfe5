"""Search for special and added tokens: filters leave few candidates, whose bytes narrow a range of the
sorted tokens."""

cdef StartsNext STARTS_NEXT = starts_path(simd.encode())


cdef inline size_t special_length(const SpecialTable *self, size_t token) noexcept nogil:
    return self.ends[token] - (self.ends[token - 1] if token else 0)


cdef inline uint8_t special_byte(const SpecialTable *self, size_t token, size_t at) noexcept nogil:
    return self.blob[(self.ends[token - 1] if token else 0) + at]


cdef bint special_next(
    const SpecialTable *self, const uint8_t *text, size_t n, Cursor *cursor, Special *found
) noexcept nogil:
    cdef size_t at = cursor.at
    cdef uint8_t sides
    while at < n:
        at = STARTS_NEXT(&self.starts, text, n, at)
        if at >= n:
            break
        if not special_at(self, text, n, at, found):
            at += 1
            continue
        sides = self.sides[found.token]
        if self.values[found.token] >> 32 \
                or (sides & SIDE_WORD and in_a_word(self, text, n, found.begin, found.end)):
            at = found.end if self.passes_over else at + 1
            continue
        at = found.end
        if sides & SIDE_BEFORE:
            found.begin = max(white_before(text, found.begin), cursor.reached)
        if sides & SIDE_AFTER:
            found.end = white_after(text, n, found.end)
        # The token may be part of the whitespace of the one before it; then it does not count. (The
        # library drops it where both have the same end, and panics elsewhere.)
        if found.begin >= found.end:
            continue
        cursor.at = at
        cursor.reached = found.end
        return True
    cursor.at = n
    return False


# Find the token of the lowest priority number that starts at `at`.
cdef bint special_at(
    const SpecialTable *self, const uint8_t *text, size_t n, size_t at, Special *found
) noexcept nogil:
    cdef size_t low = self.first_rows[text[at]], high = self.first_rows[text[at] + 1], length = 0
    cdef bint any = False
    if low == high:
        return False
    if self.are_runs:
        length = 1
        while length < MAX_RUN and at + length < n and text[at + length] == text[at]:
            length += 1
        low = self.run_rows[text[at]][length]
        if low == 0:
            return False
        found.begin = at
        found.token = low - 1
        found.end = at + special_length(self, low - 1)
        return True
    while at + length < n:
        if length:
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


# Return where the character before byte `at` starts, and the character; `at` if it is not UTF-8.
cdef size_t character_before(const uint8_t *text, size_t at, uint32_t *point) noexcept nogil:
    cdef size_t begin = at
    while begin > 0 and at - begin < 4:
        begin -= 1
        if text[begin] & 0xC0 != 0x80:
            return begin if <size_t>utf8_decode(text + begin, at - begin, point) == at - begin else at
    return at


cdef size_t white_before(const uint8_t *text, size_t at) noexcept nogil:
    cdef uint32_t point
    cdef size_t before
    while at > 0:
        before = character_before(text, at, &point)
        if before == at or CLASSES[point] != UC_SPACE:
            break
        at = before
    return at


cdef size_t white_after(const uint8_t *text, size_t n, size_t at) noexcept nogil:
    cdef uint32_t point
    cdef int length
    while at < n:
        length = utf8_decode(text + at, n - at, &point)
        if length == 0 or CLASSES[point] != UC_SPACE:
            break
        at += length
    return at


# Return whether a character of a word is next to text[begin:end].
cdef bint in_a_word(
    const SpecialTable *self, const uint8_t *text, size_t n, size_t begin, size_t end
) noexcept nogil:
    cdef uint32_t point
    if begin > 0 and character_before(text, begin, &point) < begin and is_of_word(self, point):
        return True
    return end < n and utf8_decode(text + end, n - end, &point) > 0 and is_of_word(self, point)


cdef bint is_of_word(const SpecialTable *self, uint32_t point) noexcept nogil:
    cdef size_t low = 0, high = self.n_words, middle
    while low < high:
        middle = (low + high) // 2
        if self.words[2 * middle + 1] < point:
            low = middle + 1
        else:
            high = middle
    return low < self.n_words and self.words[2 * low] <= point


cdef class TokenTable:
    """A set of tokens to search for, as :class:`Specials` describes them."""

    def __cinit__(self, tokens not None, bint passes_over, words):
        cdef size_t count = len(tokens), i, end = 0, filter_words = 1, begin, k
        cdef bytes token
        cdef uint32_t pair, bit
        cdef uint64_t *fours
        order = sorted(range(count), key=lambda row: tokens[row][0])
        self.tokens = []
        for row in order:
            self.tokens.append(tokens[row][0])
        self.blob = b"".join(self.tokens)
        self.table.starts.fours_shift = 26
        while filter_words < 1 << 14 and filter_words * 2 < count:
            filter_words *= 2
            self.table.starts.fours_shift -= 1
        self.numbers = <uint64_t *>calloc(2 * count + filter_words + 1, sizeof(uint64_t))
        self.priorities = <uint32_t *>calloc(count + 1, sizeof(uint32_t))
        self.sides = <uint8_t *>calloc(count + 1, 1)
        if self.numbers == NULL or self.priorities == NULL or self.sides == NULL:
            raise MemoryError(f"no memory for {count} special tokens")
        fours = self.numbers + 2 * count
        for i in range(count):
            token = self.tokens[i]
            if not token or (i and token == self.tokens[i - 1]):
                raise ValueError(f"special token {token!r} is empty or given twice")
            begin = end
            end += len(token)
            value = tokens[order[i]][1]
            self.numbers[i] = end
            self.numbers[count + i] = <uint64_t>-1 if value is None else <uint32_t>value
            self.priorities[i] = order[i]
            if len(tokens[order[i]]) > 2:
                self.sides[i] = tokens[order[i]][2]
            set_add(&self.table.starts.first, <uint8_t>token[0])
            for k in range(<size_t><uint8_t>token[0] + 1, 257):
                self.table.first_rows[k] = <uint32_t>(i + 1)
            for k in range(256):
                if end - begin > 1 and k != <uint8_t>token[1]:
                    continue
                set_add(&self.table.starts.second, <uint8_t>k)
                pair = <uint32_t><uint8_t>token[0] << 8 | <uint32_t>k
                self.table.starts.pairs[pair >> 6] |= <uint64_t>1 << (pair & 63)
                if end - begin < 4:
                    self.table.starts.short_pairs[pair >> 6] |= <uint64_t>1 << (pair & 63)
            if end - begin >= 4:
                bit = four_bit(&self.table.starts, <const uint8_t *><char *>token)
                fours[bit >> 6] |= <uint64_t>1 << (bit & 63)
        if words is not None:
            self.words = array_of(words, ITEM_UINT32)
            self.table.words = <const uint32_t *>self.words.at
            self.table.n_words = self.words.count // 2
        self.table.n = count
        self.table.blob = self.blob
        self.table.ends = self.numbers
        self.table.values = self.numbers + count
        self.table.starts.fours = fours
        self.table.priorities = self.priorities
        self.table.sides = self.sides
        self.table.passes_over = passes_over

        self.find_runs()

    # Set the fields of tokens that are runs, if all are. Those of one blank are neighbours, the shortest first.
    cdef void find_runs(self) noexcept:
        cdef SpecialTable *table = &self.table
        cdef size_t row, size, k
        cdef uint8_t byte
        for row in range(table.n):
            size = special_length(table, row)
            byte = special_byte(table, row, 0)
            if size > MAX_RUN or not (byte == 0x20 or 0x09 <= byte <= 0x0D) or table.sides[row] \
                    or table.values[row] >> 32:
                return
            for k in range(1, size):
                if special_byte(table, row, k) != byte:
                    return
            if row and special_byte(table, row - 1, 0) == byte \
                    and table.priorities[row - 1] < table.priorities[row]:
                return
            for k in range(size, MAX_RUN + 1):
                table.run_rows[byte][k] = <uint16_t>(row + 1)
        table.are_runs = table.n > 0

    def __dealloc__(self):
        free(self.numbers)
        free(self.priorities)
        free(self.sides)


cdef class Specials:
    """What happens to a text before it is split: tokens to search for, and changes.

    Parameters
    ----------
    tokens : sequence of (bytes, int or None) or (bytes, int or None, int)
        Distinct non-empty tokens, each with its id, and bits for its sides: 1, it takes the whitespace
        before it; 2, that after it; 4, no character of a word may be next to it. None: the token is
        found but left as text, which hides other tokens. Earlier tokens of the sequence have priority.
    late : such a sequence
        Tokens that are searched for in the text between those, after the change.
    change : TextChange or None
        The change of the text between the first tokens.
    passes_over : bool
        Whether a token that is left as text hides all tokens that start within it, as in the tokenizers
        library; otherwise it hides those that start where it does, as in tiktoken.
    words : buffer of uint32, or None
        Ranges of the characters of words, first and last, ascending; for bit 4.
    """

    def __cinit__(
        self, tokens not None, late=(), TextChange change=None, bint passes_over=False, words=None
    ):
        self.early = TokenTable(tokens, passes_over, words)
        self.late = TokenTable(late, passes_over, words)
        self.change = change
        self.cutter.early = &self.early.table if self.early.table.n else NULL
        self.cutter.late = &self.late.table if self.late.table.n else NULL
        self.cutter.change = &change.change if change is not None else NULL

    @property
    def tokens(self) -> list:
        """The tokens that are searched for first, sorted."""
        return self.early.tokens

    def search(self, text not None):
        """Return the first of the tokens in `text`, as bytes, or None.

        Raises UnicodeEncodeError on a lone surrogate.
        """
        cdef Py_ssize_t n
        cdef const uint8_t *utf8 = utf8_of(text, &n)
        cdef Special found
        cdef Cursor cursor
        memset(&cursor, 0, sizeof(cursor))
        if self.cutter.early != NULL and special_next(self.cutter.early, utf8, n, &cursor, &found):
            return self.early.tokens[found.token]
        return None

    def cut(self, text, bint late=False) -> list:
        """List the first tokens in a UTF-8 text, or the late ones: (first byte, end, id) of each."""
        cdef const SpecialTable *table = self.cutter.late if late else self.cutter.early
        cdef Array bytes = array_of(text, ITEM_UINT8)
        cdef list cuts = []
        cdef Special found
        cdef Cursor cursor
        memset(&cursor, 0, sizeof(cursor))
        while table != NULL and special_next(
            table, <const uint8_t *>bytes.at, bytes.count, &cursor, &found
        ):
            cuts.append((found.begin, found.end, table.values[found.token]))
        return cuts
