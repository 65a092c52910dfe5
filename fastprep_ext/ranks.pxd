"""The rank table: piece -> rank, (left rank, right rank) -> rank. Immutable, shared by all threads.

A token's *rank* here is its place in the order of merging, 0 to n - 1, which is also its id as long
as the ids have no gap; `ids` maps one to the other.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp

cdef extern from "bits.h" nogil:
    const uint32_t NO_RANK         # no token, no pair
    uint64_t mul_fold(uint64_t a, uint64_t b)

cdef enum:
    RANK_BITS = 20
    MAX_TOKENS = 1 << 20           # three ranks share one 64-bit entry of the pair table

cdef struct Ranks:
    size_t n                       # tokens
    const uint8_t *blob            # their bytes, back to back, in rank order
    const uint64_t *ends           # [n] where each ends in `blob`
    const uint32_t *ids            # [n]
    size_t longest                 # bytes of the longest token
    uint64_t *pieces               # open addressing: high half of the hash << 32 | rank + 1
    uint64_t piece_mask
    uint64_t *pairs                # open addressing: left << 40 | right << 20 | merged
    int pair_shift
    uint64_t pair_mask
    uint32_t byte_ranks[256]
    uint32_t *byte_pairs           # [256 * 256] first byte << 8 | second byte -> rank

# Builds the table over arrays that stay the caller's. 0, or a negative status.
cdef int ranks_build(
    Ranks *self, size_t n, const uint8_t *blob, const uint64_t *ends, const uint32_t *ids
) noexcept nogil
cdef void ranks_free(Ranks *self) noexcept nogil

cdef enum:
    RANKS_NO_MEMORY = -1
    RANKS_DUPLICATE = -2           # a token stands in the table twice


cdef inline size_t token_bytes(const Ranks *self, uint32_t rank) noexcept nogil:
    return self.ends[rank] - (self.ends[rank - 1] if rank else 0)


# A polynomial in the bytes: a hash of any slice then follows from two hashes of prefixes.
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


# The rank of a piece whose hash is `h`, or NO_RANK.
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


# The rank of a piece, or NO_RANK where it is no token.
cdef inline uint32_t ranks_find(const Ranks *self, const uint8_t *piece, size_t n) noexcept nogil:
    if n > self.longest:
        return NO_RANK
    return ranks_find_hashed(self, piece, n, piece_hash(piece, n))


# The rank of the token that two neighbours' bytes make together, or NO_RANK.
cdef inline uint32_t ranks_find_pair(const Ranks *self, uint32_t left, uint32_t right) noexcept nogil:
    cdef uint64_t key = <uint64_t>left << RANK_BITS | right, entry
    cdef uint64_t slot = (key * <uint64_t>0x9E3779B97F4A7C15) >> self.pair_shift
    while True:
        entry = self.pairs[slot]
        if entry >> RANK_BITS == key:
            return <uint32_t>(entry & (MAX_TOKENS - 1))
        if entry == <uint64_t>-1:
            return NO_RANK
        slot = (slot + 1) & self.pair_mask
