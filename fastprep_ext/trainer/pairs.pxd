"""Pairs of neighbouring tokens: their counts, the places where they occur, and the most frequent one."""

cdef enum:
    LIST_SIZES = 129       # of small lists, in steps of two places
    LIST_BINS = 40         # of free ranges, by powers of two
    LIST_BLOCK = 1 << 21   # bytes: a huge page

# A pair, under its key: the left token in the high half. No token has the number 0.
cdef struct Pair:
    uint64_t key           # 0: empty
    uint64_t count
    uint32_t *places       # where the left token starts, ascending; NULL: no candidate
    uint32_t n             # of places that were listed; some no longer hold the pair
    uint32_t filled

cdef struct PairTable:
    Pair *slots
    size_t capacity
    size_t used
    uint64_t seed

# Free memory for lists.
cdef struct Range:
    Range *next
    size_t size

# Lists of places. Small ones that are freed are kept for the next list of that size. Longer ones, of which
# there are many at first, become ranges that new lists are cut from, so that all lists of a training take
# little more than those at its start.
cdef struct Lists:
    Range *spare[LIST_SIZES]
    Range *ranges[LIST_BINS]
    uint8_t *at            # where small lists are cut from
    size_t left
    Range *blocks          # all memory; each starts with the block before and its own size

# The count of a pair when it was put here, which is at least its count now.
cdef struct Candidate:
    uint64_t count
    uint64_t key

# Candidates with a count of at least `bound` are in a heap of four children per node: the largest count
# first, and of equal counts the smallest key. The others wait, in no order, until `bound` is lowered, so
# that the heap stays in the nearest cache (0.88 times the time of the loop).
cdef struct Candidates:
    Candidate *at
    size_t n
    size_t room
    uint64_t bound
    Candidate *waiting
    size_t n_waiting
    size_t waiting_room

cdef int pairs_begin(PairTable *self, size_t capacity, uint64_t seed) noexcept nogil
cdef void pairs_free(PairTable *self) noexcept nogil
# Make room for more pairs; slots move. -1 without memory.
cdef int pairs_reserve(PairTable *self, size_t more) noexcept nogil
cdef Pair *pair_find(const PairTable *self, uint64_t key) noexcept nogil
# Return the slot of a pair, a new one with the count 0 if there is none; room must be reserved.
cdef Pair *pair_put(PairTable *self, uint64_t key) noexcept nogil
# Remove a pair; others may move to its slot.
cdef void pair_remove(PairTable *self, Pair *pair) noexcept nogil

cdef uint32_t *list_new(Lists *self, size_t n) noexcept nogil
cdef void list_free(Lists *self, uint32_t *places, size_t n) noexcept nogil
cdef void lists_free(Lists *self) noexcept nogil

# Make room for more candidates. -1 without memory.
cdef int candidates_reserve(Candidates *self, size_t more) noexcept nogil
# Fill the empty heap with the waiting candidates of the largest counts. -1 without memory.
cdef int candidates_refill(Candidates *self) noexcept nogil
cdef void candidates_free(Candidates *self) noexcept nogil
cdef void candidate_push(Candidates *self, uint64_t count, uint64_t key) noexcept nogil
cdef void candidate_pop(Candidates *self) noexcept nogil
# Restore the order after the count of the first one became smaller.
cdef void candidate_lower(Candidates *self, uint64_t count) noexcept nogil
