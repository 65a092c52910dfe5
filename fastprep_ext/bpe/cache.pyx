"""The slow half of the cache: allocation, growth, insertion, eviction."""

cdef extern from "bpe/keys.h" nogil:
    const KeyPath *key_path(const char *path)

cdef extern from "base/pages.h" nogil:
    enum:
        HUGE_PAGE
    void *pages_alloc(size_t size)
    void pages_free(void *memory, size_t size)

cdef const KeyPath *KEY_PATH = key_path(simd.encode())


cdef int cache_begin(Cache *self, bint narrow) noexcept nogil:
    memset(self, 0, sizeof(Cache))
    self.path = KEY_PATH
    self.narrow = narrow
    self.max_inline = NARROW_IDS if narrow else WIDE_IDS
    self.arena = <uint32_t *>malloc(ARENA_WORDS * sizeof(uint32_t))
    if self.arena == NULL or not make_lines(self, FIRST_LINES):
        cache_free(self)
        return -1
    return 0


cdef void cache_free(Cache *self) noexcept nogil:
    pages_free(self.lines, self.capacity * sizeof(Line))
    free(self.arena)
    memset(self, 0, sizeof(Cache))


# A small table is replaced by a larger one; a large one has address space to grow in place, of which
# nothing is mapped before it is used. Huge pages: 1.1 times the speed on new text.
cdef bint make_lines(Cache *self, size_t count) noexcept nogil:
    cdef size_t capacity = count if count * sizeof(Line) < HUGE_PAGE else <size_t>MAX_LINES
    cdef Line *lines = <Line *>pages_alloc(capacity * sizeof(Line))
    if lines == NULL:
        return False
    self.lines = lines
    self.capacity = capacity
    self.mask = count - 1
    return True


cdef void cache_grow(Cache *self) noexcept nogil:
    cdef Line *lines = self.lines
    cdef Line line
    cdef size_t count = self.mask + 1, capacity = self.capacity, i
    if self.entered < count + count // 2 or count >= MAX_LINES:
        return
    self.entered = 0
    if count < capacity:
        self.mask = 2 * count - 1
    elif not make_lines(self, 4 * count):
        return                  # no memory for a larger table: keep this one
    for i in range(count):
        line = lines[i]
        memset(&lines[i], 0, sizeof(Line))
        if line.older.key.high:
            put_entry(self, &line.older)
        if line.newer.key.high:
            put_entry(self, &line.newer)
    if lines != self.lines:
        pages_free(lines, capacity * sizeof(Line))


cdef inline void put_entry(Cache *self, const Entry *entry) noexcept nogil:
    cdef Key key = entry.key
    cdef Line *line
    key.high &= ~(<uint64_t>FAR_KEY << 56)
    line = &self.lines[self.path.slot(&key, self.mask)]
    line.older = line.newer
    line.newer = entry[0]
    self.entered += 1


# The number of words written to the arena before those of the entry.
cdef inline uint64_t *arena_place(Entry *entry) noexcept nogil:
    return <uint64_t *>&entry.value


cdef Py_ssize_t cache_get(
    const Cache *self, uint32_t slot, const Key *key, const uint8_t *piece, size_t n, uint32_t *ids
) noexcept nogil:
    cdef Key far = key[0]
    cdef const Entry *entry
    cdef const uint32_t *words
    cdef uint64_t place
    far.high |= <uint64_t>FAR_KEY << 56
    entry = line_entry(&self.lines[slot], &far)
    if not key_equal(&entry.key, &far):
        return -1
    place = arena_place(<Entry *>entry)[0]
    if self.used - place > ARENA_WORDS:
        return -1                   # overwritten
    words = &self.arena[place & (ARENA_WORDS - 1)]
    if n > KEY_BYTES:
        if memcmp(words, piece, n) != 0:
            return -1
        words += (n + 3) // 4
    memcpy(ids, words, entry.value.count * sizeof(uint32_t))
    return entry.value.count


cdef void cache_add(
    Cache *self, const Key *key, const uint8_t *piece, size_t n, const uint32_t *ids, size_t count
) noexcept nogil:
    cdef Entry entry
    cdef size_t piece_words = (n + 3) // 4 if n > KEY_BYTES else 0
    cdef size_t words = piece_words + count, at
    memset(&entry, 0, sizeof(Entry))
    entry.key = key[0]
    if n <= KEY_BYTES and count <= self.max_inline:
        put_inline(&entry.value, self.narrow, ids, count)
    else:
        at = self.used & (ARENA_WORDS - 1)
        if at + words > ARENA_WORDS:
            self.used += ARENA_WORDS - at       # too few words are left at the end
            at = 0
        entry.key.high |= <uint64_t>FAR_KEY << 56
        entry.value.count = <uint16_t>count
        arena_place(&entry)[0] = self.used
        memcpy(self.arena + at, piece, n if piece_words else 0)
        memcpy(self.arena + at + piece_words, ids, count * sizeof(uint32_t))
        self.used += words
    put_entry(self, &entry)
