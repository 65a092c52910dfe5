/* Characters of several bytes in a block of 64 -> one bit per byte for each property of them.
 *
 * A character of two or three bytes is looked up by its number: the lead byte, and of three bytes the
 * second one, choose 64 kinds, the last byte one of these. Neighbours with the same kinds are looked up
 * together (simd_avx2.h, simd_neon.h), a few one by one.
 */
#ifndef FASTPREP_HIGH_H
#define FASTPREP_HIGH_H

#include <stdlib.h>

#include "base/bits.h"
#include "base/unicode_class.h"

/* Properties; bit p of a kind is property p. FIRST and SECOND: of letters, upper and lower case; of
 * others, FIRST alone is a mark, SECOND alone a number, both a sign. In a table, RARE is a character that
 * the caller decodes: whitespace, or bytes that are not UTF-8. */
enum { IS_LETTER, IS_FIRST, IS_SECOND, IS_WHITE, IS_APART, PROPERTIES };
enum {
    OF_LETTER = 1 << IS_LETTER, OF_FIRST = 1 << IS_FIRST, OF_SECOND = 1 << IS_SECOND,
    RARE = 1 << IS_WHITE, OF_APART = 1 << IS_APART,
};
enum {
    TWO_BYTES = 1024, /* the number of lead byte 0xC0, after those of three bytes */
    NUMBERS = TWO_BYTES + 32,
    FEW_LEADS = 6,    /* up to so many characters one by one are faster than a lookup of neighbours */
};

/* Characters that share the kinds of a number: bytes from `lead` on, and second bytes from `second` on. */
typedef struct {
    uint8_t lead, leads_after;
    uint8_t second, seconds_after;
} Neighbours;

typedef struct {
    uint8_t of[NUMBERS][64];
    Neighbours neighbours[NUMBERS];
    int has_apart;
} Kinds;

/* Of one block. Bits of all bytes of a character, but of its first byte in `rare`. */
typedef struct {
    uint64_t is[PROPERTIES];
    uint64_t tail;             /* bytes that are not the first */
    uint64_t rare;             /* characters that are in none of the above yet */
    uint64_t malformed;        /* bytes that are wrong after those before them */
    uint64_t next[PROPERTIES]; /* the same for the next block, of the character that crosses its edge */
    uint64_t next_tail;
} High;

static const uint8_t KIND_OF_CLASS[] = {
    [UC_OTHER] = 0,
    [UC_LU] = OF_LETTER | OF_FIRST,
    [UC_LT] = OF_LETTER | OF_FIRST,
    [UC_LL] = OF_LETTER | OF_SECOND,
    [UC_LM] = OF_LETTER,
    [UC_LO] = OF_LETTER,
    [UC_M] = OF_FIRST,
    [UC_N] = OF_SECOND,
    [UC_SPACE] = RARE,
    [UC_SIGN] = OF_FIRST | OF_SECOND,
};

/* Whether all characters of a number have one kind. */
static inline int is_uniform(const Kinds *self, unsigned number) {
    const uint8_t *of = self->of[number];
    return memcmp(of, of + 1, 63) == 0;
}

/* Whether two numbers have the same one kind. */
static inline int is_alike(const Kinds *self, unsigned number, unsigned other) {
    return is_uniform(self, other) && self->of[number][0] == self->of[other][0];
}

/* Find the neighbours of each number, after `of` is filled. */
static void kinds_finish(Kinds *self) {
    unsigned number, first, next;
    for (number = TWO_BYTES; number < NUMBERS; number++)
        self->neighbours[number] = (Neighbours){(uint8_t)(0xC0 + number - TWO_BYTES), 0, 0x80, 63};
    for (first = 0; first < TWO_BYTES; first = next) {
        for (next = first + 1; next & 63 && is_uniform(self, first) && is_alike(self, first, next);) next++;
        for (number = first; number < next; number++)
            self->neighbours[number] = (Neighbours){(uint8_t)(0xE0 + (first >> 6)), 0,
                                                    (uint8_t)(0x80 + (first & 63)), (uint8_t)(next - first - 1)};
    }
    /* Lead bytes that have one kind as a whole. */
    for (first = 0; first < TWO_BYTES; first = next) {
        next = first + 64;
        if (self->neighbours[first].seconds_after != 63) continue;
        while (next < TWO_BYTES && self->neighbours[next].seconds_after == 63 && is_alike(self, first, next))
            next += 64;
        for (number = first; number < next; number++) {
            self->neighbours[number].lead = (uint8_t)(0xE0 + (first >> 6));
            self->neighbours[number].leads_after = (uint8_t)((next - first) / 64 - 1);
        }
    }
}

/* The number of the character at `text`, of two or three bytes, and the place of its last byte. */
static inline unsigned number_at(const uint8_t *text, size_t *last) {
    unsigned three = text[0] >= 0xE0;
    *last = 1 + three;
    return three ? (text[0] & 15u) << 6 | (text[1] & 63u) : TWO_BYTES + (text[0] & 31u);
}

static inline uint8_t high_kind(const Kinds *kinds, const uint8_t *text) {
    size_t last;
    unsigned number = number_at(text, &last);
    return kinds->of[number][text[last] & 63];
}

/* The bytes that start a character of at least two, three, four bytes, and those after them. */
typedef struct {
    uint64_t two, three, four, tail;
} Leads;

/* From bits 7 to 4 of each byte. */
static inline Leads leads_of(uint64_t high, uint64_t b6, uint64_t b5, uint64_t b4) {
    Leads leads;
    leads.tail = high & ~b6;
    leads.two = high & b6;
    leads.three = leads.two & b5;
    leads.four = leads.three & b4;
    return leads;
}

/* Begin a block: what the one before left for it, and what is malformed. */
static inline void high_begin(High *self, const Leads *leads) {
    uint64_t expected = self->next_tail | leads->two << 1 | leads->three << 2 | leads->four << 3;
    int k;
    self->tail = leads->tail;
    self->malformed = leads->tail ^ expected;
    self->next_tail = leads->two >> 63 | leads->three >> 62 | leads->four >> 61;
    self->rare = leads->four;
    for (k = 0; k < PROPERTIES; k++) {
        self->is[k] = self->next[k];
        self->next[k] = 0;
    }
}

/* Add the characters of two and three bytes that start at the bits of `found`. */
static inline void high_found(High *self, const Leads *leads, int property, uint64_t found) {
    uint64_t of_three = found & leads->three;
    self->is[property] |= found | found << 1 | of_three << 2;
    self->next[property] |= found >> 63 | of_three >> 62;
}

/* Add one character at byte `at`. */
static inline void high_add(High *self, int at, int length, uint8_t kind) {
    unsigned __int128 bytes = (((unsigned __int128)1 << length) - 1) << at;
    int k;
    for (k = 0; k < PROPERTIES; k++) {
        if (!(kind >> k & 1)) continue;
        self->is[k] |= (uint64_t)bytes;
        self->next[k] |= (uint64_t)(bytes >> 64);
    }
}

#endif
