"""Of all pairs of tokens that spell a token, the only one per token that merging ever uses.

A table of these pairs merges all text as the table of all pairs does; last_merges.pyx has the
proof. A file that lists merges needs only these.
"""

# Fill the pair table of a vocabulary, which has room for one pair per token and whose bytes are
# known. False if a token is not made of tokens before it; the table is then unusable.
cdef bint last_merges(Ranks *ranks) noexcept nogil

# Fill the table from ranks.halves, or else ranks.lefts, where the pairs are known from an earlier
# search. 0, or a status of ranks.pxd.
cdef int known_merges(Ranks *ranks) noexcept nogil

# List the last merges of any table: write rows [left, right, made] for each token that merging makes
# to made[3 * n], in the order of these tokens, and return how many there are. `scratch` must hold 2 *
# ranks.longest.
cdef size_t merge_list(const Ranks *ranks, uint32_t *made, uint32_t *scratch) noexcept nogil
