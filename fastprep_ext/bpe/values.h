/* The ids of a piece in 16 bytes: as many as fit, each of the same number of bits.
 *
 * Seven ids of 16 bits, six of 18, five of 22, four of 28 or three of 32, depending on the largest id
 * of the vocabulary. A value is copied and unpacked as a whole, however many ids it has.
 */
#ifndef FASTPREP_VALUES_H
#define FASTPREP_VALUES_H

#include "base/bits.h"

#define SPILLED 0xFFFF /* in place of the count: the ids are elsewhere */
#define MOST_IDS 8     /* ids that one step of `emit` writes at most, used or not */

typedef struct {
    uint8_t bits[14];
    uint16_t count;
} __attribute__((aligned(16))) Value;

/* Where a spilled value has its ids. */
typedef struct {
    const uint32_t *ids; /* readable to a multiple of MOST_IDS */
    uint32_t count;
    uint16_t unused;
    uint16_t spilled;
} __attribute__((aligned(16), may_alias)) Elsewhere;

typedef struct {
    uint8_t at[4 * MOST_IDS];  /* the four bytes of a value that have the bits of each id */
    uint32_t shift[MOST_IDS];  /* where in them its bits start */
    uint32_t mask;
    uint32_t bits;
    uint32_t most;             /* ids of a value */
} Packing;

static void packing_begin(Packing *self, uint32_t largest) {
    static const uint8_t BITS[5] = {16, 18, 22, 28, 32};
    uint32_t i, k, bits = 0;
    while (BITS[bits] < 32 && largest >> BITS[bits]) bits++;
    self->most = 7 - bits;
    self->bits = bits = BITS[bits];
    self->mask = (uint32_t)((UINT64_C(1) << bits) - 1);
    for (i = 0; i < MOST_IDS; i++) {
        uint32_t first = i < self->most ? i * bits : 0;
        self->shift[i] = first & 7;
        for (k = 0; k < 4; k++) self->at[4 * i + k] = (uint8_t)((first >> 3) + k);
    }
}

/* count <= most. Nearly all ids fit the first word, whose shifts are cheaper. */
static inline void value_pack(const Packing *packing, Value *value, const uint32_t *ids, size_t count) {
    uint64_t words[2] = {0, (uint64_t)count << 48};
    unsigned __int128 all = 0;
    size_t i;
    if (likely(count * packing->bits <= 64)) {
        for (i = 0; i < count; i++) words[0] |= (uint64_t)ids[i] << (i * packing->bits);
    } else {
        for (i = 0; i < count; i++) all |= (unsigned __int128)ids[i] << (i * packing->bits);
        words[0] = (uint64_t)all;
        words[1] |= (uint64_t)(all >> 64);
    }
    memcpy(value, words, sizeof(Value));
}

/* Write `most` ids. */
static inline void value_unpack(const Packing *packing, const Value *value, uint32_t *ids) {
    unsigned __int128 all;
    uint32_t i;
    memcpy(&all, value, sizeof(Value));
    for (i = 0; i < packing->most; i++, all >>= packing->bits) ids[i] = (uint32_t)all & packing->mask;
}

static inline void value_refer(Value *value, const uint32_t *ids, size_t count) {
    Elsewhere elsewhere = {ids, (uint32_t)count, 0, SPILLED};
    memcpy(value, &elsewhere, sizeof(Value));
}

static inline const uint32_t *ids_elsewhere(const Value *value) {
    return ((const Elsewhere *)value)->ids;
}

static inline size_t value_count(const Value *value) {
    return likely(value->count != SPILLED) ? value->count : ((const Elsewhere *)value)->count;
}

/* Copy ids in steps of MOST_IDS; both sides have room for whole steps. */
static inline void copy_ids(uint32_t *out, const uint32_t *ids, size_t count) {
    size_t i;
    for (i = 0; i < count; i += MOST_IDS) memcpy(out + i, ids + i, MOST_IDS * sizeof(uint32_t));
}

