/* Two neighbouring tokens -> the rank at which they merge.
 *
 * A bucket is one cache line: 7 pairs, and an eighth place that says what it means that none of them is
 * the one looked for. All are compared at once, and no branch asks whether the pair is there, which
 * nothing could predict.
 *
 * Two tokens are 40 bits, and so is their hash, which is one of them alone. Its high bits are the bucket
 * and its low 32 the tag, so that a tag in its bucket is the pair, without a further look. A pair that
 * finds its bucket full goes to one of the next; they are fewer than those after which a tag could mean
 * another pair, since tag and bucket share bits.
 */
#ifndef FASTPREP_PAIRS_H
#define FASTPREP_PAIRS_H

#include "base/bits.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define PAIR_WAYS 7
#define PAIR_TOKEN_BITS 20
#define PAIR_RANK_BITS 24
#define NO_PAIR_RANK ((UINT32_C(1) << PAIR_RANK_BITS) - 1)
#define PAIR_BEYOND UINT32_MAX /* in the eighth place: the bucket was full, look at the next */
#define PAIR_BUCKETS 4096      /* the fewest: 16 of them share no tag */

typedef struct {
    uint32_t tags[PAIR_WAYS + 1];
    uint32_t ranks[PAIR_WAYS + 1]; /* NO_PAIR_RANK where there is no pair, and in the eighth place */
} PairBucket;

typedef struct {
    PairBucket *buckets; /* [count + 1]: behind the last one is one that stays empty */
    size_t count;        /* a power of two */
    int shift;           /* of a hash, to where its bucket begins in bytes */
} Pairs;

static inline uint64_t pair_hash(uint32_t left, uint32_t right) {
    return ((uint64_t)left << PAIR_TOKEN_BITS | right) * UINT64_C(0x9E3779B97F);
}

/* Where a pair belongs. */
static inline const PairBucket *pair_bucket(const Pairs *pairs, uint64_t hash) {
    uint64_t at = hash >> pairs->shift & (pairs->count - 1) * sizeof(PairBucket);
    return (const PairBucket *)((const char *)pairs->buckets + at);
}

static inline const PairBucket *next_bucket(const Pairs *pairs, const PairBucket *bucket) {
    return pairs->buckets + ((size_t)(bucket - pairs->buckets + 1) & (pairs->count - 1));
}

/* Which of a bucket's places have this tag; one bit each. */
static inline uint32_t pair_matches(const PairBucket *bucket, uint32_t tag) {
#if defined(__SSE2__)
    const __m128i *tags = (const __m128i *)bucket->tags;
    __m128i want = _mm_set1_epi32((int)tag);
    __m128i first = _mm_cmpeq_epi32(_mm_load_si128(tags), want);
    __m128i second = _mm_cmpeq_epi32(_mm_load_si128(tags + 1), want);
    __m128i both = _mm_packs_epi32(first, second);
    return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(both, both)) & 0xFF;
#else
    uint32_t matches = 0;
    int i;
    for (i = 0; i < PAIR_WAYS; i++) matches |= (uint32_t)(bucket->tags[i] == tag) << i;
    return matches;
#endif
}

/* Pairs come before empty places, so the first match is the pair's if it is there. */
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

/* The rank of a pair, given the bucket where it belongs and which places there have its tag, or
 * NO_PAIR_RANK where it does not merge. */
static inline uint32_t pairs_rank_of(
    const Pairs *pairs, const PairBucket *bucket, uint32_t tag, uint32_t matches) {
    uint32_t rank = first_rank(bucket, matches);
    return unlikely(rank == PAIR_BEYOND) ? pairs_find_beyond(pairs, bucket, tag) : rank;
}

/* The same, but NO_RANK where it does not merge. */
static inline uint32_t pairs_find(const Pairs *pairs, uint32_t left, uint32_t right) {
    uint64_t hash = pair_hash(left, right);
    const PairBucket *bucket = pair_bucket(pairs, hash);
    uint32_t rank = pairs_rank_of(pairs, bucket, (uint32_t)hash, pair_matches(bucket, (uint32_t)hash));
    return rank == NO_PAIR_RANK ? NO_RANK : rank;
}

/* Makes the table empty, with memory for so many buckets and one more. */
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

/* Puts a pair into the table, which must have room. False where those that want a bucket are too many,
 * as can only be meant. */
static inline int pairs_add(Pairs *pairs, uint32_t left, uint32_t right, uint32_t rank) {
    uint64_t hash = pair_hash(left, right);
    PairBucket *bucket = (PairBucket *)pair_bucket(pairs, hash);
    size_t further = pairs->count >> (2 * PAIR_TOKEN_BITS - 32);
    int i;
    for (; bucket->ranks[PAIR_WAYS - 1] != NO_PAIR_RANK; bucket = (PairBucket *)next_bucket(pairs, bucket)) {
        bucket->ranks[PAIR_WAYS] = PAIR_BEYOND;
        if (--further == 0) return 0;
    }
    for (i = 0; bucket->ranks[i] != NO_PAIR_RANK; i++) continue;
    bucket->tags[i] = (uint32_t)hash;
    bucket->ranks[i] = rank;
    return 1;
}

#endif
