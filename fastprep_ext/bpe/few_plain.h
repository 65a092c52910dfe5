/* Vectors of four by the compiler's extension: SSE2 or plain code. */
#define FEW(name) name##_plain
#define FEW_TARGET

static inline uint32_t lowest_plain(const uint32_t *keys, uint32_t lanes) {
    uint32_t lowest = lowest16(keys), i;
    for (i = 16; i < lanes; i += 16) {
        uint32_t other = lowest16(keys + i);
        lowest = other < lowest ? other : lowest;
    }
    return lowest;
}

static inline void close_up_plain(uint32_t *numbers, uint32_t lanes, int32_t less) {
    uint32_t i;
    for (i = 0; i < lanes; i += 4) {
        Four four = *(const Four *)(numbers + i + 1) - (Four){less, less, less, less};
        *(Four *)(numbers + i) = four;
    }
}

static inline uint32_t matches_plain(const PairBucket *bucket, uint32_t tag) {
    return pair_matches(bucket, tag);
}

#include "few_steps.h"

#undef FEW
#undef FEW_TARGET
