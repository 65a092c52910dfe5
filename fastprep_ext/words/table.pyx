"""A growing set of words: short words by their keys, long ones in an arena."""

cdef extern from * nogil:
    uint64_t reversed_bytes "__builtin_bswap64"(uint64_t x)


cdef uint64_t long_hash(const Table *table, const Unit *units, int64_t length) noexcept nogil:
    cdef uint64_t h = table.seeds[1] ^ <uint64_t>length
    cdef int64_t i
    for i in range(0, length - 1, 2):
        h = mul_fold(h ^ units[i] ^ <uint64_t>units[i + 1] << 32, table.seeds[0])
    if length & 1:
        h = mul_fold(h ^ units[length - 1], table.seeds[0])
    return mul_fold(h, table.seeds[0])


cdef bint same_units(const Unit *units, const uint32_t *stored, int64_t length) noexcept nogil:
    cdef int64_t i
    for i in range(length):
        if units[i] != stored[i]:
            return False
    return True


# Return the slot of a long word, or the free slot for it; `hash_out` gets its hash.
cdef Slot *long_slot_units(
    const Table *table, const Unit *units, int64_t length, uint64_t *hash_out
) noexcept nogil:
    cdef uint64_t h = long_hash(table, units, length)
    cdef uint64_t at = h & table.mask
    cdef Slot *slot = table.slots + at
    hash_out[0] = h
    while slot.value >= 0:
        if (slot.low == h and slot.length == -length
                and same_units(units, table.arena + slot.high, length)):
            break
        at = (at + 1) & table.mask
        slot = table.slots + at
    return slot


cdef Slot *long_slot(
    const Table *table, const Text *text, int64_t start, int64_t end, uint64_t *hash_out
) noexcept nogil:
    cdef int64_t length = end - start
    if text.kind == 1:
        return long_slot_units(table, <const uint8_t *>text.units + start, length, hash_out)
    if text.kind == 2:
        return long_slot_units(table, <const uint16_t *>text.units + start, length, hash_out)
    return long_slot_units(table, <const uint32_t *>text.units + start, length, hash_out)


cdef int64_t table_find_long(
    const Table *table, const Text *text, int64_t start, int64_t end
) noexcept nogil:
    cdef uint64_t h
    return long_slot(table, text, start, end, &h).value


cdef void put_long(
    Table *table, const Text *text, int64_t start, int64_t end, int64_t value
) noexcept nogil:
    cdef uint64_t h
    cdef int64_t i
    cdef Slot *slot = long_slot(table, text, start, end, &h)
    cdef uint32_t *stored = table.arena + table.arena_used
    if slot.value >= 0:
        return
    for i in range(end - start):
        stored[i] = unit_at(text, start + i)
    slot[0] = Slot(h, table.arena_used, start - end, value)
    table.arena_used += end - start
    table.count += 1


cdef inline void put_short(Table *table, const Key *key, int64_t value) noexcept nogil:
    cdef uint64_t at = key.hash & table.mask
    cdef Slot *slot = table.slots + at
    while slot.value >= 0:
        if slot.low == key.low and slot.high == key.high and slot.length >= 0:
            return
        at = (at + 1) & table.mask
        slot = table.slots + at
    slot[0] = Slot(key.low, key.high, key.high >> 56, value)
    table.count += 1
    table.short_count += 1


cdef void table_put(Table *table, const Text *word, int64_t value) noexcept nogil:
    cdef Key key
    if word_key(table.seeds, word, &key):
        put_short(table, &key, value)
    else:
        put_long(table, word, 0, word.length, value)


cdef void collect_window(Table *table, const Text *text, const Window *window) noexcept nogil:
    cdef Key keys[64]
    cdef int64_t first, i, many
    for first in range(0, window.count, 64):
        many = min(<int64_t>64, window.count - first)
        for i in range(many):
            if piece_key(table.seeds, window, first + i, &keys[i]):
                prefetch(table.slots + (keys[i].hash & table.mask))
        for i in range(many):
            if keys[i].high != LONG_WORD:
                put_short(table, &keys[i], table.count)
            else:
                put_long(
                    table, text, piece_start(window, first + i), piece_end(window, first + i),
                    table.count,
                )


cdef int compare_short(const void *a, const void *b) noexcept nogil:
    cdef const ShortWord *left = <const ShortWord *>a
    cdef const ShortWord *right = <const ShortWord *>b
    if left.first != right.first:
        return 1 if left.first > right.first else -1
    return (left.second > right.second) - (left.second < right.second)


cdef void list_short(const Table *table, ShortWord *words) noexcept nogil:
    cdef uint64_t i
    cdef int64_t n = 0
    cdef const Slot *slot
    for i in range(table.mask + 1 if table.slots != NULL else 0):
        slot = table.slots + i
        if slot.value >= 0 and slot.length >= 0:
            words[n] = ShortWord(reversed_bytes(slot.low), reversed_bytes(slot.high))
            n += 1
    qsort(words, n, sizeof(ShortWord), compare_short)


cdef void table_init(Table *table, uint64_t seed0, uint64_t seed1) noexcept nogil:
    memset(table, 0, sizeof(Table))
    table.seeds[0] = seed0
    table.seeds[1] = seed1


cdef void table_free(Table *table) noexcept nogil:
    free(table.slots)
    free(table.arena)
    table_init(table, table.seeds[0], table.seeds[1])


# At most half of the slots are used, so that most probes end at the first slot.
cdef int reserve_slots(Table *table, int64_t words) noexcept nogil:
    cdef uint64_t old_size = table.mask + 1 if table.slots != NULL else 0
    cdef uint64_t size = max(<uint64_t>64, old_size)
    cdef uint64_t i, at
    cdef Slot *old = table.slots
    cdef Slot *slots
    while size < 2 * <uint64_t>(table.count + words):
        size *= 2
    if size == old_size:
        return 0
    slots = <Slot *>malloc(size * sizeof(Slot))
    if slots == NULL:
        return -1
    memset(slots, 0xFF, size * sizeof(Slot))      # free: length and value -1
    table.slots = slots
    table.mask = size - 1
    for i in range(old_size):
        if old[i].value < 0:
            continue
        at = old[i].low
        if old[i].length >= 0:
            at = short_hash(table.seeds, old[i].low, old[i].high)
        at &= table.mask
        while slots[at].value >= 0:
            at = (at + 1) & table.mask
        slots[at] = old[i]
    free(old)
    return 0


cdef int reserve_arena(Table *table, int64_t units) noexcept nogil:
    cdef int64_t needed = table.arena_used + units
    cdef uint32_t *arena
    if needed <= table.arena_capacity:
        return 0
    needed += needed // 2
    arena = <uint32_t *>realloc(table.arena, needed * sizeof(uint32_t))
    if arena == NULL:
        return -1
    table.arena = arena
    table.arena_capacity = needed
    return 0


cdef int table_reserve(Table *table, int64_t words, int64_t units) noexcept nogil:
    if reserve_slots(table, words) < 0:
        return -1
    return reserve_arena(table, units)
