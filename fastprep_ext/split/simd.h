/* 64 bytes of text -> one bit a byte for each ASCII class.
 *
 * One file a CPU behind one pair of functions. The portable path is always built; `simd_path` chooses by
 * name, or the best that this very machine runs.
 */
#ifndef FASTPREP_SIMD_H
#define FASTPREP_SIMD_H

#include "base/bits.h"
#include "base/cpu.h"

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

typedef struct {
    const char *name;
    void (*lanes)(const uint8_t *block, Lanes *lanes);
    /* Writes `first` and the index of each bit, lowest first, to places[64]; returns how many. What is
     * behind the last may be written as well. */
    size_t (*places)(uint64_t bits, size_t first, size_t *places);
} SimdPath;

#include "simd_portable.h"

#if defined(__x86_64__)
#include "simd_sse2.h"
#include "simd_avx2.h"
#endif

/* The path of this name; NULL: not on this machine. */
static const SimdPath *simd_path(const char *name) {
    const char *path = simd_path_name(name);
#if defined(__x86_64__)
    if (path && !strcmp(path, "avx2")) return &SIMD_AVX2;
    if (path && !strcmp(path, "sse2")) return &SIMD_SSE2;
#endif
    return path ? &SIMD_PORTABLE : NULL;
}

#endif
