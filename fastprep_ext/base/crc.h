/* CRC-32, as zlib's crc32, by carry-less multiplication: 11 GB/s in the cache, where zlib does 3.
 *
 * "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction", V. Gopal et al., Intel 2009:
 * the text is a polynomial over GF(2); 512 bits of it at a time are reduced to as many that have the same
 * remainder, by products with x^k mod P, and the last 64 bits by Barrett's method. Bits are reflected. */
#ifndef FASTPREP_CRC_H
#define FASTPREP_CRC_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define CRC_TARGET __attribute__((target("sse4.1,pclmul")))

static int has_fast_crc32(void) {
    return cpu_has(CPU_CLMUL);
}

/* The remainder of 128 bits moved up by as many bits as the two factors say. */
CRC_TARGET static inline __m128i crc_fold(__m128i x, __m128i factors, __m128i more) {
    __m128i low = _mm_clmulepi64_si128(x, factors, 0x00);
    __m128i high = _mm_clmulepi64_si128(x, factors, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), more);
}

/* The state after n bytes more; n is a multiple of 16, and 64 at least. */
CRC_TARGET static uint32_t crc_blocks(const uint8_t *text, size_t n, uint32_t state) {
    const __m128i by_512 = _mm_set_epi64x(INT64_C(0x1C6E41596), INT64_C(0x154442BD4));
    const __m128i by_128 = _mm_set_epi64x(INT64_C(0x0CCAA009E), INT64_C(0x1751997D0));
    const __m128i by_64 = _mm_set_epi64x(0, INT64_C(0x163CD6124));
    const __m128i barrett = _mm_set_epi64x(INT64_C(0x1F7011641), INT64_C(0x1DB710641));
    const __m128i halves = _mm_setr_epi32(-1, 0, -1, 0);
    const __m128i *at = (const __m128i *)text;
    __m128i a = _mm_xor_si128(_mm_loadu_si128(at), _mm_cvtsi32_si128((int)state));
    __m128i b = _mm_loadu_si128(at + 1), c = _mm_loadu_si128(at + 2), d = _mm_loadu_si128(at + 3);
    __m128i low;
    for (at += 4, n -= 64; n >= 64; at += 4, n -= 64) {
        a = crc_fold(a, by_512, _mm_loadu_si128(at));
        b = crc_fold(b, by_512, _mm_loadu_si128(at + 1));
        c = crc_fold(c, by_512, _mm_loadu_si128(at + 2));
        d = crc_fold(d, by_512, _mm_loadu_si128(at + 3));
    }
    a = crc_fold(a, by_128, b);
    a = crc_fold(a, by_128, c);
    a = crc_fold(a, by_128, d);
    for (; n >= 16; at++, n -= 16) a = crc_fold(a, by_128, _mm_loadu_si128(at));
    a = _mm_xor_si128(_mm_srli_si128(a, 8), _mm_clmulepi64_si128(a, by_128, 0x10));
    low = _mm_clmulepi64_si128(_mm_and_si128(a, halves), by_64, 0x00);
    a = _mm_xor_si128(_mm_srli_si128(a, 4), low);
    low = _mm_clmulepi64_si128(_mm_and_si128(a, halves), barrett, 0x10);
    low = _mm_clmulepi64_si128(_mm_and_si128(low, halves), barrett, 0x00);
    return (uint32_t)_mm_extract_epi32(_mm_xor_si128(a, low), 1);
}

#else

static int has_fast_crc32(void) { return 0; }

#endif

/* The checksum of bytes after those whose checksum is `value`. Without PCLMULQDQ zlib is faster. */
static uint32_t crc32_of(const uint8_t *text, size_t n, uint32_t value) {
    /* Of each four bits, what they add: the rests of lines take fewer than 64 bytes. */
    static const uint32_t NIBBLES[16] = {
        0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4, 0x4DB26158, 0x5005713C,
        0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C, 0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C};
    uint32_t state = ~value;
#if defined(__x86_64__)
    if (n >= 64 && has_fast_crc32()) {
        size_t most = n & ~(size_t)15;
        state = crc_blocks(text, most, state);
        text += most;
        n -= most;
    }
#endif
    for (; n; n--) {
        state ^= *text++;
        state = NIBBLES[state & 15] ^ state >> 4;
        state = NIBBLES[state & 15] ^ state >> 4;
    }
    return ~state;
}

#endif
