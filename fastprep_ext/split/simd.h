/* 64 bytes of text -> one bit per byte for each ASCII class, and each property of longer characters.
 *
 * One file per SIMD path, with the same three functions. The portable path is always built.
 */
#ifndef FASTPREP_SIMD_H
#define FASTPREP_SIMD_H

#include <stddef.h>

#include "base/bits.h"
#include "base/cpu.h"
#include "high.h"

/* Bit i stands for byte i. First the ASCII classes: a byte of 0x80 or above is only in `high`. */
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
    /* Not written by `lanes`: what split/frame.pxd says. */
    uint64_t lower, mark, sign, tail, cjk, apart, last_white;
} Lanes;

typedef struct {
    const char *name;
    /* The ASCII classes of 64 bytes. */
    void (*lanes)(const uint8_t *block, Lanes *lanes);
    /* Write `first` plus the index of each bit, lowest first, to places[64] and return how many. May
     * write beyond the last of them, within places[64]. */
    size_t (*places)(uint64_t bits, size_t first, size_t *places);
    /* The characters of several bytes of a block, after which two bytes can be read. */
    void (*high)(const uint8_t *block, const Kinds *kinds, High *high);
} SimdPath;

#include "simd_portable.h"

#if defined(__x86_64__)
#include "simd_sse2.h"
#include "classes.h"
#include "simd_avx2.h"
#elif defined(__aarch64__)
#include "classes.h"
#include "simd_neon.h"
#endif

/* The path of this name; NULL: not on this machine. */
static const SimdPath *simd_path(const char *name) {
    const char *path = simd_path_name(name);
#if defined(__x86_64__)
    if (path && !strcmp(path, "avx2")) return &SIMD_AVX2;
    if (path && !strcmp(path, "sse2")) return &SIMD_SSE2;
#elif defined(__aarch64__)
    if (path && !strcmp(path, "neon")) return &SIMD_NEON;
#endif
    return path ? &SIMD_PORTABLE : NULL;
}

#endif
