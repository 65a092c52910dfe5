"""Building the rank table.

tiktoken's vocabularies define the rank of two neighbours by their concatenated bytes, whatever
merges once made them: *every* two tokens that together spell a token merge (108,299 pairs for r50k,
446,189 for o200k). Only one of them per token is ever needed if each token is made of tokens before
it (proof in last_merges.pyx), which holds for all published vocabularies. A vocabulary with a list
of merges has exactly those pairs, in that order, and several may make the same token.

Vocabularies are untrusted, so building is bounded: n tokens that are prefixes of one another have n
* n / 2 pairs, and tokens whose hashes collide are compared byte by byte.
"""

cdef extern from "base/pages.h" nogil:
    void *pages_alloc(size_t size)
    void pages_free(void *memory, size_t size)

cdef enum:
    RANK_BITS = 24
    PIECES_AT_ONCE = 32
    MAX_COMPARED = 1 << 30    # bytes of tokens that may be compared: 0.1 s. o200k needs 6 MB


cdef int ranks_build(Ranks *self) noexcept nogil:
    cdef uint64_t compared = 0
    cdef int status = 0
    if self.halves == NULL:
        status = build_pieces(self, &compared)
    self.same_ids = self.ids[self.n - 1] == self.n - 1
    if status == 0:
        status = build_bytes(self)
    if status == 0:
        status = build_pairs(self, &compared)
    if status == 0 and (cuts_build(self) != 0 or atoms_build(self) != 0):
        status = RANKS_NO_MEMORY
    if status != 0:
        ranks_free(self)
    return status


cdef int ranks_build_pieces(Ranks *self) noexcept nogil:
    cdef uint64_t compared = 0
    cdef int status = build_pieces(self, &compared)
    if status != 0:
        ranks_free(self)
    return status


cdef int ranks_add_pieces(Ranks *self) noexcept nogil:
    cdef uint64_t compared = 0
    cdef Ranks built = self[0]
    cdef int status = build_pieces(&built, &compared)
    if status != 0:
        pages_free(built.pieces, (built.piece_mask + 1) * sizeof(uint64_t))
        free(built.piece_filter)
        return status
    self.piece_mask = built.piece_mask
    self.piece_filter = built.piece_filter
    self.pieces = built.pieces
    return 0


cdef void ranks_free(Ranks *self) noexcept nogil:
    pages_free(self.pieces, (self.piece_mask + 1) * sizeof(uint64_t))
    free(self.piece_filter)
    free(self.byte_pairs)
    free(self.grams)
    atoms_free(&self.atoms)
    pairs_free(&self.pairs)
    memset(self, 0, sizeof(Ranks))


# Return the slot of the token with these bytes, whose hash is `h`, or the free slot for it; adds the
# bytes that it compares to `compared`.
cdef inline uint64_t *seek_piece(
    const Ranks *self, const uint8_t *piece, size_t n, uint64_t h, uint64_t *compared
) noexcept nogil:
    cdef uint64_t slot = h & self.piece_mask, entry
    cdef uint32_t token
    while True:
        entry = self.pieces[slot]
        if entry == 0:
            return &self.pieces[slot]
        token = <uint32_t>entry - 1
        if entry >> 32 == h >> 32 and token_bytes(self, token) == n:
            compared[0] += n
            if memcmp(self.blob + self.ends[token] - n, piece, n) == 0:
                return &self.pieces[slot]
        slot = (slot + 1) & self.piece_mask


# Like ranks_find_hashed, while the table is being built.
cdef uint32_t find_piece(
    const Ranks *self, const uint8_t *piece, size_t n, uint64_t h, uint64_t *compared
) noexcept nogil:
    cdef uint64_t entry = seek_piece(self, piece, n, spread(h), compared)[0]
    return <uint32_t>entry - 1 if entry else NO_RANK


