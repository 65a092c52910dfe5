"""One text -> ids: split a batch of pieces, look each one up, merge the few that are new."""

ctypedef fused id_t:
    uint16_t
    uint32_t

cdef enum:
    BATCH = 512            # pieces whose cache lines are prefetched before the first is looked up
    ROUND = 2048           # pieces whose new ones are merged together
    SEEN = 1024
    SPILLED = 0xFFFF
    BPE_SLACK = 8          # ids after the last one that bpe_encode may overwrite
    BPE_NO_MEMORY = -1
    BPE_TOO_LONG = -2
    BPE_NOT_SPLIT = -3     # worker.split says why

# A piece whose ids are not in its cache entry.
cdef struct Miss:
    Key key
    size_t start           # its first byte
    size_t n               # bytes
    uint32_t slot          # its line in the cache
    uint32_t piece         # its index in the round
    uint32_t first         # the first miss for the same piece, or itself
    Piece made             # its tokens, in `merged`

# A round of pieces. Only the used prefix of each array is written, so the pages after it are never
# mapped.
cdef struct Round:
    size_t ends[BATCH]     # of one batch after another, as are the next three arrays
    Key keys[BATCH]
    uint32_t slots[BATCH]
    uint32_t missed[BATCH]
    uint16_t seen[SEEN]    # by the low bits of a slot: the last miss with it
    Value found[ROUND]     # ids of each piece; SPILLED and the number of a miss if too many
    Miss misses[ROUND]
    Parts parts

# The memory of one thread, beside the rank table.
cdef struct Worker:
    Split split
    Cache cache
    Round *round
    uint32_t *merged           # tokens of misses
    size_t merged_capacity

# `narrow`: whether every id of the vocabulary is below 65,536.
cdef int worker_begin(Worker *self, bint narrow) noexcept nogil
cdef void worker_free(Worker *self) noexcept nogil

# Write the ids of a text of n bytes to out[n + BPE_SLACK] and return how many there are, or a
# negative status. An id stands for at least one byte, so n ids suffice. Text after the first `limit`
# ids is skipped, except for the rest of their round. With `out` NULL the ids are only counted.
cdef Py_ssize_t bpe_encode(
    const Ranks *ranks, Worker *worker, int pattern, const uint8_t *text, size_t n, size_t limit,
    id_t *out
) noexcept nogil

# Write the ids of one piece (n >= 1 bytes, not split) to worker.merged; return how many, or a
# negative status.
cdef Py_ssize_t bpe_piece(
    const Ranks *ranks, Worker *worker, const uint8_t *piece, size_t n
) noexcept nogil
