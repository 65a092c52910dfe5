"""The rank table: piece -> token, (left, right) -> rank of the pair. Immutable, shared by all threads.

A token is identified by its row in the table, 0 to n - 1, which is also its id if the ids have no
gap; `ids` maps rows to ids. A pair's *rank* is its place in the order of merging. In tiktoken's
vocabularies that is the row of the token it makes; if a file lists its merges, it is the place in
that list, and the list gives the token.
"""

cdef extern from "bpe/pairs.h" nogil:
    ctypedef struct PairBucket:
        pass
    ctypedef struct Pairs:
        PairBucket *buckets
        size_t count
    enum:
        PAIR_BUCKETS
        PAIR_WAYS
    void pairs_begin(Pairs *pairs, PairBucket *buckets, size_t count)
    uint32_t pairs_find(const Pairs *pairs, uint32_t left, uint32_t right)
    bint pairs_add(Pairs *pairs, uint32_t left, uint32_t right, uint32_t rank)

cdef enum:
    TOKEN_BITS = 20
    MAX_TOKENS = (1 << TOKEN_BITS) - 1  # one more number fits, which stands for no token
    MAX_PAIRS = 1 << 22
    FILTER_BITS = 4                     # of the filter per slot of the table of pieces

cdef struct Ranks:
    size_t n                # tokens
    const uint8_t *blob     # their bytes, back to back, row after row
    const uint64_t *ends    # [n] end of each in `blob`
    const uint32_t *ids     # [n]
    const uint32_t *merges  # [n_merges][left, right, made] in order of rank, or NULL: a pair's
    size_t n_merges         # rank is the row of the token that its bytes spell
    const uint8_t *lefts    # [n] bytes of the left token of each token's last merge, or NULL
    const uint8_t *halves   # [6][n - 256] both tokens of it (halves.pxd), or NULL
    bint whole_pieces       # a piece that is a token is that token, whatever merging gives
    size_t longest          # bytes of the longest token
    uint32_t first_fragment # rows from here on are parts of characters, not tokens; else above any
    const uint32_t *byte_ids # [256] ids of the bytes of fragments; NO_RANK: they are left out
    uint32_t unk            # with fragments and no ids of bytes: that of an unknown character
    bint fuse               # a run of unknown characters has one id
    bint lacks_bytes        # a single byte is not a token: it is left out before merging
    bint strict             # text that has such a byte is an error
    uint64_t *pieces        # open addressing: high half of the hash << 32 | token + 1
    uint64_t piece_mask
    uint64_t *piece_filter  # one bit per quarter slot: whether a token hashes there
    Pairs pairs
    bint merge_only         # merging alone gives the ids: pieces need not be looked up as wholes
    bint same_ids           # the id of each token is its row
    uint32_t byte_ranks[256]
    uint64_t *grams         # bit set of byte sequences that occur in tokens (cuts.pyx)
    int gram_shift
    Atoms atoms             # characters that merging begins with
    uint32_t *byte_pairs    # [256 * 256] first byte << 8 | second byte -> rank

# Build the table over arrays that the caller keeps: n, blob, ends, ids, lefts, halves, and merges with
# n_merges and whole_pieces are set, all else is 0. Returns 0 or a negative status. With halves there is
# no table of pieces: ranks_add_pieces makes it.
cdef int ranks_build(Ranks *self) noexcept nogil
# The same for n, blob and ends only, as far as ranks_find needs it.
cdef int ranks_build_pieces(Ranks *self) noexcept nogil
# Add the table of pieces to a table without it. 0, or a negative status, and then nothing has changed.
cdef int ranks_add_pieces(Ranks *self) noexcept nogil
cdef void ranks_free(Ranks *self) noexcept nogil

cdef enum:
    RANKS_NO_MEMORY = -1
    RANKS_DUPLICATE = -2       # a token is in the table twice
    RANKS_TOO_MANY_PAIRS = -3  # or tokens too long to find them all in reasonable time
    RANKS_BAD_MERGE = -4       # one whose two tokens do not spell the third, or are not tokens
    RANKS_MERGE_TWICE = -5
    RANKS_CROWDED = -6         # too many pairs with similar hashes


cdef inline size_t token_bytes(const Ranks *self, uint32_t token) noexcept nogil:
    return self.ends[token] - (self.ends[token - 1] if token else 0)


# Return the token that a pair of this rank makes.
cdef inline uint32_t token_made(const Ranks *self, uint32_t rank) noexcept nogil:
    return rank if self.merges == NULL else self.merges[3 * <size_t>rank + 2]


# A polynomial in the bytes: the hash of any slice follows from the hashes of two prefixes.
cdef enum:
    HASH_BASE = 0x9E3779B1


cdef inline uint64_t piece_hash(const uint8_t *piece, size_t n) noexcept nogil:
    cdef uint64_t h = 0
    cdef size_t i
    for i in range(n):
        h = h * HASH_BASE + piece[i] + 1
    return h


cdef inline uint64_t spread(uint64_t h) noexcept nogil:
    return mul_fold(h ^ <uint64_t>0xA0761D6478BD642F, <uint64_t>0xE7037ED1A0B428DB)


# Return the token whose bytes are this piece, with hash `h`, or NO_RANK.
cdef inline uint32_t ranks_find_hashed(
    const Ranks *self, const uint8_t *piece, size_t n, uint64_t h
) noexcept nogil:
    cdef uint64_t spreaded = spread(h), slot = spreaded & self.piece_mask, entry
    cdef uint32_t rank
    cdef uint64_t start
    while True:
        entry = self.pieces[slot]
        if entry == 0:
            return NO_RANK
        if entry >> 32 == spreaded >> 32:
            rank = <uint32_t>entry - 1
            start = self.ends[rank - 1] if rank else 0
            if self.ends[rank] - start == n and memcmp(self.blob + start, piece, n) == 0:
                return rank
        slot = (slot + 1) & self.piece_mask


cdef inline uint64_t filter_mask(const Ranks *self) noexcept nogil:
    return FILTER_BITS * (self.piece_mask + 1) - 1


# Return whether a token may have this hash; False is certain.
cdef inline bint may_be_piece(const Ranks *self, uint64_t h) noexcept nogil:
    cdef uint64_t bit = spread(h) & filter_mask(self)
    return self.piece_filter[bit >> 6] >> (bit & 63) & 1


# Return the token whose bytes are this piece, or NO_RANK.
cdef inline uint32_t ranks_find(const Ranks *self, const uint8_t *piece, size_t n) noexcept nogil:
    cdef uint64_t h
    if n > self.longest:
        return NO_RANK
    h = piece_hash(piece, n)
    return ranks_find_hashed(self, piece, n, h) if may_be_piece(self, h) else NO_RANK


# Return the rank of a pair of neighbours, or NO_RANK if they do not merge.
cdef inline uint32_t ranks_find_pair(const Ranks *self, uint32_t left, uint32_t right) noexcept nogil:
    return pairs_find(&self.pairs, left, right)

