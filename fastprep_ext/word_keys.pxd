"""Words as integers: what both tables of words have in common.

A word of up to PACKED code points below U+0100 is *short*: its bytes, zeros behind them, are its
key. Every other word is *long*.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from fastprep_ext.word_split cimport PACKED, Text, Window

cdef extern from "bits.h" nogil:
    bint likely(bint x)
    uint64_t load64(const void *p)
    uint64_t mul_fold(uint64_t a, uint64_t b)

cdef extern from * nogil:
    """
    /* The 16 bytes from KEEP + 16 - n on keep n bytes of a key. */
    static const unsigned char KEEP[32] = {
        255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    """
    const uint8_t *KEEP

cdef struct Key:
    uint64_t low              # bytes 0-7
    uint64_t high             # bytes 8-15
    uint64_t hash
    int64_t length            # negative: a long word, and the rest is not set

cdef inline uint64_t short_hash(
    const uint64_t *seeds, uint64_t low, uint64_t high
) noexcept nogil:
    return mul_fold(low ^ seeds[0], high ^ seeds[1])

# Whether a piece of up to PACKED code points has one that latin does not hold.
cdef inline bint is_wide(const Window *window, uint64_t start, int64_t length) noexcept nogil:
    cdef uint64_t bits = window.wide[start >> 6] >> (start & 63)
    if start & 63 > 64 - PACKED:
        bits |= window.wide[(start >> 6) + 1] << (64 - (start & 63))
    return bits & ((<uint64_t>1 << length) - 1) != 0

# The key of the window's piece i; returns whether it is short.
cdef inline bint piece_key(
    const uint64_t *seeds, const Window *window, int64_t i, Key *key
) noexcept nogil:
    cdef int64_t start = window.starts[i]
    cdef int64_t length = window.ends[i] - start
    cdef const uint8_t *bytes = window.latin + start
    if likely(length <= PACKED and not (window.has_wide and is_wide(window, start, length))):
        key.low = load64(bytes) & load64(KEEP + PACKED - length)
        key.high = load64(bytes + 8) & load64(KEEP + PACKED - length + 8)
        key.hash = short_hash(seeds, key.low, key.high)
        key.length = length
        return True
    key.length = -1
    return False

cdef inline uint32_t unit_at(const Text *text, int64_t i) noexcept nogil:
    if text.kind == 1:
        return (<const uint8_t *>text.units)[i]
    if text.kind == 2:
        return (<const uint16_t *>text.units)[i]
    return (<const uint32_t *>text.units)[i]

cdef inline bint is_short(const Text *word) noexcept nogil:
    cdef int64_t i
    for i in range(min(word.length, <int64_t>PACKED)):
        if unit_at(word, i) >= 256:
            return False
    return word.length <= PACKED

# The key of the whole text as one word.
cdef inline void word_key(const uint64_t *seeds, const Text *word, Key *key) noexcept nogil:
    cdef uint8_t bytes[PACKED]
    cdef int64_t i
    key.length = -1
    if not is_short(word):
        return
    memset(bytes, 0, PACKED)
    for i in range(word.length):
        bytes[i] = <uint8_t>unit_at(word, i)
    key.low = load64(bytes)
    key.high = load64(bytes + 8)
    key.hash = short_hash(seeds, key.low, key.high)
    key.length = word.length
