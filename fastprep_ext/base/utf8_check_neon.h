/* NEON: 16 bytes per step, and 64 where all of them are ASCII. */
#include "neon.h"

static inline uint8x16_t utf8_errors_neon(uint8x16_t before, uint8x16_t now) {
    const uint8x16_t one = vextq_u8(before, now, 15);
    const uint8x16_t two = vextq_u8(before, now, 14), three = vextq_u8(before, now, 13);
    const uint8x16_t possible = vandq_u8(
        classes_neon(vld1q_u8(U8_FIRST_LOW), vld1q_u8(U8_FIRST_HIGH), vandq_u8(one, vdupq_n_u8(15)),
                     one),
        vqtbl1q_u8(vld1q_u8(U8_SECOND_HIGH), vshrq_n_u8(now, 4)));
    /* Byte three of three, and three and four of four, must be second continuations. */
    const uint8x16_t third = vqsubq_u8(two, vdupq_n_u8(0xE0 - 0x80));
    const uint8x16_t fourth = vqsubq_u8(three, vdupq_n_u8(0xF0 - 0x80));
    return veorq_u8(vandq_u8(vorrq_u8(third, fourth), vdupq_n_u8(0x80)), possible);
}

static int is_utf8_neon(const uint8_t *text, size_t n) {
    uint8x16_t before = vdupq_n_u8(0), errors = before;
    uint8_t rest[80] = {0}; /* at least one zero after the last byte, which ends an open character */
    size_t i = 0, k;
    for (; i + 64 <= n; i += 64) {
        const uint8x16_t a = vld1q_u8(text + i), b = vld1q_u8(text + i + 16);
        const uint8x16_t c = vld1q_u8(text + i + 32), d = vld1q_u8(text + i + 48);
        const uint8x16_t any = vorrq_u8(vorrq_u8(a, b), vorrq_u8(c, d));
        if (likely(vmaxvq_u8(any) < 0x80)) {
            /* Only the first of them can show that the text before is cut off. */
            errors = vorrq_u8(errors, utf8_errors_neon(before, a));
        } else {
            errors = vorrq_u8(errors, utf8_errors_neon(before, a));
            errors = vorrq_u8(errors, utf8_errors_neon(a, b));
            errors = vorrq_u8(errors, utf8_errors_neon(b, c));
            errors = vorrq_u8(errors, utf8_errors_neon(c, d));
        }
        before = d;
    }
    memcpy(rest, text + i, n - i);
    for (k = 0; k < 80; k += 16) {
        const uint8x16_t now = vld1q_u8(rest + k);
        errors = vorrq_u8(errors, utf8_errors_neon(before, now));
        before = now;
    }
    return vmaxvq_u8(errors) == 0;
}
