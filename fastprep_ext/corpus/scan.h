/* Scanning of runs of plain bytes, in which a reader of JSON strings spends its time. */
#ifndef FASTPREP_JSON_SCAN_H
#define FASTPREP_JSON_SCAN_H

#include "base/bits.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* Plain bytes of a string: all but the quote, the backslash and U+0000-1F. */
static inline int is_plain(uint8_t c) { return c >= 0x20 && c != '"' && c != '\\'; }

#if defined(__SSE2__)
/* Bit i: byte i of 16 is not plain. */
static inline uint32_t special16(__m128i v) {
    __m128i control = _mm_cmpeq_epi8(_mm_max_epu8(v, _mm_set1_epi8(0x20)), v);
    __m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"'));
    __m128i backslash = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
    return (uint32_t)_mm_movemask_epi8(
        _mm_or_si128(_mm_andnot_si128(control, _mm_set1_epi8(-1)), _mm_or_si128(quote, backslash)));
}
#endif

/* Return the index of the first byte from `i` on that is not plain; n if all are. */
static inline size_t skip_plain(const uint8_t *text, size_t i, size_t n) {
#if defined(__SSE2__)
    for (; i + 16 <= n; i += 16) {
        uint32_t special = special16(_mm_loadu_si128((const __m128i *)(text + i)));
        if (special) return i + lowest_bit(special);
    }
#endif
    while (i < n && is_plain(text[i])) i++;
    return i;
}

/* The same, and copy the plain bytes to `out`, which must hold as many bytes as the text has left.
 * The high bits of all bytes are or-ed into `high`. */
static inline size_t copy_plain(
    const uint8_t *text, size_t i, size_t n, uint8_t *out, uint8_t *high) {
#if defined(__SSE2__)
    uint32_t above = 0;
    for (; i + 16 <= n; i += 16, out += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(text + i));
        uint32_t special = special16(v);
        _mm_storeu_si128((__m128i *)out, v);
        /* Bytes after the special one count, too: at worst UTF-8 is checked needlessly. */
        above |= (uint32_t)_mm_movemask_epi8(v);
        if (special) {
            *high |= above != 0 ? 0x80 : 0;
            return i + lowest_bit(special);
        }
    }
    *high |= above != 0 ? 0x80 : 0;
#endif
    for (; i < n && is_plain(text[i]); i++) {
        *high |= text[i];
        *out++ = text[i];
    }
    return i;
}

#endif
