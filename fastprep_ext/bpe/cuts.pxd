"""Borders in a piece that no merge can cross: the parts between them are merged apart."""

# Build the sets of byte sequences from which cuts are decided. 0, or -1 without memory.
cdef int cuts_build(Ranks *ranks) noexcept nogil

# Carried from one stretch of 64 bytes to the next: where tokens may start. All 0 at first.
cdef struct Grams:
    uint64_t two
    uint64_t three
    uint64_t four

# Return, one bit each, the borders before bytes at + 0 to at + 63 of a piece of n bytes that no merge
# can cross.
cdef uint64_t cuts_at(
    const Ranks *ranks, const uint8_t *piece, size_t n, size_t at, Grams *last
) noexcept nogil

# Set cut[i] to 1 for each border before byte i, 1 to n - 1, that no merge can cross, else to 0.
cdef void find_cuts(const Ranks *ranks, const uint8_t *piece, size_t n, uint8_t *cut) noexcept nogil
