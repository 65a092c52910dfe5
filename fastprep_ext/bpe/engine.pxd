"""One text -> ids: split a batch of pieces, look each up, merge the few that are new."""


ctypedef fused id_t:
    uint16_t
    uint32_t

cdef enum:
    BATCH = 512                # pieces whose lines of the cache are asked for before one is looked at
    ROUND = 2048               # pieces of which what is new is merged together
    SEEN = 1024
    SPILLED = 0xFFFF
    BPE_SLACK = 8              # ids of room behind the last one that bpe_encode may scribble on
    BPE_NO_MEMORY = -1
    BPE_TOO_LONG = -2
    BPE_INVALID_UTF8 = -3      # at byte worker.split.at

# A piece whose ids were not simply there.
cdef struct Miss:
    Key key
    size_t start               # its first byte
    size_t n                   # bytes
    uint32_t slot              # its line in the cache
    uint32_t piece             # which one of the round
    uint32_t first             # the miss that is for the same piece, itself if none came before
    Piece made                 # its tokens on their way, in `merged`

# A round of pieces on their way. Memory that is not used is not touched.
cdef struct Round:
    size_t ends[BATCH]         # of one batch after the other, as are the next two
    Key keys[BATCH]
    uint32_t slots[BATCH]
    uint32_t missed[BATCH]
    uint16_t seen[SEEN]        # by the end of a slot: the last miss of such a piece
    Value found[ROUND]         # the ids of each piece; SPILLED and a miss's number if they are too many
    Miss misses[ROUND]
    Parts parts

# What one thread needs besides the rank table.
cdef struct Worker:
    Split split
    Cache cache
    Round *round
    uint32_t *merged           # ids that are being made
    size_t merged_capacity

# `narrow`: whether every id of the vocabulary is below 65,536.
cdef int worker_begin(Worker *self, bint narrow) noexcept nogil
cdef void worker_free(Worker *self) noexcept nogil

# Writes the ids of a text of n bytes to out[n + BPE_SLACK] and returns how many there are, or a
# negative status. An id takes at least one byte, so n is room enough. What comes after the first
# `limit` ids is not looked at, but for the rest of their round. With `out` NULL it only counts.
cdef Py_ssize_t bpe_encode(
    const Ranks *ranks, Worker *worker, int pattern, const uint8_t *text, size_t n, size_t limit,
    id_t *out
) noexcept nogil

# Writes the ids of one piece (n >= 1 bytes, not split) to worker.merged; how many, or a status.
cdef Py_ssize_t bpe_piece(
    const Ranks *ranks, Worker *worker, const uint8_t *piece, size_t n
) noexcept nogil