static inline size_t copy_elsewhere(const Value *value, uint32_t *out) {
    const Elsewhere *elsewhere = (const Elsewhere *)value;
    copy_ids(out, elsewhere->ids, elsewhere->count);
    return elsewhere->count;
}

/* Write the ids of values, and up to MOST_IDS more; return how many ids there are. */
typedef size_t (*Emit)(const Packing *packing, const Value *found, size_t count, uint32_t *out);

static size_t emit_plain(const Packing *packing, const Value *found, size_t count, uint32_t *out) {
    const uint32_t *begin = out;
    size_t i;
    for (i = 0; i < count; i++) {
        if (likely(found[i].count != SPILLED)) {
            value_unpack(packing, &found[i], out);
            out += found[i].count;
        } else {
            out += copy_elsewhere(&found[i], out);
        }
    }
    return (size_t)(out - begin);
}

/* The same for ids that fit 16 bits. */
static size_t emit_narrow(const Packing *packing, const Value *found, size_t count, uint16_t *out) {
    const uint16_t *begin = out;
    const Elsewhere *elsewhere;
    uint32_t ids[MOST_IDS];
    size_t i, k;
    for (i = 0; i < count; i++) {
        if (unlikely(found[i].count == SPILLED)) {
            elsewhere = (const Elsewhere *)&found[i];
            for (k = 0; k < elsewhere->count; k++) out[k] = (uint16_t)elsewhere->ids[k];
            out += elsewhere->count;
        } else {
            if (likely(packing->bits == 16)) {
                memcpy(out, &found[i], sizeof(Value));
            } else {
                value_unpack(packing, &found[i], ids);
                for (k = 0; k < packing->most; k++) out[k] = (uint16_t)ids[k];
            }
            out += found[i].count;
        }
    }
    return (size_t)(out - begin);
}

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx2"))) static size_t emit_avx2(
    const Packing *packing, const Value *found, size_t count, uint32_t *out) {
    const __m256i at = _mm256_loadu_si256((const __m256i *)packing->at);
    const __m256i shift = _mm256_loadu_si256((const __m256i *)packing->shift);
    const __m256i mask = _mm256_set1_epi32((int32_t)packing->mask);
    const uint32_t *begin = out;
    size_t i;
    for (i = 0; i < count; i++) {
        __m256i value = _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)&found[i]));
        value = _mm256_srlv_epi32(_mm256_shuffle_epi8(value, at), shift);
        _mm256_storeu_si256((__m256i *)out, _mm256_and_si256(value, mask));
        if (likely(found[i].count != SPILLED)) {
            out += found[i].count;
        } else {
            out += copy_elsewhere(&found[i], out);
        }
    }
    return (size_t)(out - begin);
}
#elif defined(__aarch64__)
#include <arm_neon.h>

static size_t emit_neon(const Packing *packing, const Value *found, size_t count, uint32_t *out) {
    const uint8x16_t first = vld1q_u8(packing->at), second = vld1q_u8(packing->at + 16);
    const int32x4_t low = vnegq_s32(vreinterpretq_s32_u32(vld1q_u32(packing->shift)));
    const int32x4_t high = vnegq_s32(vreinterpretq_s32_u32(vld1q_u32(packing->shift + 4)));
    const uint32x4_t mask = vdupq_n_u32(packing->mask);
    const uint32_t *begin = out;
    size_t i;
    for (i = 0; i < count; i++) {
        const uint8x16_t value = vld1q_u8((const uint8_t *)&found[i]);
        const uint32x4_t ids = vshlq_u32(vreinterpretq_u32_u8(vqtbl1q_u8(value, first)), low);
        const uint32x4_t more = vshlq_u32(vreinterpretq_u32_u8(vqtbl1q_u8(value, second)), high);
        vst1q_u32(out, vandq_u32(ids, mask));
        vst1q_u32(out + 4, vandq_u32(more, mask));
        if (likely(found[i].count != SPILLED)) {
            out += found[i].count;
        } else {
            out += copy_elsewhere(&found[i], out);
        }
    }
    return (size_t)(out - begin);
}
#endif

#endif
