"""The hot loop, many pieces at a time and in steps, so that no step waits for memory.

1. Split, and make each piece's key; prefetch its line of the cache (keys.h).
2. Look up: nearly all pieces are cached with their ids. No branch depends on it.
3. Resolve the few that are not: merge them together, and cache them.
4. Emit: copy all that a value can hold, however many ids a piece has.

A batch of pieces takes the first two steps while its lines are in the nearest cache. The other two
run once per round of batches, since new pieces can wait for memory together only if they are many.
"""

cdef enum:
    NO_MISS = 0xFFFFFFFF
    MAX_KEPT_MERGED = 1 << 16      # ids that a worker keeps memory for, whatever the giant pieces


cdef int worker_begin(Worker *self, bint narrow) noexcept nogil:
    memset(self, 0, sizeof(Worker))
    self.round = <Round *>malloc(sizeof(Round))
    if self.round == NULL or cache_begin(&self.cache, narrow) != 0:
        worker_free(self)
        return -1
    memset(self.round.seen, 0, sizeof(self.round.seen))
    memset(self.round.parts.same, 0, sizeof(self.round.parts.same))
    return 0


cdef void worker_free(Worker *self) noexcept nogil:
    cache_free(&self.cache)
    free(self.round)
    free(self.merged)
    memset(self, 0, sizeof(Worker))


cdef Py_ssize_t bpe_encode(
    const Ranks *ranks, Worker *worker, int pattern, const uint8_t *text, size_t n, size_t limit,
    id_t *out
) noexcept nogil:
    cdef size_t begin = 0, pieces, batch, missed
    cdef Py_ssize_t count = 0
    cdef int status = 0
    split_begin(&worker.split, pattern, text, n)
    while <size_t>count < limit:
        pieces = missed = 0
        while pieces < min(limit, <size_t>(ROUND - BATCH + 1)):
            batch = split_next(&worker.split, worker.round.ends, BATCH)
            if batch == 0:
                break
            missed = look_up_batch(worker, text, n, begin, batch, pieces, missed)
            begin = worker.round.ends[batch - 1]
            pieces += batch
        if pieces == 0:
            break
        if missed:
            status = resolve_misses(ranks, worker, text, missed)
            if status != 0:
                break
        count += emit_ids(worker, pieces, out + count if out != NULL else NULL)
        cache_grow(&worker.cache)
    if worker.merged_capacity > MAX_KEPT_MERGED:
        free(worker.merged)
        worker.merged = NULL
        worker.merged_capacity = 0
    if status != 0:
        return status
    if worker.split.invalid or worker.split.failure:
        return BPE_NOT_SPLIT
    return <Py_ssize_t>min(<size_t>count, limit)


# Copy the cached ids of a batch, after those of `before` pieces, and list the misses; returns the new
# number of misses.
cdef size_t look_up_batch(
    Worker *worker, const uint8_t *text, size_t n, size_t begin, size_t pieces, size_t before,
    size_t misses
) noexcept nogil:
    cdef Round *round = worker.round
    cdef Cache *cache = &worker.cache
    cdef size_t i, j, missed
    cdef Miss *miss
    cache.path.make_keys(
        cache.lines, cache.mask, text, n, begin, round.ends, pieces, round.keys, round.slots
    )
    missed = cache.path.look(
        cache.lines, round.keys, round.slots, pieces, round.found + before, round.missed
    )
    for j in range(missed):
        i = round.missed[j]
        miss = &round.misses[misses + j]
        miss.key = round.keys[i]
        miss.slot = round.slots[i]
        miss.start = round.ends[i - 1] if i else begin
        miss.n = round.ends[i] - miss.start
        miss.piece = <uint32_t>(before + i)
    return misses + missed


# Get the ids of the misses: those in the arena are copied, those of new pieces merged and cached.
# (Looking new pieces up among the tokens first, which a fifth of them are, takes fewer instructions
# and waits longer: 0.9 times the speed one by one, 0.97 times in stages that wait together.)
cdef int resolve_misses(
    const Ranks *ranks, Worker *worker, const uint8_t *text, size_t missed
) noexcept nogil:
    cdef Round *round = worker.round
    cdef size_t j, room = 0, fresh = 0
    cdef int status
    cdef Py_ssize_t count
    cdef uint16_t *seen
    cdef Miss *miss
    for j in range(missed):
        round.misses[j].made.out = <uint32_t *>room
        room += round.misses[j].n
    if not reserve_merged(worker, room):
        return BPE_NO_MEMORY
    begin_parts(ranks, worker)
    for j in range(missed):
        miss = &round.misses[j]
        miss.made.out = worker.merged + <size_t>miss.made.out
        miss.first = NO_MISS
        count = cache_get(
            &worker.cache, miss.slot, &miss.key, text + miss.start, miss.n, miss.made.out
        )
        if count >= 0:
            miss.made.count = count
            put_ids(worker, j, &round.found[miss.piece])
            continue
        miss.first = <uint32_t>j
        seen = &round.seen[miss.slot & (SEEN - 1)]
        # The same piece twice in a round: both use the ids of the first.
        if seen[0] < j and miss.n <= KEY_BYTES and key_equal(&round.misses[seen[0]].key, &miss.key) \
                and round.misses[seen[0]].first == seen[0]:
            miss.first = seen[0]
            continue
        seen[0] = <uint16_t>j
        status = add_piece(ranks, worker, text + miss.start, miss.n, &miss.made)
        if status != 0:
            return status
        fresh += 1
    if fresh == 0:
        return 0
    parts_finish(&round.parts)
    for j in range(missed):
        miss = &round.misses[j]
        if miss.first == NO_MISS:
            continue
        if miss.first == j:
            name_ids(ranks, miss.made.out, miss.made.count)
            if miss.n <= LONG_BYTES:
                cache_add(
                    &worker.cache, &miss.key, text + miss.start, miss.n, miss.made.out, miss.made.count
                )
        put_ids(worker, miss.first, &round.found[miss.piece])
    return 0