# Several tokens at a time, so that they wait for memory together.
cdef int build_pieces(Ranks *self, uint64_t *compared) noexcept nogil:
    cdef uint64_t size = 64, start = 0
    cdef uint64_t hashes[PIECES_AT_ONCE]
    cdef size_t first = 0, count, i, length
    while size < 2 * self.n:
        size *= 2
    self.pieces = <uint64_t *>pages_alloc(size * sizeof(uint64_t))
    self.piece_mask = size - 1
    self.piece_filter = <uint64_t *>calloc(size * FILTER_BITS // 64, sizeof(uint64_t))
    if self.pieces == NULL or self.piece_filter == NULL:
        return RANKS_NO_MEMORY
    while first < self.n:
        count = min(self.n - first, <size_t>PIECES_AT_ONCE)
        for i in range(count):
            length = self.ends[first + i] - start
            self.longest = max(self.longest, length)
            hashes[i] = spread(piece_hash(self.blob + start, length))
            prefetch(&self.pieces[hashes[i] & self.piece_mask])
            start = self.ends[first + i]
        for i in range(count):
            if not put_piece(self, <uint32_t>(first + i), hashes[i], compared):
                return RANKS_DUPLICATE
            if compared[0] > MAX_COMPARED:
                return RANKS_TOO_MANY_PAIRS
        first += count
    return 0


# Returns False if the token is in the table already.
cdef inline bint put_piece(Ranks *self, uint32_t token, uint64_t h, uint64_t *compared) noexcept nogil:
    cdef size_t n = token_bytes(self, token)
    cdef uint64_t *place = seek_piece(self, self.blob + self.ends[token] - n, n, h, compared)
    cdef uint64_t bit = h & filter_mask(self)
    if place[0] != 0:
        return False
    place[0] = h >> 32 << 32 | (token + 1)
    self.piece_filter[bit >> 6] |= <uint64_t>1 << (bit & 63)
    return True


cdef int build_pairs(Ranks *self, uint64_t *compared) noexcept nogil:
    cdef int status
    if self.merges != NULL:
        self.merge_only = not self.whole_pieces
        return list_pairs(self)
    status = pairs_allocate(&self.pairs, self.n)
    if status == 0 and self.lefts != NULL:
        self.merge_only = True
        return known_merges(self)
    if status == 0:
        self.merge_only = last_merges(self)
        if not self.merge_only:
            pairs_free(&self.pairs)
            status = find_pairs(self, compared)
    return status


cdef void pairs_free(Pairs *self) noexcept nogil:
    pages_free(self.buckets, (self.count + 1) * sizeof(PairBucket))
    memset(self, 0, sizeof(Pairs))


# Allocate an empty table for `count` pairs: at most half full.
cdef int pairs_allocate(Pairs *self, size_t count) noexcept nogil:
    cdef size_t buckets = PAIR_BUCKETS
    cdef PairBucket *memory
    while PAIR_WAYS * buckets < 2 * count:
        buckets *= 2
    memory = <PairBucket *>pages_alloc((buckets + 1) * sizeof(PairBucket))
    if memory == NULL:
        return RANKS_NO_MEMORY
    pairs_begin(self, memory, buckets)
    return 0


# Add the pairs of a list of merges.
cdef int list_pairs(Ranks *self) noexcept nogil:
    cdef size_t rank, before, after
    cdef uint32_t left, right, made
    cdef const uint8_t *token
    if self.n_merges > MAX_PAIRS:
        return RANKS_TOO_MANY_PAIRS
    if pairs_allocate(&self.pairs, self.n_merges) != 0:
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
        if not pairs_add(&self.pairs, left, right, <uint32_t>rank):
            return RANKS_CROWDED
    fill_byte_pairs(self)
    return 0


# Add all pairs of tokens that spell a token. They are collected first, so that the table has the
# right size.
cdef int find_pairs(Ranks *self, uint64_t *compared) noexcept nogil:
    cdef size_t capacity = 4 * self.n + 64, count = 0, made, length, k, i, tried
    cdef uint64_t start = 0, after
    cdef uint64_t *found = <uint64_t *>malloc(capacity * sizeof(uint64_t))
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
        if count + length > capacity:
            capacity = 2 * (count + length)
            grown = <uint64_t *>realloc(found, capacity * sizeof(uint64_t))
            if grown == NULL:
                status = RANKS_NO_MEMORY
                break
            found = grown
        # Two bits of the filter, which is in a near cache, save most lookups in the table; the rest
        # wait for memory together.
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
            left = find_piece(self, token, k, prefix[k], compared)
            if left == NO_RANK:
                continue
            right = find_piece(self, token + k, length - k, after, compared)
            if right != NO_RANK:
                found[count] = (<uint64_t>left << TOKEN_BITS | right) << RANK_BITS | made
                count += 1
        if count > MAX_PAIRS or compared[0] > MAX_COMPARED:
            status = RANKS_TOO_MANY_PAIRS
            break
    free(prefix)
    if status == 0:
        status = pairs_allocate(&self.pairs, count)
    if status == 0:
        for k in range(count):
            if not pairs_add(
                &self.pairs, <uint32_t>(found[k] >> (TOKEN_BITS + RANK_BITS)),
                <uint32_t>(found[k] >> RANK_BITS) & MAX_TOKENS, <uint32_t>found[k] & (MAX_PAIRS - 1),
            ):
                status = RANKS_CROWDED
                break
        fill_byte_pairs(self)
    free(found)
    return status


# The first lookups of a piece are its bytes and pairs of bytes: plain arrays instead of hashing.
cdef int build_bytes(Ranks *self) noexcept nogil:
    cdef size_t i
    cdef uint64_t start = 0
    self.byte_pairs = <uint32_t *>malloc(256 * 256 * sizeof(uint32_t))
    if self.byte_pairs == NULL:
        return RANKS_NO_MEMORY
    memset(self.byte_pairs, 0xFF, 256 * 256 * sizeof(uint32_t))
    memset(self.byte_ranks, 0xFF, sizeof(self.byte_ranks))
    for i in range(self.n):
        if self.ends[i] - start == 1:
            self.byte_ranks[self.blob[start]] = <uint32_t>i
        self.longest = max(self.longest, <size_t>(self.ends[i] - start))
        start = self.ends[i]
    for i in range(256):
        self.lacks_bytes |= self.byte_ranks[i] == NO_RANK
    return 0


cdef void fill_byte_pairs(Ranks *self) noexcept nogil:
    cdef size_t i
    cdef uint32_t left, right
    for i in range(256 * 256):
        left = self.byte_ranks[i >> 8]
        right = self.byte_ranks[i & 0xFF]
        self.byte_pairs[i] = NO_RANK
        if left != NO_RANK and right != NO_RANK:
            self.byte_pairs[i] = ranks_find_pair(self, left, right)
