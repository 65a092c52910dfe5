"""The two tokens that each token is made of.

Any two tokens that together spell a token T may merge, but at most one such pair ever does. For
suppose that merging some text makes T of two neighbours. Until then no merge crossed T's edges, so
inside them the same merges happened as when the bytes of T are merged alone, in the same order. So
the two are those left last when those bytes are merged: T's *last merge*. A table of the last
merges merges all text as the table of all pairs does: among the pairs that could merge next it
always has the one that does.

They are found in the order of rank, each by merging a token's bytes with those found before. This
is right as long as exactly two parts are left: a pair of higher rank could matter only if the lower
ones leave more than two, and T's own pair only if two are left. If more are left, the token is not
made of tokens before it, and all pairs have to be searched for (ranks.pyx).

Many tokens are merged at once, with the pairs before all of them. One that needs a pair of another
token among them stops where that pair would merge, since all pairs that could follow rank higher
and are among them, too: at least three parts are left, and the token is merged again when its turn
comes.

For o200k these are 199,742 pairs of 446,189.

The search takes longer than all other work on a vocabulary. So if the length of the left token of
each pair is known beforehand, the two tokens are only looked up; and if the two are known, not even
that.
"""

cdef extern from "bpe/pairs.h" nogil:
    uint64_t pair_hash(uint32_t left, uint32_t right)
    const void *pair_bucket(const Pairs *pairs, uint64_t hash)

cdef enum:
    MAX_MERGED_BYTES = 512          # bytes of a token, which is merged on the stack
    MERGES_AT_ONCE = 64
    MAX_VOCABULARY_BYTES = 1 << 23  # of all tokens; o200k has 1.4 million


cdef bint last_merges(Ranks *ranks) noexcept nogil:
    cdef uint32_t first = 0
    cdef size_t i
    for i in range(256):
        if ranks.byte_ranks[i] == NO_RANK:
            return False       # merging starts with bytes
    if ranks.ends[ranks.n - 1] > MAX_VOCABULARY_BYTES:
        return False
    while first < ranks.n:
        if not add_merges(ranks, first, min(first + MERGES_AT_ONCE, <uint32_t>ranks.n)):
            return False
        first += MERGES_AT_ONCE
    return True


cdef bint add_merges(Ranks *ranks, uint32_t first, uint32_t last) noexcept nogil:
    cdef FewTask tasks[MERGES_AT_ONCE]
    cdef uint32_t parts[MERGES_AT_ONCE * FEW_BYTES]
    cdef uint32_t long_parts[MAX_MERGED_BYTES]
    cdef uint32_t *two
    cdef uint32_t token
    cdef size_t n, count = 0
    cdef const uint8_t *bytes
    for token in range(first, last):
        n = token_bytes(ranks, token)
        if n > 1 and n <= FEW_BYTES:
            tasks[count].piece = ranks.blob + ranks.ends[token] - n
            tasks[count].n = <uint32_t>n
            tasks[count].out = parts + count * FEW_BYTES
            count += 1
    merge_tasks(ranks, tasks, count)
    count = 0
    for token in range(first, last):
        n = token_bytes(ranks, token)
        if n == 1:
            continue
        bytes = ranks.blob + ranks.ends[token] - n
        two = long_parts
        if n <= FEW_BYTES:
            two = tasks[count].out
            count += 1
        if n > FEW_BYTES or tasks[count - 1].count != 2:
            if n > MAX_MERGED_BYTES or merge_whole(ranks, bytes, n, two) != 2:
                return False
        if n == 2:
            ranks.byte_pairs[<size_t>bytes[0] << 8 | bytes[1]] = token
        if not pairs_add(&ranks.pairs, two[0], two[1], token):
            return False
    return True


cdef int known_merges(Ranks *ranks) noexcept nogil:
    cdef uint32_t first = 0, last
    cdef int status
    while first < ranks.n:
        last = min(first + MERGES_AT_ONCE, <uint32_t>ranks.n)
        if ranks.halves == NULL:
            status = add_known_merges(ranks, first, last)
        else:
            status = add_halves(ranks, first, last)
        if status != 0:
            return status
        first = last
    return 0


