"""Words as integers: the keys of both tables of words.

A word of up to 15 code points below U+0100 is *short*: its key is 16 bytes, the code points, zeros
and the length. (Without the length, a word and the same word followed by a NUL would be equal.)
Every other word is *long*.
"""

cdef extern from * nogil:
    """
    /* The 16 bytes from KEEP + 16 - n on mask n bytes of a key. */
    static const unsigned char KEEP[32] = {
        255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    #define LONG_WORD UINT64_MAX
    """
    const uint8_t *KEEP
    const uint64_t LONG_WORD

cdef enum:
    SHORT = 15                # length of the longest short word

cdef struct Key:
    uint64_t low           # code points 0-7
    uint64_t high          # code points 8-14, and the length in the highest byte; or LONG_WORD
    uint64_t hash          # not set for a long word

cdef inline uint64_t short_hash(
    const uint64_t *seeds, uint64_t low, uint64_t high
) noexcept nogil:
    return mul_fold(low ^ seeds[0], high ^ seeds[1])

# Return whether a piece of up to SHORT code points has one that `latin` cannot hold.
cdef inline bint is_wide(const Window *window, uint64_t start, int64_t length) noexcept nogil:
    cdef uint64_t bits = window.wide[start >> 6] >> (start & 63)
    if start & 63 > 64 - SHORT:
        bits |= window.wide[(start >> 6) + 1] << (64 - (start & 63))
    return bits & ((<uint64_t>1 << length) - 1) != 0

# Compute the key of the window's piece i; return whether it is short.
cdef inline bint piece_key(
    const uint64_t *seeds, const Window *window, int64_t i, Key *key
) noexcept nogil:
    cdef int64_t start = window.starts[i]
    cdef int64_t length = window.ends[i] - start
    cdef const uint8_t *bytes = window.latin + start
    if likely(length <= SHORT and not (window.has_wide and is_wide(window, start, length))):
        key.low = load64(bytes) & load64(KEEP + 16 - length)
        key.high = load64(bytes + 8) & load64(KEEP + 24 - length) | <uint64_t>length << 56
        key.hash = short_hash(seeds, key.low, key.high)
        return True
    key.high = LONG_WORD
    return False

cdef inline uint32_t unit_at(const Text *text, int64_t i) noexcept nogil:
    if text.kind == 1:
        return (<const uint8_t *>text.units)[i]
    if text.kind == 2:
        return (<const uint16_t *>text.units)[i]
    return (<const uint32_t *>text.units)[i]

cdef inline bint is_short(const Text *word) noexcept nogil:
    cdef int64_t i
    for i in range(min(word.length, <int64_t>SHORT)):
        if unit_at(word, i) >= 256:
            return False
    return word.length <= SHORT

# Compute the key of the whole text as one word; return whether it is short.
cdef inline bint word_key(const uint64_t *seeds, const Text *word, Key *key) noexcept nogil:
    cdef uint8_t bytes[16]
    cdef int64_t i
    key.high = LONG_WORD
    if not is_short(word):
        return False
    memset(bytes, 0, 16)
    for i in range(word.length):
        bytes[i] = <uint8_t>unit_at(word, i)
    key.low = load64(bytes)
    key.high = load64(bytes + 8) | <uint64_t>word.length << 56
    key.hash = short_hash(seeds, key.low, key.high)
    return True
