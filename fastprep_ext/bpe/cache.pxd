"""Piece -> ids, cached: the same few hundred thousand pieces make up nearly all text.

A new entry takes the newer place of its line and moves what was there to the older one. Up to three
ids are stored in the entry, seven if every id of the vocabulary is below 65,536; more ids, and the
bytes of a piece that is not its own key, are stored in an arena. The table grows with use, up to a
bound; after that the older of the two entries of a line is evicted, and in the arena the oldest
words. One cache per thread.
"""

cdef extern from "bpe/keys.h" nogil:
    enum:
        KEY_BYTES
        LONG_BYTES
        FAR_KEY
    ctypedef struct Key:
        uint64_t low
        uint64_t high
    ctypedef struct Value:
        uint16_t[7] narrow
        uint16_t count
    ctypedef struct Entry:
        Key key
        Value value
    ctypedef struct Line:
        Entry older
        Entry newer
    ctypedef struct KeyPath:
        uint32_t (*slot)(const Key *key, uint64_t mask) noexcept nogil
        void (*make_keys)(
            const Line *lines, uint64_t mask, const uint8_t *text, size_t n, size_t begin,
            const size_t *ends, size_t pieces, Key *keys, uint32_t *slots
        ) noexcept nogil
        size_t (*look)(
            const Line *lines, const Key *keys, const uint32_t *slots, size_t pieces,
            Value *found, uint32_t *missing
        ) noexcept nogil
    const Entry *line_entry(const Line *line, const Key *key)
    bint key_equal(const Key *a, const Key *b)
    void key_short(Key *key, const uint8_t *piece, size_t n, size_t readable)

cdef enum:
    NARROW_IDS = 7         # 16-bit ids in an entry
    WIDE_IDS = 3           # 32-bit ids in an entry
    FIRST_LINES = 1 << 11  # 128 KiB
    MAX_LINES = 1 << 19    # 32 MiB
    ARENA_WORDS = 1 << 22  # 16 MiB

cdef struct Cache:
    const KeyPath *path
    Line *lines
    uint64_t mask
    size_t capacity        # allocated lines
    size_t entered         # entries written since the table was resized
    bint narrow            # whether every id is below 65,536
    uint16_t max_inline    # NARROW_IDS or WIDE_IDS
    uint32_t *arena        # a ring: new words overwrite the oldest
    uint64_t used          # words written so far

cdef int cache_begin(Cache *self, bint narrow) noexcept nogil
cdef void cache_free(Cache *self) noexcept nogil

# Enlarge the table if it was used enough. Lines move: call between batches only.
cdef void cache_grow(Cache *self) noexcept nogil

# Copy the ids of a piece that `look` did not find to ids[count] if they are in the arena; -1 if not.
# Equal keys of long pieces need not be equal bytes, so those are compared, too.
cdef Py_ssize_t cache_get(
    const Cache *self, uint32_t slot, const Key *key, const uint8_t *piece, size_t n, uint32_t *ids
) noexcept nogil

# Add the ids of a piece that is not in the cache. `piece` is read only if it is longer than a key.
cdef void cache_add(
    Cache *self, const Key *key, const uint8_t *piece, size_t n, const uint32_t *ids, size_t count
) noexcept nogil


cdef inline const uint32_t *wide_ids(const Value *value) noexcept nogil:
    return <const uint32_t *>value


cdef inline void put_inline(
    Value *value, bint narrow, const uint32_t *ids, size_t count
) noexcept nogil:
    cdef size_t k
    value.count = <uint16_t>count
    if narrow:
        for k in range(count):
            value.narrow[k] = <uint16_t>ids[k]
    else:
        memcpy(value, ids, count * sizeof(uint32_t))


cdef inline void get_inline(const Value *value, bint narrow, uint32_t *ids) noexcept nogil:
    cdef size_t k
    for k in range(value.count):
        ids[k] = value.narrow[k] if narrow else wide_ids(value)[k]
