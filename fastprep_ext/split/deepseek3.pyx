r"""The three patterns of DeepSeek V3, as mask algebra. Each splits the pieces left by the one before.

    \p{N}{1,3}
    [一-龥぀-ゟ゠-ヿ]+
    [!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+
    | ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+

- Groups of digits are pieces. So are runs of Chinese characters and kana, except that the last
  pattern cuts
  signs out of them.
- Neither joins its neighbours. For whitespace before it, it counts as the end of the text: the
  whitespace
  keeps its last character.
- A word is a run of letters and marks, with the one character before it that is neither a newline nor a
  sign (punctuation or symbol): whitespace, or a loose character.
- ASCII letters after an ASCII sign that starts a piece form a piece with it, which ends with them:
  a letter
  or mark beyond ASCII that follows starts a new piece.
- A run of signs includes a space before it and all newlines right after it.
- Whitespace is split as in Llama 3's pattern.
- Loose characters (control, format, private and unassigned ones) match only as the first character of a
  word. A run of them is a piece, without the one that a word takes.
"""

# Of the byte before the block: `letter`: a word continues after it; `other`: it is a sign; `alone`:
# an ASCII sign that starts a piece; `both`: a letter after such a sign; `lower`: Chinese or kana;
# `blank`: a loose character.
cdef uint64_t starts_deepseek3(Split *self, const Block *block) noexcept nogil:
    cdef uint64_t word = block.letter | block.mark, digit = block.digit, cjk = block.cjk
    cdef uint64_t ascii_letter = block.letter & ~block.high
    cdef uint64_t sign = ~(block.letter | digit | block.white | block.high)
    cdef uint64_t loose = controls(self, sign) \
        | (block.high & ~(word | digit | block.white | block.sign))
    cdef uint64_t after_sign, after_space = block.space << 1 | self.space
    cdef uint64_t taken, white, newline, free_sign, behind_sign, goes_on, starts
    sign = (sign & ~loose) | block.sign
    after_sign = (sign & ~cjk) << 1 | (self.other & ~self.lower)
    # Newlines after signs belong to them; the rest is whitespace proper.
    taken = take_newlines(self, block.newline, block.newline & after_sign)
    white = block.white & ~taken
    newline = block.newline & ~taken
    free_sign = sign & ~block.high & ~after_sign & ~after_space
    behind_sign = flood(ascii_letter, ascii_letter & (free_sign << 1 | self.alone | self.both))
    goes_on = word | (white & ~newline) | loose
    starts = word & ~(goes_on << 1 | self.letter) & ~behind_sign
    starts |= word & ~ascii_letter & (behind_sign << 1 | self.both)
    starts |= sign & ~after_space & ~(sign << 1 | self.other)
    starts |= cjk ^ (cjk << 1 | self.lower)
    starts |= white & ~(white << 1 | self.white)
    starts |= block.last_white & ~block.newline
    starts |= white_after_newline(self, white, newline)
    starts |= digit & ~(digit << 1 | self.digit)
    if digit:
        starts |= cut_digits(self, block, digit)
    if loose:
        starts |= loose & ~(loose << 1 | self.blank)
        starts |= first_of_words(self, block, loose & ~block.tail)
    self.letter = goes_on >> 63
    self.other = sign >> 63
    self.alone = free_sign >> 63
    self.both = behind_sign >> 63
    self.lower = cjk >> 63
    self.digit = digit >> 63
    self.space = block.space >> 63
    self.white = white >> 63
    self.newline = newline >> 63
    self.blank = loose >> 63
    return starts


# Return the control characters among the `candidates`, ASCII bytes of the block.
cdef inline uint64_t controls(const Split *self, uint64_t candidates) noexcept nogil:
    cdef const uint8_t *bytes = self.text + self.at
    cdef uint64_t found = 0
    cdef uint8_t byte
    cdef int at
    while candidates:
        at = lowest_bit(candidates)
        candidates &= candidates - 1
        byte = bytes[at]
        found |= <uint64_t>(byte < 0x20 or byte == 0x7F) << at
    return found


# Of the loose characters that start at `leads`, return those followed by a letter or mark.
cdef uint64_t first_of_words(
    const Split *self, const Block *block, uint64_t leads
) noexcept nogil:
    cdef uint64_t found = 0
    cdef uint32_t point
    cdef size_t next
    cdef uint8_t kind
    cdef int at
    while leads:
        at = lowest_bit(leads)
        leads &= leads - 1
        next = self.at + at
        next += utf8_decode(self.text + next, self.n - next, &point)
        if next < self.n:
            kind = kind_at(self, next) ^ (KIND_CJK if block.cjk >> at & 1 else 0)
            if UC_LU <= kind <= UC_LO or kind == UC_M:
                found |= <uint64_t>1 << at
    return found
