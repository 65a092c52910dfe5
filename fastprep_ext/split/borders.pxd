"""Splitter of text for vocabularies of characters, which have no pattern: cuts that no merge crosses."""

# Which characters are next to each other in a token. Two that are in none are cut apart: no merge
# crosses their border, so both sides merge as before (bpe/cuts.pyx has the proof).
cdef struct Borders:
    uint64_t ascii[256]        # two words per first character: bits of the second
    const uint64_t *pairs      # of other characters, hashed
    int shift
    const uint64_t *known      # characters that are tokens: runs of others stay whole; NULL: they need not

cdef void borders_begin(Split *self) noexcept nogil
cdef size_t borders_next(Split *self, size_t *ends, size_t capacity) noexcept nogil
