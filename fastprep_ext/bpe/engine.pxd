"""One text -> ids: split a batch of pieces, look each one up, merge the few that are new.

Added tokens are pieces, too, with a mark: the text between them is split part by part.
"""

ctypedef fused id_t:
    uint16_t
    uint32_t

cdef enum:
    BATCH = 512            # pieces whose cache lines are prefetched before the first is looked up
    ROUND = 2048           # pieces whose new ones are merged together
    SEEN = 1024
    BPE_SLACK = MOST_IDS   # ids after the last one that bpe_encode may overwrite
    BPE_NO_MEMORY = -1
    BPE_TOO_LONG = -2
    BPE_NOT_SPLIT = -3     # worker.split says why
    BPE_LACKS_BYTE = -4    # worker.lost_byte is not a token, and text with it is an error
    BPE_REFUSED = -5       # the text has a token that it must not have

# A piece whose ids are not in its cache entry.
cdef struct Miss:
    Key key
    size_t start           # its first byte
    size_t n               # bytes
    uint32_t slot          # its line in the cache
    uint32_t piece         # its index in the round
    uint32_t first         # the first miss for the same piece, or itself
    uint64_t place         # of its ids in the arena, or NO_PLACE
    Piece made             # its tokens, in `merged`

# A round of pieces. Only the used prefix of each array is written, so the pages after it are never
# mapped.
cdef struct Round:
    size_t ends[BATCH]     # of one batch after another, as are the next three arrays
    Key keys[BATCH]
    uint32_t slots[BATCH]
    uint32_t missed[BATCH]
    uint16_t marked[BATCH] # pieces that are added tokens
    uint32_t marks[BATCH]  # and their ids
    size_t n_marks
    uint16_t seen[SEEN]    # by the low bits of a slot: the last miss with it
    Value found[ROUND]     # ids of each piece
    Miss misses[ROUND]
    Parts parts

# The memory of one thread, beside the rank table.
cdef struct Worker:
    Split split
    Cache cache
    Round *round
    uint32_t *merged           # tokens of misses
    size_t merged_capacity
    uint8_t *kept              # bytes of new pieces without those that are not tokens
    size_t kept_capacity
    size_t lost                # bytes that were left out
    uint8_t lost_byte          # the first of them
    Changed changed            # a text after its change
    Changed spaced             # a part of it with a space before it

# `largest`: the largest id of the vocabulary.
cdef int worker_begin(Worker *self, uint32_t largest) noexcept nogil
cdef void worker_free(Worker *self) noexcept nogil

# Write the ids of a text of n bytes to out[n + BPE_SLACK] and return how many there are, or a
# negative status. An id stands for at least one byte, so n ids suffice. Text after the first `limit`
# ids is skipped, except for the rest of their round. With `out` NULL the ids are only counted.
#
# The text is cut at the tokens of `early` and the text between those at the tokens of `late`, either
# of which may be NULL; each part is split on its own.
cdef Py_ssize_t bpe_encode(
    const Ranks *ranks, Worker *worker, int pattern, const uint8_t *text, size_t n,
    const SpecialTable *early, const SpecialTable *late, size_t limit, id_t *out
) noexcept nogil

cdef enum:
    FEED_NEXT
    FEED_PART
    FEED_SPLIT
    FEED_TOKEN
    FEED_DONE
    FEED_ENDS = 256        # ends of pieces that wait to be cut at runs of blanks

# The pieces of a text, part after part.
cdef struct Feed:
    const uint8_t *text
    size_t n
    const SpecialTable *early
    const SpecialTable *late
    Cursor outer           # among the early tokens
    Cursor inner           # among the late ones of the section
    bint in_section
    size_t section         # its first byte and its bytes
    size_t section_bytes
    bint before_token      # an early token follows the section
    Special token          # it
    int state
    size_t part            # the part that is split, and its end
    size_t part_end
    bint has_mark          # an added token follows the part
    uint32_t mark
    size_t mark_begin
    size_t mark_end
    size_t at              # end of the last piece
    size_t base            # where the splitter began
    # The late tokens are runs of blanks: sections are split as a whole, and the pieces cut at them.
    bint by_runs
    bint has_run           # such a token is next
    Special run            # it, in bytes of the text
    size_t n_waiting
    size_t next_waiting
    size_t waiting[FEED_ENDS]   # ends of pieces that are not cut yet, from `base` on

# Write the ids of one piece (n >= 1 bytes, not split) to worker.merged; return how many, or a
# negative status.
cdef Py_ssize_t bpe_piece(
    const Ranks *ranks, Worker *worker, const uint8_t *piece, size_t n
) noexcept nogil
