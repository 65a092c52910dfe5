"""A long piece -> tokens: cut where no merge can cross, each part merged apart."""

from libc.stdint cimport uint8_t, uint32_t

from fastprep_ext.cache cimport Cache
from fastprep_ext.ranks cimport Ranks

# Makes the sets that tell where pieces may be cut. 0, or -1 without memory.
cdef int cuts_build(Ranks *ranks) noexcept nogil

# Writes the tokens of a piece (n >= 1 bytes, all of which must be tokens) to out[n] and returns how
# many there are, or a negative status of merge.pxd. The piece as a whole is not looked up. Its parts are
# looked up in `cache`, and remembered there, unless it is NULL; it must hold tokens, not ids.
cdef Py_ssize_t merge_piece(
    const Ranks *ranks, Cache *cache, const uint8_t *piece, size_t n, uint32_t *out
) noexcept nogil

# Which of the borders before bytes 1 to n - 1 no merge can cross: a 1 in cut[] for each.
cdef void find_cuts(const Ranks *ranks, const uint8_t *piece, size_t n, uint8_t *cut) noexcept nogil
