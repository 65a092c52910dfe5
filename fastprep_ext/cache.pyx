"""The cache's slow half: making, growing, adding, forgetting."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset

cdef extern from "pages.h" nogil:
    void *pages_alloc(size_t size)
    void pages_free(void *memory, size_t size)


cdef int cache_begin(Cache *self, bint narrow) noexcept nogil:
    memset(self, 0, sizeof(Cache))
    self.narrow = narrow
    self.most_inline = NARROW_IDS if narrow else WIDE_IDS
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


# How many words were written to the arena before the entry's.
cdef inline uint64_t *place_of(Entry *entry) noexcept nogil:
    return <uint64_t *>&entry.value + 1


cdef Py_ssize_t cache_get(
    const Cache *self, const Entry *entry, const Key *key, const uint8_t *piece, size_t n, uint32_t *ids
) noexcept nogil:
    cdef const uint32_t *words
    cdef uint64_t place
    cdef Py_ssize_t count
    if not key_equal(&entry.key, key):
        return -1
    if entry.value.count & FAR == 0:
        get_inline(&entry.value, self.narrow, ids)
        return entry.value.count
    place = place_of(<Entry *>entry)[0]
    if self.used - place > ARENA_WORDS:
        return -1                   # overwritten
    words = &self.arena[place & (ARENA_WORDS - 1)]
    if key_is_long(key):
        if memcmp(words, piece, n) != 0:
            return -1
        words += (n + 3) // 4
    count = entry.value.count & (FAR - 1)
    memcpy(ids, words, count * sizeof(uint32_t))
    return count


cdef void cache_add(
    Cache *self, const Key *key, const uint8_t *piece, size_t n, const uint32_t *ids, size_t count
) noexcept nogil:
    cdef Entry entry
    cdef size_t piece_words = (n + 3) // 4 if key_is_long(key) else 0
    cdef size_t words, at
    memset(&entry, 0, sizeof(Entry))
    entry.key = key[0]
    if piece_words == 0 and count <= self.most_inline:
        put_inline(&entry.value, self.narrow, ids, count)
    else:
        words = piece_words + count
        at = self.used & (ARENA_WORDS - 1)
        if at + words > ARENA_WORDS:
            self.used += ARENA_WORDS - at       # what is left at the end is too little
            at = 0
        entry.value.count = <uint16_t>(count | FAR)
        place_of(&entry)[0] = self.used
        memcpy(self.arena + at, piece, n if piece_words else 0)
        memcpy(self.arena + at + piece_words, ids, count * sizeof(uint32_t))
        self.used += words
    place(self, &entry)
