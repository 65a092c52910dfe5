"""Words: pieces and their counts into the array of tokens that the merge loop works on."""

cdef enum:
    SMALL_COUNTS = 1 << 16     # counts below are places in an array, the others are sorted

# All words of one count.
cdef struct Level:
    uint64_t count
    uint64_t places

# Pieces, one by one: of a table, or of records.
cdef struct Source:
    const PieceTable *table    # NULL: records
    const uint8_t *bytes
    size_t size
    size_t at
    bint damaged


# The next piece; False after the last one.
cdef inline bint source_next(Source *self, Record *record) noexcept nogil:
    cdef const PieceTable *table = self.table
    cdef const Slot *slot
    cdef size_t next
    if table == NULL:
        if self.at >= self.size:
            return False
        next = record_read(self.bytes, self.at, self.size, record)
        if next == 0:
            self.damaged = True
            return False
        self.at = next
        return True
    while self.at < table.capacity:
        slot = &table.slots[self.at]
        self.at += 1
        if slot.key.high != 0:
            record.piece = bytes_of(table, slot)
            record.n = length_of(&slot.key)
            record.count = slot.count
            return True
    return False


cdef int higher_count(const void *a, const void *b) noexcept nogil:
    cdef uint64_t one = (<const Level *>a).count, other = (<const Level *>b).count
    return (other > one) - (other < one)


# Find the places of each count: small[count], and the sorted levels of the others. Returns a status.
cdef int measure(
    Training *self, Source source, uint64_t *small, Level **levels, size_t *n_levels
) noexcept nogil:
    cdef Record record
    cdef Level *large = NULL
    cdef Level *grown
    cdef size_t n = 0, room = 0, i, kept = 0
    cdef uint64_t at = BLOCK, size, places = 0
    while source_next(&source, &record):
        if record.n < 2:
            continue
        size = record.n + 1
        if record.count > (COUNT_LIMIT - self.total) // size:
            free(large)
            return TRAIN_OVERFLOW
        self.total += record.count * (size - 2)
        places += size
        if record.count < SMALL_COUNTS:
            small[record.count] += size
            continue
        if n == room:
            room = max(room + room // 2, <size_t>1024)
            grown = <Level *>realloc(large, room * sizeof(Level))
            if grown == NULL:
                free(large)
                return TRAIN_NO_MEMORY
            large = grown
        large[n].count, large[n].places = record.count, size
        n += 1
    levels[0] = large
    if source.damaged:
        return TRAIN_DAMAGED
    if n:
        qsort(large, n, sizeof(Level), higher_count)
    for i in range(n):
        if kept and large[kept - 1].count == large[i].count:
            large[kept - 1].places += large[i].places
        else:
            large[kept] = large[i]
            kept += 1
    n_levels[0] = kept
    # From numbers of places to where each count starts.
    for i in range(kept):
        size = large[i].places
        large[i].places = at
        at += (size + BLOCK - 1) // BLOCK * BLOCK
    i = SMALL_COUNTS
    while i > 1:
        i -= 1
        size = small[i]
        small[i] = at
        at += (size + BLOCK - 1) // BLOCK * BLOCK
    if at + BLOCK > <uint64_t>UINT32_MAX:
        return TRAIN_TOO_LARGE
    self.places = at + BLOCK
    return TRAIN_OK


cdef uint64_t *start_of_level(uint64_t *small, Level *levels, size_t n, uint64_t count) noexcept nogil:
    cdef size_t low = 0, middle
    if count < SMALL_COUNTS:
        return &small[count]
    while low < n:
        middle = (low + n) // 2
        if levels[middle].count > count:
            low = middle + 1
        else:
            n = middle
    return &levels[low].places


# Write the words. `order` has the token of each byte.
cdef void write_words(
    Training *self, Source source, uint64_t *small, Level *levels, size_t n_levels, const uint16_t *order,
    token_t *tokens
) noexcept nogil:
    cdef Record record
    cdef uint64_t *start
    cdef size_t at, i
    while source_next(&source, &record):
        if record.n < 2:
            continue
        start = start_of_level(small, levels, n_levels, record.count)
        at = start[0]
        start[0] += record.n + 1
        for i in range(record.n):
            tokens[at + i] = <token_t>order[record.piece[i]]
        # Places after the last word of a count have no tokens, so their weight does not matter.
        for i in range(at >> BLOCK_BITS, ((at + record.n) >> BLOCK_BITS) + 1):
            self.weights[i] = record.count


cdef int fill_words(Training *self, Source source, const uint16_t *order) noexcept nogil:
    cdef uint64_t *small = <uint64_t *>calloc(SMALL_COUNTS, sizeof(uint64_t))
    cdef Level *levels = NULL
    cdef size_t n_levels = 0
    cdef int status
    if small == NULL:
        return TRAIN_NO_MEMORY
    status = measure(self, source, small, &levels, &n_levels)
    if status == TRAIN_OK:
        self.token_bytes = (self.places + AHEAD) * (4 if self.wide else 2)
        self.tokens = pages_alloc(self.token_bytes)
        self.weights = <uint64_t *>calloc((self.places >> BLOCK_BITS) + 1, sizeof(uint64_t))
        if self.tokens == NULL or self.weights == NULL:
            status = TRAIN_NO_MEMORY
        elif self.wide:
            write_words(self, source, small, levels, n_levels, order, <uint32_t *>self.tokens)
        else:
            write_words(self, source, small, levels, n_levels, order, <uint16_t *>self.tokens)
    free(small)
    free(levels)
    return status
