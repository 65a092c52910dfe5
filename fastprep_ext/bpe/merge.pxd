"""Bytes -> tokens: repeatedly the leftmost pair of lowest rank. The ways for what is long."""


cdef extern from "bpe/few.h" nogil:
    enum:
        FEW_BYTES
    # A piece to merge: n <= FEW_BYTES bytes, all of which must be tokens.
    ctypedef struct FewTask:
        const uint8_t *piece
        uint32_t *out              # [n] its tokens
        uint32_t n
        uint32_t count             # how many there are

# Merges each of the tasks. The pieces as wholes are not looked up.
cdef void merge_tasks(const Ranks *ranks, FewTask *tasks, size_t count) noexcept nogil

# The same for one piece, `plain` or by this process's SIMD path; returns how many tokens it has.
cdef size_t merge_few(
    const Ranks *ranks, const uint8_t *piece, size_t n, uint32_t *out, bint plain=*
) noexcept nogil

cdef enum:
    MERGE_SHORT = 96          # up to this many bytes a linear search for the minimum beats a heap
    MERGE_NO_MEMORY = -1
    MERGE_TOO_LONG = -2       # 4 GiB or more that would have to be merged at once

# Each writes the tokens of the piece (n >= 1 bytes, all of which must be tokens) to out[n] and
# returns how many there are, or a negative status. The piece as a whole is not looked up.

# Whatever its length.
cdef Py_ssize_t merge_whole(
    const Ranks *ranks, const uint8_t *piece, size_t n, uint32_t *out
) noexcept nogil

# Merges the piece until two tokens are left or none merge; how many are left. `scratch` has room for n.
cdef size_t merge_to_two(
    const Ranks *ranks, const uint8_t *piece, size_t n, uint32_t *out, uint32_t *scratch
) noexcept nogil

# The ways behind it, which agree on every piece (with merge_few of few.pyx, too):
# n <= MERGE_SHORT; any n; any n, in windows.
cdef Py_ssize_t merge_short(
    const Ranks *ranks, const uint8_t *piece, size_t n, uint32_t *out
) noexcept nogil
cdef Py_ssize_t merge_heap(
    const Ranks *ranks, const uint8_t *piece, size_t n, uint32_t *out
) noexcept nogil
cdef Py_ssize_t merge_windows(
    const Ranks *ranks, const uint8_t *piece, size_t n, uint32_t *out
) noexcept nogil
