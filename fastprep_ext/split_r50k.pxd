"""The pattern of gpt2, r50k_base, p50k_base and p50k_edit."""

from libc.stdint cimport uint64_t

from fastprep_ext.split cimport Block, Split

cdef uint64_t starts_r50k(Split *self, const Block *block) noexcept nogil
