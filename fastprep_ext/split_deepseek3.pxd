"""The splitter of DeepSeek V3, which has the algebra."""

from libc.stdint cimport uint64_t

from fastprep_ext.split cimport Block, Split

# Bytes of the block at which a piece starts.
cdef uint64_t starts_deepseek3(Split *self, const Block *block) noexcept nogil
