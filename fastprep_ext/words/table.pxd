"""A set of words that grows, each with a value: open addressing, linear probing."""


cdef struct Slot:
    uint64_t low              # of the key, or the hash of a long word
    uint64_t high             # of the key, or where in the arena the word is
    int64_t length            # negative: a long word
    int64_t value             # negative: the slot is free

cdef struct Table:
    Slot *slots
    uint64_t mask             # slots - 1
    uint64_t seeds[2]         # of the hash, so that nobody can prepare words that collide
    int64_t count             # words
    int64_t short_count
    uint32_t *arena           # code points of the long words
    int64_t arena_used
    int64_t arena_capacity

# A short word as it is compared: code points 0-7 and 8-14, the first one highest. The lowest byte
# is the length, so that of two words that begin alike the shorter one comes first.
cdef struct ShortWord:
    uint64_t first
    uint64_t second

# An empty table without capacity, which need not be freed; `table_reserve` comes before all but these.
cdef void table_init(Table *table, uint64_t seed0, uint64_t seed1) noexcept nogil
cdef void table_free(Table *table) noexcept nogil

# Makes capacity for so many more words and arena code points. 0, or -1: no memory, table unchanged.
cdef int table_reserve(Table *table, int64_t words, int64_t units) noexcept nogil

# Puts the whole text in as one word, with that value (0 or more), unless it is there.
cdef void table_put(Table *table, const Text *word, int64_t value) noexcept nogil

# The value of text[start:end] if it is a long word of the table, else -1.
cdef int64_t table_find_long(
    const Table *table, const Text *text, int64_t start, int64_t end
) noexcept nogil

# Puts the window's pieces in, numbered as they come. Needs capacity for window.count words, and in the
# arena for all their code points.
cdef void collect_window(Table *table, const Text *text, const Window *window) noexcept nogil

# Lists the short words, table.short_count of them, in the order of their code points.
cdef void list_short(const Table *table, ShortWord *words) noexcept nogil
