/* Sixteen bytes by NEON, which has no instruction that makes a mask of 16 bits: a byte of a comparison
 * has one bit of four. */
#include "base/neon.h"

typedef uint8x16_t Sixteen;

/* 64 bytes, as vld4q_u8 loads them: part k has bytes k, k + 4, k + 8, ... */
typedef struct {
    Sixteen part[4];
} SixtyFour;

static inline Sixteen load16(const uint8_t *text) { return vld1q_u8(text); }
static inline void store16(uint8_t *out, Sixteen v) { vst1q_u8(out, v); }
static inline Sixteen all16(uint8_t byte) { return vdupq_n_u8(byte); }
static inline Sixteen equal16(Sixteen a, Sixteen b) { return vceqq_u8(a, b); }
static inline Sixteen minus16(Sixteen a, Sixteen b) { return vsubq_u8(a, b); }
static inline Sixteen both16(Sixteen a, Sixteen b) { return vandq_u8(a, b); }
static inline Sixteen either16(Sixteen a, Sixteen b) { return vorrq_u8(a, b); }

/* The bytes up to `most`. */
static inline Sixteen up_to16(Sixteen v, Sixteen most) { return vcleq_u8(v, most); }

/* Whether a byte is 0x80 or above. */
static inline int is_high16(Sixteen v) { return vmaxvq_u8(v) >= 0x80; }

/* A bit for each byte of a comparison, lowest first; `place16` is the byte of the lowest bit. */
static inline uint64_t bits16(Sixteen compared) {
    uint8x8_t halves = vshrn_n_u16(vreinterpretq_u16_u8(compared), 4);
    return vget_lane_u64(vreinterpret_u64_u8(halves), 0) & UINT64_C(0x1111111111111111);
}
static inline size_t place16(uint64_t bits) { return lowest_bit(bits) >> 2; }

static inline SixtyFour load64s(const uint8_t *text) {
    Block block = vld4q_u8(text);
    SixtyFour all = {{block.val[0], block.val[1], block.val[2], block.val[3]}};
    return all;
}

/* Bit i is that of byte i. */
static inline uint64_t bits64(SixtyFour compared) {
    return top_bits_neon(compared.part[0], compared.part[1], compared.part[2], compared.part[3]);
}
