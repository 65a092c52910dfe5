"""The frame that all splitters share, and the choice of the splitter."""

cdef extern from "split/simd.h" nogil:
    const SimdPath *simd_path(const char *name)

cdef const SimdPath *PATH = simd_path(simd.encode())
cdef const uint8_t *CLASSES = unicode_classes()
cdef Kinds KINDS
cdef Kinds KINDS_APART[2]   # of the patterns that set characters apart; made when one is first used
cdef pthread_mutex_t KINDS_LOCK
pthread_mutex_init(&KINDS_LOCK, NULL)


# Fill a table, whose characters are those of a chain.
cdef void make_kinds(Kinds *self, int chain) noexcept nogil:
    cdef uint32_t number, i, point
    cdef uint8_t kind
    for number in range(NUMBERS):
        if number < 0x20 or 0x360 <= number < 0x380 or TWO_BYTES <= number < TWO_BYTES + 2:
            memset(self.of[number], RARE, 64)    # overlong forms and surrogates
            continue
        for i in range(64):
            point = (number & (TWO_BYTES - 1)) * 64 + i
            kind = CLASSES[point]
            if chain:
                kind = kind_apart(chain, point, kind)
            self.of[number][i] = high_kind_of(kind)
    self.has_apart = chain != 0
    kinds_finish(self)


cdef inline uint8_t high_kind_of(uint8_t kind) noexcept nogil:
    return KIND_OF_CLASS[kind & ~KIND_CJK] | (OF_APART if kind & KIND_CJK else 0)


make_kinds(&KINDS, 0)


# Make the table of a pattern that sets characters apart, if it is not made yet.
cdef void prepare_pattern(int pattern) noexcept nogil:
    cdef Kinds *kinds = &KINDS_APART[pattern == PATTERN_KIMI]
    if pattern != PATTERN_KIMI and pattern != PATTERN_DEEPSEEK3:
        return
    pthread_mutex_lock(&KINDS_LOCK)
    if not kinds.has_apart:
        make_kinds(kinds, pattern)
    pthread_mutex_unlock(&KINDS_LOCK)


cdef void split_begin(Split *self, int pattern, const uint8_t *text, size_t n) noexcept nogil:
    cdef const Given *given
    memset(self, 0, sizeof(Split) - sizeof(self.levels))
    self.text = text
    self.n = n
    self.done = n == 0
    if pattern >= FIRST_GIVEN:
        given = given_of(pattern)
        self.rules = given.rules
        self.next = given.next
        given.begin(self)
        return
    self.classes = CLASSES
    self.path = PATH
    self.kinds = &KINDS
    self.contracted = <size_t>-1
    self.group = 3
    self.cuts_at_end = pattern != PATTERN_CL100K
    self.contractions = ~<uint64_t>0
    if pattern == PATTERN_QWEN2 or pattern == PATTERN_QWEN35 or pattern == PATTERN_TEKKEN:
        self.group = 1
    if pattern == PATTERN_NANOCHAT:
        self.group = 2
    if pattern == PATTERN_QWEN35:
        self.marks_in_words = ~<uint64_t>0
    if pattern == PATTERN_TEKKEN:
        self.contractions = 0
    if pattern == PATTERN_STARCODER or pattern == PATTERN_DEEPSEEK3:
        self.chain = pattern
        self.sets_apart = ~<uint64_t>0
    if pattern == PATTERN_KIMI:
        self.chain = pattern
    if pattern == PATTERN_KIMI or pattern == PATTERN_DEEPSEEK3:
        self.kinds = &KINDS_APART[pattern == PATTERN_KIMI]
    if pattern == PATTERN_R50K or pattern == PATTERN_STARCODER:
        self.starts = starts_r50k
    elif pattern == PATTERN_O200K or pattern == PATTERN_TEKKEN:
        self.starts = starts_o200k
    elif pattern == PATTERN_KIMI:
        self.starts = starts_kimi
    elif pattern == PATTERN_DEEPSEEK3:
        self.starts = starts_deepseek3
    else:
        self.starts = starts_cl100k


cdef size_t split_next(Split *self, size_t *ends, size_t capacity) noexcept nogil:
    cdef size_t count = 0
    cdef uint64_t starts
    cdef Block block
    cdef size_t first
    if self.next != NULL:
        return self.next(self, ends, capacity)
    while self.at < self.n and capacity - count >= MIN_SPLIT_CAPACITY:
        read_block(self, &block)
        if self.invalid:
            return 0
        # At the end of its text, a newline stays in its run of whitespace, and what follows it starts a piece.
        block.last_white &= ~(block.newline & self.lines)
        starts = self.starts(self, &block)
        starts |= (block.newline << 1 | self.new_line) & self.lines
        self.new_line = block.newline >> 63
        if self.at == 0:
            starts &= ~<uint64_t>1    # the start of the text ends no piece
        first = self.at
        if self.n - first < 64:
            starts &= (<uint64_t>1 << (self.n - first)) - 1
        count += self.path.places(starts, first, ends + count)
        self.at += 64
    if self.at >= self.n and not self.done:
        ends[count] = self.n
        count += 1
        self.done = True
    return count


