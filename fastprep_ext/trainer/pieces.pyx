"""Counting of pieces: keys of a whole batch first, so that no lookup waits for memory."""

cdef int table_begin(PieceTable *self, const uint64_t *seeds, size_t max_bytes) noexcept nogil:
    memset(self, 0, sizeof(PieceTable))
    self.seeds[0], self.seeds[1] = seeds[0], seeds[1]
    self.max_bytes = max_bytes
    self.slots = <Slot *>pages_alloc(FIRST_SLOTS * sizeof(Slot))
    if self.slots == NULL:
        return TABLE_NO_MEMORY
    self.capacity = FIRST_SLOTS
    return TABLE_OK


cdef void table_free(PieceTable *self) noexcept nogil:
    pages_free(self.slots, self.capacity * sizeof(Slot))
    free(self.arena)
    memset(self, 0, sizeof(PieceTable))


cdef void table_clear(PieceTable *self) noexcept nogil:
    memset(self.slots, 0, self.capacity * sizeof(Slot))
    free(self.arena)
    self.arena = NULL
    self.used = self.filled = self.room = 0


# Of 8 slots 5 may be in use; with half of them a table would take twice the memory.
cdef inline size_t most_used(size_t capacity) noexcept nogil:
    return capacity // 8 * 5


cdef int table_reserve(PieceTable *self, size_t bytes) noexcept nogil:
    cdef size_t capacity = self.capacity, room = self.room
    cdef uint8_t *arena
    while self.used + PIECES_BATCH > most_used(capacity):
        capacity *= 2
    # Only long pieces need the arena; to know their bytes would take a pass over the batch.
    if self.filled + bytes > room:
        room = max(self.filled + bytes, room + room // 2)
    if self.max_bytes and self.used and capacity * sizeof(Slot) + room > self.max_bytes:
        # One batch always fits into an empty table, whatever the limit.
        return TABLE_FULL
    if room > self.room:
        arena = <uint8_t *>realloc(self.arena, room)
        if arena == NULL:
            return TABLE_NO_MEMORY
        self.arena, self.room = arena, room
    return table_grow(self, capacity) if capacity > self.capacity else TABLE_OK


cdef int table_reserve_pieces(PieceTable *self, size_t pieces) noexcept nogil:
    cdef size_t capacity = self.capacity
    while self.used + pieces > most_used(capacity):
        capacity *= 2
    return table_grow(self, capacity) if capacity > self.capacity else TABLE_OK


cdef int table_grow(PieceTable *self, size_t capacity) noexcept nogil:
    cdef Slot *old = self.slots
    cdef size_t i, at, before = self.capacity
    cdef Slot *slots = <Slot *>pages_alloc(capacity * sizeof(Slot))
    if slots == NULL:
        return TABLE_NO_MEMORY
    for i in range(before):
        if old[i].key.high == 0:
            continue
        at = place_of(self, &old[i].key) & (capacity - 1)
        while slots[at].key.high != 0:
            at = (at + 1) & (capacity - 1)
        slots[at] = old[i]
    self.slots, self.capacity = slots, capacity
    pages_free(old, before * sizeof(Slot))
    return TABLE_OK


cdef inline uint64_t place_of(const PieceTable *self, const Key *key) noexcept nogil:
    return mul_fold(key.low ^ self.seeds[0], key.high ^ self.seeds[1])


cdef inline bint is_long(const Key *key) noexcept nogil:
    return key.high >> 56 == LONG_PIECE


cdef inline size_t length_of(const Key *key) noexcept nogil:
    if is_long(key):
        return key.high & ((<uint64_t>1 << 56) - 1)
    return key.high >> 56


# The bytes of the piece in a slot: a short one is in its key.
cdef inline const uint8_t *bytes_of(const PieceTable *self, const Slot *slot) noexcept nogil:
    if is_long(&slot.key):
        return self.arena + slot.at
    return <const uint8_t *>&slot.key


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
    key.high = <uint64_t>LONG_PIECE << 56 | n


# Return the slot of a piece, a new one if it is not in the table yet.
cdef inline Slot *slot_of(
    PieceTable *self, const Key *key, size_t at, const uint8_t *piece
) noexcept nogil:
    cdef size_t mask = self.capacity - 1, n
    cdef Slot *slot
    at &= mask
    while True:
        slot = &self.slots[at]
        if key_equal(&slot.key, key):
            if likely(not is_long(key)) or memcmp(self.arena + slot.at, piece, length_of(key)) == 0:
                return slot
        elif slot.key.high == 0:
            slot.key = key[0]
            self.used += 1
            if is_long(key):
                n = length_of(key)
                memcpy(self.arena + self.filled, piece, n)
                slot.at = self.filled
                self.filled += n
            return slot
        at = (at + 1) & mask


cdef void table_count(
    PieceTable *self, const uint8_t *text, size_t n, size_t begin, const size_t *ends, size_t pieces
) noexcept nogil:
    cdef Key keys[PIECES_BATCH]
    cdef size_t places[PIECES_BATCH]
    cdef uint16_t longs[PIECES_BATCH]
    cdef size_t mask = self.capacity - 1, i, k, size, first = begin, at, count = 0
    cdef Slot *slot
    for i in range(pieces):
        size = ends[i] - begin
        if likely(size <= KEY_BYTES):
            key_short(&keys[i], text + begin, size, n - begin)
        else:
            make_key(self, &keys[i], text + begin, size, n - begin)
            longs[count] = <uint16_t>i
            count += 1
        places[i] = place_of(self, &keys[i]) & mask
        prefetch(&self.slots[places[i]])
        begin = ends[i]
    for i in range(pieces):
        if unlikely(is_long(&keys[i])):
            # Its bytes are compared when they have been fetched.
            slot = &self.slots[places[i]]
            if key_equal(&slot.key, &keys[i]):
                prefetch(self.arena + slot.at)
            continue
        at = places[i]
        while True:
            slot = &self.slots[at]
            if likely(key_equal(&slot.key, &keys[i])):
                slot.count += 1
                break
            if slot.key.high == 0:
                slot.key = keys[i]
                slot.count = 1
                self.used += 1
                break
            at = (at + 1) & mask
    for k in range(count):
        i = longs[k]
        begin = ends[i - 1] if i else first
        slot_of(self, &keys[i], places[i], text + begin).count += 1


cdef int table_add(PieceTable *self, const uint8_t *piece, size_t n, uint64_t count) noexcept nogil:
    cdef Key key
    cdef Slot *slot
    make_key(self, &key, piece, n, n)
    slot = slot_of(self, &key, place_of(self, &key), piece)
    slot.count += count
    return TABLE_OVERFLOW if slot.count >> 63 or count >> 63 else TABLE_OK


cdef int table_add_table(
    PieceTable *self, const PieceTable *other, size_t part, size_t parts
) noexcept nogil:
    cdef uint64_t places[PIECES_BATCH]
    cdef const Slot *found[PIECES_BATCH]
    cdef size_t i = 0, k, count, bytes, mask
    cdef uint64_t place
    cdef int status
    cdef Slot *slot
    while i < other.capacity:
        count = bytes = 0
        while i < other.capacity and count < PIECES_BATCH:
            slot = <Slot *>&other.slots[i]
            i += 1
            if slot.key.high == 0:
                continue
            place = place_of(self, &slot.key)
            # Of the high half; the low one chooses the slot.
            if (place >> 32) * parts >> 32 != part:
                continue
            found[count], places[count] = slot, place
            count += 1
            if is_long(&slot.key):
                bytes += length_of(&slot.key)
                prefetch(other.arena + slot.at)
        status = table_reserve(self, bytes)
        if status != TABLE_OK:
            return status
        mask = self.capacity - 1
        for k in range(count):
            places[k] &= mask
            prefetch(&self.slots[places[k]])
        for k in range(count):
            slot = &self.slots[places[k]]
            if is_long(&found[k].key) and key_equal(&slot.key, &found[k].key):
                prefetch(self.arena + slot.at)
        for k in range(count):
            slot = slot_of(self, &found[k].key, places[k], bytes_of(other, found[k]))
            slot.count += found[k].count
            if slot.count >> 63:
                return TABLE_OVERFLOW
    return TABLE_OK
