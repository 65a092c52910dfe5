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


cdef int worker_begin(Worker *self, uint32_t largest) noexcept nogil:
    memset(self, 0, sizeof(Worker))
    self.round = <Round *>malloc(sizeof(Round))
    if self.round == NULL or cache_begin(&self.cache, largest) != 0:
        worker_free(self)
        return -1
    memset(self.round.seen, 0, sizeof(self.round.seen))
    memset(self.round.parts.same, 0, sizeof(self.round.parts.same))
    return 0


cdef void worker_free(Worker *self) noexcept nogil:
    cache_free(&self.cache)
    free(self.round)
    free(self.merged)
    free(self.kept)
    free(self.changed.at)
    free(self.spaced.at)
    memset(self, 0, sizeof(Worker))


cdef Py_ssize_t bpe_encode(
    const Ranks *ranks, Worker *worker, int pattern, const uint8_t *text, size_t n,
    const SpecialTable *early, const SpecialTable *late, size_t limit, id_t *out
) noexcept nogil:
    cdef size_t begin = 0, pieces, batch, missed
    cdef Feed feed
    cdef Py_ssize_t count = 0
    cdef int status = 0
    feed_begin(&feed, worker, pattern, text, n, early, late)
    while <size_t>count < limit:
        pieces = missed = 0
        while pieces < min(limit, <size_t>(ROUND - BATCH + 1)):
            batch = feed_next(&feed, worker, pattern, &begin)
            if batch == 0:
                break
            missed = look_up_batch(worker, text, n, begin, batch, pieces, missed)
            pieces += batch
        if pieces == 0:
            break
        if missed:
            status = resolve_misses(ranks, worker, text, missed)
            if status != 0:
                break
        count += emit_ids(worker, 0, pieces, out + count if out != NULL else NULL)
        cache_grow(&worker.cache)
    if worker.merged_capacity > MAX_KEPT_MERGED:
        free(worker.merged)
        worker.merged = NULL
        worker.merged_capacity = 0
    if worker.kept_capacity > MAX_KEPT_MERGED:
        free(worker.kept)
        worker.kept = NULL
        worker.kept_capacity = 0
    if status != 0:
        return status
    if worker.split.invalid or worker.split.failure:
        return BPE_NOT_SPLIT
    return <Py_ssize_t>min(<size_t>count, limit)


cdef void feed_begin(
    Feed *self, Worker *worker, int pattern, const uint8_t *text, size_t n, const SpecialTable *early,
    const SpecialTable *late
) noexcept nogil:
    memset(self, 0, sizeof(Feed) - sizeof(self.waiting))
    self.text = text
    self.n = n
    self.early = early
    self.late = late
    self.by_runs = late != NULL and late.are_runs and pattern == PATTERN_R50K
    self.state = FEED_NEXT
    if early == NULL and late == NULL:
        self.state = FEED_SPLIT
        self.part_end = n
        self.section_bytes = n
        self.in_section = True
        split_begin(&worker.split, pattern, text, n)


# Find the next part, and the token after it. False if there is none.
cdef bint feed_part(Feed *self) noexcept nogil:
    cdef Special found
    cdef size_t before
    cdef const uint8_t *section
    if not self.in_section:
        if self.outer.reached > self.n:
            return False
        before = self.outer.reached
        self.before_token = self.early != NULL and special_next(
            self.early, self.text, self.n, &self.outer, &self.token
        )
        self.section = before
        self.section_bytes = (max(self.token.begin, before) if self.before_token else self.n) - before
        if not self.before_token:
            self.outer.reached = self.n + 1    # no section follows
        memset(&self.inner, 0, sizeof(Cursor))
        self.in_section = True
    section = self.text + self.section
    before = self.inner.reached
    self.part = self.section + before
    if self.late != NULL and not self.by_runs \
            and special_next(self.late, section, self.section_bytes, &self.inner, &found):
        self.part_end = self.section + max(found.begin, before)
        self.has_mark = True
        self.mark = <uint32_t>self.late.values[found.token]
        self.mark_begin = self.section + found.begin
        self.mark_end = self.section + found.end
        return True
    self.part_end = self.section + self.section_bytes
    self.in_section = False
    self.has_mark = self.before_token
    if self.has_mark:
        self.mark = <uint32_t>self.early.values[self.token.token]
        self.mark_begin = self.token.begin
        self.mark_end = self.token.end
    return True


cdef void feed_run(Feed *self) noexcept nogil:
    self.has_run = special_next(
        self.late, self.text + self.section, self.section_bytes, &self.inner, &self.run
    )
    self.run.begin += self.section
    self.run.end += self.section


