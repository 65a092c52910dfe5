/* AVX2: 32 bytes a step. Built for every x86-64, called only where the CPU has it. */
#include <immintrin.h>

/* A range test in one signed comparison: shift the range's first value to -128. */
#define AVX2_IN(v, first, count)                                                                \
    (uint32_t)_mm256_movemask_epi8(_mm256_cmpgt_epi8(                                           \
        _mm256_set1_epi8((char)(-128 + (count))),                                               \
        _mm256_sub_epi8((v), _mm256_set1_epi8((char)((first) + 128)))))
#define AVX2_IS(v, byte) \
    (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8((v), _mm256_set1_epi8(byte)))
#define AVX2_BOTH(test) ((uint64_t)(test(low)) | (uint64_t)(test(high)) << 32)
#define IS_LETTER(v) AVX2_IN(_mm256_or_si256((v), _mm256_set1_epi8(0x20)), 'a', 26)
#define IS_DIGIT(v) AVX2_IN((v), '0', 10)
#define IS_SPACE(v) AVX2_IS((v), ' ')
#define IS_CONTROL_WHITE(v) AVX2_IN((v), '\t', 5)
#define IS_APOSTROPHE(v) AVX2_IS((v), '\'')
#define IS_NEWLINE(v) (AVX2_IS((v), '\n') | AVX2_IS((v), '\r'))
#define IS_UPPER(v) AVX2_IN((v), 'A', 26)
#define IS_SLASH(v) AVX2_IS((v), '/')
#define IS_HIGH(v) (uint32_t)_mm256_movemask_epi8(v)

__attribute__((target("avx2"))) static void lanes_avx2(const uint8_t *block, Lanes *lanes) {
    __m256i low = _mm256_loadu_si256((const __m256i *)block);
    __m256i high = _mm256_loadu_si256((const __m256i *)(block + 32));
    lanes->letter = AVX2_BOTH(IS_LETTER);
    lanes->digit = AVX2_BOTH(IS_DIGIT);
    lanes->space = AVX2_BOTH(IS_SPACE);
    lanes->white = lanes->space | AVX2_BOTH(IS_CONTROL_WHITE);
    lanes->apostrophe = AVX2_BOTH(IS_APOSTROPHE);
    lanes->newline = AVX2_BOTH(IS_NEWLINE);
    lanes->upper = AVX2_BOTH(IS_UPPER);
    lanes->slash = AVX2_BOTH(IS_SLASH);
    lanes->high = AVX2_BOTH(IS_HIGH);
}

#undef AVX2_IN
#undef AVX2_IS
#undef AVX2_BOTH
#undef IS_LETTER
#undef IS_DIGIT
#undef IS_SPACE
#undef IS_CONTROL_WHITE
#undef IS_APOSTROPHE
#undef IS_NEWLINE
#undef IS_UPPER
#undef IS_SLASH
#undef IS_HIGH
