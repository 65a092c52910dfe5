/* Merging pieces of a few bytes, for one SIMD path; few.h includes this once for each.
 *
 * FEW(name)     the name of a function of this path
 * FEW_TARGET    the attribute that compiles a function for it
 * FEW(lowest)   (keys, lanes): the lowest of `lanes` keys
 * FEW(close_up) (numbers, lanes, less): each becomes the one behind it, less `less`
 * FEW(matches)  (bucket, low): which of a bucket's pairs have this low half, one bit each
 */

/* The ranks that the last step asked for. */
FEW_TARGET static inline void FEW(arrive)(const MergeTables *tables, Few *few) {
    const Pairs *pairs = tables->pairs;
    uint32_t right = pairs_rank_of(
        pairs, few->bucket, few->key, FEW(matches)(few->bucket, (uint32_t)few->key));
    uint32_t left = pairs_rank_of(
        pairs, few->bucket_before, few->key_before,
        FEW(matches)(few->bucket_before, (uint32_t)few->key_before));
    few->keys[few->at] = right << FEW_PLACE_BITS | few->at;
    few->keys[few->at - 1] = left << FEW_PLACE_BITS | (few->at - 1);
}

/* Merges at the lowest rank and asks for the new ones. False if nothing merges. */
FEW_TARGET static inline int FEW(advance)(const MergeTables *tables, Few *few, uint32_t lanes) {
    uint32_t lowest = FEW(lowest)(few->keys + 1, lanes);
    uint32_t at, made, left, right;
    if (lowest >= (uint32_t)NO_PAIR_RANK << FEW_PLACE_BITS) return 0;
    at = lowest & FEW_PLACES;
    made = lowest >> FEW_PLACE_BITS;
    if (tables->merges) made = tables->merges[3 * (size_t)made + 2];
    left = few->tokens[at - 1];
    right = few->tokens[at + 2];
    few->tokens[at] = made;
    FEW(close_up)(few->tokens + at + 1, lanes, 0);
    FEW(close_up)(few->keys + at + 1, lanes, 1); /* each key's place is one less */
    few->parts--;
    few->at = at;
    few->key = pair_key(made, right);
    few->key_before = pair_key(left, made);
    few->bucket = pair_bucket_unless(tables->pairs, few->key, right == NO_TOKEN);
    few->bucket_before = pair_bucket_unless(tables->pairs, few->key_before, at == 1);
    prefetch(few->bucket);
    prefetch(few->bucket_before);
    return 1;
}

FEW_TARGET static inline void FEW(begin)(
    const MergeTables *tables, Few *few, Task *task, uint32_t lanes) {
    const uint8_t *piece = task->piece;
    uint32_t n = task->n, i, rank;
    few->task = task;
    few->parts = n;
    few->tokens[0] = NO_TOKEN;
    few->tokens[1] = tables->byte_ranks[piece[0]];
    few->tokens[n + 1] = NO_TOKEN;
    for (i = 0; i <= 2 * lanes + 1; i += 8) memcpy(few->keys + i, FEW_NO_PAIRS, 32);
    for (i = 1; i < n; i++) {
        rank = tables->byte_pairs[(size_t)piece[i - 1] << 8 | piece[i]] & NO_PAIR_RANK;
        few->keys[i] = rank << FEW_PLACE_BITS | i;
        few->tokens[i + 1] = tables->byte_ranks[piece[i]];
    }
}

FEW_TARGET static inline void FEW(finish)(const Few *few) {
    uint32_t i;
    for (i = 0; i < few->parts; i++) few->task->out[i] = few->tokens[i + 1];
    few->task->count = few->parts;
}

/* Those of the tasks that want so many lanes. Which is always the same here, so that no branch asks. */
FEW_TARGET static inline __attribute__((always_inline)) void FEW(merge_those)(
    const MergeTables *tables, Task *tasks, size_t count, uint32_t lanes) {
    Few few[FEW_AT_ONCE];
    Few *running[FEW_AT_ONCE];
    size_t next = 0, n = 0, i;
    Task *task;
    while (n < FEW_AT_ONCE && (task = next_task(tasks, &next, count, lanes))) {
        running[n] = &few[n];
        FEW(begin)(tables, &few[n++], task, lanes);
    }
    while (n) {
        for (i = 0; i < n;) {
            if (likely(FEW(advance)(tables, running[i], lanes))) {
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
        for (i = 0; i < n; i++) FEW(arrive)(tables, running[i]);
    }
}

FEW_TARGET static void FEW(merge_tasks)(const MergeTables *tables, Task *tasks, size_t count) {
    FEW(merge_those)(tables, tasks, count, 16);
    FEW(merge_those)(tables, tasks, count, 32);
    FEW(merge_those)(tables, tasks, count, 64);
}
