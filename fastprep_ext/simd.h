/* 64 bytes of text -> one bit a byte for each ASCII class.
 *
 * One file a CPU behind this one function type. The portable path is always built;
 * `lanes_function` chooses by name, or the best that this very machine runs.
 */
#ifndef FASTPREP_SIMD_H
#define FASTPREP_SIMD_H

#include <stdint.h>
#include <string.h>

/* Bit i is about byte i. A byte of 0x80 and above is in `high` alone. */
typedef struct {
    uint64_t letter;     /* A-Z a-z */
    uint64_t digit;      /* 0-9 */
    uint64_t space;      /* U+0020 alone */
    uint64_t white;      /* U+0009-U+000D and U+0020 */
    uint64_t apostrophe; /* ' */
    uint64_t newline;    /* \n and \r */
    uint64_t upper;      /* A-Z */
    uint64_t slash;      /* / */
    uint64_t high;       /* part of a character of several bytes */
} Lanes;

typedef void (*LanesFunction)(const uint8_t *block, Lanes *lanes);

#include "simd_portable.h"

#if defined(__x86_64__)
#include "simd_sse2.h"
#include "simd_avx2.h"
#endif

/* "portable", "sse2", "avx2", or "" for the best there is. NULL: not on this machine. */
static LanesFunction lanes_function(const char *name) {
    if (!strcmp(name, "portable")) return lanes_portable;
#if defined(__x86_64__)
    if (!strcmp(name, "sse2")) return lanes_sse2;
    if (!strcmp(name, "avx2")) return __builtin_cpu_supports("avx2") ? lanes_avx2 : NULL;
    if (!*name) return __builtin_cpu_supports("avx2") ? lanes_avx2 : lanes_sse2;
#endif
    return *name ? NULL : lanes_portable;
}

/* The name of a function that `lanes_function` returned. */
static const char *lanes_name(LanesFunction function) {
#if defined(__x86_64__)
    if (function == lanes_sse2) return "sse2";
    if (function == lanes_avx2) return "avx2";
#endif
    return function == lanes_portable ? "portable" : "";
}

#endif
