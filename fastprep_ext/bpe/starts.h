/* Where a token may start: bytes that are the first of a token, with its second byte after them. */
#ifndef FASTPREP_STARTS_H
#define FASTPREP_STARTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/sixteen.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* For each low half of a byte, one bit for each high half: 0 to 7, then 8 to 15. */
typedef struct {
    uint8_t low[16];
    uint8_t high[16];
} ByteSet;

typedef struct {
    ByteSet first;
    ByteSet second; /* all bytes if a token has one byte */
    uint64_t pairs[1024];       /* the first two bytes of a token */
    uint64_t short_pairs[1024]; /* of one with fewer than four */
    const uint64_t *fours;      /* a hash of the first four of the others */
    int fours_shift;
} Starts;

static inline void set_add(ByteSet *set, uint8_t byte) {
    uint8_t *row = byte < 0x80 ? set->low : set->high;
    row[byte & 15] |= (uint8_t)(1 << (byte >> 4 & 7));
}

static inline int set_has(const ByteSet *set, uint8_t byte) {
    const uint8_t *row = byte < 0x80 ? set->low : set->high;
    return row[byte & 15] >> (byte >> 4 & 7) & 1;
}

static inline int has_bit(const uint64_t *bits, uint32_t bit) { return bits[bit >> 6] >> (bit & 63) & 1; }

static inline uint32_t four_bit(const Starts *starts, const uint8_t *text) {
    return (load32(text) * UINT32_C(0x9E3779B1)) >> starts->fours_shift;
}

/* Whether a token may start at `at`; 0 is certain. */
static inline int may_start(const Starts *starts, const uint8_t *text, size_t n, size_t at) {
    uint32_t pair;
    if (at + 4 > n) return set_has(&starts->first, text[at]);
    pair = (uint32_t)text[at] << 8 | text[at + 1];
    if (!has_bit(starts->pairs, pair)) return 0;
    return has_bit(starts->short_pairs, pair) || has_bit(starts->fours, four_bit(starts, text + at));
}

static inline size_t starts_next_plain(const Starts *starts, const uint8_t *text, size_t n, size_t at) {
    while (at < n && !may_start(starts, text, n, at)) at++;
    return at;
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static inline __m256i set_members(const ByteSet *set, __m256i bytes) {
    __m256i low = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)set->low));
    __m256i high = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)set->high));
    __m256i halves = _mm256_set1_epi8(0x0F);
    __m256i bits = _mm256_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128,
                                    1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128);
    __m256i index = _mm256_and_si256(bytes, halves);
    __m256i rows = _mm256_blendv_epi8(_mm256_shuffle_epi8(low, index),
                                      _mm256_shuffle_epi8(high, index), bytes);
    __m256i bit = _mm256_shuffle_epi8(bits, _mm256_and_si256(_mm256_srli_epi16(bytes, 4), halves));
    return _mm256_cmpeq_epi8(_mm256_and_si256(rows, bit), bit);
}

__attribute__((target("avx2"))) static size_t starts_next_avx2(
    const Starts *starts, const uint8_t *text, size_t n, size_t at) {
    for (; at + 33 <= n; at += 32) {
        __m256i here = _mm256_loadu_si256((const __m256i *)(text + at));
        __m256i then = _mm256_loadu_si256((const __m256i *)(text + at + 1));
        uint32_t found = (uint32_t)_mm256_movemask_epi8(
            _mm256_and_si256(set_members(&starts->first, here), set_members(&starts->second, then)));
        for (; found; found &= found - 1) {
            size_t place = at + (size_t)__builtin_ctz(found);
            if (may_start(starts, text, n, place)) return place;
        }
    }
    return starts_next_plain(starts, text, n, at);
}
#endif

/* The next byte from `at` on where a token may start, or n. */
typedef size_t (*StartsNext)(const Starts *starts, const uint8_t *text, size_t n, size_t at);

/* The function of the SIMD path of this name (base/cpu.h), which this machine must have. */
static StartsNext starts_path(const char *path) {
#if defined(__x86_64__)
    if (!strcmp(path, "avx2")) return starts_next_avx2;
#endif
    (void)path;
    return starts_next_plain;
}

/* Bytes of characters that normal form C never changes, and that never compose with one before them:
 * below U+0300, Cyrillic to U+047F, U+4000 to U+9FFF, Hangul syllables; and bytes after the first. */
static const uint8_t ACTIVE_BYTES[256] = { /* of others: how many bytes tell more, 4 for all */
    [0xCC] = 2, 2, 2, 2, 0, 0, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3,
    [0xEA] = 3, 0, 0, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4,
};

static inline int active_bytes(uint8_t byte) { return ACTIVE_BYTES[byte]; }

#if defined(HAS_SIXTEEN)
/* A bit for each of 64 bytes that active_bytes is not 0 for. */
static inline uint64_t active_of(const uint8_t *text) {
    SixtyFour bytes = load64s(text), low;
    for (int i = 0; i < 4; i++) low.part[i] = up_to16(bytes.part[i], all16(0xCB));
    if (likely(!~bits64(low))) return 0;
    for (int i = 0; i < 4; i++) {
        Sixteen v = bytes.part[i], even = both16(v, all16(0xFE));
        Sixteen cyrillic = equal16(even, all16(0xD0));
        Sixteen cjk = either16(equal16(both16(v, all16(0xFC)), all16(0xE4)), equal16(even, all16(0xE8)));
        Sixteen hangul = either16(equal16(v, all16(0xEB)), equal16(v, all16(0xEC)));
        low.part[i] = either16(low.part[i], either16(cyrillic, either16(cjk, hangul)));
    }
    return ~bits64(low);
}
#endif

static inline size_t skip_inert(const uint8_t *text, size_t n, size_t at) {
#if defined(HAS_SIXTEEN)
    for (; at + 64 <= n; at += 64) {
        uint64_t active = active_of(text + at);
        if (active) return at + (size_t)lowest_bit(active);
    }
#endif
    while (at < n && !active_bytes(text[at])) at++;
    return at;
}

#endif
