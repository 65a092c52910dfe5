"""Splitter of chains whose pieces are runs of characters: cuts depend on the classes of neighbours only."""

cdef enum:
    MAX_RUN_CLASSES = 31       # one more stands for the start of the text
    # Ends that a round writes, and after it the end of the text: 4 with the cuts within a character, and 5.
    RUN_ENDS = 9

# Text is cut between a character of class a and one of class b if bit b of cuts[a] is set, and before
# one of class b, whatever is before it, if one of class c follows and bit c of takers[b] is set.
cdef struct Runs:
    const uint8_t *classes     # [0x110000]
    uint32_t cuts[MAX_RUN_CLASSES + 1]
    uint32_t takers[MAX_RUN_CLASSES + 1]
    # Whether text is also cut where bytes change from those that the byte alphabet writes as digits to
    # others, and after each three ASCII digits.
    bint digit_bytes

cdef void runs_begin(Split *self) noexcept nogil
cdef size_t runs_next(Split *self, size_t *ends, size_t capacity) noexcept nogil
