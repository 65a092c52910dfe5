/* AVX2: 32 bytes per step. Built for every x86-64, called only if the CPU has it. */
#include <immintrin.h>

#define AVX2_TARGET __attribute__((target("avx2,bmi,popcnt")))

AVX2_TARGET static inline __m256i sixteen_twice(const uint8_t *table) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)table));
}

AVX2_TARGET static inline __m256i classes_avx2(__m256i bytes) {
    __m256i halves = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), _mm256_set1_epi8(0x0F));
    return _mm256_and_si256(_mm256_shuffle_epi8(sixteen_twice(LOW_HALF), bytes),
                            _mm256_shuffle_epi8(sixteen_twice(HIGH_HALF), halves));
}

/* The top bit of each byte, 64 of them. */
AVX2_TARGET static inline uint64_t top_bits(__m256i low, __m256i high) {
    return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
}

#define AVX2_BIT(low, high, bit) \
    top_bits(_mm256_slli_epi16((low), 7 - (bit)), _mm256_slli_epi16((high), 7 - (bit)))

AVX2_TARGET static void lanes_avx2(const uint8_t *block, Lanes *lanes) {
    __m256i low = _mm256_loadu_si256((const __m256i *)block);
    __m256i high = _mm256_loadu_si256((const __m256i *)(block + 32));
    __m256i classes = classes_avx2(low), more = classes_avx2(high);
    lanes->letter = AVX2_BIT(classes, more, 0) | AVX2_BIT(classes, more, 1);
    lanes->digit = AVX2_BIT(classes, more, 2);
    lanes->newline = AVX2_BIT(classes, more, 4);
    lanes->space = AVX2_BIT(classes, more, 5);
    lanes->white = lanes->space | AVX2_BIT(classes, more, 3);
    lanes->apostrophe = AVX2_BIT(classes, more, 6);
    lanes->slash = top_bits(classes, more);
    lanes->upper = lanes->letter & ~AVX2_BIT(low, high, 5);
    lanes->high = top_bits(low, high);
}

#undef AVX2_BIT

/* No branch per bit: twelve are usually enough, and twenty nearly always. */
AVX2_TARGET static size_t places_avx2(uint64_t bits, size_t first, size_t *places) {
    size_t count = (size_t)__builtin_popcountll(bits), i;
#pragma GCC unroll 12
    for (i = 0; i < 12; i++, bits &= bits - 1) places[i] = first + _tzcnt_u64(bits);
    if (count > 12) {
#pragma GCC unroll 8
        for (i = 12; i < 20; i++, bits &= bits - 1) places[i] = first + _tzcnt_u64(bits);
        for (i = 20; bits; bits &= bits - 1) places[i++] = first + _tzcnt_u64(bits);
    }
    return count;
}

static const SimdPath SIMD_AVX2 = {"avx2", lanes_avx2, places_avx2};

#undef AVX2_TARGET
