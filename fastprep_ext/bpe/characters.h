/* Numbers of the characters of a UTF-8 text, from the numbers of its bytes. */
#ifndef FASTPREP_CHARACTERS_H
#define FASTPREP_CHARACTERS_H

#include "base/sixteen.h"

/* A block of 64 bytes: a bit for each byte that starts a character, and the characters before it. */
typedef struct {
    const uint8_t *text;
    size_t n;
    size_t block;
    uint64_t starts;
    int64_t before;
} Characters;

static inline int bits_of(uint64_t x) {
#if defined(__POPCNT__) || defined(__aarch64__)
    return __builtin_popcountll(x);
#else
    /* Without the instruction the builtin is a call. */
    x -= x >> 1 & UINT64_C(0x5555555555555555);
    x = (x & UINT64_C(0x3333333333333333)) + (x >> 2 & UINT64_C(0x3333333333333333));
    x = (x + (x >> 4)) & UINT64_C(0x0F0F0F0F0F0F0F0F);
    return (int)(x * UINT64_C(0x0101010101010101) >> 56);
#endif
}

static inline uint64_t starts_of(const uint8_t *text, size_t n) {
    uint64_t starts = 0;
    size_t i;
#if defined(HAS_SIXTEEN)
    if (n >= 64) {
        SixtyFour bytes = load64s(text);
        for (i = 0; i < 4; i++)
            bytes.part[i] = equal16(both16(bytes.part[i], all16(0xC0)), all16(0x80));
        return ~bits64(bytes);
    }
#endif
    for (i = 0; i < n && i < 64; i++) starts |= (uint64_t)((text[i] & 0xC0) != 0x80) << i;
    return starts;
}

static inline void characters_load(Characters *self) {
    size_t at = self->block * 64;
    self->starts = starts_of(self->text + at, self->n - at);
}

static inline void characters_begin(Characters *self, const uint8_t *text, size_t n) {
    self->text = text;
    self->n = n;
    self->block = 0;
    self->before = 0;
    characters_load(self);
}

/* The number of characters that start before byte `at`, which is at most n. Fast near the last one. */
static inline int64_t characters_before(Characters *self, size_t at) {
    while (at / 64 > self->block) {
        self->before += bits_of(self->starts);
        self->block++;
        characters_load(self);
    }
    while (at / 64 < self->block) {
        self->block--;
        characters_load(self);
        self->before -= bits_of(self->starts);
    }
    return self->before + bits_of(self->starts & ((UINT64_C(1) << (at & 63)) - 1));
}

#endif
