/* Sixteen bytes by SSE2. */
#include <emmintrin.h>

typedef __m128i Sixteen;

/* 64 bytes, in their order. */
typedef struct {
    Sixteen part[4];
} SixtyFour;

static inline Sixteen load16(const uint8_t *text) { return _mm_loadu_si128((const __m128i *)text); }
static inline void store16(uint8_t *out, Sixteen v) { _mm_storeu_si128((__m128i *)out, v); }
static inline Sixteen all16(uint8_t byte) { return _mm_set1_epi8((char)byte); }
static inline Sixteen equal16(Sixteen a, Sixteen b) { return _mm_cmpeq_epi8(a, b); }
static inline Sixteen minus16(Sixteen a, Sixteen b) { return _mm_sub_epi8(a, b); }
static inline Sixteen both16(Sixteen a, Sixteen b) { return _mm_and_si128(a, b); }
static inline Sixteen either16(Sixteen a, Sixteen b) { return _mm_or_si128(a, b); }

/* The bytes up to `most`. */
static inline Sixteen up_to16(Sixteen v, Sixteen most) { return _mm_cmpeq_epi8(_mm_min_epu8(v, most), v); }

/* Whether a byte is 0x80 or above. */
static inline int is_high16(Sixteen v) { return _mm_movemask_epi8(v) != 0; }

/* A bit for each byte of a comparison, lowest first; `place16` is the byte of the lowest bit. */
static inline uint64_t bits16(Sixteen compared) { return (uint32_t)_mm_movemask_epi8(compared); }
static inline size_t place16(uint64_t bits) { return lowest_bit(bits); }

static inline SixtyFour load64s(const uint8_t *text) {
    SixtyFour all = {{load16(text), load16(text + 16), load16(text + 32), load16(text + 48)}};
    return all;
}

/* Bit i is that of byte i. */
static inline uint64_t bits64(SixtyFour compared) {
    uint64_t low = bits16(compared.part[0]) | bits16(compared.part[1]) << 16;
    uint64_t high = bits16(compared.part[2]) | bits16(compared.part[3]) << 16;
    return low | high << 32;
}
