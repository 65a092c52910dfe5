"""Piece -> ids, cached: the same few hundred thousand pieces make up nearly all text.

A new entry takes the newer place of its line, moves what was there to the older one, and what was
there to a free place of the neighbouring line. As many ids as a value has room for (values.h) are
stored in the entry; more ids, and the bytes of a piece that is not its own key, are stored in an
arena. The table grows with use, up to a bound; after that entries are evicted, and in the arena the
oldest words are. One cache per thread.
"""

cdef extern from "bpe/values.h" nogil:
    enum:
        MOST_IDS
        SPILLED
    ctypedef struct Value:
        uint16_t count
    ctypedef struct Packing:
        uint32_t most
    void packing_begin(Packing *self, uint32_t largest)
    void value_pack(const Packing *packing, Value *value, const uint32_t *ids, size_t count)
    void value_unpack(const Packing *packing, const Value *value, uint32_t *ids)
    void value_refer(Value *value, const uint32_t *ids, size_t count)
    size_t value_count(const Value *value)
    const uint32_t *ids_elsewhere(const Value *value)
    void copy_ids(uint32_t *out, const uint32_t *ids, size_t count)
    size_t emit_narrow(const Packing *packing, const Value *found, size_t count, uint16_t *out)

cdef extern from "bpe/keys.h" nogil:
    enum:
        KEY_BYTES
        LONG_BYTES
        FAR_KEY
    ctypedef struct Key:
        uint64_t low
        uint64_t high
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
        size_t (*emit)(
            const Packing *packing, const Value *found, size_t count, uint32_t *out
        ) noexcept nogil
    const Entry *line_entry(const Line *line, const Key *key)
    bint key_equal(const Key *a, const Key *b)
    bint long_equal(const uint8_t *a, const uint8_t *b, size_t n)
    void key_short(Key *key, const uint8_t *piece, size_t n, size_t readable)

cdef enum:
    FIRST_LINES = 1 << 11  # 128 KiB
    MAX_LINES = 1 << 19    # 32 MiB
    ARENA_WORDS = 1 << 22  # 16 MiB

cdef struct Cache:
    const KeyPath *path
    Line *lines
    uint64_t mask
    size_t capacity        # allocated lines
    size_t entered         # entries written since the table was resized
    Packing packing        # of the ids of an entry
    uint32_t *arena        # a ring: new words overwrite the oldest
    uint64_t used          # words written so far

cdef enum:
    NO_PLACE = 0xFFFFFFFFFFFFFFFF

# `largest`: the largest id of the vocabulary.
cdef int cache_begin(Cache *self, uint32_t largest) noexcept nogil
cdef void cache_free(Cache *self) noexcept nogil

# Enlarge the table if it was used enough. Lines move: call between batches only.
cdef void cache_grow(Cache *self) noexcept nogil

# Look for a key that is not in its line. If an entry in the neighbouring line has it, copy its value,
# move it to its own line, and return True. Otherwise, if its ids are in the arena, set `place` and the
# count of `value`, and prefetch them.
cdef bint cache_find(
    Cache *self, uint32_t slot, const Key *key, Value *value, uint64_t *place
) noexcept nogil

# Copy what is at a place in the arena: to `value`, or if the ids are too many for one to ids[count],
# with room to a multiple of MOST_IDS, to which the value then refers. False if it was overwritten, or
# if it is of another piece, since equal keys of long pieces need not be equal bytes.
cdef bint cache_read(
    const Cache *self, uint64_t place, size_t count, const uint8_t *piece, size_t n, uint32_t *ids,
    Value *value
) noexcept nogil

# Add the ids of a piece that is not in the cache. `piece` is read only if it is longer than a key.
cdef void cache_add(
    Cache *self, const Key *key, const uint8_t *piece, size_t n, const Value *value
) noexcept nogil


# Store ids as a value, which refers to them if they are too many.
cdef inline void put_ids(
    const Cache *self, Value *value, const uint32_t *ids, size_t count
) noexcept nogil:
    if count <= self.packing.most:
        value_pack(&self.packing, value, ids, count)
    else:
        value_refer(value, ids, count)
