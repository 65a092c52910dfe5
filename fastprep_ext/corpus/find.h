/* Search of a short byte string in a long text. */
#ifndef FASTPREP_FIND_H
#define FASTPREP_FIND_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>  /* memmem: Python.h, before this, has defined _GNU_SOURCE */

#include "base/sixteen.h"

/* Longer strings are left to memmem, whose time is linear for any text. */
#define MAX_FIND 64

/* Return the first occurrence of wanted[m], m > 0, in text[n]; NULL if there is none. memmem makes a table
 * of 256 bytes per call, which is too much where documents are short. */
static const uint8_t *find_bytes(const uint8_t *text, size_t n, const uint8_t *wanted, size_t m) {
    size_t i = 0;
#ifdef HAS_SIXTEEN
    if (m > 1 && m <= MAX_FIND) {
        const Sixteen first = all16(wanted[0]), last = all16(wanted[m - 1]);
        for (; i + m + 15 <= n; i += 16) {
            Sixteen begins = equal16(load16(text + i), first);
            uint64_t both = bits16(both16(begins, equal16(load16(text + i + m - 1), last)));
            for (; both; both &= both - 1) {
                const uint8_t *at = text + i + place16(both);
                if (!memcmp(at + 1, wanted + 1, m - 1)) return at;
            }
        }
    }
#endif
    return (const uint8_t *)memmem(text + i, n - i, wanted, m);
}

#endif
