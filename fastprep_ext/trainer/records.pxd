"""Records: pieces and their counts as bytes, in the order of the pieces' bytes.

A record is the length of a piece and its count, each in as many groups of 7 bits as it needs, lowest
first, and its bytes. The order makes the bytes of equal counts equal, and files that are merged are
read once, from start to end.
"""

cdef struct Record:
    const uint8_t *piece
    size_t n
    uint64_t count

# Read the record at `at` of `size` bytes; return where the next one starts, or 0 if it is damaged.
cdef size_t record_read(const uint8_t *at_bytes, size_t at, size_t size, Record *record) noexcept nogil
# Write a record, if it fits between `at` and `room`; return where it ends, or 0.
cdef size_t record_write(uint8_t *out, size_t at, size_t room, const Record *record) noexcept nogil
# Return the bytes that a record takes.
cdef size_t record_bytes(const Record *record) noexcept nogil
# Compare two pieces by their bytes, a prefix before what continues it.
cdef int piece_order(const Record *a, const Record *b) noexcept nogil