# Write the ends of the next pieces of a section that is split as a whole; False at its end.
#
# That is what splitting the text before, between and after the runs gives, for r50k: the text before a run
# has the same pieces, but for whitespace that ends there, and so has the text after it, but for the blank
# that a word takes. Only an apostrophe after a run has to be split with nothing before it.
cdef bint feed_runs(Feed *self, Worker *worker, int pattern, size_t *count) noexcept nogil:
    cdef Round *round = worker.round
    # In registers: the compiler cannot know that the ends are not written to `self`.
    cdef size_t k = count[0], end = 0, at = self.at, base = self.base, next = self.next_waiting
    cdef size_t waiting = self.n_waiting, border
    cdef bint is_run
    while BATCH - k >= 2:
        if next == waiting:
            waiting = self.n_waiting = split_next(&worker.split, self.waiting, FEED_ENDS)
            next = 0
            if waiting == 0:
                break
        # Pieces that end before the run, or where it begins, are as they are.
        border = self.run.begin if self.has_run else self.n
        is_run = False
        while next < waiting and BATCH - k >= 2:
            end = base + self.waiting[next]
            if end > border:
                is_run = True
                break
            next += 1
            # No end is within the run before: it is overwritten.
            round.ends[k] = end
            k += end > at
            at = max(at, end)
        if not is_run:
            continue
        if border > at:
            round.ends[k] = border
            k += 1
        at = round.ends[k] = self.run.end
        round.marked[round.n_marks] = <uint16_t>k
        round.marks[round.n_marks] = <uint32_t>self.late.values[self.run.token]
        round.n_marks += 1
        k += 1
        feed_run(self)
        if at < self.part_end and self.text[at] == c"'":
            split_begin(&worker.split, pattern, self.text + at, self.part_end - at)
            self.base = base = at
            self.n_waiting = waiting = next = 0
    self.at = at
    self.next_waiting = next
    count[0] = k
    return waiting != 0 or BATCH - k < 2


# Write the ends of the next pieces, the first of which starts at `begin`, and mark tokens among them; 0
# at the end of the text, or if it cannot be split. A batch is contiguous: where a token took whitespace
# that is a token, too, the next batch goes back.
cdef size_t feed_next(Feed *self, Worker *worker, int pattern, size_t *begin) noexcept nogil:
    cdef Round *round = worker.round
    cdef size_t count = 0, added, i
    round.n_marks = 0
    begin[0] = self.at
    while BATCH - count >= MIN_SPLIT_CAPACITY:
        if self.state == FEED_SPLIT:
            if self.by_runs and feed_runs(self, worker, pattern, &count):
                break
            added = split_next(&worker.split, round.ends + count, BATCH - count)
            if added == 0:
                if worker.split.invalid or worker.split.failure:
                    worker.split.at += self.base
                    self.state = FEED_DONE
                    return 0
                self.state = FEED_TOKEN if self.has_mark else FEED_NEXT
                continue
            if self.part:
                for i in range(count, count + added):
                    round.ends[i] += self.part
            count += added
            self.at = round.ends[count - 1]
        elif self.state == FEED_TOKEN:
            if self.mark_begin != self.at:
                if count:
                    break
                begin[0] = self.mark_begin
            round.ends[count] = self.at = self.mark_end
            round.marked[round.n_marks] = <uint16_t>count
            round.marks[round.n_marks] = self.mark
            round.n_marks += 1
            count += 1
            self.state = FEED_NEXT
        elif self.state == FEED_NEXT:
            if self.early == NULL and self.late == NULL or not feed_part(self):
                self.state = FEED_DONE
                break
            self.state = FEED_PART
        elif self.state == FEED_PART:
            if self.part == self.part_end:
                self.state = FEED_TOKEN if self.has_mark else FEED_NEXT
                continue
            if self.part != self.at:
                if count:
                    break
                begin[0] = self.at = self.part
            split_begin(&worker.split, pattern, self.text + self.part, self.part_end - self.part)
            self.base = self.part
            self.state = FEED_SPLIT
            if self.by_runs:
                self.n_waiting = self.next_waiting = 0
                memset(&self.inner, 0, sizeof(Cursor))
                feed_run(self)
        else:
            break
    return count


# Give added tokens their ids, and drop them from the missed pieces; returns how many of these are left.
cdef size_t use_marks(Worker *worker, size_t before, size_t missed) noexcept nogil:
    cdef Round *round = worker.round
    cdef size_t j = 0, k, kept = 0
    for k in range(round.n_marks):
        value_pack(
            &worker.cache.packing, &round.found[before + round.marked[k]], &round.marks[k], 1
        )
        while j < missed and round.missed[j] < round.marked[k]:
            round.missed[kept] = round.missed[j]
            kept += 1
            j += 1
        if j < missed and round.missed[j] == round.marked[k]:
            j += 1
    while j < missed:
        round.missed[kept] = round.missed[j]
        kept += 1
        j += 1
    return kept


