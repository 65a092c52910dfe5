/* AVX2: 32 bytes per step. */
#include <immintrin.h>

#define U8_TABLE(table) _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(table)))
#define U8_LAST_OF(before, now, k) \
    _mm256_alignr_epi8((now), _mm256_permute2x128_si256((before), (now), 0x21), 16 - (k))

__attribute__((target("avx2"))) static inline __m256i utf8_errors_avx2(__m256i before, __m256i now) {
    const __m256i first_high = U8_TABLE(U8_FIRST_HIGH);
    const __m256i first_low = U8_TABLE(U8_FIRST_LOW);
    const __m256i second_high = U8_TABLE(U8_SECOND_HIGH);
    const __m256i digit = _mm256_set1_epi8(0x0F);
    __m256i one = U8_LAST_OF(before, now, 1);
    __m256i two = U8_LAST_OF(before, now, 2);
    __m256i three = U8_LAST_OF(before, now, 3);
    __m256i possible = _mm256_and_si256(
        _mm256_and_si256(
            _mm256_shuffle_epi8(first_high, _mm256_and_si256(_mm256_srli_epi16(one, 4), digit)),
            _mm256_shuffle_epi8(first_low, _mm256_and_si256(one, digit))),
        _mm256_shuffle_epi8(second_high, _mm256_and_si256(_mm256_srli_epi16(now, 4), digit)));
    /* Byte three of three, and three and four of four, must be second continuations. */
    __m256i third = _mm256_subs_epu8(two, _mm256_set1_epi8((char)(0xE0 - 0x80)));
    __m256i fourth = _mm256_subs_epu8(three, _mm256_set1_epi8((char)(0xF0 - 0x80)));
    __m256i wanted = _mm256_and_si256(_mm256_or_si256(third, fourth), _mm256_set1_epi8((char)0x80));
    return _mm256_xor_si256(wanted, possible);
}

__attribute__((target("avx2"))) static int is_utf8_avx2(const uint8_t *text, size_t n) {
    __m256i before = _mm256_setzero_si256(), now, errors = before;
    uint8_t rest[64] = {0}; /* at least one zero after the last byte, which ends an open character */
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        now = _mm256_loadu_si256((const __m256i *)(text + i));
        errors = _mm256_or_si256(errors, utf8_errors_avx2(before, now));
        before = now;
    }
    memcpy(rest, text + i, n - i);
    for (int k = 0; k < 64; k += 32) {
        now = _mm256_loadu_si256((const __m256i *)(rest + k));
        errors = _mm256_or_si256(errors, utf8_errors_avx2(before, now));
        before = now;
    }
    return _mm256_testz_si256(errors, errors);
}

#undef U8_TABLE
#undef U8_LAST_OF
