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

static const SimdPath SIMD_NEON = {"neon", lanes_neon, places_neon};
