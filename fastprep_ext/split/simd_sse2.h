/* SSE2, which every x86-64 machine has: 16 bytes per step. */
#include <emmintrin.h>

/* A range test in one signed comparison: shift the range's first value to -128. */
#define SSE2_IN(v, first, count)                                                        \
    _mm_movemask_epi8(_mm_cmplt_epi8(_mm_sub_epi8((v), _mm_set1_epi8((char)((first) + 128))), \
                                     _mm_set1_epi8((char)(-128 + (count)))))
#define SSE2_IS(v, byte) _mm_movemask_epi8(_mm_cmpeq_epi8((v), _mm_set1_epi8(byte)))

static void lanes_sse2(const uint8_t *block, Lanes *lanes) {
    int at;
    memset(lanes, 0, offsetof(Lanes, lower));
    for (at = 0; at < 64; at += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(block + at));
        uint64_t space = (uint64_t)SSE2_IS(v, ' ');
        lanes->letter |= (uint64_t)SSE2_IN(_mm_or_si128(v, _mm_set1_epi8(0x20)), 'a', 26) << at;
        lanes->digit |= (uint64_t)SSE2_IN(v, '0', 10) << at;
        lanes->space |= space << at;
        lanes->white |= (space | (uint64_t)SSE2_IN(v, '\t', 5)) << at;
        lanes->apostrophe |= (uint64_t)SSE2_IS(v, '\'') << at;
        lanes->newline |= (uint64_t)(SSE2_IS(v, '\n') | SSE2_IS(v, '\r')) << at;
        lanes->upper |= (uint64_t)SSE2_IN(v, 'A', 26) << at;
        lanes->slash |= (uint64_t)SSE2_IS(v, '/') << at;
        lanes->high |= (uint64_t)_mm_movemask_epi8(v) << at;
    }
}

#undef SSE2_IN
#undef SSE2_IS

static const SimdPath SIMD_SSE2 = {"sse2", lanes_sse2, places_portable, high_portable};
