"""Words: pieces and their counts into the array of tokens that the merge loop works on."""

cdef enum:
    SMALL_COUNTS = 1 << 16     # counts below are places in an array, the others are sorted
    LINES_AHEAD = 8            # whose long pieces are fetched before they are needed

# Words, one by one: pieces of tables, or of records; or words in tokens, whose ends and counts are given.
cdef struct Source:
    const PieceTable **tables
    size_t n_tables
    const uint32_t *units
    const uint64_t *ends
    const uint64_t *counts
    const uint8_t *bytes
    size_t size                # bytes of the records, or number of words
    size_t table               # where the next word is
    size_t at
    bint fetch                 # the bytes of long pieces, ahead
    bint damaged


# The next word; False after the last one. Of a word in tokens `piece` is where they start, `n` their number.
cdef inline bint source_next(Source *self, Record *record) noexcept nogil:
    cdef const PieceTable *table
    cdef const PieceLine *line
    cdef size_t next, k
    if self.units != NULL:
        if self.at >= self.size:
            return False
        next = self.ends[self.at - 1] if self.at else 0
        record.piece = <const uint8_t *>(self.units + next)
        record.n = self.ends[self.at] - next
        record.count = self.counts[self.at]
        self.at += 1
        return True
    if self.n_tables == 0:
        if self.at >= self.size:
            return False
        next = record_read(self.bytes, self.at, self.size, record)
        if next == 0:
            self.damaged = True
            return False
        self.at = next
        return True
    while self.table < self.n_tables:
        table = self.tables[self.table]
        while self.at < table.capacity * LINE_PIECES:
            next = self.at // LINE_PIECES
            k = self.at % LINE_PIECES
            line = &table.lines[next]
            if self.fetch and k == 0 and next + LINES_AHEAD < table.capacity:
                for next in range(LINE_PIECES):
                    if is_long(&line[LINES_AHEAD].keys[next]):
                        prefetch(bytes_of(table, &line[LINES_AHEAD].keys[next]))
            if line.keys[k].high == 0:
                self.at += LINE_PIECES - k
                continue
            self.at += 1
            read_place(table, line, k, record)
            return True
        self.table += 1
        self.at = 0
    return False


cdef int higher_count(const void *a, const void *b) noexcept nogil:
    cdef uint64_t one = (<const Level *>a).count, other = (<const Level *>b).count
    return (other > one) - (other < one)


# Find the levels of all counts, in falling order. `small[count]` are the places of the words of each small
# count. Returns a status.
cdef int measure(Training *self, Source source, uint64_t *small) noexcept nogil:
    cdef Record record
    cdef Level *levels = NULL
    cdef size_t n = 0, room = 0, i, kept = 0
    cdef uint64_t size
    while source_next(&source, &record):
        if record.n < 2:
            continue
        size = record.n + 1
        if record.count > (COUNT_LIMIT - self.total) // size:
            return TRAIN_OVERFLOW
        self.total += record.count * (size - 2)
        if record.count < SMALL_COUNTS:
            small[record.count] += size
            continue
        levels = new_level(self, n, &room)
        if levels == NULL:
            return TRAIN_NO_MEMORY
        levels[n].count, levels[n].next = record.count, size
        n += 1
    if source.damaged:
        return TRAIN_DAMAGED
    if n:
        qsort(levels, n, sizeof(Level), higher_count)
    for i in range(n):
        if kept and levels[kept - 1].count == levels[i].count:
            levels[kept - 1].next += levels[i].next
        else:
            levels[kept] = levels[i]
            kept += 1
    i = SMALL_COUNTS
    while i > 1:
        i -= 1
        if small[i]:
            levels = new_level(self, kept, &room)
            if levels == NULL:
                return TRAIN_NO_MEMORY
            levels[kept].count, levels[kept].next = i, small[i]
            small[i] = kept
            kept += 1
    self.n_levels = kept
    return TRAIN_OK


# Make room for the n-th level, counted from 0; return the array. NULL without memory.
cdef Level *new_level(Training *self, size_t n, size_t *room) noexcept nogil:
    cdef Level *grown
    if n == room[0]:
        room[0] = max(n + n // 2, <size_t>1024)
        grown = <Level *>realloc(self.levels, room[0] * sizeof(Level))
        if grown == NULL:
            return NULL
        self.levels = grown
    return self.levels


# Give each level its places; until now `next` of a level is how many it needs.
cdef int lay_out(Training *self) noexcept nogil:
    cdef uint64_t at = BLOCK
    cdef size_t i, block
    cdef Level *level
    for i in range(self.n_levels):
        level = &self.levels[i]
        level.end = at + (level.next + BLOCK - 1) // BLOCK * BLOCK
        level.next = at
        at = level.end
    if at + BLOCK > <uint64_t>UINT32_MAX:
        return TRAIN_TOO_LARGE
    self.places = at + BLOCK
    self.level_of = <uint32_t *>malloc((self.places >> BLOCK_BITS) * sizeof(uint32_t))
    if self.level_of == NULL:
        return TRAIN_NO_MEMORY
    block = 1
    for i in range(self.n_levels):
        while block < self.levels[i].end >> BLOCK_BITS:
            self.level_of[block] = <uint32_t>i
            block += 1
    return TRAIN_OK


cdef Level *level_of_count(Training *self, const uint64_t *small, uint64_t count) noexcept nogil:
    cdef size_t low = 0, high = self.n_levels, middle
    if count < SMALL_COUNTS:
        return &self.levels[small[count]]
    while low < high:
        middle = (low + high) // 2
        if self.levels[middle].count > count:
            low = middle + 1
        else:
            high = middle
    return &self.levels[low]


# Write the words. `order` has the token of each byte.
cdef void write_words(
    Training *self, Source source, const uint64_t *small, const uint16_t *order, token_t *tokens
) noexcept nogil:
    cdef Record record
    cdef Level *level
    cdef const uint32_t *units
    cdef size_t at, i
    source.fetch = True
    while source_next(&source, &record):
        if record.n < 2:
            continue
        level = level_of_count(self, small, record.count)
        at = level.next
        level.next += record.n + 1
        if source.units != NULL:
            units = <const uint32_t *>record.piece
            for i in range(record.n):
                tokens[at + i] = <token_t>(units[i] + 1)
            continue
        for i in range(record.n):
            tokens[at + i] = <token_t>order[record.piece[i]]


cdef int fill_words(Training *self, Source source, const uint16_t *order) noexcept nogil:
    cdef uint64_t *small = <uint64_t *>calloc(SMALL_COUNTS, sizeof(uint64_t))
    cdef int status
    if small == NULL:
        return TRAIN_NO_MEMORY
    status = measure(self, source, small)
    if status == TRAIN_OK:
        status = lay_out(self)
    if status == TRAIN_OK:
        self.token_bytes = (self.places + AHEAD) * (4 if self.wide else 2)
        self.tokens = pages_alloc(self.token_bytes)
        if self.tokens == NULL:
            status = TRAIN_NO_MEMORY
        elif self.wide:
            write_words(self, source, small, order, <uint32_t *>self.tokens)
        else:
            write_words(self, source, small, order, <uint16_t *>self.tokens)
    free(small)
    return status
