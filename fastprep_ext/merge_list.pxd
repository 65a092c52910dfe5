"""The few merges that make all tokens: what a file that lists its merges needs to hold.

For each token that merging makes, it is the last merge on the way to it; last_merges.pyx says why these
merge all text as all pairs do. There a table is made of them, and only where every token is made of
tokens before it; here they are listed for any table.
"""

from libc.stdint cimport uint32_t

from fastprep_ext.ranks cimport Ranks

# Writes [left, right, made], rows of the table, for each such token to made[3 * n], in the order of the
# tokens they make, and returns how many there are. `scratch` has room for 2 * ranks.longest.
cdef size_t merge_list(const Ranks *ranks, uint32_t *made, uint32_t *scratch) noexcept nogil
