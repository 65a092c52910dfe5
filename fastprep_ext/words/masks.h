/* Blocks of 64 Latin-1 characters -> one bit per character for each class that splits words.
 *
 * One function per SIMD path; the portable one is always built.
 */
#ifndef FASTPREP_WORD_MASKS_H
#define FASTPREP_WORD_MASKS_H

#include "base/bits.h"
#include "base/cpu.h"

/* Bit i stands for character i. */
typedef struct {
    uint64_t word;   /* neither whitespace nor separator */
    uint64_t opens;  /* a separator, one of , . : ; ? _ ! " ( ) ' */
    uint64_t closes; /* the same: its end */
    uint64_t dash;   /* -, here a character of a word */
} WordMasks;

typedef void (*WordMasksFunction)(const uint8_t *latin, int64_t blocks, WordMasks *masks);

/* Comparisons instead of a table: the compiler vectorizes them. */
static inline int is_separator(uint8_t c) {
    return ((uint8_t)(c - '!') < 2) | ((uint8_t)(c - '\'') < 3) | (c == ',') | (c == '.') |
           ((uint8_t)(c - ':') < 2) | (c == '?') | (c == '_');
}

/* Python's whitespace, as in \s and str.strip(), which includes U+001C-U+001F. */
static inline int is_latin_white(uint8_t c) {
    return ((uint8_t)(c - 0x09) < 5) | ((uint8_t)(c - 0x1C) < 5) | (c == 0x85) | (c == 0xA0);
}

/* 64 bytes of 0 or 1 -> 64 bits: each product moves its eight into the top byte. */
static inline uint64_t gather_flags(const uint8_t *flags) {
    uint64_t bits = 0;
    for (int group = 0; group < 64; group += 8)
        bits |= (load64(flags + group) * 0x0102040810204080u) >> 56 << group;
    return bits;
}

static void word_masks_portable(const uint8_t *latin, int64_t blocks, WordMasks *masks) {
    uint8_t words[64], separators[64], dashes[64];
    for (; blocks > 0; blocks--, latin += 64, masks++) {
        for (int i = 0; i < 64; i++) {
            separators[i] = is_separator(latin[i]);
            words[i] = !(is_separator(latin[i]) | is_latin_white(latin[i]));
            dashes[i] = latin[i] == '-';
        }
        masks->word = gather_flags(words);
        masks->opens = masks->closes = gather_flags(separators);
        masks->dash = gather_flags(dashes);
    }
}

#if defined(__x86_64__) || defined(__aarch64__)
/* A character's class is LOW[low digit] & HIGH[high digit], both digits hexadecimal. Its bits:
 * whitespace 1: 09-0D, 2: 1C-1F, 4: 20 A0, 8: 85; separators 10: 2x, 20: 3x, 40: 5F; 80: dash. */
static const uint8_t WORD_LOW[16] = {
    0x04, 0x10, 0x10, 0, 0, 0x08, 0, 0x10, 0x10, 0x11, 0x21, 0x21, 0x13, 0x83, 0x12, 0x62,
};
static const uint8_t WORD_HIGH[16] = {0x01, 0x02, 0x94, 0x20, 0, 0x40, 0, 0, 0x08, 0, 0x04};
#endif

#if defined(__x86_64__)
#include "masks_avx2.h"
#elif defined(__aarch64__)
#include "masks_neon.h"
#endif

/* The function of the SIMD path of this name; NULL: not on this machine. "sse2" is the portable code,
 * which every x86-64 compiler turns into SSE2. */
static WordMasksFunction word_masks_function(const char *name) {
    const char *path = simd_path_name(name);
#if defined(__x86_64__)
    if (path && !strcmp(path, "avx2")) return word_masks_avx2;
#elif defined(__aarch64__)
    if (path && !strcmp(path, "neon")) return word_masks_neon;
#endif
    return path ? word_masks_portable : NULL;
}

#endif
