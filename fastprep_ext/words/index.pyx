"""Short words -> values by a perfect hash."""

cdef extern from * nogil:
    """
    static inline uint64_t mul_high(uint64_t a, uint64_t b) {
        return (uint64_t)((unsigned __int128)a * b >> 64);
    }
    """
    uint64_t mul_high(uint64_t a, uint64_t b)


cdef enum:
    WORDS_PER_BUCKET = 4      # at most, on average
    MAX_PILOT = 65535


# The lowest bits select the bucket and the highest bits of the product the entry, so that the words
# of a bucket are unrelated, and separate as the pilot increases.
cdef inline uint64_t bucket_of(const Index *index, uint64_t h) noexcept nogil:
    return h & index.bucket_mask


cdef inline uint64_t entry_place(const Index *index, uint64_t h, uint64_t pilot) noexcept nogil:
    return mul_high(h * pilot, index.size)


cdef inline int64_t value_at(const Entry *entry, const Key *key, int64_t unknown) noexcept nogil:
    cdef uint64_t differ = (entry.low ^ key.low) | (entry.high ^ key.high)
    # By arithmetic: compilers turn `unknown if differ else entry.value` into a branch, and unknown
    # words are unpredictable.
    cdef int64_t same = <int64_t>(differ != 0) - 1
    return (entry.value & same) | (unknown & ~same)


cdef bint look_up_window(
    const Index *shared_index, const Table *long_words, const Text *text, const Window *window,
    int64_t unknown, int64_t *values
) noexcept nogil:
    cdef Index index = shared_index[0]  # a copy that cannot alias a store
    cdef Key keys[64]                   # so many entries are prefetched at once
    cdef Key *key
    cdef int64_t first, i, many, value, signs = 0
    for first in range(0, window.count, 64):
        many = min(<int64_t>64, window.count - first)
        for i in range(many):
            key = &keys[i]
            if likely(piece_key(index.seeds, window, first + i, key)):
                key.hash = entry_place(&index, key.hash, index.pilots[bucket_of(&index, key.hash)])
                prefetch(index.entries + key.hash)
        for i in range(many):
            key = &keys[i]
            if likely(key.high != LONG_WORD):
                value = value_at(index.entries + key.hash, key, unknown)
            else:
                value = table_find_long(
                    long_words, text, piece_start(window, first + i), piece_end(window, first + i)
                )
                if value < 0:
                    value = unknown
            signs |= value
            values[first + i] = value
    return signs < 0


cdef int64_t index_find(
    const Index *index, const Table *long_words, const Text *word
) noexcept nogil:
    cdef Key key
    if not word_key(index.seeds, word, &key):
        return table_find_long(long_words, word, 0, word.length)
    key.hash = entry_place(index, key.hash, index.pilots[bucket_of(index, key.hash)])
    return value_at(index.entries + key.hash, &key, -1)


# Put a bucket's words into the first entries that are free for all of them, and return the pilot; -1
# if there is none.
cdef int64_t settle(
    Index *index, const Entry *words, const uint64_t *hashes, const int64_t *members, int64_t many
) noexcept nogil:
    cdef int64_t pilot, i, taken
    cdef Entry *entry
    for pilot in range(1, MAX_PILOT + 1):
        taken = 0
        for i in range(many):
            entry = index.entries + entry_place(index, hashes[members[i]], pilot)
            if entry.high != LONG_WORD:
                break
            entry[0] = words[members[i]]
            taken += 1
        if taken == many:
            return pilot
        for i in range(taken):
            index.entries[entry_place(index, hashes[members[i]], pilot)].high = LONG_WORD
    return -1


# Temporary arrays; freed by index_build.
cdef struct Draft:
    Entry *words           # n
    uint64_t *hashes       # n
    int64_t *members       # n: the words of bucket 0, of bucket 1, ...
    int64_t *ends          # of each bucket in members


cdef void list_words(Draft *draft, const Index *index, const Table *table) noexcept nogil:
    cdef uint64_t i
    cdef int64_t n = 0
    cdef const Slot *slot
    for i in range(table.mask + 1):
        slot = table.slots + i
        if slot.value >= 0 and slot.length >= 0:
            draft.words[n] = Entry(slot.low, slot.high, slot.value)
            draft.hashes[n] = short_hash(index.seeds, slot.low, slot.high)
            n += 1


# Counting sort; returns the size of the largest bucket.
cdef int64_t fill_buckets(
    Draft *draft, const Index *index, int64_t n, int64_t buckets
) noexcept nogil:
    cdef int64_t i, size, start = 0, largest = 0
    cdef int64_t *end
    for i in range(n):
        draft.ends[bucket_of(index, draft.hashes[i])] += 1
    for i in range(buckets):
        size = draft.ends[i]
        largest = max(largest, size)
        draft.ends[i] = start
        start += size
    for i in range(n):
        end = &draft.ends[bucket_of(index, draft.hashes[i])]
        draft.members[end[0]] = i
        end[0] += 1
    return largest


# Large buckets first, while most entries are free.
cdef int settle_all(
    Index *index, const Draft *draft, int64_t buckets, int64_t largest
) noexcept nogil:
    cdef int64_t size, bucket, start, pilot
    for size in range(largest, 0, -1):
        for bucket in range(buckets):
            start = draft.ends[bucket - 1] if bucket > 0 else 0
            if draft.ends[bucket] - start != size:
                continue
            pilot = settle(index, draft.words, draft.hashes, draft.members + start, size)
            if pilot < 0:
                return -2
            index.pilots[bucket] = <uint16_t>pilot
    return 0


cdef int index_build(Index *index, const Table *table) noexcept nogil:
    cdef int64_t n = table.short_count
    cdef int64_t buckets = 2
    cdef int status = -1
    cdef Draft draft
    memset(index, 0, sizeof(Index))
    index.seeds[0] = table.seeds[0]
    index.seeds[1] = table.seeds[1]
    index.size = n + n // 4 + 1
    while buckets * WORDS_PER_BUCKET < n:
        buckets *= 2
    index.bucket_mask = buckets - 1
    index.entries = <Entry *>malloc(index.size * sizeof(Entry))
    index.pilots = <uint16_t *>calloc(buckets, sizeof(uint16_t))
    draft.words = <Entry *>malloc((n + 1) * sizeof(Entry))
    draft.hashes = <uint64_t *>malloc((n + 1) * sizeof(uint64_t))
    draft.members = <int64_t *>malloc((n + 1) * sizeof(int64_t))
    draft.ends = <int64_t *>calloc(buckets, sizeof(int64_t))
    if (index.entries != NULL and index.pilots != NULL and draft.words != NULL
            and draft.hashes != NULL and draft.members != NULL and draft.ends != NULL):
        memset(index.entries, 0xFF, index.size * sizeof(Entry))      # free: high is LONG_WORD
        status = 0
        if n > 0:                 # else the table may have no slots
            list_words(&draft, index, table)
            status = settle_all(index, &draft, buckets, fill_buckets(&draft, index, n, buckets))
    free(draft.words)
    free(draft.hashes)
    free(draft.members)
    free(draft.ends)
    return status


cdef void index_free(Index *index) noexcept nogil:
    free(index.entries)
    free(index.pilots)
    memset(index, 0, sizeof(Index))
