"""The few merges that make all tokens: what a file that lists its merges needs to hold.

For each token that merging makes, it is the last merge on the way to it. These n pairs at most merge
all text as the whole table does. For suppose that merging some text makes a token T of two neighbours.
Until then no merge crossed T's edges, so inside them there happened what happens when the bytes of T
are merged alone, in the same order; so the two are what was left at the end there. Hence no other pair
is ever merged into T.
"""

from libc.stdint cimport uint32_t

from fastprep_ext.ranks cimport Ranks

# Writes [left, right, made], rows of the table, for each such token to made[3 * n], in the order of the
# tokens they make, and returns how many there are. `scratch` has room for 2 * ranks.longest.
cdef size_t merge_list(const Ranks *ranks, uint32_t *made, uint32_t *scratch) noexcept nogil
