/* Two neighbouring tokens -> the rank at which they merge.
 *
 * A bucket is one cache line: 7 pairs, and an eighth place for the result if none of them matches.
 * All are compared at once, without an unpredictable branch on whether the pair exists.
 *
 * Two tokens have 40 bits, and so has their hash, which is a bijection. Its high bits select the
 * bucket and its low 32 are the tag, so that a tag in its bucket identifies the pair without
 * another comparison. A pair whose bucket is full goes to one of the next buckets, but never so far
 * that a tag could mean another pair, since tag and bucket share bits.
 */
#ifndef FASTPREP_PAIRS_H
#define FASTPREP_PAIRS_H

#include "base/bits.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define PAIR_WAYS 7
#define PAIR_TOKEN_BITS 20
#define PAIR_RANK_BITS 24
#define NO_PAIR_RANK ((UINT32_C(1) << PAIR_RANK_BITS) - 1)
#define PAIR_BEYOND UINT32_MAX /* in the eighth place: the bucket was full, try the next */
#define PAIR_BUCKETS 4096      /* the minimum: 16 consecutive ones share no tag */

typedef struct {
    uint32_t tags[PAIR_WAYS + 1];
    uint32_t ranks[PAIR_WAYS + 1]; /* NO_PAIR_RANK if there is no pair, and in the eighth place */
} PairBucket;

typedef struct {
    PairBucket *buckets; /* [count + 1]: the last one stays empty */
    size_t count;        /* a power of two */
    int shift;           /* from a hash to the byte offset of its bucket */
} Pairs;

static inline uint64_t pair_hash(uint32_t left, uint32_t right) {
    return ((uint64_t)left << PAIR_TOKEN_BITS | right) * UINT64_C(0x9E3779B97F);
}

/* The bucket where a pair belongs. */
static inline const PairBucket *pair_bucket(const Pairs *pairs, uint64_t hash) {
    uint64_t at = hash >> pairs->shift & (pairs->count - 1) * sizeof(PairBucket);
    return (const PairBucket *)((const char *)pairs->buckets + at);
}

static inline const PairBucket *next_bucket(const Pairs *pairs, const PairBucket *bucket) {
    return pairs->buckets + ((size_t)(bucket - pairs->buckets + 1) & (pairs->count - 1));
}

/* The places of a bucket that have this tag, one bit each. */
static inline uint32_t pair_matches(const PairBucket *bucket, uint32_t tag) {
#if defined(__SSE2__)
    const __m128i *tags = (const __m128i *)bucket->tags;
    __m128i want = _mm_set1_epi32((int)tag);
    __m128i first = _mm_cmpeq_epi32(_mm_load_si128(tags), want);
    __m128i second = _mm_cmpeq_epi32(_mm_load_si128(tags + 1), want);
    __m128i both = _mm_packs_epi32(first, second);
    return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(both, both)) & 0xFF;
#elif defined(__aarch64__)
    static const uint16_t PLACES[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    const uint32x4_t want = vdupq_n_u32(tag);
    const uint32x4_t first = vceqq_u32(vld1q_u32(bucket->tags), want);
    const uint32x4_t second = vceqq_u32(vld1q_u32(bucket->tags + 4), want);
    const uint16x8_t both = vuzp1q_u16(vreinterpretq_u16_u32(first), vreinterpretq_u16_u32(second));
    return vaddvq_u16(vandq_u16(both, vld1q_u16(PLACES)));
#else
    uint32_t matches = 0;
    int i;
    for (i = 0; i < PAIR_WAYS; i++) matches |= (uint32_t)(bucket->tags[i] == tag) << i;
    return matches;
#endif
}

/* Pairs precede empty places, so the first match is the pair's, if any. */
static inline uint32_t first_rank(const PairBucket *bucket, uint32_t matches) {
    return bucket->ranks[lowest_bit(matches | 1 << PAIR_WAYS)];
}

static __attribute__((noinline)) uint32_t pairs_find_beyond(
    const Pairs *pairs, const PairBucket *bucket, uint32_t tag) {
    uint32_t rank;
    do {
        bucket = next_bucket(pairs, bucket);
        rank = first_rank(bucket, pair_matches(bucket, tag));
    } while (rank == PAIR_BEYOND);
    return rank;
}

/* The rank of a pair, from the bucket where it belongs and the places there that have its tag, or
 * NO_PAIR_RANK if it does not merge. */
static inline uint32_t pairs_rank_of(
    const Pairs *pairs, const PairBucket *bucket, uint32_t tag, uint32_t matches) {
    uint32_t rank = first_rank(bucket, matches);
    return unlikely(rank == PAIR_BEYOND) ? pairs_find_beyond(pairs, bucket, tag) : rank;
}

/* The rank of a pair, or NO_RANK if it does not merge. */
static inline uint32_t pairs_find(const Pairs *pairs, uint32_t left, uint32_t right) {
    uint64_t hash = pair_hash(left, right);
    const PairBucket *bucket = pair_bucket(pairs, hash);
    uint32_t rank = pairs_rank_of(pairs, bucket, (uint32_t)hash, pair_matches(bucket, (uint32_t)hash));
    return rank == NO_PAIR_RANK ? NO_RANK : rank;
}

/* Initialize an empty table; `buckets` is memory for count + 1. */
static inline void pairs_begin(Pairs *pairs, PairBucket *buckets, size_t count) {
    size_t i;
    int k;
    pairs->buckets = buckets;
    pairs->count = count;
    pairs->shift = 2 * PAIR_TOKEN_BITS - lowest_bit(count * sizeof(PairBucket));
    for (i = 0; i <= count; i++)
        for (k = 0; k <= PAIR_WAYS; k++) {
            buckets[i].tags[k] = 0;
            buckets[i].ranks[k] = NO_PAIR_RANK;
        }
}

/* Add a pair to the table, which must not be full. False if too many pairs belong to one bucket,
 * which happens only to crafted input. */
static inline int pairs_add(Pairs *pairs, uint32_t left, uint32_t right, uint32_t rank) {
    uint64_t hash = pair_hash(left, right);
    PairBucket *bucket = (PairBucket *)pair_bucket(pairs, hash);
    size_t further = pairs->count >> (2 * PAIR_TOKEN_BITS - 32);
    int i;
    while (bucket->ranks[PAIR_WAYS - 1] != NO_PAIR_RANK) {
        bucket->ranks[PAIR_WAYS] = PAIR_BEYOND;
        if (--further == 0) return 0;
        bucket = (PairBucket *)next_bucket(pairs, bucket);
    }
    for (i = 0; bucket->ranks[i] != NO_PAIR_RANK; i++) continue;
    bucket->tags[i] = (uint32_t)hash;
    bucket->ranks[i] = rank;
    return 1;
}

#endif
