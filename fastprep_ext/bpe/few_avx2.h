/* AVX2: eight parts or pairs in a vector. Built for every x86-64, called only if the CPU has it. */
#include <immintrin.h>

#define FEW(name) name##_avx2
#define FEW_TARGET __attribute__((target("avx2,bmi,bmi2")))

FEW_TARGET static inline __m256i eight_at(const uint32_t *numbers) {
    return _mm256_loadu_si256((const __m256i *)numbers);
}

FEW_TARGET static inline uint32_t lowest_avx2(const uint32_t *keys, uint32_t lanes) {
    __m256i eight = _mm256_min_epu32(eight_at(keys), eight_at(keys + 8));
    __m128i four;
    uint32_t i;
    for (i = 16; i < lanes; i += 16) {
        __m256i others = _mm256_min_epu32(eight_at(keys + i), eight_at(keys + i + 8));
        eight = _mm256_min_epu32(eight, others);
    }
    four = _mm_min_epu32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    four = _mm_min_epu32(four, _mm_shuffle_epi32(four, 0x4E));
    four = _mm_min_epu32(four, _mm_shuffle_epi32(four, 0xB1));
    return (uint32_t)_mm_cvtsi128_si32(four);
}

FEW_TARGET static inline void close_up_avx2(uint32_t *numbers, uint32_t lanes, int32_t less) {
    __m256i lesser = _mm256_set1_epi32(less);
    uint32_t i;
    for (i = 0; i < lanes; i += 8) {
        __m256i eight = _mm256_sub_epi32(eight_at(numbers + i + 1), lesser);
        _mm256_storeu_si256((__m256i *)(numbers + i), eight);
    }
}

FEW_TARGET static inline uint32_t matches_avx2(const PairBucket *bucket, uint32_t tag) {
    __m256i same = _mm256_cmpeq_epi32(eight_at(bucket->tags), _mm256_set1_epi32((int)tag));
    return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(same));
}

#include "few_steps.h"

#undef FEW
#undef FEW_TARGET
