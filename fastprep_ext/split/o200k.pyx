r"""The pattern of o200k_base and o200k_harmony, as mask algebra; with other settings Tekken's.

    [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?
    |[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?
    |\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+

Like cl100k, except:

- A word is letters and marks. It is cut between a lower-case letter and an upper-case one. Letters
  without
  case and marks count as both: before an upper-case letter the first alternative backtracks over
  them as far as it must, so the letters around them decide.
- A mark after others belongs to them, unless it follows a single other: that is then the prefix of
  a word
  that starts with the mark.
- A contraction belongs to the word before it.
- After a newline, others include slashes as well as newlines.
- The end of the text makes no difference for newlines.
"""

cdef uint64_t starts_o200k(Split *self, const Block *block) noexcept nogil:
    cdef uint64_t digit = block.digit, space = block.space, word = block.letter
    cdef uint64_t other = ~(word | digit | block.white | block.cjk)
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


# Return the marks that belong to words; the others belong to the characters before them.
cdef uint64_t marks_of_words(const Split *self, const Block *block) noexcept nogil:
    cdef uint64_t word = block.letter, other = ~(word | block.digit | block.white | block.mark | block.cjk)
    cdef uint64_t of_words = flood(block.mark, block.mark & (word << 1 | self.letter))
    cdef uint64_t left = block.mark & ~of_words
    cdef uint64_t run, bit, seeds, taken, standing, after_other, alone
    while left:
        # From left to right: the class of each run depends on the one before it.
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


# Join a contraction to the word before it, unless that word itself ends with a contraction.
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


# Of the upper-case letters that follow letters without case or marks, return those that start a
# piece.
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
        # After a lower-case letter of the same piece the piece cannot continue. A contraction does not
        # count: its piece has ended.
        if first > 0 and first != contracted \
                and not (first >= self.at and starts >> (first - self.at) & 1) \
                and class_before(self, first) == UC_LL:
            cut |= <uint64_t>1 << at
        elif not goes_on_after_upper(self, self.at + at):
            cut |= <uint64_t>1 << at
    return cut


# Return the start of the letters without case and marks that end before byte `at`.
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


# Return the class of a character; none of a word for what kimi sets apart.
cdef inline uint8_t class_of(const Split *self, uint32_t point) noexcept nogil:
    return self.classes[point] if self.chain == 0 else kind_apart(self.chain, point, self.classes[point])


cdef inline uint8_t class_before(const Split *self, size_t at) noexcept nogil:
    cdef uint32_t point
    cdef size_t end = at
    at -= 1
    while at > 0 and self.text[at] & 0xC0 == 0x80:
        at -= 1
    if utf8_decode(self.text + at, end - at, &point) == 0:
        return 0
    return class_of(self, point)


# Return whether more of the word follows the upper-case letters at byte `at`: then the first
# alternative of the pattern need not backtrack.
cdef inline bint goes_on_after_upper(const Split *self, size_t at) noexcept nogil:
    cdef uint32_t point
    cdef uint8_t kind
    cdef int length
    while at < self.n:
        length = utf8_decode(self.text + at, self.n - at, &point)
        if length == 0:
            return False
        kind = class_of(self, point)
        if kind != UC_LU and kind != UC_LT:
            return kind == UC_LL or kind == UC_LM or kind == UC_LO or kind == UC_M
        at += length
    return False
