/* Merging of short pieces for one SIMD path; few.h includes this file once per path.
 *
 * FEW(name)     the name of a function of this path
 * FEW_TARGET    the attribute that compiles a function for it
 * FEW(lowest)   (keys, lanes): the lowest of `lanes` keys
 * FEW(close_up) (numbers, lanes, less): each becomes its successor minus `less`
 * FEW(matches)  (bucket, tag): the places of a bucket that have this tag, one bit each
 */

FEW_TARGET static inline uint32_t FEW(rank_of)(const Pairs *pairs, const PairRequest *asked) {
    return pairs_rank_of(pairs, asked->bucket, asked->tag, FEW(matches)(asked->bucket, asked->tag));
}

/* Read the ranks that the last step requested. */
FEW_TARGET static inline void FEW(receive_ranks)(const Pairs *pairs, Few *few) {
    uint32_t at = few->at;
    few->keys[at] = FEW(rank_of)(pairs, &few->right) << FEW_PLACE_BITS | at;
    few->keys[at - 1] = FEW(rank_of)(pairs, &few->left) << FEW_PLACE_BITS | (at - 1);
}

FEW_TARGET static inline void FEW(request_rank)(
    const Pairs *pairs, PairRequest *asked, uint32_t left, uint32_t right, uint32_t neighbour) {
    uint64_t hash = pair_hash(left, right);
    const PairBucket *none = pairs->buckets + pairs->count;
    asked->tag = (uint32_t)hash;
    asked->bucket = choose(neighbour, NO_TOKEN, none, pair_bucket(pairs, hash));
    prefetch(asked->bucket);
}

/* Merge at the lowest rank and request the ranks of the new pairs. False if nothing merges. */
FEW_TARGET static inline int FEW(step)(
    const Pairs *pairs, const uint32_t *merges, Few *few, uint32_t lanes) {
    uint32_t lowest = FEW(lowest)(few->keys + 1, lanes);
    uint32_t at, made, left, right;
    if (lowest >= (uint32_t)NO_PAIR_RANK << FEW_PLACE_BITS) return 0;
    at = lowest & FEW_PLACES;
    made = lowest >> FEW_PLACE_BITS;
    if (unlikely(merges != NULL)) made = merges[3 * (size_t)made + 2];
    left = few->tokens[at - 1];
    right = few->tokens[at + 2];
    few->tokens[at] = made;
    FEW(close_up)(few->tokens + at + 1, lanes, 0);
    FEW(close_up)(few->keys + at + 1, lanes, 1); /* decrements the place in each key */
    few->parts--;
    few->at = at;
    FEW(request_rank)(pairs, &few->right, made, right, right);
    FEW(request_rank)(pairs, &few->left, left, made, left);
    return 1;
}

/* Begin with tokens; their pairs wait for memory together. */
FEW_TARGET static inline void FEW(begin_with)(
    const Pairs *pairs, Few *few, const uint32_t *tokens, uint32_t n) {
    PairRequest asked[FEW_BYTES];
    uint32_t i;
    few->tokens[1] = tokens[0];
    for (i = 1; i < n; i++) {
        few->tokens[i + 1] = tokens[i];
        FEW(request_rank)(pairs, &asked[i], tokens[i - 1], tokens[i], tokens[i]);
    }
    for (i = 1; i < n; i++)
        few->keys[i] = FEW(rank_of)(pairs, &asked[i]) << FEW_PLACE_BITS | i;
}

FEW_TARGET static inline void FEW(begin)(
    const MergeTables *tables, Few *few, FewTask *task, uint32_t lanes) {
    const uint8_t *piece = task->piece;
    uint32_t n = task->n, i, rank;
    few->task = task;
    few->parts = n;
    few->tokens[0] = NO_TOKEN;
    few->tokens[n + 1] = NO_TOKEN;
    for (i = 0; i <= 2 * lanes + 1; i += 8) memcpy(few->keys + i, FEW_NO_PAIRS, 32);
    if (piece == NULL) {
        FEW(begin_with)(tables->pairs, few, task->out, n);
        return;
    }
    few->tokens[1] = tables->byte_ranks[piece[0]];
    for (i = 1; i < n; i++) {
        rank = tables->byte_pairs[(size_t)piece[i - 1] << 8 | piece[i]] & NO_PAIR_RANK;
        few->keys[i] = rank << FEW_PLACE_BITS | i;
        few->tokens[i + 1] = tables->byte_ranks[piece[i]];
    }
}

FEW_TARGET static inline void FEW(finish)(const Few *few) {
    uint32_t i;
    for (i = 0; i < few->parts; i++) {
        few->task->out[i] = few->tokens[i + 1];
        __asm__ volatile("" ::: "memory"); /* keeps the compiler from calling memcpy for two or three */
    }
    few->task->count = few->parts;
}

/* Merge the tasks that need `lanes` lanes, a constant here, so that no branch depends on it. */
FEW_TARGET static inline __attribute__((always_inline)) void FEW(merge_those)(
    const MergeTables *tables, FewTask *tasks, size_t count, uint32_t lanes) {
    const Pairs pairs = *tables->pairs;
    const uint32_t *merges = tables->merges;
    Few few[FEW_RUNNING];
    Few *running[FEW_RUNNING];
    size_t next = 0, n = 0, i;
    FewTask *task;
    while (n < FEW_RUNNING && (task = next_task(tasks, &next, count, lanes))) {
        running[n] = &few[n];
        FEW(begin)(tables, &few[n++], task, lanes);
    }
    while (n) {
        for (i = 0; i < n;) {
            if (likely(FEW(step)(&pairs, merges, running[i], lanes))) {
                i++;
                continue;
            }
            FEW(finish)(running[i]);
            task = next_task(tasks, &next, count, lanes);
            if (task)
                FEW(begin)(tables, running[i], task, lanes);
            else
                running[i] = running[--n];
        }
        for (i = 0; i < n; i++) FEW(receive_ranks)(&pairs, running[i]);
    }
}

FEW_TARGET static void FEW(merge_tasks)(const MergeTables *tables, FewTask *tasks, size_t count) {
    FEW(merge_those)(tables, tasks, count, 16);
    FEW(merge_those)(tables, tasks, count, 32);
    FEW(merge_those)(tables, tasks, count, 64);
    FEW(merge_those)(tables, tasks, count, 128);
}
