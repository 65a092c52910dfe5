r"""The pattern of gpt2, r50k_base, p50k_base and p50k_edit, as mask algebra; with digits set apart,
that of StarCoder.

    '(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s

- A run of letters, of digits or of others is a piece, with a space before it.
- A run of whitespace leaves its last character to the text that follows: a space joins that text, any
  other character is a piece of its own. At the end of the text the run stays whole.
- StarCoder's file sets each digit apart first. So a space does not join a digit, and whitespace before
  one counts as the end of the text.
- A contraction matters only if its apostrophe starts a piece: the letters after it belong to it,
  and the
  character after them starts a piece.
"""

cdef uint64_t starts_r50k(Split *self, const Block *block) noexcept nogil:
    cdef uint64_t letter = block.letter, digit = block.digit, white = block.white
    cdef uint64_t other = ~(letter | digit | white)
    cdef uint64_t goes_on, starts, apostrophes
    goes_on = (letter & (letter << 1 | self.letter)) \
        | (digit & (digit << 1 | self.digit)) \
        | (other & (other << 1 | self.other))
    starts = ~white & ~goes_on & ~(block.space << 1 | self.space)
    apostrophes = starts & block.apostrophe
    starts |= white & ~(white << 1 | self.white)
    starts |= block.last_white
    starts |= block.apart & ~block.tail    # empty except for starcoder
    starts = (starts | self.added) & ~self.removed
    self.added = 0
    self.removed = 0
    self.letter = letter >> 63
    self.digit = digit >> 63
    self.space = block.space >> 63
    self.white = white >> 63
    self.other = other >> 63
    if apostrophes:
        starts = cut_contractions(self, starts, apostrophes, contraction_lower)
    return starts
