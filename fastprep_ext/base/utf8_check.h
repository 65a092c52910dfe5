/* Validation of strict UTF-8: no surrogates, no overlong forms, nothing truncated. */
#ifndef FASTPREP_UTF8_CHECK_H
#define FASTPREP_UTF8_CHECK_H

#include "bits.h"
#include "cpu.h"

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

#if defined(__x86_64__) || defined(__aarch64__)
/* By the method of Keiser and Lemire ("Validating UTF-8 in less than one instruction per byte", 2021):
 * three tables, indexed by the two hex digits of a byte and the first digit of the next byte, each give
 * the errors that are possible; an error that all three give has occurred. */
enum {
    U8_SHORT = 1,       /* a lead byte without its continuations */
    U8_LONG = 2,        /* a continuation after ASCII */
    U8_OVERLONG_3 = 4,
    U8_LARGE = 8,       /* above U+10FFFF */
    U8_SURROGATE = 16,
    U8_OVERLONG_2 = 32,
    U8_OVERLONG_4 = 64, /* and above U+10FFFF by a lead of F5-FF */
    U8_CONTINUED = 128, /* two continuations: valid only as third and fourth byte */
    U8_CARRY = U8_SHORT | U8_LONG | U8_CONTINUED,
    U8_HIGH = U8_CARRY | U8_LARGE | U8_OVERLONG_4,
};
static const uint8_t U8_FIRST_HIGH[16] = {
    U8_LONG, U8_LONG, U8_LONG, U8_LONG, U8_LONG, U8_LONG, U8_LONG, U8_LONG,
    U8_CONTINUED, U8_CONTINUED, U8_CONTINUED, U8_CONTINUED,
    U8_SHORT | U8_OVERLONG_2, U8_SHORT, U8_SHORT | U8_OVERLONG_3 | U8_SURROGATE,
    U8_SHORT | U8_LARGE | U8_OVERLONG_4,
};
static const uint8_t U8_FIRST_LOW[16] = {
    U8_CARRY | U8_OVERLONG_2 | U8_OVERLONG_3 | U8_OVERLONG_4, U8_CARRY | U8_OVERLONG_2,
    U8_CARRY, U8_CARRY, U8_CARRY | U8_LARGE, U8_HIGH, U8_HIGH, U8_HIGH, U8_HIGH, U8_HIGH, U8_HIGH,
    U8_HIGH, U8_HIGH, U8_HIGH | U8_SURROGATE, U8_HIGH, U8_HIGH,
};
static const uint8_t U8_SECOND_HIGH[16] = {
    U8_SHORT, U8_SHORT, U8_SHORT, U8_SHORT, U8_SHORT, U8_SHORT, U8_SHORT, U8_SHORT,
    U8_LONG | U8_OVERLONG_2 | U8_CONTINUED | U8_OVERLONG_3 | U8_OVERLONG_4,
    U8_LONG | U8_OVERLONG_2 | U8_CONTINUED | U8_OVERLONG_3 | U8_LARGE,
    U8_LONG | U8_OVERLONG_2 | U8_CONTINUED | U8_SURROGATE | U8_LARGE,
    U8_LONG | U8_OVERLONG_2 | U8_CONTINUED | U8_SURROGATE | U8_LARGE,
    U8_SHORT, U8_SHORT, U8_SHORT, U8_SHORT,
};
#endif

#if defined(__x86_64__)
#include "utf8_check_avx2.h"
#elif defined(__aarch64__)
#include "utf8_check_neon.h"
#endif

static inline int is_utf8(const uint8_t *text, size_t n) {
#if defined(__x86_64__)
    if (n >= 64 && cpu_has(CPU_AVX2)) return is_utf8_avx2(text, n);
#elif defined(__aarch64__)
    if (n >= 64) return is_utf8_neon(text, n);
#endif
    return is_utf8_portable(text, n);
}

#endif
