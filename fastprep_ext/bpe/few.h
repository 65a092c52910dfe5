/* Merging up to 64 bytes, as nearly all pieces have.
 *
 * Each step of a merge needs the ranks of the two pairs that the step before it has made, and the table
 * of pairs is larger than the near caches. So several pieces take their steps in turn, and each asks for
 * the lines of its next step before it lets the others go on. The parts of a piece lie side by side: a
 * step closes the gap that it makes, which takes as many instructions as there are vectors.
 *
 * (Parts that stay where they are, and a bit for each that is left: 1.3 times the instructions.)
 */
#ifndef FASTPREP_FEW_H
#define FASTPREP_FEW_H

#include "base/bits.h"
#include "pairs.h"

#define FEW_BYTES 64
#define FEW_RUNNING 16
#define FEW_PLACE_BITS 6
#define FEW_PLACES ((1u << FEW_PLACE_BITS) - 1)
#define NO_TOKEN ((UINT32_C(1) << PAIR_TOKEN_BITS) - 1) /* the neighbour of the first part and of the last */

/* What merging asks of a rank table. */
typedef struct {
    const Pairs *pairs;
    const uint32_t *byte_ranks; /* [256] */
    const uint32_t *byte_pairs; /* [256 * 256] first byte << 8 | second byte -> rank */
    const uint32_t *merges;     /* [][left, right, made], or NULL: a rank is the token it makes */
} MergeTables;

/* A piece to merge: n <= FEW_BYTES bytes, all of which must be tokens. */
typedef struct {
    const uint8_t *piece;
    uint32_t *out;  /* [n] its tokens */
    uint32_t n;
    uint32_t count; /* how many there are */
} FewTask;

/* A pair whose rank is not known yet. */
typedef struct {
    const PairBucket *bucket; /* where it would be */
    uint32_t tag;
} PairRequest;

/* A piece on its way. Its parts count from 1. */
typedef struct {
    uint32_t unused[7]; /* so that the first key begins a vector */
    uint32_t keys[2 * FEW_BYTES + 16]; /* rank << 6 | place, of the pair of a part and the next one */
    uint32_t tokens[2 * FEW_BYTES + 16];
    uint32_t parts;
    uint32_t at; /* the part made last */
    PairRequest right; /* its pair with the next part */
    PairRequest left;  /* and with the one before */
    FewTask *task;
} __attribute__((aligned(32))) Few;

#define NO_PAIR_KEY (UINT32_MAX >> 2) /* NO_PAIR_RANK, at a place that none reaches however often it is lessened */
static const uint32_t FEW_NO_PAIRS[8] = {
    NO_PAIR_KEY, NO_PAIR_KEY, NO_PAIR_KEY, NO_PAIR_KEY,
    NO_PAIR_KEY, NO_PAIR_KEY, NO_PAIR_KEY, NO_PAIR_KEY,
};

typedef void (*MergeTasks)(const MergeTables *tables, FewTask *tasks, size_t count);

/* The next task, from *next on, whose keys want so many lanes of 16, 32 and 64; NULL: none. */
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
#endif

/* The way of the SIMD path of this name (simd.h), which this machine has. */
static MergeTasks merge_tasks_of(const char *path) {
#if defined(__x86_64__)
    if (!strcmp(path, "avx2") && __builtin_cpu_supports("bmi2")) return merge_tasks_avx2;
#endif
    (void)path;
    return merge_tasks_plain;
}

#endif
