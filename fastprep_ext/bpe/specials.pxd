"""Search for special tokens in a text: one pass, however many tokens there are."""

# The tokens, sorted by their bytes, so that those with a common prefix are neighbours.
cdef struct SpecialTable:
    size_t n
    const uint8_t *blob
    const uint64_t *ends        # [n]
    const uint64_t *values      # [n] the token's id; above any id: found, but left as text
    const uint32_t *priorities  # [n] priority: of tokens that start at one place the lowest wins
    uint8_t first[256]          # whether a token starts with this byte
    int only_first              # the byte that all tokens start with, or -1

cdef struct Special:
    size_t begin
    size_t end
    size_t token               # its row in the table

# Find the first token in text[at:n] that is not left as text. False if there is none.
cdef bint special_next(
    const SpecialTable *self, const uint8_t *text, size_t n, size_t at, Special *found
) noexcept nogil


cdef class Specials:
    cdef SpecialTable table
    cdef bytes blob
    cdef readonly list tokens
    cdef uint64_t *numbers     # ends, then values
    cdef uint32_t *priorities
