"""Where a piece may be cut: no merge can cross there, each part is merged apart."""


# Makes the sets that tell where pieces may be cut. 0, or -1 without memory.
cdef int cuts_build(Ranks *ranks) noexcept nogil

# What is left of one stretch of 64 bytes for the next: where tokens may begin. All 0 at first.
cdef struct Grams:
    uint64_t two
    uint64_t three
    uint64_t four

# The borders before bytes at + 0 to at + 63 of a piece of n bytes that no merge can cross; one bit each.
cdef uint64_t cuts_at(
    const Ranks *ranks, const uint8_t *piece, size_t n, size_t at, Grams *last
) noexcept nogil

# Which of the borders before bytes 1 to n - 1 no merge can cross: a 1 in cut[] for each.
cdef void find_cuts(const Ranks *ranks, const uint8_t *piece, size_t n, uint8_t *cut) noexcept nogil