# With these two properties, the cached ids of a piece are what merging its bytes gives: then the
# cache also serves for parts.
cdef inline void begin_parts(const Ranks *ranks, Worker *worker) noexcept nogil:
    cdef Cache *cache = &worker.cache if ranks.merge_only and ranks.same_ids else NULL
    parts_begin(&worker.round.parts, ranks, cache)


# Add a new piece. In some vocabularies a piece that is a token need not be what merging makes of it.
cdef inline int add_piece(
    const Ranks *ranks, Worker *worker, const uint8_t *bytes, size_t n, Piece *piece
) noexcept nogil:
    cdef int status
    if not ranks.merge_only:
        piece.out[0] = ranks_find(ranks, bytes, n)
        piece.count = 1
        if piece.out[0] != NO_RANK:
            return 0
    status = parts_add(&worker.round.parts, piece, bytes, n)
    if status == MERGE_NO_MEMORY:
        return BPE_NO_MEMORY
    return BPE_TOO_LONG if status == MERGE_TOO_LONG else 0


cdef inline void name_ids(const Ranks *ranks, uint32_t *tokens, size_t count) noexcept nogil:
    cdef size_t k
    if not ranks.same_ids:
        for k in range(count):
            tokens[k] = ranks.ids[tokens[k]]


# Store the ids of a miss as the value of a piece.
cdef inline void put_ids(const Worker *worker, size_t number, Value *value) noexcept nogil:
    cdef const Piece *made = &worker.round.misses[number].made
    if made.count <= worker.cache.max_inline:
        put_inline(value, worker.cache.narrow, made.out, made.count)
    else:
        value.count = SPILLED
        (<uint32_t *>value)[0] = <uint32_t>number


cdef inline const Piece *spilled_ids(const Worker *worker, const Value *value) noexcept nogil:
    return &worker.round.misses[wide_ids(value)[0]].made


cdef bint reserve_merged(Worker *self, size_t ids) noexcept nogil:
    if ids > self.merged_capacity:
        free(self.merged)
        self.merged_capacity = 0
        self.merged = <uint32_t *>malloc((ids + 64) * sizeof(uint32_t))
        if self.merged == NULL:
            return False
        self.merged_capacity = ids + 64
    return True


# Write the ids of a round, and up to BPE_SLACK more; returns how many ids there are.
cdef inline size_t emit_ids(const Worker *worker, size_t pieces, id_t *out) noexcept nogil:
    if out == NULL:
        return count_ids(worker, pieces)
    if worker.cache.narrow:
        return emit_narrow(worker, pieces, out)
    return emit_wide(worker, pieces, out)


cdef size_t count_ids(const Worker *worker, size_t pieces) noexcept nogil:
    cdef size_t i, count = 0
    cdef const Value *value
    for i in range(pieces):
        value = &worker.round.found[i]
        count += value.count if value.count != SPILLED else spilled_ids(worker, value).count
    return count


# Copy all ids that a value may hold and advance by its count. (One function with `narrow` as a
# parameter took 1.03 to 1.06 times as long.)
cdef size_t emit_narrow(const Worker *worker, size_t pieces, id_t *out) noexcept nogil:
    cdef size_t i, k, count = 0
    cdef const Value *found = worker.round.found
    cdef const Value *value
    for i in range(pieces):
        value = &found[i]
        if id_t is uint16_t:
            memcpy(out + count, value, sizeof(Value))
        else:
            for k in range(NARROW_IDS):
                out[count + k] = value.narrow[k]
        if unlikely(value.count > NARROW_IDS):
            count += emit_spilled(spilled_ids(worker, value), out + count)
        else:
            count += value.count
    return count


cdef size_t emit_wide(const Worker *worker, size_t pieces, id_t *out) noexcept nogil:
    cdef size_t i, k, count = 0
    cdef const Value *found = worker.round.found
    cdef const Value *value
    for i in range(pieces):
        value = &found[i]
        if id_t is uint32_t:
            memcpy(out + count, value, sizeof(Value))
        else:
            for k in range(WIDE_IDS):
                out[count + k] = <id_t>wide_ids(value)[k]
        if unlikely(value.count > WIDE_IDS):
            count += emit_spilled(spilled_ids(worker, value), out + count)
        else:
            count += value.count
    return count


cdef inline size_t emit_spilled(const Piece *made, id_t *out) noexcept nogil:
    cdef size_t k
    for k in range(made.count):
        out[k] = <id_t>made.out[k]
    return made.count


cdef Py_ssize_t bpe_piece(
    const Ranks *ranks, Worker *worker, const uint8_t *piece, size_t n
) noexcept nogil:
    cdef Piece made
    cdef int status
    if not reserve_merged(worker, n):
        return BPE_NO_MEMORY
    begin_parts(ranks, worker)
    made.out = worker.merged
    status = add_piece(ranks, worker, piece, n, &made)
    if status != 0:
        return status
    parts_finish(&worker.round.parts)
    name_ids(ranks, worker.merged, made.count)
    return made.count
