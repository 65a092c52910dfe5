/* AVX2: two vectors per block. */
#include <immintrin.h>

#define TWICE(table) _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(table)))
#define CLASSES(v)                                                                              \
    _mm256_and_si256(_mm256_shuffle_epi8(LOW, _mm256_and_si256((v), DIGIT)),                    \
                     _mm256_shuffle_epi8(HIGH, _mm256_and_si256(_mm256_srli_epi16((v), 4), DIGIT)))
#define BITS(v) (uint32_t)_mm256_movemask_epi8(v)
#define BITS_ABOVE(v, least) BITS(_mm256_cmpgt_epi8((v), _mm256_set1_epi8(least)))
#define JOIN(low, high) ((uint64_t)(low) | (uint64_t)(high) << 32)

__attribute__((target("avx2"))) static void word_masks_avx2(
    const uint8_t *latin, int64_t blocks, WordMasks *masks) {
    const __m256i LOW = TWICE(WORD_LOW), HIGH = TWICE(WORD_HIGH);
    const __m256i DIGIT = _mm256_set1_epi8(15);
    for (; blocks > 0; blocks--, latin += 64, masks++) {
        __m256i a = _mm256_loadu_si256((const __m256i *)latin);
        __m256i b = _mm256_loadu_si256((const __m256i *)(latin + 32));
        a = CLASSES(a);
        b = CLASSES(b);
        /* As signed bytes: a dash is negative, a word's character 0. */
        masks->word = ~JOIN(BITS_ABOVE(a, 0), BITS_ABOVE(b, 0));
        masks->opens = masks->closes = JOIN(BITS_ABOVE(a, 15), BITS_ABOVE(b, 15));
        masks->dash = JOIN(BITS(a), BITS(b));
    }
}

#undef TWICE
#undef CLASSES
#undef BITS
#undef BITS_ABOVE
#undef JOIN
