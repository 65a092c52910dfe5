/* NEON: four parts or pairs in a vector, with its minimum of unsigned numbers. */
#include <arm_neon.h>

#define FEW(name) name##_neon
#define FEW_TARGET

static inline uint32_t lowest_neon(const uint32_t *keys, uint32_t lanes) {
    uint32x4_t four = vminq_u32(vminq_u32(vld1q_u32(keys), vld1q_u32(keys + 4)),
                                vminq_u32(vld1q_u32(keys + 8), vld1q_u32(keys + 12)));
    uint32_t i;
    for (i = 16; i < lanes; i += 8)
        four = vminq_u32(four, vminq_u32(vld1q_u32(keys + i), vld1q_u32(keys + i + 4)));
    return vminvq_u32(four);
}

static inline void close_up_neon(uint32_t *numbers, uint32_t lanes, int32_t less) {
    const uint32x4_t lesser = vdupq_n_u32((uint32_t)less);
    uint32_t i;
    for (i = 0; i < lanes; i += 4)
        vst1q_u32(numbers + i, vsubq_u32(vld1q_u32(numbers + i + 1), lesser));
}

static inline uint32_t matches_neon(const PairBucket *bucket, uint32_t tag) {
    return pair_matches(bucket, tag);
}

#include "few_steps.h"

#undef FEW
#undef FEW_TARGET
