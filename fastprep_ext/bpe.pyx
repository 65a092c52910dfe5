"""The hot loop. A batch of pieces is split first, then hashed and prefetched, then looked up."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from fastprep_ext.cache cimport (
    Entry, INLINE_IDS, KEY_BYTES, LONG_BYTES, Line, cache_add, cache_begin, cache_free, cache_grow,
    entry_ids, entry_is, key_equal, key_is_long, key_long, key_short, key_short_at_end, key_slot,
)
from fastprep_ext.merge cimport MERGE_NO_MEMORY, MERGE_TOO_LONG, merge_piece
from fastprep_ext.ranks cimport NO_RANK, piece_hash, ranks_find, spread
from fastprep_ext.split cimport split_begin, split_next

cdef extern from "bits.h" nogil:
    bint likely(bint x)
    void prefetch(const void *p)


# Room that a worker keeps between texts; one giant piece must not pin its memory.
cdef enum:
    MERGED_KEPT = 1 << 16


cdef int worker_begin(Worker *self) noexcept nogil:
    memset(self, 0, sizeof(Worker))
    return cache_begin(&self.cache)


cdef void worker_free(Worker *self) noexcept nogil:
    cache_free(&self.cache)
    free(self.merged)
    free(self.counted)
    self.merged = NULL
    self.merged_room = 0
    self.counted = NULL
    self.counted_room = 0


cdef Py_ssize_t bpe_encode(
    const Ranks *ranks, Worker *worker, int pattern, const uint8_t *text, size_t n, size_t most,
    id_t *out
) noexcept nogil:
    cdef size_t begin = 0, pieces
    cdef Py_ssize_t count = 0, added
    cdef id_t *target
    split_begin(&worker.split, pattern, text, n)
    while <size_t>count < most:
        pieces = split_next(&worker.split, worker.ends, BATCH)
        if pieces == 0:
            break
        make_keys(worker, text, n, begin, pieces)
        if out != NULL:
            target = out + count
        else:
            target = <id_t *>room_to_count(
                worker, (worker.ends[pieces - 1] - begin + BPE_SLACK) * sizeof(id_t)
            )
            if target == NULL:
                return BPE_NO_MEMORY
        added = look_up(ranks, worker, text, begin, pieces, target)
        if added < 0:
            return added
        count += added
        begin = worker.ends[pieces - 1]
        cache_grow(&worker.cache)
    if worker.merged_room > MERGED_KEPT:
        free(worker.merged)
        worker.merged = NULL
        worker.merged_room = 0
    if worker.counted_room > MERGED_KEPT:
        free(worker.counted)
        worker.counted = NULL
        worker.counted_room = 0
    if worker.split.invalid:
        return BPE_INVALID_UTF8
    return <Py_ssize_t>min(<size_t>count, most)


cdef void *room_to_count(Worker *self, size_t bytes) noexcept nogil:
    if bytes > self.counted_room:
        free(self.counted)
        self.counted = malloc(bytes)
        self.counted_room = bytes if self.counted != NULL else 0
    return self.counted


cdef void make_keys(
    Worker *worker, const uint8_t *text, size_t n, size_t begin, size_t pieces
) noexcept nogil:
    cdef size_t i, end, length
    cdef uint64_t mask = worker.cache.mask
    cdef Key *key
    for i in range(pieces):
        end = worker.ends[i]
        length = end - begin
        key = &worker.keys[i]
        if likely(length <= KEY_BYTES and begin + 16 <= n):
            key_short(key, text + begin, length)
        elif length <= KEY_BYTES:
            key_short_at_end(key, text + begin, length)
        elif length <= LONG_BYTES:
            key_long(key, text + begin, length, spread(piece_hash(text + begin, length)))
        else:
            key_long(key, text + begin, length, 0)     # never looked up
        worker.slots[i] = key_slot(key, mask)
        prefetch(&worker.cache.lines[worker.slots[i]])
        begin = end


cdef Py_ssize_t look_up(
    const Ranks *ranks, Worker *worker, const uint8_t *text, size_t begin, size_t pieces, id_t *out
) noexcept nogil:
    cdef size_t i, length
    cdef Py_ssize_t k, count
    cdef const Key *key
    cdef const Line *line
    cdef const Entry *entry
    cdef const uint32_t *ids
    cdef id_t *first = out
    for i in range(pieces):
        key = &worker.keys[i]
        line = &worker.cache.lines[worker.slots[i]]
        entry = &line.newer
        if not key_equal(&entry.key, key):
            entry = &line.older
        if likely(key_equal(&entry.key, key) and entry.count <= INLINE_IDS and not key_is_long(key)):
            # Three stores whatever the count: cheaper than a branch that guesses it.
            out[0] = <id_t>entry.ids[0]
            out[1] = <id_t>entry.ids[1]
            out[2] = <id_t>entry.ids[2]
            out += entry.count
            begin = worker.ends[i]
            continue
        length = worker.ends[i] - begin
        if length <= LONG_BYTES and entry_is(&worker.cache, entry, key, text + begin, length):
            ids = entry_ids(&worker.cache, entry)
            count = entry.count
        else:
            count = bpe_piece(ranks, worker, text + begin, length)
            if count < 0:
                return count
            ids = worker.merged
            if length <= LONG_BYTES:
                cache_add(&worker.cache, key, text + begin, length, ids, count)
        for k in range(count):
            out[k] = <id_t>ids[k]
        out += count
        begin = worker.ends[i]
    return out - first


cdef Py_ssize_t bpe_piece(
    const Ranks *ranks, Worker *worker, const uint8_t *piece, size_t n
) noexcept nogil:
    cdef Py_ssize_t count, k
    cdef uint32_t token = NO_RANK
    if n > worker.merged_room:
        free(worker.merged)
        worker.merged_room = 0
        worker.merged = <uint32_t *>malloc((n + 64) * sizeof(uint32_t))
        if worker.merged == NULL:
            return BPE_NO_MEMORY
        worker.merged_room = n + 64
    if ranks.whole_pieces:
        token = ranks_find(ranks, piece, n)
    if token != NO_RANK:
        worker.merged[0] = ranks.ids[token]
        return 1
    count = merge_piece(ranks, piece, n, worker.merged)
    if count == MERGE_NO_MEMORY:
        return BPE_NO_MEMORY
    if count == MERGE_TOO_LONG:
        return BPE_TOO_LONG
    for k in range(count):
        worker.merged[k] = ranks.ids[worker.merged[k]]
    return count
