"""Pieces -> tokens: long ones cut into parts, all parts looked up and merged together."""


cdef enum:
    PARTS = 2048
    SAME = 1024

# A piece on its way. Its tokens come to out[0 .. count - 1].
cdef struct Piece:
    uint32_t *out              # [n]
    size_t count

# A part of a piece, whose tokens are made where its bytes are.
cdef struct Part:
    Key key                    # if it is looked up
    const uint8_t *bytes
    uint32_t *out
    size_t count
    Piece *piece
    uint32_t n                 # 0: it is done
    uint32_t slot              # its line in the cache
    uint32_t task              # that makes its tokens
    bint looked_up

# Memory that is not used is not touched.
cdef struct Parts:
    const Ranks *ranks
    Cache *cache               # of tokens, or NULL: no part is looked up
    size_t n
    uint16_t same[SAME]        # by the end of a slot: the last task for such a part
    Part parts[PARTS]
    uint32_t task_part[PARTS]  # which part each task is for
    FewTask tasks[PARTS]

cdef void parts_begin(Parts *self, const Ranks *ranks, Cache *cache) noexcept nogil

# Takes in a piece (n >= 1 bytes, all of which must be tokens) that is not looked up as a whole. 0, or a
# negative status of merge.pxd.
cdef int parts_add(Parts *self, Piece *piece, const uint8_t *bytes, size_t n) noexcept nogil

# Makes the tokens of all pieces that were taken in.
cdef void parts_finish(Parts *self) noexcept nogil

# The tokens of one piece, without a cache, to out[n]; how many, or a negative status of merge.pxd.
cdef Py_ssize_t merge_in_parts(
    const Ranks *ranks, const uint8_t *bytes, size_t n, uint32_t *out
) noexcept nogil
