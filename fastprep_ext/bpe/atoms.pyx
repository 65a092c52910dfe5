"""Which characters are atoms of a vocabulary."""

cdef enum:
    BYTE_PAIRS = 256 * 256


# Last in building the table. In a table without a list of merges, a token's rank is its number, and all
# tokens are made of tokens before them, so characters are made before whatever has them in it. Where that
# does not hold (find_pairs), there are no atoms.
cdef int atoms_build(Ranks *ranks) noexcept nogil:
    cdef Atoms *atoms = &ranks.atoms
    cdef uint32_t token
    if ranks.merges == NULL and not ranks.merge_only:
        return 0
    atoms.tokens = <uint32_t *>calloc(ATOM_CODES, sizeof(uint32_t))
    atoms.parted = <uint64_t *>calloc(BYTE_PAIRS // 64, sizeof(uint64_t))
    atoms.left = <uint32_t *>calloc(BYTE_PAIRS, sizeof(uint32_t))
    atoms.right = <uint32_t *>calloc(BYTE_PAIRS, sizeof(uint32_t))
    if atoms.tokens == NULL or atoms.parted == NULL or atoms.left == NULL or atoms.right == NULL:
        return -1
    if ranks.merges != NULL:
        return atoms_of_list(ranks)
    for token in range(<uint32_t>ranks.n):
        add_token(ranks, token, token)
    return 0


cdef void atoms_free(Atoms *self) noexcept nogil:
    free(self.tokens)
    free(self.heights)
    free(self.parted)
    free(self.left)
    free(self.right)


# Add a token that is made at this rank.
cdef inline void add_token(Ranks *ranks, uint32_t token, uint32_t rank) noexcept nogil:
    cdef size_t n = token_bytes(ranks, token)
    cdef const uint8_t *bytes = ranks.blob + ranks.ends[token] - n
    cdef uint32_t code
    if (bytes[0] | bytes[n - 1]) & 0x80:
        add_parted(&ranks.atoms, bytes, n, rank)
        code = atom_code(bytes, n)
        if code and code_bytes(code) == n:
            ranks.atoms.tokens[code] = token + 1


# With a list of merges: a character needs merges of its own bytes, before the pairs that it is in.
cdef int atoms_of_list(Ranks *ranks) noexcept nogil:
    cdef Atoms *atoms = &ranks.atoms
    cdef uint32_t code, token
    cdef size_t rank, n, side
    cdef const uint8_t *bytes
    atoms.heights = <uint32_t *>calloc(ATOM_CODES, sizeof(uint32_t))
    if atoms.heights == NULL:
        return -1
    for rank in range(ranks.n_merges):
        add_token(ranks, ranks.merges[3 * rank + 2], <uint32_t>rank)
    for code in range(ATOM_CODES):
        if atoms.tokens[code]:
            atoms.heights[code] = height_of(ranks, atoms.tokens[code] - 1)
            if atoms.heights[code] == NO_RANK:
                atoms.tokens[code] = 0
    for rank in range(ranks.n_merges):
        for side in range(2):
            token = ranks.merges[3 * rank + side]
            n = token_bytes(ranks, token)
            bytes = ranks.blob + ranks.ends[token] - n
            code = atom_code(bytes, n)
            if code and code_bytes(code) == n and rank <= atoms.heights[code]:
                atoms.tokens[code] = 0
    return 0


# The highest rank of the merges that make a character of its bytes alone; NO_RANK if they do not.
cdef uint32_t height_of(const Ranks *ranks, uint32_t token) noexcept nogil:
    cdef size_t n = token_bytes(ranks, token)
    cdef const uint8_t *bytes = ranks.blob + ranks.ends[token] - n
    cdef uint32_t first = ranks.byte_ranks[bytes[0]], second = ranks.byte_ranks[bytes[1]], third
    cdef uint32_t before = ranks_find_pair(ranks, first, second), after
    if n == 2:
        return before
    third = ranks.byte_ranks[bytes[2]]
    after = ranks_find_pair(ranks, second, third)
    if before == NO_RANK and after == NO_RANK:
        return NO_RANK
    if before <= after:
        after = ranks_find_pair(ranks, token_made(ranks, before), third)
    else:
        before = ranks_find_pair(ranks, first, token_made(ranks, after))
    return max(before, after)
