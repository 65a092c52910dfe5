"""The cache's slow half: making, growing, adding, forgetting."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

cdef extern from "pages.h" nogil:
    void *pages_alloc(size_t size)
    void pages_free(void *memory, size_t size)


cdef int cache_begin(Cache *self) noexcept nogil:
    memset(self, 0, sizeof(Cache))
    self.arena = <uint32_t *>malloc(ARENA_WORDS * sizeof(uint32_t))
    if self.arena == NULL or not make_lines(self, FIRST_LINES):
        cache_free(self)
        return -1
    return 0


cdef void cache_free(Cache *self) noexcept nogil:
    free_lines(self.lines, self.mask + 1)
    free(self.arena)
    memset(self, 0, sizeof(Cache))


# Huge pages: 1.1 times the speed on new text.
cdef bint make_lines(Cache *self, size_t count) noexcept nogil:
    cdef Line *lines = <Line *>pages_alloc(count * sizeof(Line))
    if lines == NULL:
        return False
    self.lines = lines
    self.mask = count - 1
    self.entered = 0
    return True


cdef void free_lines(Line *lines, size_t count) noexcept nogil:
    pages_free(lines, count * sizeof(Line))


cdef void cache_grow(Cache *self) noexcept nogil:
    cdef Line *lines = self.lines
    cdef size_t count = self.mask + 1, i
    if self.entered < count + count // 2 or count >= MOST_LINES:
        return
    if not make_lines(self, min(4 * count, 2 * max(count, <size_t>1 << 16))):
        self.entered = 0        # no memory for a larger one: this one serves on
        return
    for i in range(count):
        if lines[i].older.key.high:
            place(self, &lines[i].older)
        if lines[i].newer.key.high:
            place(self, &lines[i].newer)
    free_lines(lines, count)


cdef inline void place(Cache *self, const Entry *entry) noexcept nogil:
    cdef Line *line = &self.lines[key_slot(&entry.key, self.mask)]
    line.older = line.newer
    line.newer = entry[0]
    self.entered += 1


cdef void cache_add(
    Cache *self, const Key *key, const uint8_t *piece, size_t n, const uint32_t *ids, size_t count
) noexcept nogil:
    cdef Entry entry
    cdef size_t piece_words = (n + 3) // 4 if key_is_long(key) else 0
    cdef size_t words, at
    memset(&entry, 0, sizeof(Entry))
    entry.key = key[0]
    entry.count = <uint32_t>count
    if piece_words == 0 and count <= INLINE_IDS:
        memcpy(entry.ids, ids, count * sizeof(uint32_t))
    else:
        words = piece_words + count
        at = self.used & (ARENA_WORDS - 1)
        if at + words > ARENA_WORDS:
            self.used += ARENA_WORDS - at       # what is left at the end is too little
            at = 0
        entry.count |= FAR
        entry.ids[0] = <uint32_t>self.used
        entry.ids[1] = <uint32_t>(self.used >> 32)
        memcpy(self.arena + at, piece, n if piece_words else 0)
        memcpy(self.arena + at + piece_words, ids, count * sizeof(uint32_t))
        self.used += words
    place(self, &entry)
