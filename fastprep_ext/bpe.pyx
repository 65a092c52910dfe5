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
from fastprep_ext.cuts cimport merge_piece
from fastprep_ext.few cimport FEW_BYTES, merge_tasks
from fastprep_ext.merge cimport MERGE_NO_MEMORY, MERGE_TOO_LONG
from fastprep_ext.ranks cimport NO_RANK, ranks_find
from fastprep_ext.split cimport split_begin, split_next

cdef extern from "bits.h" nogil:
    bint likely(bint x)
    bint unlikely(bint x)
    void prefetch(const void *p)

cdef uint32_t NO_TASK = 0xFFFFFFFF

cdef enum:
    MERGED_KEPT = 1 << 16      # ids of room that a worker keeps; one giant piece must not pin its memory


cdef int worker_begin(Worker *self) noexcept nogil:
    memset(self, 0, sizeof(Worker))
    self.round = <Round *>malloc(sizeof(Round))
    if self.round == NULL or cache_begin(&self.cache) != 0:
        worker_free(self)
        return -1
    memset(self.round.seen, 0, sizeof(self.round.seen))
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
    cdef size_t j, k, room = 0, tasks = 0
    cdef Py_ssize_t count
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
    for j in range(missed):
        miss = &round.misses[j]
        found = &round.found[miss.piece]
        entry = line_entry(&worker.cache.lines[miss.slot], &miss.key)
        ids = entry_ids(&worker.cache, entry, &miss.key, text + miss.start, miss.n)
        miss.task = NO_TASK
        if ids != NULL:
            found.count = entry.count & (FAR - 1)
            memcpy(worker.merged + miss.place, ids, found.count * sizeof(uint32_t))
            put_ids(worker, miss, found)
            continue
        seen = &round.seen[miss.slot & (SEEN - 1)]
        # The same piece twice in a round: the first one's task serves both.
        if seen[0] < tasks and miss.n <= KEY_BYTES and key_equal(
            &round.misses[round.task_miss[seen[0]]].key, &miss.key
        ):
            miss.task = seen[0]
            continue
        if miss.n <= FEW_BYTES and ranks.merge_only:
            seen[0] = <uint16_t>tasks
            miss.task = <uint32_t>tasks
            round.task_miss[tasks] = <uint32_t>j
            round.tasks[tasks].piece = text + miss.start
            round.tasks[tasks].out = worker.merged + miss.place
            round.tasks[tasks].n = <uint32_t>miss.n
            tasks += 1
            continue
        count = tokens_of(ranks, worker, text + miss.start, miss.n, worker.merged + miss.place)
        if count < 0:
            return <int>count
        found.count = <uint32_t>count
        remember(ranks, worker, miss, found, text)
        put_ids(worker, miss, found)
    merge_tasks(ranks, round.tasks, tasks)
    for k in range(tasks):
        miss = &round.misses[round.task_miss[k]]
        found = &round.found[miss.piece]
        found.count = round.tasks[k].count
        remember(ranks, worker, miss, found, text)
    for j in range(missed):
        miss = &round.misses[j]
        if miss.task != NO_TASK:
            found = &round.found[miss.piece]
            miss = &round.misses[round.task_miss[miss.task]]
            found.count = round.found[miss.piece].count
            put_ids(worker, miss, found)
    return 0


# The ids that were made for a piece as those of `found`.
cdef inline void put_ids(const Worker *worker, const Miss *miss, Found *found) noexcept nogil:
    if found.count <= INLINE_IDS:
        memcpy(found.ids, worker.merged + miss.place, sizeof(found.ids))
    else:
        found.ids[0] = <uint32_t>miss.place
        found.ids[1] = <uint32_t>(miss.place >> 32)


# The tokens of a piece that is too long for a task, or of a vocabulary where a piece that is a token
# need not be what merging makes of it.
cdef inline Py_ssize_t tokens_of(
    const Ranks *ranks, Worker *worker, const uint8_t *piece, size_t n, uint32_t *out
) noexcept nogil:
    cdef Py_ssize_t count
    # What is remembered of a piece is what merging its bytes gives, if these two hold.
    cdef Cache *parts = &worker.cache if ranks.merge_only and ranks.same_ids else NULL
    if not ranks.merge_only:
        out[0] = ranks_find(ranks, piece, n)
        if out[0] != NO_RANK:
            return 1
    count = merge_piece(ranks, parts, piece, n, out)
    if count == MERGE_NO_MEMORY:
        return BPE_NO_MEMORY
    if count == MERGE_TOO_LONG:
        return BPE_TOO_LONG
    return count


# A new piece's tokens become ids, and both are kept.
cdef inline void remember(
    const Ranks *ranks, Worker *worker, const Miss *miss, const Found *found, const uint8_t *text
) noexcept nogil:
    cdef size_t k
    cdef uint32_t *ids = worker.merged + miss.place
    if not ranks.same_ids:
        for k in range(found.count):
            ids[k] = ranks.ids[ids[k]]
    if miss.n <= LONG_BYTES:
        cache_add(&worker.cache, &miss.key, text + miss.start, miss.n, ids, found.count)


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
    cdef Py_ssize_t count, k
    if not make_room(worker, n):
        return BPE_NO_MEMORY
    count = tokens_of(ranks, worker, piece, n, worker.merged)
    for k in range(count):
        worker.merged[k] = ranks.ids[worker.merged[k]]
    return count
