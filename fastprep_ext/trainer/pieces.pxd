"""Table of pieces and how often each occurred: open addressing, two slots per cache line.

A piece of up to KEY_BYTES is its own key (bpe/keys.h); that of a longer one is its hash, and its
bytes are in the arena. Hashes have random seeds, so no text can be made to collide; nothing that
leaves the table depends on them.
"""

cdef extern from "base/pages.h" nogil:
    void *pages_alloc(size_t size)
    void pages_free(void *memory, size_t size)

cdef enum:
    FIRST_SLOTS = 1 << 12
    PIECES_BATCH = 512     # pieces whose slots are prefetched before the first is looked up
    LONG_PIECE = 0x7F      # in place of the length in a key
    TABLE_OK = 0
    TABLE_NO_MEMORY = -1
    TABLE_FULL = -2        # it must be emptied first
    TABLE_OVERFLOW = -3    # a count of 2**63 or more

cdef struct Slot:
    Key key                # key.high == 0: empty
    uint64_t count
    uint64_t at            # offset of a long piece in the arena

cdef struct PieceTable:
    Slot *slots
    size_t capacity        # a power of two
    size_t used
    uint8_t *arena
    size_t filled
    size_t room
    uint64_t seeds[2]
    size_t max_bytes       # it is full where it would grow beyond; 0: no limit

cdef int table_begin(PieceTable *self, const uint64_t *seeds, size_t max_bytes) noexcept nogil
cdef void table_free(PieceTable *self) noexcept nogil
# Remove all pieces and give the arena back; the slots remain.
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
