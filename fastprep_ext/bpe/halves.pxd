"""Files of halves: a vocabulary as the two tokens that merge into each of its tokens.

First, as little-endian uint32, the number of tokens, that of their bytes in total, and the id that no
token has, or 4294967295 if ids have no gap. The first 256 tokens are the single bytes, in any order; their
bytes follow. Then six planes of one byte per later token: the low, middle and high bytes of the row of the
left token, then of the right one.
Planes are what deflate makes the least of: 0.73 MB for o200k, whose tokens take 0.89.
"""

cdef enum:
    BYTE_TOKENS = 256
    HALVES_HEADER = 12 + BYTE_TOKENS


# Read the rows of the two tokens that merge into a token of n, which is not a byte.
cdef inline void read_halves(
    const uint8_t *planes, size_t n, uint32_t token, uint32_t *two
) noexcept nogil:
    cdef size_t stride = n - BYTE_TOKENS
    cdef const uint8_t *at = planes + (token - BYTE_TOKENS)
    two[0] = at[0] | <uint32_t>at[stride] << 8 | <uint32_t>at[2 * stride] << 16
    at += 3 * stride
    two[1] = at[0] | <uint32_t>at[stride] << 8 | <uint32_t>at[2 * stride] << 16
