"""Bytes -> tokens: repeatedly merge the leftmost pair of lowest rank.

Short pieces are merged several at once (few): while one waits for memory, the others proceed.
"""

cdef extern from "bpe/few.h" nogil:
    enum:
        FEW_BYTES
    # A piece to merge: n <= FEW_BYTES bytes, all of which must be tokens, or n tokens of any bytes.
    ctypedef struct FewTask:
        const uint8_t *piece # NULL: `out` has the tokens that merging begins with
        uint32_t *out      # [n] its tokens
        uint32_t n
        uint32_t count     # number of its tokens

# Merge each task. The pieces are not looked up as wholes.
cdef void merge_tasks(const Ranks *ranks, FewTask *tasks, size_t count) noexcept nogil

# The same for one piece, by the SIMD path of this process or the `plain` one; returns the number of
# tokens.
cdef size_t merge_few(
    const Ranks *ranks, const uint8_t *piece, size_t n, uint32_t *out, bint plain=*
) noexcept nogil

cdef enum:
    MERGE_SHORT = 96       # bytes of the longest piece that merge_short takes
    MERGE_NO_MEMORY = -1
    MERGE_TOO_LONG = -2    # 4 GiB or more that would have to be merged at once

# Each of these writes the tokens of the piece (n >= 1 bytes, all of which must be tokens) to out[n] and
# returns how many there are, or a negative status. The piece is not looked up as a whole.

# Any length; long runs of the same bytes in the time of a short piece.
cdef Py_ssize_t merge_whole(
    const Ranks *ranks, const uint8_t *piece, size_t n, uint32_t *out
) noexcept nogil

# Merge until two tokens are left or none merge; return how many are left. `scratch` must hold n.
cdef size_t merge_to_two(
    const Ranks *ranks, const uint8_t *piece, size_t n, uint32_t *out, uint32_t *scratch
) noexcept nogil

# The methods of merge_whole, which agree on every piece (also with merge_few):
# n <= MERGE_SHORT, by linear search, for tests; any n; any n, in windows.
cdef Py_ssize_t merge_short(
    const Ranks *ranks, const uint8_t *piece, size_t n, uint32_t *out
) noexcept nogil
cdef Py_ssize_t merge_heap(
    const Ranks *ranks, const uint8_t *piece, size_t n, uint32_t *out
) noexcept nogil
cdef Py_ssize_t merge_windows(
    const Ranks *ranks, const uint8_t *piece, size_t n, uint32_t *out
) noexcept nogil
