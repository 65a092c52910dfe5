"""Which two tokens each token is made of.

Any two tokens that together spell a token T may merge, but at most one such pair ever does. For
suppose that merging some text makes T of two neighbours. Until then no merge crossed T's edges, so
inside them there happened what happens when the bytes of T are merged alone, in the same order. So
the two are what is left last when those bytes are merged: T's *last merge*. A table of the last merges
merges all text as the table of all pairs does: among the pairs that could merge next it always has the
one that does.

They are found in the order of rank, each by merging a token's bytes with those found before. This is
right as long as just two parts are left: a pair of higher rank could come into play only where the
lower ones leave more than two, and T's own pair only when two are left. Where more are left, a token
is not made of tokens before it, and all pairs have to be looked for (ranks.pyx).

For o200k 199,742 pairs instead of 446,189: a table a quarter as large, and made in half the time.
"""

from libc.stdint cimport uint8_t, uint32_t

from fastprep_ext.merge cimport merge_whole
from fastprep_ext.ranks cimport NO_RANK, pairs_add, token_bytes

cdef enum:
    LONGEST = 512              # bytes of a token, all of which are merged on the stack
    MOST_BYTES = 1 << 23       # of all tokens: half a second at worst. o200k has 1.4 million


cdef bint last_merges(Ranks *ranks) noexcept nogil:
    cdef uint32_t parts[LONGEST]
    cdef uint32_t token
    cdef const uint8_t *bytes
    cdef size_t n, i
    for i in range(256):
        if ranks.byte_ranks[i] == NO_RANK:
            return False       # merging begins with bytes
    if ranks.ends[ranks.n - 1] > MOST_BYTES:
        return False
    for token in range(<uint32_t>ranks.n):
        n = token_bytes(ranks, token)
        if n == 1:
            continue
        bytes = ranks.blob + ranks.ends[token] - n
        if n > LONGEST or merge_whole(ranks, bytes, n, parts) != 2:
            return False
        if n == 2:
            ranks.byte_pairs[<size_t>bytes[0] << 8 | bytes[1]] = token
        pairs_add(&ranks.pairs, parts[0], parts[1], token)
    return True
