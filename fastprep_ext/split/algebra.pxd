"""Mask algebra that several patterns share. Scalar loops only for what masks cannot express."""

cdef enum:
    KIND_NONE = 15         # not a UTF-8 character
    KIND_CJK = 16          # a flag beside the class: deepseek3 or kimi sets the character apart


# Return whether a character is in \p{Han}, of Unicode 16.
cdef inline bint is_han(uint32_t point) noexcept nogil:
    if 0x3400 <= point < 0xA000:
        return not 0x4DC0 <= point < 0x4E00
    return (0x2E80 <= point < 0x2EF4 and point != 0x2E9A) or 0x2F00 <= point < 0x2FD6 \
        or point == 0x3005 or point == 0x3007 or 0x3021 <= point < 0x302A or 0x3038 <= point < 0x303C \
        or (0xF900 <= point < 0xFADA and not 0xFA6E <= point < 0xFA70) \
        or 0x16FE2 <= point < 0x16FE4 or 0x16FF0 <= point < 0x16FF2 \
        or 0x20000 <= point < 0x2A6E0 or 0x2A700 <= point < 0x2B73A or 0x2B740 <= point < 0x2B81E \
        or 0x2B820 <= point < 0x2CEA2 or 0x2CEB0 <= point < 0x2EBE1 or 0x2EBF0 <= point < 0x2EE5E \
        or 0x2F800 <= point < 0x2FA1E or 0x30000 <= point < 0x3134B or 0x31350 <= point < 0x323B0


# Return the class of a character as a chain of patterns leaves it to its last pattern: characters
# that an earlier pattern removes count as the end of the text for the last one.
cdef inline uint8_t kind_apart(int chain, uint32_t point, uint8_t kind) noexcept nogil:
    if chain == PATTERN_DEEPSEEK3:
        # [一-龥぀-ゟ゠-ヿ], including marks, signs and unassigned code points.
        if 0x4E00 <= point <= 0x9FA5 or 0x3040 <= point <= 0x30FF:
            return kind | KIND_CJK
    elif chain == PATTERN_KIMI:
        if point >= 0x2E80 and is_han(point):
            return kind | KIND_CJK
    # The Digits step of the tokenizers library has a table of its own, of Unicode 17.
    elif 0x11DE0 <= point <= 0x11DE9 or 0x16FF4 <= point <= 0x16FF6:
        return UC_N
    return kind


# Return the class of the character at byte `at`, which must be within the text.
cdef inline uint8_t kind_at(const Split *self, size_t at) noexcept nogil:
    cdef uint32_t point
    if utf8_decode(self.text + at, self.n - at, &point) == 0:
        return KIND_NONE    # reported when the splitter reaches it
    if self.chain == 0:
        return self.classes[point]
    return kind_apart(self.chain, point, self.classes[point])


# Extend each bit of `seeds` upwards through consecutive bits of `run`. Adding a seed to its run
# carries to the end of the run, so each seed must be a bit of a run and a run must not have two.
cdef inline uint64_t flood(uint64_t run, uint64_t seeds) noexcept nogil:
    return run & ~(run + seeds)


# Like flood, but a run may have several seeds.
cdef inline uint64_t flood_each(uint64_t run, uint64_t seeds) noexcept nogil:
    cdef uint64_t filled = 0
    while seeds:
        filled |= flood(run, seeds & -seeds)
        seeds &= ~filled
    return filled


# Return the newlines (and what else `run` holds) that belong to the others right before them.
cdef inline uint64_t take_newlines(Split *self, uint64_t run, uint64_t seeds) noexcept nogil:
    cdef uint64_t taken
    seeds |= run & self.taken
    if seeds == 0:
        self.taken = 0
        return 0
    taken = flood_each(run, seeds)
    self.taken = taken >> 63
    return taken


# Return the first character, on all of its bytes, of each run of others that starts a piece: it
# belongs to the word if a letter follows.
cdef inline uint64_t first_of_others(
    const Split *self, const Block *block, uint64_t other, uint64_t free_other
) noexcept nogil:
    cdef uint64_t tail = other & block.tail
    cdef uint64_t first = free_other
    if tail:
        first |= tail & (first << 1 | self.alone)
        first |= tail & (first << 1)
        first |= tail & (first << 1)
    return first


