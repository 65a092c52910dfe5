"""The pattern of cl100k_base, and its kin: Llama 3's, Qwen's."""

from libc.stdint cimport uint64_t

from fastprep_ext.split cimport Block, Split

cdef uint64_t starts_cl100k(Split *self, const Block *block) noexcept nogil
