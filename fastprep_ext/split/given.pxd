"""Splitters that are given their rules as data: programs, borders of characters, runs of characters."""

cdef enum:
    FIRST_GIVEN = 256        # numbers of patterns below are those of PATTERNS
    MAX_GIVEN = 1 << 16

# The rules of a splitter, and how they are used: see split_begin and split_next.
cdef struct Given:
    const void *rules
    void (*begin)(Split *self) noexcept nogil
    size_t (*next)(Split *self, size_t *ends, size_t capacity) noexcept nogil

cdef class GivenSplitter:
    cdef Given given
    cdef readonly int number

    # Get a number, under which splitters find the rules as long as the object is alive. MemoryError.
    cdef int enter(
        self, const void *rules, void (*begin)(Split *self) noexcept nogil,
        size_t (*next)(Split *self, size_t *ends, size_t capacity) noexcept nogil
    ) except -1

# Return the rules of a number from FIRST_GIVEN on.
cdef const Given *given_of(int number) noexcept nogil
