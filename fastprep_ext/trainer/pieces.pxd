"""Table of pieces and how often each occurred: open addressing by cache lines of three pieces.

A piece of up to KEY_BYTES is its own key (bpe/keys.h); that of a longer one is its hash, its length
and the offset of its bytes in the arena. Counts have 32 bits in the line; what they exceed is elsewhere. Hashes
have random seeds, so no text can be made to collide; nothing that leaves the table depends on them.
"""

cdef extern from "base/pages.h" nogil:
    void *pages_alloc(size_t size)
    void pages_free(void *memory, size_t size)

cdef enum:
    LINE_PIECES = 3
    FIRST_LINES = 1 << 10
    PIECES_BATCH = 512     # pieces for which room is made at once
    PIECES_AHEAD = 64      # whose lines are fetched before the first is looked up; more leave the cache again
    LONG_PIECE = 0x7F      # in place of the length in a key
    LENGTH_AT = 40         # bit of the high half where the length of a long piece starts; below is the offset
    LONGEST = 0xFFFF       # the length is in the 8 bytes before the piece
    TABLE_OK = 0
    TABLE_NO_MEMORY = -1
    TABLE_FULL = -2        # it must be emptied first
    TABLE_OVERFLOW = -3    # a count of 2**63 or more

# Pieces take the places of a line in order; the last place of a line that is not full has a high half of 0.
cdef struct PieceLine:
    Key keys[LINE_PIECES]
    uint32_t counts[LINE_PIECES]
    uint32_t more          # number of the upper halves of the counts; 0: all are 0

cdef struct UpperCounts:
    uint32_t counts[LINE_PIECES]

cdef struct PieceTable:
    PieceLine *lines
    size_t capacity        # in lines, a power of two
    size_t used            # pieces
    uint8_t *arena
    size_t filled
    size_t room
    UpperCounts *upper     # the first one is not used
    size_t n_upper
    size_t upper_room
    uint64_t seeds[2]
    size_t max_bytes       # it is full where it would grow beyond; 0: no limit

cdef int table_begin(PieceTable *self, const uint64_t *seeds, size_t max_bytes) noexcept nogil
cdef void table_free(PieceTable *self) noexcept nogil
# Remove all pieces and give the arena back; the lines remain.
cdef void table_clear(PieceTable *self) noexcept nogil
# Make room for up to PIECES_BATCH pieces of `bytes` bytes together. TABLE_NO_MEMORY, TABLE_FULL.
cdef int table_reserve(PieceTable *self, size_t bytes) noexcept nogil
# Count the pieces of a text of n bytes, the first of which starts at `begin`; room must be reserved.
cdef void table_count(
    PieceTable *self, const uint8_t *text, size_t n, size_t begin, const size_t *ends, size_t pieces
) noexcept nogil
# Add to the count of one piece; room must be reserved. TABLE_OVERFLOW.
cdef int table_add(PieceTable *self, const uint8_t *piece, size_t n, uint64_t count) noexcept nogil
# Add the counts of another table with the same seeds, of one of `parts` parts of the hashes. A status.
cdef int table_add_table(
    PieceTable *self, const PieceTable *other, size_t part, size_t parts
) noexcept nogil
