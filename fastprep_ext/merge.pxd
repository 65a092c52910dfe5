"""Bytes -> tokens: repeatedly the leftmost pair of lowest rank. The ways for what is long."""

from libc.stdint cimport uint8_t, uint32_t

from fastprep_ext.ranks cimport Ranks

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