# Copy the cached values of a batch, after those of `before` pieces, and list the misses; returns the
# new number of misses.
cdef size_t look_up_batch(
    Worker *worker, const uint8_t *text, size_t n, size_t begin, size_t pieces, size_t before,
    size_t misses
) noexcept nogil:
    cdef Round *round = worker.round
    cdef Cache *cache = &worker.cache
    cdef size_t i, j, missed, first
    cache.path.make_keys(
        cache.lines, cache.mask, text, n, begin, round.ends, pieces, round.keys, round.slots
    )
    missed = cache.path.look(
        cache.lines, round.keys, round.slots, pieces, round.found + before, round.missed
    )
    if round.n_marks:
        missed = use_marks(worker, before, missed)
    prefetch_neighbours(worker, missed)
    for j in range(missed):
        i = round.missed[j]
        first = round.ends[i - 1] if i else begin
        misses = add_miss(worker, misses, i, before + i, first, round.ends[i] - first)
    return misses


# Lines beside those that lack a key.
cdef inline void prefetch_neighbours(const Worker *worker, size_t missed) noexcept nogil:
    cdef const Round *round = worker.round
    cdef size_t j
    cdef uint32_t slot
    for j in range(missed):
        slot = round.slots[round.missed[j]]
        if worker.cache.lines[slot].older.key.high:
            prefetch(&worker.cache.lines[slot ^ 1])


# Add the piece with this key of the batch to the misses, unless the neighbouring line has it; returns
# the new number of misses.
cdef inline size_t add_miss(
    Worker *worker, size_t misses, size_t key, size_t piece, size_t start, size_t n
) noexcept nogil:
    cdef Round *round = worker.round
    cdef Miss *miss = &round.misses[misses]
    if cache_find(
        &worker.cache, round.slots[key], &round.keys[key], &round.found[piece], &miss.place
    ):
        return misses
    miss.key = round.keys[key]
    miss.slot = round.slots[key]
    miss.start = start
    miss.n = n
    miss.piece = <uint32_t>piece
    return misses + 1


# Get the ids of the misses: those in the arena are copied, those of new pieces merged and cached.
# (Looking new pieces up among the tokens first, which a fifth of them are, takes fewer instructions
# and waits longer: 0.9 times the speed one by one, 0.97 times in stages that wait together.)
cdef int resolve_misses(
    const Ranks *ranks, Worker *worker, const uint8_t *text, size_t missed
) noexcept nogil:
    cdef Round *round = worker.round
    cdef size_t j, room = 0, fresh = 0
    cdef int status
    cdef uint16_t *seen
    cdef Miss *miss
    cdef Value *value
    for j in range(missed):
        round.misses[j].made.out = <uint32_t *>room
        room += round.misses[j].n + MOST_IDS
    if not reserve_merged(worker, room) or (ranks.lacks_bytes and not reserve_kept(worker, room)):
        return BPE_NO_MEMORY
    begin_parts(ranks, worker)
    for j in range(missed):
        miss = &round.misses[j]
        value = &round.found[miss.piece]
        miss.made.out = worker.merged + <size_t>miss.made.out
        miss.first = NO_MISS
        if miss.place != NO_PLACE and cache_read(
            &worker.cache, miss.place, value.count, text + miss.start, miss.n, miss.made.out, value
        ):
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
        value = &round.found[miss.piece]
        if miss.first != j:
            value[0] = round.found[round.misses[miss.first].piece]
            continue
        miss.made.count = name_ids(ranks, miss.made.out, miss.made.count, miss.n)
        put_ids(&worker.cache, value, miss.made.out, miss.made.count)
        if miss.n <= LONG_BYTES:
            cache_add(&worker.cache, &miss.key, text + miss.start, miss.n, value)
    return 0


# With these two properties, the cached ids of a piece are what merging its bytes gives: then the
# cache also serves for parts.
cdef inline void begin_parts(const Ranks *ranks, Worker *worker) noexcept nogil:
    cdef bint same = ranks.merge_only and ranks.same_ids and ranks.first_fragment == NO_RANK
    cdef Cache *cache = &worker.cache if same else NULL
    parts_begin(&worker.round.parts, ranks, cache)


