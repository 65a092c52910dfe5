"""Of all pairs of tokens that spell a token, the one a token that merging ever uses."""


# Fills the pair table of a vocabulary that has room for a pair a token and whose bytes are known.
# False if not every token is made of tokens before it; then the table is of no use.
cdef bint last_merges(Ranks *ranks) noexcept nogil

# The same from ranks.lefts, where somebody has looked for them before. 0, or a status of ranks.pxd.
cdef int known_merges(Ranks *ranks) noexcept nogil

# Writes [left, right, made], rows of the table, for each such token to made[3 * n], in the order of the
# tokens they make, and returns how many there are. `scratch` has room for 2 * ranks.longest.
cdef size_t merge_list(const Ranks *ranks, uint32_t *made, uint32_t *scratch) noexcept nogil
