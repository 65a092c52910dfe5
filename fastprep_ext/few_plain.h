/* Vectors of four as the compiler knows them: SSE2, NEON, or plain code. */
#define FEW(name) name##_plain
#define FEW_TARGET

static inline uint32_t lowest_plain(const uint32_t *keys, uint32_t lanes) {
    return lanes == FEW_LANES ? lowest16(keys) : lowest32(keys);
}

static inline void close_up_plain(uint32_t *numbers, uint32_t lanes, int32_t less) {
    uint32_t i;
    for (i = 0; i < lanes; i += 4) {
        Four four = *(const Four *)(numbers + i + 1) - (Four){less, less, less, less};
        *(Four *)(numbers + i) = four;
    }
}

static inline uint32_t matches_plain(const PairBucket *bucket, uint32_t low) {
    return pair_matches(bucket, low);
}

#include "few_steps.h"

#undef FEW
#undef FEW_TARGET
