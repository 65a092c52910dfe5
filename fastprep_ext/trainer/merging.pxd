"""The merge loop: the most frequent pair of neighbouring tokens becomes a token, again and again.

All words (distinct pieces of two bytes or more) are in one array with a place for each byte, and a 0
after each word. A token has its number at the first and the last of its places and DEAD at those
between, so the neighbours of a token that starts at p are tokens[p - 1] and tokens[p + its length]:
no links, no word numbers, and whether a pair still starts at p takes two comparisons.

Words are sorted by falling count, and each count starts at a multiple of BLOCK places: one level per
block. Places are visited in ascending order, so the weight is looked up where a level ends only (a lookup
per place missed the cache: half of the time of a merge).

The words are in bytes, or in the tokens of a vocabulary that training starts from, each of which takes one
place, whatever its bytes.
"""

ctypedef fused token_t:
    uint16_t
    uint32_t

cdef enum:
    BLOCK_BITS = 5
    BLOCK = 1 << BLOCK_BITS
    BYTE_TOKENS = 257      # 0 is no token, 1 to 256 are the bytes, if words are in bytes
    MAX_NARROW = 0xFFFE    # tokens with 16 bits each; 0xFFFF is DEAD
    TRAIN_DONE = 1         # all merges are made, or no pair is frequent enough
    TRAIN_OK = 0
    TRAIN_NO_MEMORY = -1
    TRAIN_TOO_LARGE = -2   # 2**32 places or more
    TRAIN_OVERFLOW = -3    # counts of 2**63 or more
    TRAIN_DAMAGED = -4     # records that are not

# What a merge changes at one neighbour: the sum of the weights and the number of places; then where the
# next place of the new pair goes, NULL: the pair is not listed.
cdef struct Delta:
    uint64_t weight
    uint32_t n
    uint32_t unused
    uint32_t *next

# All words of one count: the places up to `end`, from where the level before ends.
cdef struct Level:
    uint64_t count
    uint64_t next          # where the next word is written
    uint64_t end

cdef struct Merge:
    uint32_t left
    uint32_t right
    uint64_t count

cdef struct Training:
    # The words.
    void *tokens           # uint16, or uint32 if `wide`
    size_t places
    size_t token_bytes     # allocated
    uint32_t *level_of     # per block
    Level *levels
    size_t n_levels
    bint wide
    uint64_t total         # of the counts of all pairs
    # The tokens.
    uint32_t *lengths      # in places
    uint32_t *sizes        # in bytes: NULL if a byte is a place
    size_t n_tokens
    size_t max_tokens
    Merge *merges
    size_t n_merges
    size_t first_merge     # the number of tokens before the first merge
    # The pairs.
    PairTable pairs
    Lists lists
    Candidates candidates
    uint64_t least         # the smallest count at which a pair is merged
    uint64_t floor         # pairs that were born with a smaller count are in no list
    size_t max_length      # of a token, in bytes; 0: no limit
    size_t rescans
    # Of one merge.
    Delta *lefts           # by token
    Delta *rights
    uint32_t *touched
    uint32_t *neighbours   # left and right token of each place that was merged
    size_t room            # places in `neighbours`

cdef void training_free(Training *self) noexcept nogil
# Give the memory of words and pairs back; the merges remain.
cdef void words_free(Training *self) noexcept nogil
# Count all pairs, and list those of at least `floor`. TRAIN_OK or an error.
cdef int collect(Training *self) noexcept nogil
# Make up to `most` more merges. TRAIN_OK, TRAIN_DONE or an error.
cdef int train(Training *self, size_t most) noexcept nogil
