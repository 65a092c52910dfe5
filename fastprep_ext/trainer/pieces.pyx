"""Counting of pieces: keys of several pieces first, so that no lookup waits for memory."""

cdef int table_begin(PieceTable *self, const uint64_t *seeds, size_t max_bytes) noexcept nogil:
    memset(self, 0, sizeof(PieceTable))
    self.seeds[0], self.seeds[1] = seeds[0], seeds[1]
    self.max_bytes = max_bytes
    self.lines = <PieceLine *>pages_alloc(FIRST_LINES * sizeof(PieceLine))
    if self.lines == NULL:
        return TABLE_NO_MEMORY
    self.capacity = FIRST_LINES
    self.n_upper = 1
    self.filled = 1        # so that no key of a long piece in the table is that of its hash alone
    return TABLE_OK


cdef void table_free(PieceTable *self) noexcept nogil:
    pages_free(self.lines, self.capacity * sizeof(PieceLine))
    free(self.arena)
    free(self.upper)
    memset(self, 0, sizeof(PieceTable))


cdef void table_clear(PieceTable *self) noexcept nogil:
    memset(self.lines, 0, self.capacity * sizeof(PieceLine))
    free(self.arena)
    self.arena = NULL
    self.used = self.filled = self.room = 0
    self.n_upper = 1
    self.filled = 1        # so that no key of a long piece in the table is that of its hash alone


# Of 4 places 3 may be in use: with three per line nearly all pieces are in the first line of their hash.
cdef inline size_t most_used(size_t capacity) noexcept nogil:
    return capacity // 4 * 9


