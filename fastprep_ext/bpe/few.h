/* Merging up to 128 bytes or atoms, which covers nearly all pieces.
 *
 * Each step of a merge needs the ranks of the two pairs that the previous step created, and the
 * table of pairs is larger than the near caches. So several pieces take steps in turn, and each
 * prefetches the lines of its next step before the others run. The parts of a piece are contiguous:
 * a step closes the gap that it makes, with one instruction per vector.
 *
 * (Parts that keep their positions, with a bit for each that is left: 1.3 times the instructions.)
 */
#ifndef FASTPREP_FEW_H
#define FASTPREP_FEW_H

#include "base/bits.h"
#include "pairs.h"

#define FEW_BYTES 128
#define FEW_RUNNING 16
#define FEW_PLACE_BITS 7
#define FEW_PLACES ((1u << FEW_PLACE_BITS) - 1)
#define NO_TOKEN ((UINT32_C(1) << PAIR_TOKEN_BITS) - 1) /* neighbour of the first and the last part */

/* The tables that merging reads. */
typedef struct {
    const Pairs *pairs;
    const uint32_t *byte_ranks; /* [256] */
    const uint32_t *byte_pairs; /* [256 * 256] first byte << 8 | second byte -> rank */
    const uint32_t *merges;     /* [][left, right, made], or NULL: a rank is the token it makes */
} MergeTables;

/* A piece to merge: n <= FEW_BYTES bytes, all of which must be tokens, or n tokens of any bytes. */
typedef struct {
    const uint8_t *piece; /* NULL: `out` has the tokens that merging begins with */
    uint32_t *out;  /* [n] its tokens */
    uint32_t n;
    uint32_t count; /* number of its tokens */
} FewTask;

/* A lookup in progress. */
typedef struct {
    const PairBucket *bucket; /* where the pair would be */
    uint32_t tag;
} PairRequest;

/* A piece being merged. Its parts are numbered from 1. */
typedef struct {
    uint32_t unused[7]; /* aligns the first key to a vector */
    uint32_t keys[2 * FEW_BYTES + 16]; /* rank << FEW_PLACE_BITS | place: of a part and the next one */
    uint32_t tokens[2 * FEW_BYTES + 16];
    uint32_t parts;
    uint32_t at; /* the part created last */
    PairRequest right; /* its pair with the next part */
    PairRequest left;  /* and with the one before */
    FewTask *task;
} __attribute__((aligned(32))) Few;

/* NO_PAIR_RANK, at a place that stays out of range however often it is decremented. */
#define NO_PAIR_KEY (UINT32_MAX >> 1)
static const uint32_t FEW_NO_PAIRS[8] = {
    NO_PAIR_KEY, NO_PAIR_KEY, NO_PAIR_KEY, NO_PAIR_KEY,
    NO_PAIR_KEY, NO_PAIR_KEY, NO_PAIR_KEY, NO_PAIR_KEY,
};

typedef void (*MergeTasks)(const MergeTables *tables, FewTask *tasks, size_t count);

/* The next task, from *next on, whose keys need exactly `lanes` of 16, 32, 64 or 128; NULL if none. */
static inline FewTask *next_task(FewTask *tasks, size_t *next, size_t count, uint32_t lanes) {
    while (*next < count) {
        FewTask *task = &tasks[(*next)++];
        if (task->n <= lanes && (lanes == 16 || task->n > lanes / 2)) return task;
    }
    return NULL;
}

#include "few_plain.h"
#if defined(__x86_64__)
#include "few_avx2.h"
#elif defined(__aarch64__)
#include "few_neon.h"
#endif

/* The function of the SIMD path of this name (base/cpu.h), which this machine must have. */
static MergeTasks merge_tasks_of(const char *path) {
#if defined(__x86_64__)
    if (!strcmp(path, "avx2") && cpu_has(CPU_BMI2)) return merge_tasks_avx2;
#elif defined(__aarch64__)
    if (!strcmp(path, "neon")) return merge_tasks_neon;
#endif
    (void)path;
    return merge_tasks_plain;
}

#endif
