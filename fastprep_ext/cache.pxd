"""Piece -> ids, remembered: the same few hundred thousand pieces make up nearly all text.

A piece of up to 15 bytes is its own key: its bytes and its length in two words. A longer one is
known by its hash, and its bytes are kept to compare. Two entries share a 64-byte line; a newcomer
takes the first place and pushes the older one to the second. Up to three ids lie in the entry, more
in an arena. The table grows with what it is asked, up to a bound; then the older of two neighbours is
forgotten, and in the arena the oldest. One a thread.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

cdef extern from "bits.h" nogil:
    const uint64_t[16][2] KEY_MASK     # the first n of 16 bytes, in two words
    bint unlikely(bint x)
    uint64_t load64(const void *p)
    uint64_t mul_fold(uint64_t a, uint64_t b)

cdef enum:
    KEY_BYTES = 15                 # longest piece that is its own key
    LONG_BYTES = 1024              # longest piece that is remembered at all
    INLINE_IDS = 3
    FAR = 1 << 30              # in an entry's count: more than INLINE_IDS, or those of a long piece
    FIRST_LINES = 1 << 11          # 128 KiB
    MOST_LINES = 1 << 19           # 32 MiB
    ARENA_WORDS = 1 << 22          # 16 MiB

cdef struct Key:
    uint64_t low               # bytes 0-7; of a longer piece its hash
    uint64_t high              # bytes 8-14 and the length in the top byte; 0xFF there: longer

cdef struct Entry:
    Key key                    # high == 0: empty
    uint32_t count             # and FAR, if the ids are in the arena
    uint32_t ids[3]            # or where in the arena they are: see entry_place

cdef struct Line:
    Entry newer
    Entry older

cdef struct Cache:
    Line *lines
    uint64_t mask
    size_t entered             # entries written since the table was made
    uint32_t *arena            # a ring: what is written last overwrites what is oldest
    uint64_t used              # words ever written to it

cdef int cache_begin(Cache *self) noexcept nogil
cdef void cache_free(Cache *self) noexcept nogil

# Makes the table larger if what it was asked calls for it. Lines move: call between batches only.
cdef void cache_grow(Cache *self) noexcept nogil

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


# The entry with the key if one of the line's has it, else whichever. No branch: none could be guessed.
cdef inline const Entry *line_entry(const Line *line, const Key *key) noexcept nogil:
    return &line.newer if key_equal(&line.newer.key, key) else &line.older


# Whether the entry is the key's, and its ids lie in it.
cdef inline bint entry_is_near(const Entry *entry, const Key *key) noexcept nogil:
    return key_equal(&entry.key, key) and entry.count <= INLINE_IDS


# How many words were written to the arena before the entry's.
cdef inline uint64_t entry_place(const Entry *entry) noexcept nogil:
    return entry.ids[0] | <uint64_t>entry.ids[1] << 32


# A far entry's words, or NULL where they were overwritten.
cdef inline const uint32_t *entry_words(const Cache *self, const Entry *entry) noexcept nogil:
    cdef uint64_t place = entry_place(entry)
    if self.used - place > ARENA_WORDS:
        return NULL
    return &self.arena[place & (ARENA_WORDS - 1)]


# The ids of the piece if the entry is its own, or NULL. For a long piece equal keys are not yet equal
# bytes: they lie in the arena before its ids.
cdef inline const uint32_t *entry_ids(
    const Cache *self, const Entry *entry, const Key *key, const uint8_t *piece, size_t n
) noexcept nogil:
    cdef const uint32_t *words
    if not key_equal(&entry.key, key):
        return NULL
    if entry.count & FAR == 0:
        return entry.ids
    words = entry_words(self, entry)
    if words == NULL or not key_is_long(key):
        return words
    return words + (n + 3) // 4 if memcmp(words, piece, n) == 0 else NULL


# Eight bytes a step; n >= 8.
cdef inline uint64_t long_hash(const uint8_t *piece, size_t n) noexcept nogil:
    cdef uint64_t h = n
    cdef size_t i = 0
    while i + 8 < n:
        h = mul_fold(h ^ load64(piece + i), <uint64_t>0xA0761D6478BD642F)
        i += 8
    return mul_fold(h ^ load64(piece + n - 8), <uint64_t>0xE7037ED1A0B428DB)
