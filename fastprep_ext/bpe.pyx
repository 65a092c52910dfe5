"""The hot loop, a batch of pieces at a time and in steps, so that no step waits for memory.

1. Split, and make each piece's key; ask for its line of the cache.
2. Look: nearly all pieces are there with their ids. No branch asks which.
3. Resolve the few that are not: merge them together, and remember them.
4. Emit: three stores a piece, however many ids it has.
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
    return cache_begin(&self.cache)


cdef void worker_free(Worker *self) noexcept nogil:
    cache_free(&self.cache)
    free(self.merged)
    self.merged = NULL
    self.merged_room = 0


cdef Py_ssize_t bpe_encode(
    const Ranks *ranks, Worker *worker, int pattern, const uint8_t *text, size_t n, size_t most,
    id_t *out
) noexcept nogil:
    cdef size_t begin = 0, pieces, missed
    cdef Py_ssize_t count = 0
    cdef int status = 0
    split_begin(&worker.split, pattern, text, n)
    while <size_t>count < most:
        pieces = split_next(&worker.split, worker.ends, BATCH)
        if pieces == 0:
            break
        make_keys(worker, text, n, begin, pieces)
        missed = look(worker, pieces)
        if missed:
            status = resolve(ranks, worker, text, begin, missed)
            if status != 0:
                break
        count += emit(worker, pieces, out + count if out != NULL else NULL)
        begin = worker.ends[pieces - 1]
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
    cdef size_t i, end, length
    cdef uint64_t mask = worker.cache.mask, slot
    cdef Key *key
    for i in range(pieces):
        end = worker.ends[i]
        length = end - begin
        key = &worker.keys[i]
        if likely(length <= KEY_BYTES):
            key_short(key, text + begin, length, n - begin)
        else:
            key_long(key, text + begin, length, long_hash(text + begin, min(length, <size_t>LONG_BYTES)))
        slot = key_slot(key, mask)
        worker.slots[i] = <uint32_t>slot
        prefetch(&worker.cache.lines[slot])
        begin = end


# Copies the ids of pieces that are in the cache; returns how many have to be resolved.
cdef size_t look(Worker *worker, size_t pieces) noexcept nogil:
    cdef size_t i, missed = 0
    cdef const Entry *entry
    cdef const Key *key
    for i in range(pieces):
        key = &worker.keys[i]
        entry = line_entry(&worker.cache.lines[worker.slots[i]], key)
        memcpy(&worker.found[i], &entry.count, sizeof(Found))
        worker.missed[missed] = <uint32_t>i
        missed += not entry_is_near(entry, key)
    return missed


# The ids of pieces that were not simply there: those of long pieces and those that are many are
# fetched; what is new is merged and remembered.
cdef int resolve(
    const Ranks *ranks, Worker *worker, const uint8_t *text, size_t begin, size_t missed
) noexcept nogil:
    cdef size_t j, i, k, start, n, room = 0, tasks = 0
    cdef Py_ssize_t count
    cdef uint32_t *out
    cdef const uint32_t *ids
    cdef const Key *key
    cdef const Entry *entry
    cdef uint8_t *seen
    cdef Found *found
    for j in range(missed):
        i = worker.missed[j]
        room += worker.ends[i] - (worker.ends[i - 1] if i else begin)
    if not make_room(worker, room):
        return BPE_NO_MEMORY
    out = worker.merged
    memset(worker.seen, 0xFF, sizeof(worker.seen))
    for j in range(missed):
        i = worker.missed[j]
        found = &worker.found[i]
        start = worker.ends[i - 1] if i else begin
        n = worker.ends[i] - start
        key = &worker.keys[i]
        entry = line_entry(&worker.cache.lines[worker.slots[i]], key)
        ids = entry_ids(&worker.cache, entry, key, text + start, n)
        worker.task_of[j] = NO_TASK
        worker.far[i] = out
        out += n
        if ids != NULL:
            found.count = entry.count & (FAR - 1)
            memcpy(worker.far[i], ids, found.count * sizeof(uint32_t))
            continue
        seen = &worker.seen[worker.slots[i] & (SEEN - 1)]
        # The same piece twice in a batch: the first one's task serves both.
        if n <= KEY_BYTES and seen[0] < tasks and key_equal(
            &worker.keys[worker.missed[worker.task_piece[seen[0]]]], key
        ):
            worker.task_of[j] = seen[0]
            continue
        if n <= FEW_BYTES and ranks.merge_only:
            seen[0] = <uint8_t>min(tasks, <size_t>0xFF)
            worker.task_of[j] = <uint32_t>tasks
            worker.task_piece[tasks] = <uint32_t>j
            worker.tasks[tasks].piece = text + start
            worker.tasks[tasks].out = worker.far[i]
            worker.tasks[tasks].n = <uint32_t>n
            tasks += 1
            continue
        count = tokens_of(ranks, worker, text + start, n, worker.far[i])
        if count < 0:
            return <int>count
        found.count = <uint32_t>count
        remember(ranks, worker, i, text + start, n)
    merge_tasks(ranks, worker.tasks, tasks)
    for k in range(tasks):
        i = worker.missed[worker.task_piece[k]]
        worker.found[i].count = worker.tasks[k].count
        remember(ranks, worker, i, worker.tasks[k].piece, worker.tasks[k].n)
    for j in range(missed):
        i = worker.missed[j]
        if worker.task_of[j] != NO_TASK:
            k = worker.missed[worker.task_piece[worker.task_of[j]]]
            worker.far[i] = worker.far[k]
            worker.found[i].count = worker.found[k].count
        memcpy(worker.found[i].ids, worker.far[i], sizeof(worker.found[i].ids))
    return 0


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
    const Ranks *ranks, Worker *worker, size_t i, const uint8_t *piece, size_t n
) noexcept nogil:
    cdef size_t k, count = worker.found[i].count
    cdef uint32_t *ids = worker.far[i]
    if not ranks.same_ids:
        for k in range(count):
            ids[k] = ranks.ids[ids[k]]
    if n <= LONG_BYTES:
        cache_add(&worker.cache, &worker.keys[i], piece, n, ids, count)


cdef bint make_room(Worker *self, size_t ids) noexcept nogil:
    if ids + INLINE_IDS > self.merged_room:
        free(self.merged)
        self.merged_room = 0
        self.merged = <uint32_t *>malloc((ids + 64) * sizeof(uint32_t))
        if self.merged == NULL:
            return False
        self.merged_room = ids + 64
    return True


# Writes the ids of a batch, and up to BPE_SLACK of room behind them; returns how many there are.
cdef size_t emit(const Worker *worker, size_t pieces, id_t *out) noexcept nogil:
    cdef size_t i, k, count = 0
    cdef const Found *found
    if out == NULL:
        for i in range(pieces):
            count += worker.found[i].count
        return count
    for i in range(pieces):
        found = &worker.found[i]
        out[count] = <id_t>found.ids[0]
        out[count + 1] = <id_t>found.ids[1]
        out[count + 2] = <id_t>found.ids[2]
        if unlikely(found.count > INLINE_IDS):
            for k in range(INLINE_IDS, found.count):
                out[count + k] = <id_t>worker.far[i][k]
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