# Add a new piece. In some vocabularies a piece that is a token need not be what merging makes of it.
cdef inline int add_piece(
    const Ranks *ranks, Worker *worker, const uint8_t *bytes, size_t n, Piece *piece
) noexcept nogil:
    cdef int status
    cdef uint8_t *kept
    if not ranks.merge_only:
        piece.out[0] = ranks_find(ranks, bytes, n)
        piece.count = 1
        if piece.out[0] != NO_RANK:
            return 0
    if ranks.lacks_bytes:
        kept = worker.kept + (piece.out - worker.merged)
        n = keep_tokens(ranks, worker, bytes, n, kept)
        if worker.lost and ranks.strict:
            return BPE_LACKS_BYTE
        bytes = kept
        piece.count = 0
        if n == 0:
            return 0
    status = parts_add(&worker.round.parts, piece, bytes, n)
    if status == MERGE_NO_MEMORY:
        return BPE_NO_MEMORY
    return BPE_TOO_LONG if status == MERGE_TOO_LONG else 0


# Copy the bytes that are tokens; return how many there are.
cdef inline size_t keep_tokens(
    const Ranks *ranks, Worker *worker, const uint8_t *bytes, size_t n, uint8_t *kept
) noexcept nogil:
    cdef size_t i, count = 0
    for i in range(n):
        kept[count] = bytes[i]
        if ranks.byte_ranks[bytes[i]] != NO_RANK:
            count += 1
            continue
        if worker.lost == 0:
            worker.lost_byte = bytes[i]
        worker.lost += 1
    return count


# Turn tokens, of n bytes in total, into ids; returns how many there are.
cdef inline size_t name_ids(
    const Ranks *ranks, uint32_t *tokens, size_t count, size_t n
) noexcept nogil:
    cdef size_t k
    if ranks.first_fragment != NO_RANK:
        for k in range(count):
            if tokens[k] >= ranks.first_fragment:
                return name_fragments(ranks, tokens, count, n)
    if not ranks.same_ids:
        for k in range(count):
            tokens[k] = ranks.ids[tokens[k]]
    return count


# The same where fragments of characters that are no tokens are among them. They are read from the end of
# the room of n ids: before each, there are at most as many ids as bytes, and after it as many bytes as
# tokens, so no id overwrites a token that is not read yet.
cdef size_t name_fragments(
    const Ranks *ranks, uint32_t *tokens, size_t count, size_t n
) noexcept nogil:
    cdef size_t j, i, size, written = 0
    cdef uint32_t token, last = NO_RANK
    cdef const uint8_t *bytes
    memmove(tokens + n - count, tokens, count * sizeof(uint32_t))
    for j in range(n - count, n):
        token = tokens[j]
        if token < ranks.first_fragment:
            tokens[written] = last = ranks.ids[token]
            written += 1
            continue
        size = token_bytes(ranks, token)
        bytes = ranks.blob + ranks.ends[token] - size
        for i in range(size):
            if ranks.byte_ids != NULL:
                tokens[written] = ranks.byte_ids[bytes[i]]
                written += 1
            elif ranks.unk != NO_RANK and bytes[i] & 0xC0 != 0x80 and not (ranks.fuse and last == ranks.unk):
                tokens[written] = last = ranks.unk
                written += 1
    return written


cdef bint reserve_merged(Worker *self, size_t ids) noexcept nogil:
    if ids > self.merged_capacity:
        free(self.merged)
        self.merged_capacity = 0
        self.merged = <uint32_t *>malloc((ids + 64) * sizeof(uint32_t))
        if self.merged == NULL:
            return False
        self.merged_capacity = ids + 64
    return True


cdef bint reserve_kept(Worker *self, size_t bytes) noexcept nogil:
    if bytes > self.kept_capacity:
        free(self.kept)
        self.kept_capacity = 0
        self.kept = <uint8_t *>malloc(bytes + 64)
        if self.kept == NULL:
            return False
        self.kept_capacity = bytes + 64
    return True


# Write the ids of pieces of a round, from the first on, and up to MOST_IDS more; returns how many ids
# there are.
cdef inline size_t emit_ids(
    const Worker *worker, size_t first, size_t pieces, id_t *out
) noexcept nogil:
    cdef const Cache *cache = &worker.cache
    cdef const Value *found = worker.round.found + first
    cdef size_t i, count = 0
    if out == NULL:
        for i in range(pieces):
            count += value_count(&found[i])
        return count
    if id_t is uint16_t:
        return emit_narrow(&cache.packing, found, pieces, out)
    else:
        return cache.path.emit(&cache.packing, found, pieces, out)


cdef Py_ssize_t bpe_piece(
    const Ranks *ranks, Worker *worker, const uint8_t *piece, size_t n
) noexcept nogil:
    cdef Piece made
    cdef int status
    if not reserve_merged(worker, n) or (ranks.lacks_bytes and not reserve_kept(worker, n)):
        return BPE_NO_MEMORY
    begin_parts(ranks, worker)
    made.out = worker.merged
    status = add_piece(ranks, worker, piece, n, &made)
    if status != 0:
        return status
    parts_finish(&worker.round.parts)
    return name_ids(ranks, worker.merged, made.count, n)