cdef int table_reserve(PieceTable *self, size_t bytes) noexcept nogil:
    cdef size_t capacity = self.capacity, room = self.room, upper = self.upper_room
    cdef uint8_t *arena
    cdef UpperCounts *counts
    while self.used + PIECES_BATCH > most_used(capacity):
        capacity *= 2
    # Only long pieces need the arena; to know their bytes would take a pass over the batch. The lengths of
    # the longest ones are there too.
    bytes += bytes // LONGEST * 8
    if self.filled + bytes > room:
        room = max(self.filled + bytes, room + room // 2)
    if self.max_bytes and self.used and capacity * sizeof(PieceLine) + room > self.max_bytes:
        # One batch always fits into an empty table, whatever the limit.
        return TABLE_FULL
    if room > self.room:
        if room >> LENGTH_AT:
            return TABLE_NO_MEMORY
        arena = <uint8_t *>realloc(self.arena, room)
        if arena == NULL:
            return TABLE_NO_MEMORY
        self.arena, self.room = arena, room
    if self.n_upper + PIECES_BATCH > upper:
        upper = self.n_upper + PIECES_BATCH + upper // 2
        counts = <UpperCounts *>realloc(self.upper, upper * sizeof(UpperCounts))
        if counts == NULL:
            return TABLE_NO_MEMORY
        self.upper, self.upper_room = counts, upper
    return table_grow(self, capacity) if capacity > self.capacity else TABLE_OK


cdef int table_reserve_pieces(PieceTable *self, size_t pieces) noexcept nogil:
    cdef size_t capacity = self.capacity
    while self.used + pieces > most_used(capacity):
        capacity *= 2
    return table_grow(self, capacity) if capacity > self.capacity else TABLE_OK


cdef int table_grow(PieceTable *self, size_t capacity) noexcept nogil:
    cdef PieceTable grown = self[0]
    cdef const PieceLine *old
    cdef PieceLine *line
    cdef const Key *key
    cdef size_t i, at
    cdef int k
    grown.capacity = capacity
    grown.lines = <PieceLine *>pages_alloc(capacity * sizeof(PieceLine))
    if grown.lines == NULL:
        return TABLE_NO_MEMORY
    if self.n_upper > 1:
        # Each count may be alone in its line now.
        grown.upper_room = 1 + LINE_PIECES * self.n_upper + PIECES_BATCH
        grown.upper = <UpperCounts *>malloc(grown.upper_room * sizeof(UpperCounts))
        grown.n_upper = 1
        if grown.upper == NULL:
            pages_free(grown.lines, capacity * sizeof(PieceLine))
            return TABLE_NO_MEMORY
    for i in range(self.capacity):
        old = &self.lines[i]
        for k in range(LINE_PIECES):
            key = &old.keys[k]
            if key.high == 0:
                break
            at = place_of(self, key) & (capacity - 1)
            while grown.lines[at].keys[LINE_PIECES - 1].high != 0:
                at = (at + 1) & (capacity - 1)
            line = &grown.lines[at]
            at = 0
            while line.keys[at].high != 0:
                at += 1
            line.keys[at] = key[0]
            line.counts[at] = old.counts[k]
            if unlikely(old.more != 0):
                add_upper(&grown, line, at, self.upper[old.more].counts[k])
    pages_free(self.lines, self.capacity * sizeof(PieceLine))
    if grown.upper != self.upper:
        free(self.upper)
    self[0] = grown
    return TABLE_OK


# The place of a key in the table, in the low bits; the offset of a long piece does not count.
cdef inline uint64_t place_of(const PieceTable *self, const Key *key) noexcept nogil:
    cdef uint64_t high = key.high
    if is_long(key):
        high = high >> LENGTH_AT << LENGTH_AT
    return mul_fold(key.low ^ self.seeds[0], high ^ self.seeds[1])


cdef inline bint is_long(const Key *key) noexcept nogil:
    return key.high >> 56 == LONG_PIECE


# The bytes of the piece of a key in the table: a short one is in its key.
cdef inline const uint8_t *bytes_of(const PieceTable *self, const Key *key) noexcept nogil:
    if is_long(key):
        return self.arena + (key.high & ((<uint64_t>1 << LENGTH_AT) - 1))
    return <const uint8_t *>key


cdef inline size_t length_of(const PieceTable *self, const Key *key) noexcept nogil:
    cdef size_t n = key.high >> 56
    if likely(n != LONG_PIECE):
        return n
    n = key.high >> LENGTH_AT & LONGEST
    return n if n < LONGEST else <size_t>load64(bytes_of(self, key) - 8)


# Read the piece at the first place from `at` on, of all places in order, that has one, and move `at` after
# it. False at the end.
cdef inline bint table_next(const PieceTable *self, size_t *at, Record *record) noexcept nogil:
    cdef const PieceLine *line
    cdef size_t k
    while at[0] < self.capacity * LINE_PIECES:
        line = &self.lines[at[0] // LINE_PIECES]
        k = at[0] % LINE_PIECES
        if line.keys[k].high == 0:
            at[0] += LINE_PIECES - k
            continue
        at[0] += 1
        read_place(self, line, k, record)
        return True
    return False


cdef inline void read_place(
    const PieceTable *self, const PieceLine *line, size_t k, Record *record
) noexcept nogil:
    record.piece = bytes_of(self, &line.keys[k])
    record.n = length_of(self, &line.keys[k])
    record.count = count_of(self, line, k)


cdef inline uint64_t count_of(const PieceTable *self, const PieceLine *line, size_t k) noexcept nogil:
    if likely(line.more == 0):
        return line.counts[k]
    return <uint64_t>self.upper[line.more].counts[k] << 32 | line.counts[k]


# Add to the upper half of a count, whose room must be reserved. TABLE_OVERFLOW.
cdef int add_upper(PieceTable *self, PieceLine *line, size_t k, uint64_t upper) noexcept nogil:
    if upper == 0:
        return TABLE_OK
    if line.more == 0:
        line.more = <uint32_t>self.n_upper
        self.n_upper += 1
        memset(&self.upper[line.more], 0, sizeof(UpperCounts))
    upper += self.upper[line.more].counts[k]
    if upper >> 31:
        return TABLE_OVERFLOW
    self.upper[line.more].counts[k] = <uint32_t>upper
    return TABLE_OK


cdef inline int add_count(PieceTable *self, PieceLine *line, size_t k, uint64_t count) noexcept nogil:
    cdef uint64_t sum = (count & UINT32_MAX) + line.counts[k]
    line.counts[k] = <uint32_t>sum
    return add_upper(self, line, k, (count >> 32) + (sum >> 32))


cdef void make_key(
    const PieceTable *self, Key *key, const uint8_t *piece, size_t n, size_t readable
) noexcept nogil:
    cdef uint64_t hash
    cdef size_t i
    if likely(n <= KEY_BYTES):
        key_short(key, piece, n, readable)
        return
    hash = self.seeds[0] ^ n
    i = 0
    while i + 8 < n:
        hash = mul_fold(hash ^ load64(piece + i), self.seeds[1] | 1)
        i += 8
    key.low = mul_fold(hash ^ load64(piece + n - 8), self.seeds[0] | 1)
    key.high = <uint64_t>LONG_PIECE << 56 | <uint64_t>min(n, <size_t>LONGEST) << LENGTH_AT


# Whether the piece of a key in the table is a long one.
cdef inline bint is_piece(
    const PieceTable *self, const Key *stored, const Key *key, const uint8_t *piece, size_t n
) noexcept nogil:
    if stored.low != key.low or (stored.high ^ key.high) >> LENGTH_AT:
        return False
    return length_of(self, stored) == n and memcmp(bytes_of(self, stored), piece, n) == 0


# Exchange a piece with a rarer one that is nearer to the start of their hash: each of the two is found where
# the other was, since all lines between are full. The most frequent pieces become the first of their lines.
cdef inline void exchange(PieceLine *line, size_t k, PieceLine *nearer, size_t i) noexcept nogil:
    cdef Key key = line.keys[k]
    cdef uint32_t count = line.counts[k]
    line.keys[k] = nearer.keys[i]
    line.counts[k] = nearer.counts[i]
    nearer.keys[i] = key
    nearer.counts[i] = count


# Count a piece that is not the first of its line, and move it there if it is more frequent.
cdef inline void count_other(PieceTable *self, PieceLine *first, PieceLine *line, size_t k) noexcept nogil:
    cdef size_t i
    if unlikely(line.more or first.more or line.counts[k] == UINT32_MAX):
        count_one(self, line, k)
        return
    line.counts[k] += 1
    for i in range(k if line == first else <size_t>LINE_PIECES):
        if first.counts[i] < line.counts[k]:
            exchange(line, k, first, i)
            return


# Return the line of a piece, where it is put if it is not in the table yet; set its place there.
cdef PieceLine *line_of(
    PieceTable *self, const Key *key, size_t at, const uint8_t *piece, size_t n, size_t *place
) noexcept nogil:
    cdef size_t mask = self.capacity - 1, k
    cdef PieceLine *line
    cdef bint in_arena = is_long(key)
    at &= mask
    while True:
        line = &self.lines[at]
        for k in range(LINE_PIECES):
            if line.keys[k].high == 0:
                line.keys[k] = key[0]
                self.used += 1
                if in_arena:
                    if n >= LONGEST:
                        memcpy(self.arena + self.filled, &n, 8)
                        self.filled += 8
                    line.keys[k].high |= self.filled
                    memcpy(self.arena + self.filled, piece, n)
                    self.filled += n
                place[0] = k
                return line
            if is_piece(self, &line.keys[k], key, piece, n) if in_arena else key_equal(&line.keys[k], key):
                place[0] = k
                return line
        at = (at + 1) & mask


cdef inline void count_one(PieceTable *self, PieceLine *line, size_t k) noexcept nogil:
    line.counts[k] += 1
    if unlikely(line.counts[k] == 0):
        add_upper(self, line, k, 1)


cdef void table_count(
    PieceTable *self, const uint8_t *text, size_t n, size_t begin, const size_t *ends, size_t pieces
) noexcept nogil:
    cdef size_t done = 0, count
    while done < pieces:
        count = min(pieces - done, <size_t>PIECES_AHEAD)
        count_some(self, text, n, begin, ends + done, count)
        done += count
        begin = ends[done - 1]


cdef void count_some(
    PieceTable *self, const uint8_t *text, size_t n, size_t begin, const size_t *ends, size_t pieces
) noexcept nogil:
    cdef Key keys[PIECES_AHEAD]
    cdef size_t places[PIECES_AHEAD]
    cdef uint8_t longs[PIECES_AHEAD]
    cdef size_t mask = self.capacity - 1, i, j, k, size, first = begin, count = 0
    cdef PieceLine *line
    for i in range(pieces):
        size = ends[i] - begin
        if likely(size <= KEY_BYTES):
            key_short(&keys[i], text + begin, size, n - begin)
        else:
            make_key(self, &keys[i], text + begin, size, n - begin)
        places[i] = mul_fold(keys[i].low ^ self.seeds[0], keys[i].high ^ self.seeds[1]) & mask
        prefetch(&self.lines[places[i]])
        begin = ends[i]
    for i in range(pieces):
        line = &self.lines[places[i]]
        if likely(key_equal(&line.keys[0], &keys[i])):
            count_one(self, line, 0)
        elif key_equal(&line.keys[1], &keys[i]):
            count_other(self, line, line, 1)
        elif not is_long(&keys[i]):
            line = line_of(self, &keys[i], places[i], NULL, 0, &k)
            count_other(self, &self.lines[places[i]], line, k)
        else:
            # Its bytes are compared when they have been fetched.
            longs[count] = <uint8_t>i
            count += 1
            for k in range(LINE_PIECES):
                if line.keys[k].low == keys[i].low and is_long(&line.keys[k]):
                    prefetch(bytes_of(self, &line.keys[k]))
    for j in range(count):
        i = longs[j]
        begin = ends[i - 1] if i else first
        line = line_of(self, &keys[i], places[i], text + begin, ends[i] - begin, &k)
        count_other(self, &self.lines[places[i]], line, k)


cdef int table_add(PieceTable *self, const uint8_t *piece, size_t n, uint64_t count) noexcept nogil:
    cdef Key key
    cdef PieceLine *line
    cdef size_t k
    make_key(self, &key, piece, n, n)
    line = line_of(self, &key, place_of(self, &key), piece, n, &k)
    return add_count(self, line, k, count)


cdef int table_add_table(
    PieceTable *self, const PieceTable *other, size_t part, size_t parts
) noexcept nogil:
    cdef uint64_t places[PIECES_BATCH]
    cdef uint64_t counts[PIECES_BATCH]
    cdef const Key *keys[PIECES_BATCH]
    cdef Key key
    cdef size_t i = 0, j, k, found, bytes, mask
    cdef uint64_t place
    cdef int status
    cdef PieceLine *line
    while i < other.capacity:
        found = bytes = 0
        while i < other.capacity and found + LINE_PIECES <= PIECES_BATCH:
            line = &other.lines[i]
            i += 1
            for k in range(LINE_PIECES):
                if line.keys[k].high == 0:
                    break
                place = place_of(self, &line.keys[k])
                # Of the high half; the low one chooses the line.
                if (place >> 32) * parts >> 32 != part:
                    continue
                keys[found], places[found], counts[found] = &line.keys[k], place, count_of(other, line, k)
                found += 1
                if is_long(&line.keys[k]):
                    bytes += length_of(other, &line.keys[k])
                    prefetch(bytes_of(other, &line.keys[k]))
        status = table_reserve(self, bytes)
        if status != TABLE_OK:
            return status
        mask = self.capacity - 1
        for j in range(found):
            places[j] &= mask
            prefetch(&self.lines[places[j]])
        for j in range(found):
            if is_long(keys[j]):
                line = &self.lines[places[j]]
                for k in range(LINE_PIECES):
                    if line.keys[k].low == keys[j].low and is_long(&line.keys[k]):
                        prefetch(bytes_of(self, &line.keys[k]))
        for j in range(found):
            key = keys[j][0]
            if is_long(&key):
                key.high = key.high >> LENGTH_AT << LENGTH_AT
            line = line_of(
                self, &key, places[j], bytes_of(other, keys[j]), length_of(other, keys[j]), &k
            )
            if add_count(self, line, k, counts[j]) != TABLE_OK:
                return TABLE_OVERFLOW
    return TABLE_OK