# In steps, so that all tokens wait for memory together.
cdef int add_known_merges(Ranks *ranks, uint32_t first, uint32_t last) noexcept nogil:
    cdef uint64_t hashes[MERGES_AT_ONCE][2]
    cdef uint32_t two[MERGES_AT_ONCE][2]
    cdef uint32_t token
    cdef size_t i, n, left
    cdef const uint8_t *bytes
    for token in range(first, last):
        i = token - first
        n = token_bytes(ranks, token)
        left = ranks.lefts[token]
        bytes = ranks.blob + ranks.ends[token] - n
        if (left == 0) != (n == 1) or left >= n:
            return RANKS_BAD_MERGE
        hashes[i][0] = piece_hash(bytes, left)
        hashes[i][1] = piece_hash(bytes + left, n - left)
        prefetch(&ranks.pieces[spread(hashes[i][0]) & ranks.piece_mask])
        prefetch(&ranks.pieces[spread(hashes[i][1]) & ranks.piece_mask])
    for token in range(first, last):
        i = token - first
        n = token_bytes(ranks, token)
        left = ranks.lefts[token]
        bytes = ranks.blob + ranks.ends[token] - n
        if n == 1:
            continue
        two[i][0] = ranks_find_hashed(ranks, bytes, left, hashes[i][0])
        two[i][1] = ranks_find_hashed(ranks, bytes + left, n - left, hashes[i][1])
        if two[i][0] >= token or two[i][1] >= token:        # also if one is not a token
            return RANKS_BAD_MERGE
        if n == 2:
            ranks.byte_pairs[<size_t>bytes[0] << 8 | bytes[1]] = token
        prefetch(pair_bucket(&ranks.pairs, pair_hash(two[i][0], two[i][1])))
    for token in range(first, last):
        if ranks.lefts[token] and not pairs_add(
            &ranks.pairs, two[token - first][0], two[token - first][1], token
        ):
            return RANKS_CROWDED
    return 0


cdef int add_halves(Ranks *ranks, uint32_t first, uint32_t last) noexcept nogil:
    cdef uint32_t two[MERGES_AT_ONCE][2]
    cdef uint32_t token, begin = max(first, <uint32_t>BYTE_TOKENS)
    cdef const uint8_t *bytes
    for token in range(begin, last):
        read_halves(ranks.halves, ranks.n, token, two[token - begin])
        if two[token - begin][0] >= token or two[token - begin][1] >= token:
            return RANKS_BAD_MERGE
        prefetch(pair_bucket(&ranks.pairs, pair_hash(two[token - begin][0], two[token - begin][1])))
    for token in range(begin, last):
        if token_bytes(ranks, token) == 2:
            bytes = ranks.blob + ranks.ends[token] - 2
            ranks.byte_pairs[<size_t>bytes[0] << 8 | bytes[1]] = token
        if not pairs_add(&ranks.pairs, two[token - begin][0], two[token - begin][1], token):
            return RANKS_CROWDED
    return 0


cdef bint is_mergeable(const Ranks *ranks, const uint8_t *piece, size_t n) noexcept nogil:
    cdef size_t i
    for i in range(n):
        if ranks.byte_ranks[piece[i]] == NO_RANK:
            return False
    return True


cdef size_t merge_list(const Ranks *ranks, uint32_t *made, uint32_t *scratch) noexcept nogil:
    cdef size_t n, count = 0
    cdef uint32_t token
    cdef const uint8_t *piece
    for token in range(ranks.n):
        n = token_bytes(ranks, token)
        piece = ranks.blob + ranks.ends[token] - n
        if ranks.lacks_bytes and not is_mergeable(ranks, piece, n):
            continue
        if merge_to_two(ranks, piece, n, scratch, scratch + n) != 2:
            continue
        if ranks_find_pair(ranks, scratch[0], scratch[1]) != NO_RANK:
            made[3 * count] = scratch[0]
            made[3 * count + 1] = scratch[1]
            made[3 * count + 2] = token
            count += 1
    return count
