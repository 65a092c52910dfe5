"""A growing set of words, each with a value: open addressing, linear probing."""

cdef struct Slot:
    uint64_t low           # of the key, or the hash of a long word
    uint64_t high          # of the key, or the word's offset in the arena
    int64_t length         # negative: a long word
    int64_t value          # negative: the slot is free

cdef struct Table:
    Slot *slots
    uint64_t mask          # slots - 1
    uint64_t seeds[2]      # of the hash, so that colliding words cannot be crafted
    int64_t count          # words
    int64_t short_count
    uint32_t *arena        # code points of the long words
    int64_t arena_used
    int64_t arena_capacity

# A short word for comparison: code points 0-7 and 8-14, the first one highest. The lowest byte is the
# length, so that a word comes after its own prefixes.
cdef struct ShortWord:
    uint64_t first
    uint64_t second

# Initialize an empty table without memory, which need not be freed; call `table_reserve` before any
# other function.
cdef void table_init(Table *table, uint64_t seed0, uint64_t seed1) noexcept nogil
cdef void table_free(Table *table) noexcept nogil

# Make room for `words` more words and `units` code points in the arena. 0, or -1 without memory, with
# the table unchanged.
cdef int table_reserve(Table *table, int64_t words, int64_t units) noexcept nogil

# Add the whole text as one word with this value (0 or more), unless it is in the table.
cdef void table_put(Table *table, const Text *word, int64_t value) noexcept nogil

# Return the value of text[start:end] if it is a long word of the table, else -1.
cdef int64_t table_find_long(
    const Table *table, const Text *text, int64_t start, int64_t end
) noexcept nogil

# Add the window's pieces, numbered in order of appearance. Needs room for window.count words and for
# all their code points in the arena.
cdef void collect_window(Table *table, const Text *text, const Window *window) noexcept nogil

# List the table.short_count short words in the order of their code points.
cdef void list_short(const Table *table, ShortWord *words) noexcept nogil
