/* NEON, which every 64-bit ARM has: the comparison masks of 64 bytes as one integer. */
#ifndef FASTPREP_NEON_H
#define FASTPREP_NEON_H

#include <arm_neon.h>

/* 64 bytes as they are loaded by vld4q_u8: vector k holds bytes k, k + 4, k + 8, ... */
typedef uint8x16x4_t Block;

/* The top bit of each byte, bit i for byte i. Vectors of neighbouring bytes are shifted into each other
 * until four bits of every four bytes are in one; the last shift packs two such fours into a byte. */
static inline uint64_t top_bits_neon(uint8x16_t a, uint8x16_t b, uint8x16_t c, uint8x16_t d) {
    uint8x16_t pairs = vsriq_n_u8(b, a, 1), others = vsriq_n_u8(d, c, 1);
    uint8x16_t fours = vsriq_n_u8(others, pairs, 2);
    fours = vsriq_n_u8(fours, fours, 4);
    return vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(fours), 4)), 0);
}

/* The classes of bytes: the bits that the entries of their low and high half have in common. A byte of
 * 0x80 or above has no entry of its low half in `low`, unless the half is cut out first. */
static inline uint8x16_t classes_neon(uint8x16_t low, uint8x16_t high, uint8x16_t halves,
                                      uint8x16_t bytes) {
    return vandq_u8(vqtbl1q_u8(low, halves), vqtbl1q_u8(high, vshrq_n_u8(bytes, 4)));
}

#endif
