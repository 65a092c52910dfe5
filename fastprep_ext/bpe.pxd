"""One text -> ids: split a batch of pieces, look each up, merge the few that are new."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastprep_ext.cache cimport Cache, Key
from fastprep_ext.ranks cimport Ranks
from fastprep_ext.split cimport Split

ctypedef fused id_t:
    uint16_t
    uint32_t

cdef enum:
    BATCH = 512                # pieces: their ends, keys and slots fit the first-level cache
    BPE_SLACK = 4              # ids of room behind the last one that bpe_encode may scribble on
    BPE_NO_MEMORY = -1
    BPE_TOO_LONG = -2
    BPE_INVALID_UTF8 = -3      # at byte worker.split.at

# What one thread needs besides the rank table.
cdef struct Worker:
    Split split
    Cache cache
    size_t ends[BATCH]
    Key keys[BATCH]
    uint64_t slots[BATCH]
    uint32_t *merged           # ids of the piece being merged
    size_t merged_room
    void *counted              # ids of a batch that is only counted
    size_t counted_room        # bytes

cdef int worker_begin(Worker *self) noexcept nogil
cdef void worker_free(Worker *self) noexcept nogil

# Writes the ids of a text of n bytes to out[n + BPE_SLACK] and returns how many there are, or a
# negative status. An id takes at least one byte, so n is room enough. What comes after the first
# `most` ids is not looked at, but for the rest of their batch. With `out` NULL it only counts.
cdef Py_ssize_t bpe_encode(
    const Ranks *ranks, Worker *worker, int pattern, const uint8_t *text, size_t n, size_t most,
    id_t *out
) noexcept nogil

# Writes the ids of one piece (n >= 1 bytes, not split) to worker.merged; how many, or a status.
cdef Py_ssize_t bpe_piece(
    const Ranks *ranks, Worker *worker, const uint8_t *piece, size_t n
) noexcept nogil
