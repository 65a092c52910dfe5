"""Of all pairs of tokens that spell a token, the one a token that merging ever uses."""

from fastprep_ext.ranks cimport Ranks

# Fills the pair table of a vocabulary that has room for a pair a token and whose bytes are known.
# False if not every token is made of tokens before it; then the table is of no use.
cdef bint last_merges(Ranks *ranks) noexcept nogil

# The same from ranks.lefts, where somebody has looked for them before. 0, or a status of ranks.pxd.
cdef int known_merges(Ranks *ranks) noexcept nogil
