r"""The pattern of gpt2, r50k_base, p50k_base and p50k_edit, as mask algebra; with digits apart that of
StarCoder.

    '(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s

- A run of letters, of digits or of others goes on while its class does; a space before it joins.
- A run of whitespace gives its last character back when text follows: a space then joins that
  text, any other character is a piece of its own. At the end of the text the run stays whole.
- StarCoder's file takes out each digit first. So no space joins one, and whitespace before one is at
  the end of a text.
- A contraction matters only where an apostrophe starts a piece: the letters after it belong to
  it, and whatever follows them starts anew.
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
    starts |= block.apart & ~block.tail    # no bits but for starcoder
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