# Return the starts of whitespace after the last newline of a run.
cdef inline uint64_t white_after_newline(
    const Split *self, uint64_t white, uint64_t newline
) noexcept nogil:
    cdef uint64_t blank = white & ~newline
    cdef uint64_t starts = blank & (newline << 1 | self.newline)
    cdef uint64_t left, ends
    cdef int at, length
    if starts == 0:
        return 0
    ends = (blank + starts) & ~blank
    if (ends & newline) == 0 and blank >> 63 == 0:
        return starts
    left = starts
    while left:
        at = lowest_bit(left)
        left &= left - 1
        ends = ~(blank >> at)          # a run at the end of the block ends there: zeros are shifted in
        length = lowest_bit(ends) if ends else 64
        if at + length < 64:
            if newline >> (at + length) & 1:
                starts &= ~(<uint64_t>1 << at)
        elif newline_follows(self, self.at + 64 + lowest_bit(~self.high.next_tail)):
            starts &= ~(<uint64_t>1 << at)
    return starts


# Return whether the whitespace at byte `at` continues to a newline, or to the end of a text that is
# not cut there.
cdef inline bint newline_follows(const Split *self, size_t at) noexcept nogil:
    cdef uint32_t point
    cdef int length
    while at < self.n:
        if self.text[at] == c'\n' or self.text[at] == c'\r':
            return True
        length = utf8_decode(self.text + at, self.n - at, &point)
        if length == 0 or self.classes[point] != UC_SPACE:
            return False
        at += length
    return not self.cuts_at_end


# Return whether no run of digits has more bytes than a group has characters.
cdef inline bint digits_fit(uint64_t digit, int group) noexcept nogil:
    cdef uint64_t three = digit & digit << 1 & digit << 2
    return group > 1 and (three if group == 2 else three & digit << 3) == 0


# Return the starts of groups of digits within a run, each of self.group characters.
cdef inline uint64_t cut_digits(Split *self, const Block *block, uint64_t digit) noexcept nogil:
    cdef uint64_t starts = 0, leads, run_starts
    cdef int at
    if self.digits_in_group == 0 and digit >> 63 == 0 \
            and digits_fit(digit, self.group):
        return 0
    leads = digit & ~block.tail
    run_starts = digit & ~(digit << 1 | self.digit)
    while leads:
        at = lowest_bit(leads)
        leads &= leads - 1
        if run_starts >> at & 1:
            self.digits_in_group = 0
        elif self.digits_in_group == self.group:
            starts |= <uint64_t>1 << at
            self.digits_in_group = 0
        self.digits_in_group += 1
    if digit >> 63 == 0:
        self.digits_in_group = 0
    return starts


ctypedef int (*Contraction)(const uint8_t *text, size_t n) noexcept nogil


# Return `starts` with the contractions at `apostrophes` made pieces of their own.
cdef inline uint64_t cut_contractions(
    Split *self, uint64_t starts, uint64_t apostrophes, Contraction contraction
) noexcept nogil:
    cdef int at, length
    while apostrophes:
        at = lowest_bit(apostrophes)
        apostrophes &= apostrophes - 1
        length = contraction(self.text + self.at + at, self.n - self.at - at)
        if length:
            starts = join(self, starts, at + 1, length - 1)
    return starts


# Join the `length` bytes from `at` on to the piece before them, and start a piece after them.
cdef inline uint64_t join(Split *self, uint64_t starts, int at, int length) noexcept nogil:
    cdef uint64_t bytes = (<uint64_t>1 << length) - 1
    if at < 64:
        starts &= ~(bytes << at)
        if at + length > 64:
            self.removed |= bytes >> (64 - at)
    else:
        self.removed |= bytes
    if at + length < 64:
        starts |= <uint64_t>1 << (at + length)
    else:
        self.added |= <uint64_t>1 << (at + length - 64)
    return starts


# Return the length in bytes of the contraction at text[0], an apostrophe; 0 if there is none.
cdef inline int contraction_lower(const uint8_t *text, size_t n) noexcept nogil:
    if n < 2:
        return 0
    return contraction_of(text[1], text[2] if n > 2 else 0)


# The same in any case. By Unicode case folding U+017F, the long s, is an s.
cdef inline int contraction_any_case(const uint8_t *text, size_t n) noexcept nogil:
    if n < 2:
        return 0
    if n > 2 and text[1] == 0xC5 and text[2] == 0xBF:
        return 3
    return contraction_of(text[1] | 0x20, text[2] | 0x20 if n > 2 else 0)


cdef inline int contraction_of(uint8_t a, uint8_t b) noexcept nogil:
    if a == c's' or a == c't' or a == c'd' or a == c'm':
        return 2
    if (a == c'l' and b == c'l') or (a == c'v' and b == c'e') or (a == c'r' and b == c'e'):
        return 3
    return 0
