r"""The pattern of gpt2, r50k_base, p50k_base and p50k_edit, as mask algebra.

    '(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s

- A run of letters, of digits or of others goes on while its class does; a space before it joins.
- A run of whitespace gives its last character back when text follows: a space then joins that
  text, any other character is a piece of its own. At the end of the text the run stays whole.
- A contraction matters only where an apostrophe starts a piece: the letters after it belong to
  it, and whatever follows them starts anew.
"""

from libc.stdint cimport uint8_t, uint64_t

from fastprep_ext.split cimport Block, Split

cdef extern from "bits.h" nogil:
    int lowest_bit(uint64_t x)


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
    starts = (starts | self.added) & ~self.removed
    self.added = 0
    self.removed = 0
    self.letter = letter >> 63
    self.digit = digit >> 63
    self.space = block.space >> 63
    self.white = white >> 63
    self.other = other >> 63
    if apostrophes:
        starts = cut_contractions(self, starts, apostrophes)
    return starts


cdef uint64_t cut_contractions(Split *self, uint64_t starts, uint64_t apostrophes) noexcept nogil:
    cdef int at, length
    while apostrophes:
        at = lowest_bit(apostrophes)
        apostrophes &= apostrophes - 1
        length = contraction(self.text + self.at + at, self.n - self.at - at)
        if length == 0:
            continue
        if at + 1 < 64:
            starts &= ~(<uint64_t>1 << (at + 1))
        else:
            self.removed |= 1
        if at + length < 64:
            starts |= <uint64_t>1 << (at + length)
        else:
            self.added |= <uint64_t>1 << (at + length - 64)
    return starts


# Length of the contraction at text[0], which is an apostrophe: 2, 3, or 0 for none.
cdef inline int contraction(const uint8_t *text, size_t n) noexcept nogil:
    cdef uint8_t a, b
    if n < 2:
        return 0
    a = text[1]
    if a == c's' or a == c't' or a == c'd' or a == c'm':
        return 2
    if n < 3:
        return 0
    b = text[2]
    if (a == c'l' and b == c'l') or (a == c'v' and b == c'e') or (a == c'r' and b == c'e'):
        return 3
    return 0
