"""The frame that all splitters share, and the choice of the splitter."""

cdef extern from "split/simd.h" nogil:
    const SimdPath *simd_path(const char *name)

cdef const SimdPath *PATH = simd_path(simd.encode())
cdef const uint8_t *CLASSES = unicode_classes()


cdef void split_begin(Split *self, int pattern, const uint8_t *text, size_t n) noexcept nogil:
    memset(self, 0, sizeof(Split) - sizeof(self.levels))
    self.text = text
    self.n = n
    self.done = n == 0
    if pattern >= FIRST_RUNS:
        self.runs = RUNS[pattern - FIRST_RUNS]
        runs_begin(self)
        return
    if pattern >= FIRST_BORDERS:
        self.borders = BORDERS[pattern - FIRST_BORDERS]
        borders_begin(self)
        return
    if pattern >= FIRST_PROGRAM:
        self.program = PROGRAMS[pattern - FIRST_PROGRAM]
        program_begin(self)
        return
    self.classes = CLASSES
    self.path = PATH
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
    if self.program != NULL:
        return program_next(self, ends, capacity)
    if self.borders != NULL:
        return borders_next(self, ends, capacity)
    if self.runs != NULL:
        return runs_next(self, ends, capacity)
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
    cdef uint8_t padded[64]
    cdef const uint8_t *bytes = self.text + self.at
    cdef size_t left = self.n - self.at
    cdef Lanes lanes
    cdef uint64_t white_follows
    if left < 64:
        # Spaces, so that no text follows a run of whitespace at the end of the text.
        memset(padded, 0x20, 64)
        memcpy(padded, bytes, left)
        bytes = padded
    self.path.lanes(bytes, &lanes)
    block.letter = lanes.letter
    block.digit = lanes.digit
    block.space = lanes.space
    block.white = lanes.white
    block.apostrophe = lanes.apostrophe
    block.newline = lanes.newline
    block.slash = lanes.slash
    block.upper = lanes.upper
    block.lower = lanes.letter & ~lanes.upper
    block.high = lanes.high
    block.mark = 0
    block.sign = 0
    block.cjk = 0
    block.tail = 0
    block.last_white = 0
    if unlikely(lanes.high != 0):
        read_high(self, block, lanes.high)
    block.apart = (block.digit | block.cjk) & self.sets_apart
    # A run that reaches the end of the block: its last character is included if no whitespace
    # follows.
    white_follows = 0
    if block.white >> 63 and white_at(self, self.at + 64):
        white_follows = <uint64_t>1 << 63
    block.last_white |= lanes.white & ~((block.white | block.apart) >> 1 | white_follows)


# Classify the characters of several bytes, whose bytes are `high`.
cdef void read_high(Split *self, Block *block, uint64_t high) noexcept nogil:
    cdef uint64_t of[16]         # the bytes of each class
    cdef uint64_t bytes
    cdef int at, length
    cdef uint8_t kind, any_kind  # two variables, so that the first can stay in a register
    memset(of, 0, sizeof(of))
    if self.carried:
        bytes = (<uint64_t>1 << self.carried) - 1
        of[self.carried_class & ~KIND_CJK] = bytes
        if self.carried_class & KIND_CJK:
            block.cjk = bytes
        block.tail = bytes
        high &= ~bytes
        self.carried = 0
    while high:
        at = lowest_bit(high)
        length = common_decode(self, at, &kind)
        if unlikely(length == 0):
            length = decode_any(self, block, at, &any_kind)
            if length == 0:
                return
            kind = any_kind
        bytes = ((<uint64_t>1 << length) - 1) << at
        of[kind] |= bytes
        block.tail |= bytes & (bytes - 1)
        high &= ~bytes
    block.upper |= of[UC_LU] | of[UC_LT]
    block.lower |= of[UC_LL]
    block.letter |= of[UC_LU] | of[UC_LT] | of[UC_LL] | of[UC_LM] | of[UC_LO]
    block.mark |= of[UC_M]
    block.digit |= of[UC_N]
    block.white |= of[UC_SPACE]
    block.sign |= of[UC_SIGN]


# Return the length of the character at byte `at` of the block, and its class, if it is a common one:
# of two or three bytes, within the block and not at the end of the text, not whitespace, no chain.
# Otherwise 0.
cdef inline int common_decode(const Split *self, int at, uint8_t *kind) noexcept nogil:
    cdef uint32_t bytes, point
    if unlikely(at > 61 or self.n - self.at - at < 4 or self.chain != 0):
        return 0
    bytes = load32(self.text + self.at + at)
    if bytes & 0xC0C0F0 == 0x8080E0:
        point = (bytes & 0x0F) << 12 | bytes >> 2 & 0xFC0 | bytes >> 16 & 0x3F
        kind[0] = CLASSES[point]
        return 3 if point >= 0x800 and point >> 11 != 0x1B and kind[0] != UC_SPACE else 0
    if bytes & 0xC0E0 == 0x80C0:
        point = (bytes & 0x1F) << 6 | bytes >> 8 & 0x3F
        kind[0] = CLASSES[point]
        return 2 if point >= 0x80 and kind[0] != UC_SPACE else 0
    return 0


# The same for any character; notes whitespace that text follows, and what crosses the end of the
# block. 0 if there is no character at `self.at`.
cdef int decode_any(Split *self, Block *block, int at, uint8_t *kind) noexcept nogil:
    cdef uint32_t point
    cdef int length = utf8_decode(self.text + self.at + at, self.n - self.at - at, &point)
    if length < 2:
        self.at += at
        self.invalid = True
        return 0
    kind[0] = CLASSES[point]
    if self.chain != 0:
        kind[0] = kind_apart(self.chain, point, kind[0])
    if kind[0] == UC_SPACE and self.at + at + length < self.n \
            and not white_at(self, self.at + at + length):
        block.last_white |= <uint64_t>1 << at
    if at + length > 64:
        self.carried = at + length - 64
        self.carried_class = kind[0]
    if kind[0] & KIND_CJK:
        block.cjk |= ((<uint64_t>1 << length) - 1) << at
        kind[0] &= ~KIND_CJK
    return length


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
    cdef Lanes lanes
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
