"""The hot loop, many pieces at a time and in steps, so that no step waits for memory.

1. Split, and make each piece's key; ask for its line of the cache.
2. Look: nearly all pieces are there with their ids. No branch asks which.
3. Resolve the few that are not: merge them together, and remember them.
4. Emit: three stores a piece, however many ids it has.

A batch of pieces takes the first two steps while its lines are in the nearest cache. The other two wait for
a round of batches, since those that are new can only wait for memory together if they are many.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from fastprep_ext.cache cimport (
    Cache, Entry, FAR, INLINE_IDS, KEY_BYTES, LONG_BYTES, cache_add, cache_begin, cache_free,
    cache_grow, entry_ids, entry_is_near, key_equal, key_long, key_short, key_slot, line_entry,
    long_hash,
)
from fastprep_ext.merge cimport MERGE_NO_MEMORY, MERGE_TOO_LONG
from fastprep_ext.parts cimport Parts, Piece, parts_add, parts_begin, parts_finish
from fastprep_ext.ranks cimport NO_RANK, ranks_find
from fastprep_ext.split cimport split_begin, split_next

cdef extern from "bits.h" nogil:
    bint likely(bint x)
    bint unlikely(bint x)
    void prefetch(const void *p)

cdef enum:
    NO_MISS = 0xFFFFFFFF
    MERGED_KEPT = 1 << 16      # ids of room that a worker keeps; one giant piece must not pin its memory


cdef int worker_begin(Worker *self) noexcept nogil:
    memset(self, 0, sizeof(Worker))
    self.round = <Round *>malloc(sizeof(Round))
    if self.round == NULL or cache_begin(&self.cache) != 0:
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
    const Ranks *ranks, Worker *worker, int pattern, const uint8_t *text, size_t n, size_t most,
    id_t *out
) noexcept nogil:
    cdef size_t begin = 0, pieces, batch, missed
    cdef Py_ssize_t count = 0
    cdef int status = 0
    split_begin(&worker.split, pattern, text, n)
    while <size_t>count < most:
        pieces = missed = 0
        while pieces < min(most, <size_t>(ROUND - BATCH + 1)):
            batch = split_next(&worker.split, worker.round.ends, BATCH)
            if batch == 0:
                break
            make_keys(worker, text, n, begin, batch)
            missed = look(worker, begin, batch, pieces, missed)
            begin = worker.round.ends[batch - 1]
            pieces += batch
        if pieces == 0:
            break
        if missed:
            status = resolve(ranks, worker, text, missed)
            if status != 0:
                break
        count += emit(worker, pieces, out + count if out != NULL else NULL)
        cache_grow(&worker.cache)
    if worker.merged_room > MERGED_KEPT:
        free(worker.merged)
        worker.merged = NULL
        worker.merged_room = 0
    if status != 0:
        return status
    if worker.split.invalid:
        return BPE_INVALID_UTF8
    return <Py_ssize_t>min(<size_t>count, most)


cdef void make_keys(
    Worker *worker, const uint8_t *text, size_t n, size_t begin, size_t pieces
) noexcept nogil:
    cdef Round *round = worker.round
    cdef size_t i, end, length
    cdef uint64_t mask = worker.cache.mask, slot
    cdef Key *key
    for i in range(pieces):
        end = round.ends[i]
        length = end - begin
        key = &round.keys[i]
        if likely(length <= KEY_BYTES):
            key_short(key, text + begin, length, n - begin)
        else:
            key_long(key, text + begin, length, long_hash(text + begin, min(length, <size_t>LONG_BYTES)))
        slot = key_slot(key, mask)
        round.slots[i] = <uint32_t>slot
        prefetch(&worker.cache.lines[slot])
        begin = end


# Copies the ids of a batch's pieces that are in the cache, behind those of `before` pieces, and notes
# which have to be resolved; returns how many those are by now.
cdef size_t look(
    Worker *worker, size_t begin, size_t pieces, size_t before, size_t misses
) noexcept nogil:
    cdef Round *round = worker.round
    cdef size_t i, j, missed = 0
    cdef const Entry *entry
    cdef const Key *key
    cdef Miss *miss
    for i in range(pieces):
        key = &round.keys[i]
        entry = line_entry(&worker.cache.lines[round.slots[i]], key)
        memcpy(&round.found[before + i], &entry.count, sizeof(Found))
        round.missed[missed] = <uint32_t>i
        missed += not entry_is_near(entry, key)
    for j in range(missed):
        i = round.missed[j]
        miss = &round.misses[misses + j]
        miss.key = round.keys[i]
        miss.slot = round.slots[i]
        miss.start = round.ends[i - 1] if i else begin
        miss.n = round.ends[i] - miss.start
        miss.piece = <uint32_t>(before + i)
    return misses + missed


# The ids of pieces that were not simply there: those of long pieces and those that are many are
# fetched; what is new is merged and remembered.
cdef int resolve(
    const Ranks *ranks, Worker *worker, const uint8_t *text, size_t missed
) noexcept nogil:
    cdef Round *round = worker.round
    cdef size_t j, room = 0, fresh = 0
    cdef int status
    cdef const uint32_t *ids
    cdef const Entry *entry
    cdef uint16_t *seen
    cdef Miss *miss
    cdef Found *found
    for j in range(missed):
        round.misses[j].place = room
        room += round.misses[j].n
    if not make_room(worker, room):
        return BPE_NO_MEMORY
    begin_parts(ranks, worker)
    for j in range(missed):
        miss = &round.misses[j]
        miss.first = NO_MISS
        entry = line_entry(&worker.cache.lines[miss.slot], &miss.key)
        ids = entry_ids(&worker.cache, entry, &miss.key, text + miss.start, miss.n)
        if ids != NULL:
            found = &round.found[miss.piece]
            found.count = entry.count & (FAR - 1)
            memcpy(worker.merged + miss.place, ids, found.count * sizeof(uint32_t))
            put_ids(worker, miss.place, found)
            continue
        miss.first = <uint32_t>j
        seen = &round.seen[miss.slot & (SEEN - 1)]
        if seen[0] < j and miss.n <= KEY_BYTES and key_equal(&round.misses[seen[0]].key, &miss.key) \
                and round.misses[seen[0]].first == seen[0]:
            miss.first = seen[0]
            continue
        seen[0] = <uint16_t>j
        status = add_piece(ranks, worker, text + miss.start, miss.n, worker.merged + miss.place, &miss.made)
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
        found = &round.found[miss.piece]
        if miss.first == j:
            found.count = <uint32_t>miss.made.count
            name_ids(ranks, miss.made.out, found.count)
            if miss.n <= LONG_BYTES:
                cache_add(
                    &worker.cache, &miss.key, text + miss.start, miss.n, miss.made.out, found.count
                )
        miss = &round.misses[miss.first]
        found.count = <uint32_t>miss.made.count
        put_ids(worker, miss.place, found)
    return 0


# What is remembered of a piece is what merging its bytes gives, if these two hold: then the cache serves
# for parts, too.
cdef inline void begin_parts(const Ranks *ranks, Worker *worker) noexcept nogil:
    cdef Cache *cache = &worker.cache if ranks.merge_only and ranks.same_ids else NULL
    parts_begin(&worker.round.parts, ranks, cache)


# Takes in a new piece. In some vocabularies a piece that is a token need not be what merging makes of it.
cdef inline int add_piece(
    const Ranks *ranks, Worker *worker, const uint8_t *bytes, size_t n, uint32_t *out, Piece *piece
) noexcept nogil:
    cdef int status
    piece.out = out
    if not ranks.merge_only:
        out[0] = ranks_find(ranks, bytes, n)
        piece.count = 1
        if out[0] != NO_RANK:
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


# The ids at a place in `merged` as those of `found`, which has their number.
cdef inline void put_ids(const Worker *worker, size_t place, Found *found) noexcept nogil:
    if found.count <= INLINE_IDS:
        memcpy(found.ids, worker.merged + place, sizeof(found.ids))
    else:
        found.ids[0] = <uint32_t>place
        found.ids[1] = <uint32_t>(place >> 32)


cdef bint make_room(Worker *self, size_t ids) noexcept nogil:
    if ids + INLINE_IDS > self.merged_room:
        free(self.merged)
        self.merged_room = 0
        self.merged = <uint32_t *>malloc((ids + 64) * sizeof(uint32_t))
        if self.merged == NULL:
            return False
        self.merged_room = ids + 64
    return True


# Writes the ids of a round, and up to BPE_SLACK of room behind them; returns how many there are.
cdef size_t emit(const Worker *worker, size_t pieces, id_t *out) noexcept nogil:
    cdef size_t i, k, count = 0
    cdef const Found *found
    cdef const uint32_t *ids
    if out == NULL:
        for i in range(pieces):
            count += worker.round.found[i].count
        return count
    for i in range(pieces):
        found = &worker.round.found[i]
        out[count] = <id_t>found.ids[0]
        out[count + 1] = <id_t>found.ids[1]
        out[count + 2] = <id_t>found.ids[2]
        if unlikely(found.count > INLINE_IDS):
            ids = worker.merged + (found.ids[0] | <size_t>found.ids[1] << 32)
            for k in range(found.count):
                out[count + k] = <id_t>ids[k]
        count += found.count
    return count


cdef Py_ssize_t bpe_piece(
    const Ranks *ranks, Worker *worker, const uint8_t *piece, size_t n
) noexcept nogil:
    cdef Piece made
    cdef int status
    if not make_room(worker, n):
        return BPE_NO_MEMORY
    begin_parts(ranks, worker)
    status = add_piece(ranks, worker, piece, n, worker.merged, &made)
    if status != 0:
        return status
    parts_finish(&worker.round.parts)
    name_ids(ranks, worker.merged, made.count)
    return made.count
