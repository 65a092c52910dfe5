"""Building the rank table.

Merging asks for the rank of two neighbours' concatenated bytes, whatever merges once made them. So
the pair table holds *every* two tokens that together spell a token (108,299 for r50k): a list of
merges would lack most of them and differ on rare texts.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memset


cdef int ranks_build(
    Ranks *self, size_t n, const uint8_t *blob, const uint64_t *ends, const uint32_t *ids
) noexcept nogil:
    cdef int status
    memset(self, 0, sizeof(Ranks))
    self.n = n
    self.blob = blob
    self.ends = ends
    self.ids = ids
    status = build_pieces(self)
    if status == 0:
        status = build_pairs(self)
    if status == 0:
        status = build_bytes(self)
    if status != 0:
        ranks_free(self)
    return status


cdef void ranks_free(Ranks *self) noexcept nogil:
    free(self.pieces)
    free(self.pairs)
    free(self.byte_pairs)
    memset(self, 0, sizeof(Ranks))


cdef int build_pieces(Ranks *self) noexcept nogil:
    cdef uint64_t size = 64, start = 0, spreaded, slot
    cdef size_t rank, length
    while size < 2 * self.n:
        size *= 2
    self.pieces = <uint64_t *>calloc(size, sizeof(uint64_t))
    if self.pieces == NULL:
        return RANKS_NO_MEMORY
    self.piece_mask = size - 1
    for rank in range(self.n):
        length = self.ends[rank] - start
        if length > self.longest:
            self.longest = length
        if ranks_find(self, self.blob + start, length) != NO_RANK:
            return RANKS_DUPLICATE
        spreaded = spread(piece_hash(self.blob + start, length))
        slot = spreaded & self.piece_mask
        while self.pieces[slot] != 0:
            slot = (slot + 1) & self.piece_mask
        self.pieces[slot] = spreaded >> 32 << 32 | (rank + 1)
        start = self.ends[rank]
    return 0


# Collects all pairs first, so that the table can be made to measure: at most half full.
cdef int build_pairs(Ranks *self) noexcept nogil:
    cdef size_t room = 4 * self.n + 64, count = 0, rank, length, k
    cdef uint64_t start = 0, size = 64, slot, entry
    cdef uint64_t *found = <uint64_t *>malloc(room * sizeof(uint64_t))
    cdef uint64_t *prefix = <uint64_t *>malloc((self.longest + 1) * 2 * sizeof(uint64_t))
    cdef uint64_t *power = prefix + self.longest + 1
    cdef uint64_t *grown
    cdef uint32_t left, right
    cdef const uint8_t *token
    if found == NULL or prefix == NULL:
        free(found)
        free(prefix)
        return RANKS_NO_MEMORY
    power[0] = 1
    for k in range(self.longest):
        power[k + 1] = power[k] * HASH_BASE
    for rank in range(self.n):
        token = self.blob + start
        length = self.ends[rank] - start
        start = self.ends[rank]
        if length < 2:
            continue
        prefix[0] = 0
        for k in range(length):
            prefix[k + 1] = prefix[k] * HASH_BASE + token[k] + 1
        if count + length > room:
            room = 2 * (count + length)
            grown = <uint64_t *>realloc(found, room * sizeof(uint64_t))
            if grown == NULL:
                free(found)
                free(prefix)
                return RANKS_NO_MEMORY
            found = grown
        for k in range(1, length):
            left = ranks_find_hashed(self, token, k, prefix[k])
            if left == NO_RANK:
                continue
            right = ranks_find_hashed(
                self, token + k, length - k, prefix[length] - prefix[k] * power[length - k]
            )
            if right != NO_RANK:
                found[count] = <uint64_t>left << 2 * RANK_BITS | <uint64_t>right << RANK_BITS | rank
                count += 1
    free(prefix)
    self.pair_shift = 64 - 6
    while size < 2 * count:
        size *= 2
        self.pair_shift -= 1
    self.pairs = <uint64_t *>malloc(size * sizeof(uint64_t))
    if self.pairs == NULL:
        free(found)
        return RANKS_NO_MEMORY
    memset(self.pairs, 0xFF, size * sizeof(uint64_t))
    self.pair_mask = size - 1
    for k in range(count):
        entry = found[k]
        slot = ((entry >> RANK_BITS) * <uint64_t>0x9E3779B97F4A7C15) >> self.pair_shift
        while self.pairs[slot] != <uint64_t>-1:
            slot = (slot + 1) & self.pair_mask
        self.pairs[slot] = entry
    free(found)
    return 0


# The first look at a piece is for its bytes and their pairs: plain arrays instead of hashing.
cdef int build_bytes(Ranks *self) noexcept nogil:
    cdef size_t i
    cdef uint8_t pair[2]
    self.byte_pairs = <uint32_t *>malloc(256 * 256 * sizeof(uint32_t))
    if self.byte_pairs == NULL:
        return RANKS_NO_MEMORY
    for i in range(256):
        pair[0] = <uint8_t>i
        self.byte_ranks[i] = ranks_find(self, pair, 1)
    for i in range(256 * 256):
        pair[0] = <uint8_t>(i >> 8)
        pair[1] = <uint8_t>(i & 0xFF)
        self.byte_pairs[i] = ranks_find(self, pair, 2)
    return 0
