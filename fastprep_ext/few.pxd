"""Pieces of a few bytes -> tokens, several at once: while one waits for memory, the others go on."""

from libc.stdint cimport uint8_t, uint32_t

from fastprep_ext.ranks cimport Ranks

cdef extern from "few.h" nogil:
    enum:
        FEW_BYTES
    # A piece to merge: n <= FEW_BYTES bytes, all of which must be tokens.
    ctypedef struct Task:
        const uint8_t *piece
        uint32_t *out              # [n] its tokens
        uint32_t n
        uint32_t count             # how many there are

# Merges each of the tasks. The pieces as wholes are not looked up.
cdef void merge_tasks(const Ranks *ranks, Task *tasks, size_t count) noexcept nogil

# The same for one piece, `plain` or by this process's SIMD path; returns how many tokens it has.
cdef size_t merge_few(
    const Ranks *ranks, const uint8_t *piece, size_t n, uint32_t *out, bint plain=*
) noexcept nogil
