"""Building the rank table.

tiktoken's vocabularies ask for the rank of two neighbours' concatenated bytes, whatever merges once
made them. So the pair table holds *every* two tokens that together spell a token (108,299 for r50k).
A vocabulary with a list of merges has just those pairs, in that order, and the same token may be made
by several.

Most look-ups on the way to an answer find nothing, and the tables (2 MB of pairs for r50k) miss the
near caches; a bit set in front of each answers nine of ten such look-ups: 1.2 times the speed on text
that is new. (Merging without closing the gaps in the arrays of parts was tried too: 0.9 times.)

Vocabularies come from anywhere, so building is bounded: n tokens that are prefixes of one another have
n * n / 2 pairs, and tokens whose hashes collide are compared byte by byte.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memset

cdef extern from "bits.h" nogil:
    void prefetch(const void *p)

cdef enum:
    AHEAD = 16                 # pairs whose place in the table is fetched before they are added
    MOST_COMPARED = 1 << 30    # bytes of tokens that may be compared: 0.1 s. o200k needs 6 MB


cdef int ranks_build(Ranks *self) noexcept nogil:
    cdef uint64_t compared = 0
    cdef int status = build_pieces(self, &compared)
    if status == 0:
        status = find_pairs(self, &compared) if self.merges == NULL else list_pairs(self)
    if status == 0:
        status = build_bytes(self)
    if status != 0:
        ranks_free(self)
    return status


cdef void ranks_free(Ranks *self) noexcept nogil:
    free(self.pieces)
    free(self.pairs)
    free(self.piece_filter)
    free(self.pair_filter)
    free(self.byte_pairs)
    memset(self, 0, sizeof(Ranks))


# As ranks_find_hashed, while the table is being built: counts the bytes it compares.
cdef uint32_t find(
    const Ranks *self, const uint8_t *piece, size_t n, uint64_t h, uint64_t *compared
) noexcept nogil:
    cdef uint64_t spreaded = spread(h), slot = spreaded & self.piece_mask, entry
    cdef uint32_t token
    while True:
        entry = self.pieces[slot]
        if entry == 0:
            return NO_RANK
        if entry >> 32 == spreaded >> 32:
            token = <uint32_t>entry - 1
            if token_bytes(self, token) == n:
                compared[0] += n
                if memcmp(self.blob + self.ends[token] - n, piece, n) == 0:
                    return token
        slot = (slot + 1) & self.piece_mask


cdef int build_pieces(Ranks *self, uint64_t *compared) noexcept nogil:
    cdef uint64_t size = 64, start = 0, hashed, spreaded, slot
    cdef size_t token, length
    while size < 2 * self.n:
        size *= 2
    self.pieces = <uint64_t *>calloc(size, sizeof(uint64_t))
    self.piece_filter = <uint64_t *>calloc(size * FILTER_BITS // 64, sizeof(uint64_t))
    if self.pieces == NULL or self.piece_filter == NULL:
        return RANKS_NO_MEMORY
    self.piece_mask = size - 1
    for token in range(self.n):
        length = self.ends[token] - start
        if length > self.longest:
            self.longest = length
        hashed = piece_hash(self.blob + start, length)
        if find(self, self.blob + start, length, hashed, compared) != NO_RANK:
            return RANKS_DUPLICATE
        if compared[0] > MOST_COMPARED:
            return RANKS_TOO_MANY_PAIRS
        spreaded = spread(hashed)
        slot = spreaded & (FILTER_BITS * size - 1)
        self.piece_filter[slot >> 6] |= <uint64_t>1 << (slot & 63)
        slot = spreaded & self.piece_mask
        while self.pieces[slot] != 0:
            slot = (slot + 1) & self.piece_mask
        self.pieces[slot] = spreaded >> 32 << 32 | (token + 1)
        start = self.ends[token]
    return 0


# An empty pair table for so many pairs: at most half full.
cdef int make_room(Ranks *self, size_t count) noexcept nogil:
    cdef uint64_t size = 64
    self.pair_shift = 64 - 6
    while size < 2 * count:
        size *= 2
        self.pair_shift -= 1
    self.pairs = <uint64_t *>malloc(size * sizeof(uint64_t))
    self.pair_filter = <uint64_t *>calloc(size * FILTER_BITS // 64, sizeof(uint64_t))
    if self.pairs == NULL or self.pair_filter == NULL:
        return RANKS_NO_MEMORY
    memset(self.pairs, 0xFF, size * sizeof(uint64_t))
    self.pair_mask = size - 1
    return 0


cdef inline uint64_t pair_hash(uint64_t entry) noexcept nogil:
    return (entry >> RANK_BITS) * <uint64_t>0x9E3779B97F4A7C15


cdef inline void add_pair(Ranks *self, uint64_t entry) noexcept nogil:
    cdef uint64_t h = pair_hash(entry)
    cdef uint64_t bit = h >> (self.pair_shift - FILTER_SHIFT), slot = h >> self.pair_shift
    self.pair_filter[bit >> 6] |= <uint64_t>1 << (bit & 63)
    while self.pairs[slot] != <uint64_t>-1:
        slot = (slot + 1) & self.pair_mask
    self.pairs[slot] = entry


# The pairs of a list of merges.
cdef int list_pairs(Ranks *self) noexcept nogil:
    cdef size_t rank, before, after
    cdef uint32_t left, right, made
    cdef const uint8_t *token
    if self.n_merges > MAX_PAIRS:
        return RANKS_TOO_MANY_PAIRS
    if make_room(self, self.n_merges) != 0:
        return RANKS_NO_MEMORY
    for rank in range(self.n_merges):
        left = self.merges[3 * rank]
        right = self.merges[3 * rank + 1]
        made = self.merges[3 * rank + 2]
        if left >= self.n or right >= self.n or made >= self.n:
            return RANKS_BAD_MERGE
        before = token_bytes(self, left)
        after = token_bytes(self, right)
        token = self.blob + self.ends[made] - token_bytes(self, made)
        if token_bytes(self, made) != before + after \
                or memcmp(token, self.blob + self.ends[left] - before, before) != 0 \
                or memcmp(token + before, self.blob + self.ends[right] - after, after) != 0:
            return RANKS_BAD_MERGE
        if ranks_find_pair(self, left, right) != NO_RANK:
            return RANKS_MERGE_TWICE
        add_pair(self, <uint64_t>left << (TOKEN_BITS + RANK_BITS) | <uint64_t>right << RANK_BITS | rank)
    return 0


# All pairs of tokens that spell a token. Collected first, so that the table is made to measure.
cdef int find_pairs(Ranks *self, uint64_t *compared) noexcept nogil:
    cdef size_t room = 4 * self.n + 64, count = 0, made, length, k, i, tried
    cdef uint64_t start = 0, after
    cdef uint64_t *found = <uint64_t *>malloc(room * sizeof(uint64_t))
    cdef uint64_t *prefix = <uint64_t *>malloc((self.longest + 1) * 3 * sizeof(uint64_t))
    cdef uint64_t *power = prefix + self.longest + 1
    cdef uint64_t *cuts = power + self.longest + 1
    cdef uint64_t *grown
    cdef uint32_t left, right
    cdef const uint8_t *token
    cdef int status = 0
    if found == NULL or prefix == NULL:
        free(found)
        free(prefix)
        return RANKS_NO_MEMORY
    power[0] = 1
    for k in range(self.longest):
        power[k + 1] = power[k] * HASH_BASE
    for made in range(self.n):
        token = self.blob + start
        length = self.ends[made] - start
        start = self.ends[made]
        if length < 2:
            continue
        prefix[0] = 0
        for k in range(length):
            prefix[k + 1] = prefix[k] * HASH_BASE + token[k] + 1
        if count + length > room:
            room = 2 * (count + length)
            grown = <uint64_t *>realloc(found, room * sizeof(uint64_t))
            if grown == NULL:
                status = RANKS_NO_MEMORY
                break
            found = grown
        # Two bits of the filter, which is in a near cache, spare most look-ups in the table; those
        # that are left wait for memory together.
        tried = 0
        for k in range(1, length):
            if not may_be_piece(self, prefix[k]):
                continue
            after = prefix[length] - prefix[k] * power[length - k]
            if may_be_piece(self, after):
                prefetch(&self.pieces[spread(prefix[k]) & self.piece_mask])
                prefetch(&self.pieces[spread(after) & self.piece_mask])
                cuts[tried] = k
                tried += 1
        for i in range(tried):
            k = cuts[i]
            after = prefix[length] - prefix[k] * power[length - k]
            left = find(self, token, k, prefix[k], compared)
            if left == NO_RANK:
                continue
            right = find(self, token + k, length - k, after, compared)
            if right != NO_RANK:
                found[count] = (
                    <uint64_t>left << (TOKEN_BITS + RANK_BITS) | <uint64_t>right << RANK_BITS | made
                )
                count += 1
        if count > MAX_PAIRS or compared[0] > MOST_COMPARED:
            status = RANKS_TOO_MANY_PAIRS
            break
    free(prefix)
    if status == 0:
        status = make_room(self, count)
    if status == 0:
        for k in range(count):
            if k + AHEAD < count:
                prefetch(&self.pairs[pair_hash(found[k + AHEAD]) >> self.pair_shift])
            add_pair(self, found[k])
    free(found)
    return status


# The first look at a piece is for its bytes and their pairs: plain arrays instead of hashing.
cdef int build_bytes(Ranks *self) noexcept nogil:
    cdef size_t i
    cdef uint32_t left, right
    cdef uint8_t byte
    self.byte_pairs = <uint32_t *>malloc(256 * 256 * sizeof(uint32_t))
    if self.byte_pairs == NULL:
        return RANKS_NO_MEMORY
    for i in range(256):
        byte = <uint8_t>i
        self.byte_ranks[i] = ranks_find(self, &byte, 1)
    for i in range(256 * 256):
        left = self.byte_ranks[i >> 8]
        right = self.byte_ranks[i & 0xFF]
        self.byte_pairs[i] = NO_RANK
        if left != NO_RANK and right != NO_RANK:
            self.byte_pairs[i] = ranks_find_pair(self, left, right)
    return 0
