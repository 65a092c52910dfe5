r"""The pattern of cl100k_base, as mask algebra; with other settings those of Llama 3, Qwen 2 and
Qwen 3.5.

    '(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+
    |\s++$|\s*[\r\n]|\s+(?!\S)|\s

- A word is a run of letters and the one character before it, unless that is a newline, a digit or
  part of another piece: the last whitespace of a run, or a single other character.
- Digits form groups of three characters.
- A run of others includes a space before it and all newlines right after it.
- Other whitespace is cut after its last newline, and its last character is left to the text that
  follows, as in gpt2.
"""

cdef uint64_t starts_cl100k(Split *self, const Block *block) noexcept nogil:
    cdef uint64_t letter = block.letter | (block.mark & self.marks_in_words)
    cdef uint64_t digit = block.digit, space = block.space
    cdef uint64_t other = ~(letter | digit | block.white)
    cdef uint64_t after_other = other << 1 | self.other, after_space = space << 1 | self.space
    cdef uint64_t taken, white, newline, blank, free_other, alone, starts, apostrophes
    # Newlines after others belong to them; the rest is whitespace proper.
    taken = take_newlines(self, block.newline, block.newline & after_other)
    white = block.white & ~taken
    newline = block.newline & ~taken
    blank = white & ~newline
    free_other = other & ~after_other & ~after_space
    alone = first_of_others(self, block, other, free_other)
    starts = letter & ~((letter | alone | blank) << 1 | self.letter | self.alone | self.blank)
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
    self.letter = letter >> 63
    self.digit = digit >> 63
    self.space = space >> 63
    self.white = white >> 63
    self.blank = blank >> 63
    self.newline = newline >> 63
    self.other = other >> 63
    self.alone = alone >> 63
    apostrophes = free_other & block.apostrophe
    if apostrophes:
        starts = cut_contractions(self, starts, apostrophes, contraction_any_case)
    return starts
