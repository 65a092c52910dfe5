"""The slow half of the cache: allocation, growth, insertion, eviction."""

cdef extern from "bpe/keys.h" nogil:
    const KeyPath *key_path(const char *path)

cdef extern from "base/pages.h" nogil:
    enum:
        HUGE_PAGE
    void *pages_alloc(size_t size)
    void pages_free(void *memory, size_t size)

cdef const KeyPath *KEY_PATH = key_path(simd.encode())


cdef int cache_begin(Cache *self, uint32_t largest) noexcept nogil:
    memset(self, 0, sizeof(Cache))
    self.path = KEY_PATH
    packing_begin(&self.packing, largest)
    self.arena = <uint32_t *>malloc((ARENA_WORDS + MOST_IDS) * sizeof(uint32_t))
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


# Only entries that move for lack of room are looked for in the neighbouring line.
cdef inline void put_entry(Cache *self, const Entry *entry) noexcept nogil:
    cdef Key key = entry.key
    cdef uint32_t slot
    cdef Line *line
    cdef Line *other
    key.high &= ~(<uint64_t>FAR_KEY << 56)
    slot = self.path.slot(&key, self.mask)
    line = &self.lines[slot]
    self.entered += 1
    if line.older.key.high:
        other = &self.lines[slot ^ 1]
        if not other.older.key.high:
            other.older = line.older
        elif not other.newer.key.high:
            other.newer = line.older
    if line.newer.key.high:
        line.older = line.newer
    line.newer = entry[0]


# The number of words written to the arena before those of the entry.
cdef inline uint64_t *arena_place(Entry *entry) noexcept nogil:
    return <uint64_t *>&entry.value


cdef bint cache_find(
    Cache *self, uint32_t slot, const Key *key, Value *value, uint64_t *place
) noexcept nogil:
    cdef Line *line = &self.lines[slot]
    cdef Line *other = &self.lines[slot ^ 1]
    cdef Key far = key[0]
    cdef Entry *entry
    cdef Entry found
    place[0] = NO_PLACE
    far.high |= <uint64_t>FAR_KEY << 56
    entry = <Entry *>line_entry(line, &far)
    if not key_equal(&entry.key, &far):
        if not line.older.key.high:
            return False                        # nothing was displaced from this line
        entry = <Entry *>line_entry(line, key)
        if key_equal(&entry.key, key):          # moved there since
            value[0] = entry.value
            return True
        entry = <Entry *>line_entry(other, key)
        if key_equal(&entry.key, key):
            found = entry[0]
            entry[0] = line.older
            line.older = line.newer
            line.newer = found
            value[0] = found.value
            return True
        entry = <Entry *>line_entry(other, &far)
        if not key_equal(&entry.key, &far):
            return False
    place[0] = arena_place(entry)[0]
    value.count = entry.value.count
    prefetch(&self.arena[place[0] & (ARENA_WORDS - 1)])
    prefetch(&self.arena[place[0] + 8 & (ARENA_WORDS - 1)])
    return False


cdef bint cache_read(
    const Cache *self, uint64_t place, size_t count, const uint8_t *piece, size_t n, uint32_t *ids,
    Value *value
) noexcept nogil:
    cdef const uint32_t *words = &self.arena[place & (ARENA_WORDS - 1)]
    if self.used - place > ARENA_WORDS:
        return False
    if n > KEY_BYTES:
        if not long_equal(<const uint8_t *>words, piece, n):
            return False
        words += (n + 3) // 4
        if count <= self.packing.most:
            memcpy(value, words, sizeof(Value))
            return True
    copy_ids(ids, words, count)
    value_refer(value, ids, count)
    return True


cdef void cache_add(
    Cache *self, const Key *key, const uint8_t *piece, size_t n, const Value *value
) noexcept nogil:
    cdef Entry entry
    cdef bint is_packed = value.count != SPILLED
    cdef size_t count = value_count(value)
    cdef size_t piece_words = (n + 3) // 4 if n > KEY_BYTES else 0
    cdef size_t words = piece_words + (sizeof(Value) // 4 if is_packed else count), at
    entry.key = key[0]
    entry.value = value[0]
    if piece_words or not is_packed:
        at = self.used & (ARENA_WORDS - 1)
        if at + words > ARENA_WORDS:
            self.used += ARENA_WORDS - at       # too few words are left at the end
            at = 0
        memcpy(self.arena + at, piece, n if piece_words else 0)
        if is_packed:
            memcpy(self.arena + at + piece_words, &entry.value, sizeof(Value))
        else:
            memcpy(self.arena + at + piece_words, ids_elsewhere(value), count * sizeof(uint32_t))
        entry.key.high |= <uint64_t>FAR_KEY << 56
        entry.value.count = <uint16_t>count
        arena_place(&entry)[0] = self.used
        self.used += words
    put_entry(self, &entry)
