"""Pieces -> tokens: long pieces are cut into parts; all parts are looked up and merged together."""

cdef enum:
    PARTS = 2048
    SAME = 1024

# A piece to merge. Its tokens are written to out[0 .. count - 1].
cdef struct Piece:
    uint32_t *out              # [n]
    size_t count

# A part of a piece. Its tokens are written at the offset of its bytes.
cdef struct Part:
    Key key                # if it is looked up
    const uint8_t *bytes
    uint32_t *out
    size_t count
    Piece *piece
    uint32_t n             # 0: done
    uint32_t begun         # tokens that merging begins with, in `out`; 0: its bytes
    uint32_t slot          # its line in the cache
    uint32_t task          # the task that makes its tokens
    bint looked_up

# Only the used prefix of each array is written, so the pages after it are never mapped.
cdef struct Parts:
    const Ranks *ranks
    Cache *cache               # of tokens; NULL: parts are not looked up
    size_t n
    uint16_t same[SAME]        # by the low bits of a slot: the last task with it
    Part parts[PARTS]
    uint32_t task_part[PARTS]  # the part of each task
    FewTask tasks[PARTS]

cdef void parts_begin(Parts *self, const Ranks *ranks, Cache *cache) noexcept nogil

# Add a piece (n >= 1 bytes, all of which must be tokens) that is not looked up as a whole. 0, or a
# negative status of merge.pxd.
cdef int parts_add(Parts *self, Piece *piece, const uint8_t *bytes, size_t n) noexcept nogil

# Make the tokens of all pieces that were added.
cdef void parts_finish(Parts *self) noexcept nogil

# Write the tokens of one piece to out[n], without a cache; return how many, or a negative status of
# merge.pxd.
cdef Py_ssize_t merge_in_parts(
    const Ranks *ranks, const uint8_t *bytes, size_t n, uint32_t *out
) noexcept nogil
