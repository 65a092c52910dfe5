"""Special tokens in a text: where the next one is. One pass, however many tokens there are."""


# The tokens, sorted by their bytes, so that those with a common beginning lie side by side.
cdef struct SpecialTable:
    size_t n
    const uint8_t *blob
    const uint64_t *ends       # [n]
    const uint64_t *values     # [n] the token's id; larger than any id: it is passed over as text
    const uint32_t *turns      # [n] of tokens that begin at one place the smallest turn is taken
    uint8_t first[256]         # whether a token begins with this byte
    int only_first             # the byte that all of them begin with, or -1

cdef struct Special:
    size_t begin
    size_t end
    size_t token               # its row in the table

# The first token in text[at:n] that is not passed over. False: there is none.
cdef bint special_next(
    const SpecialTable *self, const uint8_t *text, size_t n, size_t at, Special *found
) noexcept nogil


cdef class Specials:
    cdef SpecialTable table
    cdef bytes blob
    cdef readonly list tokens
    cdef uint64_t *numbers     # ends, then values
    cdef uint32_t *turns
