r"""The pattern of o200k_base and o200k_harmony, as mask algebra; with other settings Tekken's.

    [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?
    |[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?
    |\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+

Much as cl100k, but for these:

- A word is letters and marks. It is cut between a lower-case letter and an upper-case one. Letters
  without case and marks are both upper and lower: between them and an upper-case letter the first
  alternative gives back what it must, so there a look at the letters around decides.
- A mark behind others belongs to them, unless that other stands alone: then it is the prefix of a
  word that begins with the mark.
- A contraction belongs to the word before it.
- Others take slashes as well as newlines behind them, once a newline has come.
- The end of the text changes nothing about newlines.
"""


cdef uint64_t starts_o200k(Split *self, const Block *block) noexcept nogil:
    cdef uint64_t digit = block.digit, space = block.space, word = block.letter
    cdef uint64_t other = ~(word | digit | block.white)
    cdef uint64_t after_other, after_space = space << 1 | self.space
    cdef uint64_t taken, white, newline, blank, free_other, alone, starts, apostrophes
    cdef uint64_t both, undecided
    cdef size_t contracted = self.contracted
    if block.mark:
        word |= marks_of_words(self, block)
        other &= ~word
    taken = take_newlines(
        self, block.newline | block.slash, block.newline & (other << 1 | self.other)
    )
    other &= ~taken
    after_other = other << 1 | self.other
    white = block.white & ~taken
    newline = block.newline & ~taken
    blank = white & ~newline
    free_other = other & ~after_other & ~after_space
    alone = first_of_others(self, block, other, free_other)
    starts = word & ~((word | alone | blank) << 1 | self.letter | self.alone | self.blank)
    starts |= block.upper & (block.lower << 1 | self.lower)
    starts |= digit & ~(digit << 1 | self.digit)
    starts |= other & ~after_other & ~after_space
    starts |= white & ~(white << 1 | self.white)
    starts |= block.last_white & ~block.newline
    starts |= white_after_newline(self, white, newline)
    if digit:
        starts |= cut_digits(self, block, digit)
    starts = (starts | self.added) & ~self.removed
    self.added = 0
    self.removed = 0
    apostrophes = free_other & block.apostrophe & (word << 1 | self.letter) & self.contractions
    if apostrophes:
        starts = join_contractions(self, starts, apostrophes)
    both = word & ~block.upper & ~block.lower
    undecided = block.upper & (both << 1 | self.both)
    if undecided:
        starts |= cut_before_upper(self, starts, undecided, contracted)
    self.letter = word >> 63
    self.lower = block.lower >> 63
    self.both = both >> 63
    self.digit = digit >> 63
    self.space = space >> 63
    self.white = white >> 63
    self.blank = blank >> 63
    self.newline = newline >> 63
    self.other = other >> 63
    self.alone = alone >> 63
    return starts


# The marks that belong to words; the rest of them belong to the others before them.
cdef uint64_t marks_of_words(const Split *self, const Block *block) noexcept nogil:
    cdef uint64_t word = block.letter, other = ~(word | block.digit | block.white | block.mark)
    cdef uint64_t of_words = flood(block.mark, block.mark & (word << 1 | self.letter))
    cdef uint64_t left = block.mark & ~of_words
    cdef uint64_t run, bit, seeds, taken, standing, after_other, alone
    while left:
        # From left to right, since each run's place depends on what stands before it.
        bit = left & -left
        run = flood(left, bit)
        left &= ~run
        seeds = block.newline & (other << 1 | self.other)
        seeds |= (block.newline | block.slash) & self.taken
        taken = flood_each(block.newline | block.slash, seeds)
        standing = other & ~taken
        after_other = standing << 1 | self.other
        alone = first_of_others(
            self, block, standing,
            standing & ~after_other & ~(block.space << 1 | self.space),
        )
        if (after_other & bit) and not ((alone << 1 | self.alone) & bit):
            other |= run
        else:
            of_words |= run
    return of_words


# An apostrophe behind a word, unless that word is itself a contraction's end.
cdef uint64_t join_contractions(
    Split *self, uint64_t starts, uint64_t apostrophes
) noexcept nogil:
    cdef int at, length
    while apostrophes:
        at = lowest_bit(apostrophes)
        apostrophes &= apostrophes - 1
        if self.contracted == self.at + at:
            continue
        length = contraction_any_case(self.text + self.at + at, self.n - self.at - at)
        if length:
            starts = join(self, starts, at, length)
            self.contracted = self.at + at + length
    return starts


# For upper-case letters behind letters without case or marks: those that start a piece.
cdef uint64_t cut_before_upper(
    const Split *self, uint64_t starts, uint64_t undecided, size_t contracted
) noexcept nogil:
    cdef uint64_t cut = 0
    cdef size_t first
    cdef int at
    while undecided:
        at = lowest_bit(undecided)
        undecided &= undecided - 1
        first = first_of_both(self, self.at + at)
        # If a lower-case letter of the same piece stands before them, the piece cannot go on. A
        # contraction is no such letter: its piece has ended.
        if first > 0 and first != contracted \
                and not (first >= self.at and starts >> (first - self.at) & 1) \
                and class_before(self, first) == UC_LL:
            cut |= <uint64_t>1 << at
        elif not goes_on_after_upper(self, self.at + at):
            cut |= <uint64_t>1 << at
    return cut


# Where the letters without case and marks begin that end before byte `at`.
cdef inline size_t first_of_both(const Split *self, size_t at) noexcept nogil:
    cdef uint8_t kind
    while at > 0:
        kind = class_before(self, at)
        if kind != UC_LM and kind != UC_LO and kind != UC_M:
            break
        at -= 1
        while self.text[at] & 0xC0 == 0x80:
            at -= 1
    return at


cdef inline uint8_t class_before(const Split *self, size_t at) noexcept nogil:
    cdef uint32_t point
    cdef size_t end = at
    at -= 1
    while at > 0 and self.text[at] & 0xC0 == 0x80:
        at -= 1
    if utf8_decode(self.text + at, end - at, &point) == 0:
        return 0
    return self.classes[point]


# Whether the upper-case letters at byte `at` are followed by more of the word: if so, the first
# alternative of the pattern need not give anything back.
cdef inline bint goes_on_after_upper(const Split *self, size_t at) noexcept nogil:
    cdef uint32_t point
    cdef uint8_t kind
    cdef int length
    while at < self.n:
        length = utf8_decode(self.text + at, self.n - at, &point)
        if length == 0:
            return False
        kind = self.classes[point]
        if kind != UC_LU and kind != UC_LT:
            return kind == UC_LL or kind == UC_LM or kind == UC_LO or kind == UC_M
        at += length
    return False
