"""Piece -> ids, remembered: the same few hundred thousand pieces make up nearly all text.

A piece of up to 15 bytes is its own key: its bytes and its length in two words. A longer one is
known by its hash, and its bytes are kept to compare. Two entries share a 64-byte line; a newcomer
takes the first place and pushes the older one to the second. Up to three ids lie in the entry, seven
where every id of the vocabulary is below 65,536; more lie in an arena. The table grows with what it is asked, up to a bound; then the older of two neighbours is
forgotten, and in the arena the oldest. One a thread.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from "bits.h" nogil:
    const uint64_t[16][2] KEY_MASK     # the first n of 16 bytes, in two words
    bint unlikely(bint x)
    uint64_t load64(const void *p)
    uint64_t mul_fold(uint64_t a, uint64_t b)

cdef enum:
    KEY_BYTES = 15                 # longest piece that is its own key
    LONG_BYTES = 1024              # longest piece that is remembered at all
    NARROW_IDS = 7             # in an entry, of 16 bits each
    WIDE_IDS = 3               # of 32
    FAR = 1 << 15              # with an entry's count: the ids are in the arena
    FIRST_LINES = 1 << 11          # 128 KiB
    MOST_LINES = 1 << 19           # 32 MiB
    ARENA_WORDS = 1 << 22          # 16 MiB

cdef struct Key:
    uint64_t low               # bytes 0-7; of a longer piece its hash
    uint64_t high              # bytes 8-14 and the length in the top byte; 0xFF there: longer

# The ids of a piece in 16 bytes: their number, and what inline_ids says of the rest.
cdef struct Value:
    uint16_t count             # and FAR
    uint16_t narrow[7]

cdef struct Entry:
    Key key                    # high == 0: empty
    Value value                # with FAR its last half is where in the arena the ids are

cdef struct Line:
    Entry newer
    Entry older

cdef struct Cache:
    Line *lines
    uint64_t mask
    size_t entered             # entries written since the table was made
    bint narrow                # whether every id is below 65,536
    uint16_t most_inline       # NARROW_IDS or WIDE_IDS
    uint32_t *arena            # a ring: what is written last overwrites what is oldest
    uint64_t used              # words ever written to it

cdef int cache_begin(Cache *self, bint narrow) noexcept nogil
cdef void cache_free(Cache *self) noexcept nogil

# Makes the table larger if what it was asked calls for it. Lines move: call between batches only.
cdef void cache_grow(Cache *self) noexcept nogil

# The ids of a piece to ids[count], if the entry is its own; -1 if not. For a long piece equal keys are not
# yet equal bytes: they lie in the arena before its ids.
cdef Py_ssize_t cache_get(
    const Cache *self, const Entry *entry, const Key *key, const uint8_t *piece, size_t n, uint32_t *ids
) noexcept nogil

# Remembers the ids of a piece that is not there. `piece` is read only if the key is a long one.
cdef void cache_add(
    Cache *self, const Key *key, const uint8_t *piece, size_t n, const uint32_t *ids, size_t count
) noexcept nogil


cdef inline uint64_t key_slot(const Key *key, uint64_t mask) noexcept nogil:
    return mul_fold(
        key.low ^ <uint64_t>0x8BB84B93962EACC9, key.high ^ <uint64_t>0x4B33A62ED433D4A3
    ) & mask


# The key of a piece of 1 to 15 bytes, of which `readable` may be read, n or more. Masks from a table:
# a branch on the length, to shift either word, guesses wrong at every seventh piece.
cdef inline void key_short(Key *key, const uint8_t *piece, size_t n, size_t readable) noexcept nogil:
    cdef uint8_t padded[16]
    if unlikely(readable < 16):
        memcpy(padded, piece, n)
        piece = padded
    key.low = load64(piece) & KEY_MASK[n][0]
    key.high = (load64(piece + 8) & KEY_MASK[n][1]) | <uint64_t>n << 56


cdef inline void key_long(Key *key, const uint8_t *piece, size_t n, uint64_t hashed) noexcept nogil:
    key.low = hashed
    key.high = <uint64_t>0xFF << 56 | n


cdef inline bint key_is_long(const Key *key) noexcept nogil:
    return key.high >> 56 == 0xFF


cdef inline bint key_equal(const Key *a, const Key *b) noexcept nogil:
    return ((a.low ^ b.low) | (a.high ^ b.high)) == 0


# The entry with the key if one of the line's has it, else whichever. Reckoned, since a compiler may make
# a branch of a choice, and none could be guessed (0.9 times).
cdef inline const Entry *line_entry(const Line *line, const Key *key) noexcept nogil:
    return &line.newer + <size_t>(not key_equal(&line.newer.key, key))


# Whether the entry is the key's, and its ids lie in it.
cdef inline bint entry_is_near(const Entry *entry, const Key *key, uint16_t most_inline) noexcept nogil:
    return key_equal(&entry.key, key) and entry.value.count <= most_inline


# Wide ids lie behind a gap of two bytes, so that they stand at their own size's edge.
cdef inline const uint32_t *wide_ids(const Value *value) noexcept nogil:
    return <const uint32_t *>value + 1


cdef inline void put_inline(
    Value *value, bint narrow, const uint32_t *ids, size_t count
) noexcept nogil:
    cdef size_t k
    value.count = <uint16_t>count
    if narrow:
        for k in range(count):
            value.narrow[k] = <uint16_t>ids[k]
    else:
        memcpy(<uint32_t *>value + 1, ids, count * sizeof(uint32_t))


cdef inline void get_inline(const Value *value, bint narrow, uint32_t *ids) noexcept nogil:
    cdef size_t k
    for k in range(value.count):
        ids[k] = value.narrow[k] if narrow else wide_ids(value)[k]


# Eight bytes a step; n >= 8.
cdef inline uint64_t long_hash(const uint8_t *piece, size_t n) noexcept nogil:
    cdef uint64_t h = n
    cdef size_t i = 0
    while i + 8 < n:
        h = mul_fold(h ^ load64(piece + i), <uint64_t>0xA0761D6478BD642F)
        i += 8
    return mul_fold(h ^ load64(piece + n - 8), <uint64_t>0xE7037ED1A0B428DB)
