"""The pattern of o200k_base and o200k_harmony."""

from libc.stdint cimport uint64_t

from fastprep_ext.split cimport Block, Split

cdef uint64_t starts_o200k(Split *self, const Block *block) noexcept nogil
