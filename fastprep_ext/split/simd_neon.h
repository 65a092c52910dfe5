/* NEON: 64 bytes per step, in four vectors. */
#include "base/neon.h"

#define NEON_BIT(v, bit)                                                    \
    top_bits_neon(vshlq_n_u8((v)[0], 7 - (bit)), vshlq_n_u8((v)[1], 7 - (bit)), \
                  vshlq_n_u8((v)[2], 7 - (bit)), vshlq_n_u8((v)[3], 7 - (bit)))

static void lanes_neon(const uint8_t *block, Lanes *lanes) {
    const Block bytes = vld4q_u8(block);
    const uint8x16_t low = vld1q_u8(LOW_HALF), high = vld1q_u8(HIGH_HALF);
    uint8x16_t classes[4];
    int i;
    /* The table of high halves is empty from 8 on, so the low half is looked up by its four bits alone. */
    for (i = 0; i < 4; i++)
        classes[i] = classes_neon(low, high, vandq_u8(bytes.val[i], vdupq_n_u8(15)), bytes.val[i]);
    lanes->letter = NEON_BIT(classes, 0) | NEON_BIT(classes, 1);
    lanes->digit = NEON_BIT(classes, 2);
    lanes->newline = NEON_BIT(classes, 4);
    lanes->space = NEON_BIT(classes, 5);
    lanes->white = lanes->space | NEON_BIT(classes, 3);
    lanes->apostrophe = NEON_BIT(classes, 6);
    lanes->slash = top_bits_neon(classes[0], classes[1], classes[2], classes[3]);
    lanes->upper = lanes->letter & ~NEON_BIT(bytes.val, 5);
    lanes->high = top_bits_neon(bytes.val[0], bytes.val[1], bytes.val[2], bytes.val[3]);
}

/* Bytes from `first` on, as many as `after` says. */
static inline uint8x16_t among_neon(uint8x16_t bytes, uint8_t first, uint8_t after) {
    return vcleq_u8(vsubq_u8(bytes, vdupq_n_u8(first)), vdupq_n_u8(after));
}

static void high_neon(const uint8_t *block, const Kinds *kinds, High *high) {
    const Block bytes = vld4q_u8(block), seconds = vld4q_u8(block + 1);
    Block kind = {{vdupq_n_u8(0), vdupq_n_u8(0), vdupq_n_u8(0), vdupq_n_u8(0)}};
    Leads leads = leads_of(NEON_BIT(bytes.val, 7), NEON_BIT(bytes.val, 6), NEON_BIT(bytes.val, 5),
                           NEON_BIT(bytes.val, 4));
    uint64_t left = leads.two & ~leads.four;
    int k;
    high_begin(high, &leads);
    while (__builtin_popcountll(left) > FEW_LEADS) {
        const uint8_t *first = block + lowest_bit(left);
        size_t last;
        unsigned number = number_at(first, &last);
        const Neighbours *all = &kinds->neighbours[number];
        const uint8x16x4_t table = vld1q_u8_x4(kinds->of[number]);
        const Block lasts = vld4q_u8(block + last);
        uint8x16_t same[4];
        for (k = 0; k < 4; k++) {
            same[k] = vandq_u8(among_neon(bytes.val[k], all->lead, all->leads_after),
                               among_neon(seconds.val[k], all->second, all->seconds_after));
            kind.val[k] = vorrq_u8(
                kind.val[k],
                vandq_u8(same[k], vqtbl4q_u8(table, vandq_u8(lasts.val[k], vdupq_n_u8(63)))));
        }
        left &= left - 1; /* also where bytes are malformed */
        left &= ~top_bits_neon(same[0], same[1], same[2], same[3]);
    }
    if (left) {
        uint8_t found[64];
        vst4q_u8(found, kind);
        for (; left; left &= left - 1) {
            int at = lowest_bit(left);
            found[at] = high_kind(kinds, block + at);
        }
        kind = vld4q_u8(found);
    }
    high_found(high, &leads, IS_LETTER, NEON_BIT(kind.val, IS_LETTER));
    high_found(high, &leads, IS_FIRST, NEON_BIT(kind.val, IS_FIRST));
    high_found(high, &leads, IS_SECOND, NEON_BIT(kind.val, IS_SECOND));
    if (kinds->has_apart) high_found(high, &leads, IS_APART, NEON_BIT(kind.val, IS_APART));
    high->rare |= NEON_BIT(kind.val, IS_WHITE);
}

#undef NEON_BIT

/* No branch per bit, as in simd_avx2.h. The lowest bit is the highest of the reversed bits. */
static inline size_t highest_place(uint64_t *reversed) {
    size_t place = (size_t)__builtin_clzll(*reversed | 1);
    *reversed &= ~(UINT64_C(1) << 63 >> place);
    return place;
}

static size_t places_neon(uint64_t bits, size_t first, size_t *places) {
    size_t count = (size_t)__builtin_popcountll(bits), i;
    uint64_t reversed;
    __asm__("rbit %0, %1" : "=r"(reversed) : "r"(bits));
#pragma GCC unroll 12
    for (i = 0; i < 12; i++) places[i] = first + highest_place(&reversed);
    for (; unlikely(i < count); i++) places[i] = first + highest_place(&reversed);
    return count;
}

static const SimdPath SIMD_NEON = {"neon", lanes_neon, places_neon, high_neon};
