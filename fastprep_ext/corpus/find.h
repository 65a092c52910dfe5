/* Search of a short byte string in a long text. */
#ifndef FASTPREP_FIND_H
#define FASTPREP_FIND_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>  /* memmem: Python.h, before this, has defined _GNU_SOURCE */

#include "base/bits.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* Longer strings are left to memmem, whose time is linear for any text. */
#define MAX_FIND 64

/* Return the first occurrence of wanted[m], m > 0, in text[n]; NULL if there is none. memmem makes a table
 * of 256 bytes per call, which is too much where documents are short. */
static const uint8_t *find_bytes(const uint8_t *text, size_t n, const uint8_t *wanted, size_t m) {
    size_t i = 0;
#if defined(__SSE2__)
    if (m > 1 && m <= MAX_FIND) {
        const __m128i first = _mm_set1_epi8((char)wanted[0]);
        const __m128i last = _mm_set1_epi8((char)wanted[m - 1]);
        for (; i + m + 15 <= n; i += 16) {
            __m128i begins = _mm_loadu_si128((const __m128i *)(text + i));
            __m128i ends = _mm_loadu_si128((const __m128i *)(text + i + m - 1));
            uint32_t both = (uint32_t)_mm_movemask_epi8(
                _mm_and_si128(_mm_cmpeq_epi8(begins, first), _mm_cmpeq_epi8(ends, last)));
            for (; both; both &= both - 1) {
                const uint8_t *at = text + i + lowest_bit(both);
                if (!memcmp(at + 1, wanted + 1, m - 1)) return at;
            }
        }
    }
#endif
    return (const uint8_t *)memmem(text + i, n - i, wanted, m);
}

#endif
