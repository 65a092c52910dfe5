"""Operations that C has no portable name for (bits.h)."""

cdef extern from "base/bits.h" nogil:
    const uint32_t NO_RANK     # not a token, not a pair
    int lowest_bit(uint64_t x)
    int highest_bit(uint64_t x)
    bint likely(bint x)
    bint unlikely(bint x)
    void prefetch(const void *p)
    uint32_t load32(const void *p)
    uint64_t load64(const void *p)
    uint64_t mul_fold(uint64_t a, uint64_t b)
    uint64_t scale_down(uint64_t a, uint64_t b)
    uint64_t mul_div(uint64_t a, uint64_t b, uint64_t add, uint64_t d)
    void pause_core()
    int64_t load_acquire(const int64_t *place)
