"""One text -> ids: split a batch of pieces, look each up, merge the few that are new."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastprep_ext.cache cimport Cache, Key
from fastprep_ext.few cimport Task
from fastprep_ext.ranks cimport Ranks
from fastprep_ext.split cimport Split

ctypedef fused id_t:
    uint16_t
    uint32_t

cdef enum:
    BATCH = 512                # pieces; with fewer, fewer new ones are merged together (256: 0.97 times)
    SEEN = 256
    BPE_SLACK = 4              # ids of room behind the last one that bpe_encode may scribble on
    BPE_NO_MEMORY = -1
    BPE_TOO_LONG = -2
    BPE_INVALID_UTF8 = -3      # at byte worker.split.at

# The ids of one piece of a batch.
cdef struct Found:
    uint32_t count
    uint32_t ids[3]            # if there are no more

# What one thread needs besides the rank table.
cdef struct Worker:
    Split split
    Cache cache
    size_t ends[BATCH]
    Key keys[BATCH]
    uint32_t slots[BATCH]      # its line in the cache
    Found found[BATCH]
    uint32_t *far[BATCH]       # the ids of a piece that has more than `found` has room for
    uint32_t missed[BATCH]     # pieces whose ids were not simply there
    uint32_t task_of[BATCH]    # of each of the missed
    Task tasks[BATCH]
    uint32_t task_piece[BATCH] # which of the missed each is
    uint8_t seen[SEEN]         # by the end of a slot: the last task for such a piece
    uint32_t *merged           # ids that are being made
    size_t merged_room

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
