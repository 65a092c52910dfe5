r"""The pattern of Kimi K2, as that of o200k with Chinese characters apart.

    [\p{Han}]+
    |[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|...)?
    |[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|...)?
    |\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+

- A run of \p{Han} that starts a piece is that piece. Letters of it are in no other one.
- Numbers of it (U+3007) may be in a group of digits that starts before them, radicals and marks in a
  run of others that does, or after a space. So these depend on the piece before.
- A slash is as any other.
"""

cdef uint64_t starts_kimi(Split *self, const Block *given) noexcept nogil:
    cdef Block block = given[0]
    cdef uint64_t front, odd, starts
    block.slash = 0
    if block.cjk == 0 and not self.han:
        return starts_o200k(self, &block)
    # Bytes of a character that starts in the block before, which knows what it belongs to.
    front = block.tail & ~(block.tail + 1)
    if front & block.cjk and not self.han:
        block.cjk &= ~front
    odd = block.cjk & ~given.letter & ~front & ~block.tail
    leave_classes(&block, given)
    while odd:
        if is_of_piece_before(self, &block, given, odd & -odd):
            block.cjk &= ~character_bits(&block, odd & -odd)
            leave_classes(&block, given)
        odd &= odd - 1
    starts = starts_o200k(self, &block) | (block.cjk & ~(block.cjk << 1 | self.han))
    self.han = block.cjk >> 63
    return starts


# Remove the characters set apart from the classes.
cdef inline void leave_classes(Block *block, const Block *given) noexcept nogil:
    block.letter = given.letter & ~block.cjk
    block.mark = given.mark & ~given.cjk  # such a mark is in no word
    block.digit = given.digit & ~block.cjk


# Return the bits of all bytes of the character that starts at `lead`.
cdef inline uint64_t character_bits(const Block *block, uint64_t lead) noexcept nogil:
    return lead | flood(block.tail, lead << 1 & block.tail)


# Return whether the number, radical or mark at `lead` continues a piece.
cdef bint is_of_piece_before(
    const Split *self, const Block *block, const Block *given, uint64_t lead
) noexcept nogil:
    cdef uint64_t word, other, leads, bit
    cdef int digits = self.digits_in_group if self.digit else 0
    if given.digit & lead:
        if not (block.digit << 1 | self.digit) & lead:
            return False
        leads = block.digit & ~block.tail & (lead - 1)
        while leads:
            bit = leads & -leads
            leads &= leads - 1
            if not (block.digit << 1 | self.digit) & bit or digits == 3:
                digits = 0
            digits += 1
        return digits < 3
    if (block.space << 1 | self.space) & lead:
        return True
    word = block.letter | (marks_of_words(self, block) if block.mark else 0)
    other = ~(word | block.digit | block.white | block.cjk)
    return (other << 1 | self.other) & lead != 0
