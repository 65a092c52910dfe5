"""The last merge on the way to each token."""

from libc.stdint cimport uint8_t, uint32_t

from fastprep_ext.merge cimport merge_to_two
from fastprep_ext.ranks cimport NO_RANK, Ranks, ranks_find_pair, token_bytes


cdef size_t merge_list(const Ranks *ranks, uint32_t *made, uint32_t *scratch) noexcept nogil:
    cdef size_t n, count = 0
    cdef uint32_t token
    cdef const uint8_t *piece
    for token in range(ranks.n):
        n = token_bytes(ranks, token)
        piece = ranks.blob + ranks.ends[token] - n
        if merge_to_two(ranks, piece, n, scratch, scratch + n) != 2:
            continue
        if ranks_find_pair(ranks, scratch[0], scratch[1]) != NO_RANK:
            made[3 * count] = scratch[0]
            made[3 * count + 1] = scratch[1]
            made[3 * count + 2] = token
            count += 1
    return count
