/* Two neighbouring tokens -> the rank at which they merge.
 *
 * A bucket is one cache line of 8 pairs; a pair that finds its bucket full goes to the next one. All 8
 * are compared at once, and no branch asks whether the pair is there, which nothing could predict.
 */
#ifndef FASTPREP_PAIRS_H
#define FASTPREP_PAIRS_H

#include "bits.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define PAIR_WAYS 8
#define PAIR_TOKEN_BITS 20 /* two tokens and a rank are 64 bits */
#define PAIR_RANK_BITS 24
#define NO_PAIR_RANK ((UINT32_C(1) << PAIR_RANK_BITS) - 1)
#define PAIR_EMPTY UINT32_MAX

typedef struct {
    uint32_t low[PAIR_WAYS];  /* the low 32 of the pair's 40 bits */
    uint32_t rest[PAIR_WAYS]; /* the others and the rank, which is below 2^24 - 1; or PAIR_EMPTY */
} PairBucket;

typedef struct {
    PairBucket *buckets; /* [mask + 2]: behind the last one is one that stays empty */
    uint64_t mask;
    int shift;
} Pairs;

static inline uint64_t pair_key(uint32_t left, uint32_t right) {
    return (uint64_t)left << PAIR_TOKEN_BITS | right;
}

static inline const PairBucket *pair_bucket(const Pairs *pairs, uint64_t key) {
    return pairs->buckets + (key * UINT64_C(0x9E3779B97F4A7C15) >> pairs->shift);
}

/* The same, or the bucket that is empty if a token is missing. */
static inline const PairBucket *pair_bucket_unless(const Pairs *pairs, uint64_t key, int missing) {
    uint64_t mask = (uint64_t) - (int64_t)missing;
    uint64_t at = key * UINT64_C(0x9E3779B97F4A7C15) >> pairs->shift;
    return pairs->buckets + ((at & ~mask) | ((pairs->mask + 1) & mask));
}

/* Which of a bucket's pairs have this low half; one bit each. */
static inline uint32_t pair_matches(const PairBucket *bucket, uint32_t low) {
#if defined(__SSE2__)
    const __m128i *lanes = (const __m128i *)bucket->low;
    __m128i want = _mm_set1_epi32((int)low);
    __m128i first = _mm_cmpeq_epi32(_mm_load_si128(lanes), want);
    __m128i second = _mm_cmpeq_epi32(_mm_load_si128(lanes + 1), want);
    __m128i both = _mm_packs_epi32(first, second);
    return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(both, both)) & 0xFF;
#else
    uint32_t matches = 0;
    int i;
    for (i = 0; i < PAIR_WAYS; i++) matches |= (uint32_t)(bucket->low[i] == low) << i;
    return matches;
#endif
}

/* Where the first guess was wrong: the low half is another pair's, or the bucket is full. */
static __attribute__((noinline)) uint32_t pairs_find_beyond(
    const Pairs *pairs, const PairBucket *bucket, uint64_t key) {
    uint32_t matches, rest;
    for (;;) {
        for (matches = pair_matches(bucket, (uint32_t)key); matches; matches &= matches - 1) {
            rest = bucket->rest[lowest_bit(matches)];
            if (rest >> PAIR_RANK_BITS == key >> 32 && rest != PAIR_EMPTY) return rest & NO_PAIR_RANK;
        }
        if (bucket->rest[PAIR_WAYS - 1] == PAIR_EMPTY) return NO_PAIR_RANK;
        bucket = pairs->buckets + ((uint64_t)(bucket - pairs->buckets + 1) & pairs->mask);
    }
}

/* The rank of a pair, given the bucket where it belongs and which pairs there have its low half, or
 * NO_PAIR_RANK where it does not merge.
 *
 * If no low half is the same, the last place is looked at, which is empty unless the bucket is full.
 * Masks, since a compiler makes a branch of ?: here.
 */
static inline uint32_t pairs_rank_of(
    const Pairs *pairs, const PairBucket *bucket, uint64_t key, uint32_t matches) {
    uint32_t rest = bucket->rest[lowest_bit(matches | 1 << (PAIR_WAYS - 1))];
    uint32_t some = (uint32_t)-(int32_t)(matches != 0);
    uint32_t wrong = (((rest >> PAIR_RANK_BITS) ^ (uint32_t)(key >> 32)) & some) | (~rest & ~some);
    return unlikely(wrong != 0) ? pairs_find_beyond(pairs, bucket, key) : rest & NO_PAIR_RANK;
}

/* The same, but NO_RANK where it does not merge. */
static inline uint32_t pairs_find(const Pairs *pairs, uint32_t left, uint32_t right) {
    uint64_t key = pair_key(left, right);
    const PairBucket *bucket = pair_bucket(pairs, key);
    uint32_t rank = pairs_rank_of(pairs, bucket, key, pair_matches(bucket, (uint32_t)key));
    return rank == NO_PAIR_RANK ? NO_RANK : rank;
}

/* Puts a pair into the table, which must have room. */
static inline void pairs_add(Pairs *pairs, uint32_t left, uint32_t right, uint32_t rank) {
    uint64_t key = pair_key(left, right);
    uint64_t at = (uint64_t)(pair_bucket(pairs, key) - pairs->buckets);
    PairBucket *bucket;
    int i;
    for (;; at = (at + 1) & pairs->mask) {
        bucket = pairs->buckets + at;
        if (bucket->rest[PAIR_WAYS - 1] == PAIR_EMPTY) break;
    }
    for (i = 0; bucket->rest[i] != PAIR_EMPTY; i++) continue;
    bucket->low[i] = (uint32_t)key;
    bucket->rest[i] = (uint32_t)(key >> 32) << PAIR_RANK_BITS | rank;
}

#endif