# Classify the next 64 bytes.
cdef inline void read_block(Split *self, Block *block) noexcept nogil:
    cdef uint8_t padded[72]
    cdef const uint8_t *bytes = self.text + self.at
    cdef size_t left = self.n - self.at
    cdef uint64_t white, white_follows
    if left < 66:
        # Spaces, so that no text follows a run of whitespace at the end of the text.
        memset(padded, 0x20, sizeof(padded))
        memcpy(padded, bytes, left)
        bytes = padded
    self.path.lanes(bytes, block)
    white = block.white
    block.lower = block.letter & ~block.upper
    block.mark = block.sign = block.cjk = block.tail = block.last_white = 0
    if block.high | self.high.next_tail:
        read_high(self, block, bytes)
    block.apart = (block.digit | block.cjk) & self.sets_apart
    # A run that reaches the end of the block: its last character is included if no whitespace
    # follows.
    white_follows = 0
    if block.white >> 63 and white_at(self, self.at + 64):
        white_follows = <uint64_t>1 << 63
    block.last_white |= white & ~((block.white | block.apart) >> 1 | white_follows)


# Classify the characters of several bytes.
cdef void read_high(Split *self, Block *block, const uint8_t *bytes) noexcept nogil:
    cdef High *high = &self.high
    cdef uint64_t rare, letter, first, second
    self.path.high(bytes, self.kinds, high)
    if unlikely(high.malformed or (high.next_tail and self.n - self.at <= 64)):
        find_malformed(self)
        return
    rare = high.rare
    while rare:
        if not read_rare(self, block, lowest_bit(rare)):
            return
        rare &= rare - 1
    letter = high.has[IS_LETTER]
    first = high.has[IS_FIRST]
    second = high.has[IS_SECOND]
    block.upper |= letter & first
    block.lower |= letter & second
    block.letter |= letter
    block.mark = first & ~(letter | second)
    block.digit |= second & ~(letter | first)
    block.sign = first & second
    block.white |= high.has[IS_WHITE]
    block.cjk = high.has[IS_APART]
    block.tail = high.tail


# Add the character at byte `at` of the block: one of four bytes, or whitespace, which is noted if text
# follows its run. False if there is none.
cdef bint read_rare(Split *self, Block *block, int at) noexcept nogil:
    cdef uint32_t point
    cdef uint8_t kind
    cdef int length = utf8_decode(self.text + self.at + at, self.n - self.at - at, &point)
    if length == 0:
        self.at += at
        self.invalid = True
        return False
    kind = CLASSES[point]
    if self.chain != 0:
        kind = kind_apart(self.chain, point, kind)
    if kind == UC_SPACE and self.at + at + length < self.n \
            and not white_at(self, self.at + at + length):
        block.last_white |= <uint64_t>1 << at
    high_add(&self.high, at, length, high_kind_of(kind))
    return True


# Set `invalid`, and `at` to the place, if the block or the character before it is not UTF-8.
cdef void find_malformed(Split *self) noexcept nogil:
    cdef uint32_t point
    cdef int length
    if self.at > 0:
        self.at -= 1
    while self.at > 0 and self.text[self.at] & 0xC0 == 0x80:
        self.at -= 1
    while True:
        length = utf8_decode(self.text + self.at, self.n - self.at, &point)
        if length == 0:
            self.invalid = True
            return
        self.at += length


# Return whether whitespace is at byte `at`, or the end of the text, or a character set apart, which
# counts as such.
cdef inline bint white_at(const Split *self, size_t at) noexcept nogil:
    cdef uint8_t kind
    if at >= self.n:
        return True
    kind = kind_at(self, at)
    return kind == UC_SPACE or (self.sets_apart and (kind == UC_N or kind & KIND_CJK))


def lanes_of(block, str path):
    """Return the ASCII class masks of 64 bytes as one SIMD path computes them, for tests of the paths.

    None if `path` ("portable", "sse2", "avx2", "neon") does not run on this machine.
    """
    cdef Array bytes = array_of(block, ITEM_UINT8)
    cdef const SimdPath *chosen = simd_path(path.encode())
    cdef Block lanes
    memset(&lanes, 0, sizeof(Block))
    if bytes.count != 64:
        raise ValueError(f"a block has 64 bytes, this one {bytes.count}")
    if chosen == NULL:
        return None
    chosen.lanes(<const uint8_t *>bytes.at, &lanes)
    return lanes


def places_of(uint64_t bits, str path):
    """List the set bits of a number, lowest first, as one SIMD path does, for tests of the paths.

    None if `path` does not run on this machine.
    """
    cdef const SimdPath *chosen = simd_path(path.encode())
    cdef size_t places[64]
    if chosen == NULL:
        return None
    found = []
    for i in range(chosen.places(bits, 0, places)):
        found.append(places[i])
    return found


def blocks_of(text, pattern, str path):
    """List the class masks of a UTF-8 text, 64 bytes after 64, as one SIMD path computes them, for tests.

    None if `path` does not run on this machine. Raises InvalidUtf8.
    """
    cdef Array bytes = array_of(text, ITEM_UINT8)
    cdef Split split
    cdef Block block
    split_begin(&split, pattern_number(pattern), <const uint8_t *>bytes.at, bytes.count)
    split.path = simd_path(path.encode())
    if split.path == NULL:
        return None
    found = []
    while split.at < split.n:
        read_block(&split, &block)
        check_split(&split)
        found.append(block)
        split.at += 64
    return found
