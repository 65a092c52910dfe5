/* Validation of strict UTF-8: no surrogates, no overlong forms, nothing truncated. */
#ifndef FASTPREP_UTF8_CHECK_H
#define FASTPREP_UTF8_CHECK_H

#include "bits.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static inline int is_utf8_portable(const uint8_t *text, size_t n) {
    size_t i = 0;
    while (i < n) {
        uint8_t lead = text[i];
        if (lead < 0x80) {
            if (i + 8 <= n && !(load64(text + i) & UINT64_C(0x8080808080808080))) i += 8;
            else i++;
        } else if (lead < 0xE0) {
            if (lead < 0xC2 || i + 2 > n || (text[i + 1] & 0xC0) != 0x80) return 0;
            i += 2;
        } else if (lead < 0xF0) {
            if (i + 3 > n || (text[i + 1] & 0xC0) != 0x80 || (text[i + 2] & 0xC0) != 0x80) return 0;
            if ((lead == 0xE0 && text[i + 1] < 0xA0) || (lead == 0xED && text[i + 1] >= 0xA0)) return 0;
            i += 3;
        } else {
            if (lead > 0xF4 || i + 4 > n || (text[i + 1] & 0xC0) != 0x80 ||
                (text[i + 2] & 0xC0) != 0x80 || (text[i + 3] & 0xC0) != 0x80)
                return 0;
            if ((lead == 0xF0 && text[i + 1] < 0x90) || (lead == 0xF4 && text[i + 1] >= 0x90)) return 0;
            i += 4;
        }
    }
    return 1;
}

#if defined(__x86_64__)
/* 32 bytes per step, by the method of Keiser and Lemire ("Validating UTF-8 in less than one
 * instruction per byte", 2021): three tables, indexed by the two hex digits of a byte and the first
 * digit of the next byte, each give the errors that are possible; an error that all three give has
 * occurred. */
enum {
    U8_SHORT = 1,        /* a lead byte without its continuations */
    U8_LONG = 2,         /* a continuation after ASCII */
    U8_OVERLONG_3 = 4,
    U8_LARGE = 8,        /* above U+10FFFF */
    U8_SURROGATE = 16,
    U8_OVERLONG_2 = 32,
    U8_OVERLONG_4 = 64,  /* and above U+10FFFF by a lead of F5-FF */
    U8_CONTINUED = -128, /* two continuations: valid only as third and fourth byte */
    U8_CARRY = U8_SHORT | U8_LONG | U8_CONTINUED,
};

#define U8_TABLE(...) _mm256_broadcastsi128_si256(_mm_setr_epi8(__VA_ARGS__))
#define U8_LAST_OF(before, now, k) \
    _mm256_alignr_epi8((now), _mm256_permute2x128_si256((before), (now), 0x21), 16 - (k))

__attribute__((target("avx2"))) static inline __m256i utf8_errors_avx2(__m256i before, __m256i now) {
    const __m256i first_high = U8_TABLE(
        U8_LONG, U8_LONG, U8_LONG, U8_LONG, U8_LONG, U8_LONG, U8_LONG, U8_LONG,
        U8_CONTINUED, U8_CONTINUED, U8_CONTINUED, U8_CONTINUED,
        U8_SHORT | U8_OVERLONG_2, U8_SHORT, U8_SHORT | U8_OVERLONG_3 | U8_SURROGATE,
        U8_SHORT | U8_LARGE | U8_OVERLONG_4);
    const __m256i first_low = U8_TABLE(
        U8_CARRY | U8_OVERLONG_2 | U8_OVERLONG_3 | U8_OVERLONG_4, U8_CARRY | U8_OVERLONG_2,
        U8_CARRY, U8_CARRY, U8_CARRY | U8_LARGE,
        U8_CARRY | U8_LARGE | U8_OVERLONG_4, U8_CARRY | U8_LARGE | U8_OVERLONG_4,
        U8_CARRY | U8_LARGE | U8_OVERLONG_4, U8_CARRY | U8_LARGE | U8_OVERLONG_4,
        U8_CARRY | U8_LARGE | U8_OVERLONG_4, U8_CARRY | U8_LARGE | U8_OVERLONG_4,
        U8_CARRY | U8_LARGE | U8_OVERLONG_4, U8_CARRY | U8_LARGE | U8_OVERLONG_4,
        U8_CARRY | U8_LARGE | U8_OVERLONG_4 | U8_SURROGATE,
        U8_CARRY | U8_LARGE | U8_OVERLONG_4, U8_CARRY | U8_LARGE | U8_OVERLONG_4);
    const __m256i second_high = U8_TABLE(
        U8_SHORT, U8_SHORT, U8_SHORT, U8_SHORT, U8_SHORT, U8_SHORT, U8_SHORT, U8_SHORT,
        U8_LONG | U8_OVERLONG_2 | U8_CONTINUED | U8_OVERLONG_3 | U8_OVERLONG_4,
        U8_LONG | U8_OVERLONG_2 | U8_CONTINUED | U8_OVERLONG_3 | U8_LARGE,
        U8_LONG | U8_OVERLONG_2 | U8_CONTINUED | U8_SURROGATE | U8_LARGE,
        U8_LONG | U8_OVERLONG_2 | U8_CONTINUED | U8_SURROGATE | U8_LARGE,
        U8_SHORT, U8_SHORT, U8_SHORT, U8_SHORT);
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
#endif

static inline int is_utf8(const uint8_t *text, size_t n) {
#if defined(__x86_64__)
    if (n >= 64 && __builtin_cpu_supports("avx2")) return is_utf8_avx2(text, n);
#endif
    return is_utf8_portable(text, n);
}

#endif
