"""UTF-8, one character at a time, and Unicode classes of characters."""

cdef extern from "base/unicode_class.h" nogil:
    const char *UNICODE_VERSION
    enum:
        UC_OTHER
        UC_LU
        UC_LT
        UC_LL
        UC_LM
        UC_LO
        UC_M
        UC_N
        UC_SPACE
        UC_SIGN

# Return the class (UC_...) of every code point, [0x110000].
cdef const uint8_t *unicode_classes() noexcept nogil


# Decode the character at text[0] to point[0] and return its length in bytes; 0 if no character of
# strict UTF-8 starts there (no surrogates, no overlong forms, nothing truncated).
cdef inline int utf8_decode(const uint8_t *text, size_t n, uint32_t *point) noexcept nogil:
    cdef uint32_t first
    if n == 0:
        return 0
    first = text[0]
    if first < 0x80:
        point[0] = first
        return 1
    if first < 0xE0:
        if first < 0xC2 or n < 2 or (text[1] & 0xC0) != 0x80:
            return 0
        point[0] = (first & 0x1F) << 6 | (text[1] & 0x3F)
        return 2
    if first < 0xF0:
        if n < 3 or (text[1] & 0xC0) != 0x80 or (text[2] & 0xC0) != 0x80:
            return 0
        point[0] = (first & 0x0F) << 12 | <uint32_t>(text[1] & 0x3F) << 6 | (text[2] & 0x3F)
        if point[0] < 0x800 or (point[0] >> 11) == 0x1B:
            return 0
        return 3
    if first > 0xF4 or n < 4 or (text[1] & 0xC0) != 0x80 or (text[2] & 0xC0) != 0x80 \
            or (text[3] & 0xC0) != 0x80:
        return 0
    point[0] = (first & 0x07) << 18 | <uint32_t>(text[1] & 0x3F) << 12 \
        | <uint32_t>(text[2] & 0x3F) << 6 | (text[3] & 0x3F)
    if point[0] < 0x10000 or point[0] > 0x10FFFF:
        return 0
    return 4
