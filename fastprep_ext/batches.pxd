"""Many texts in one call; the GIL is released once for all of them."""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from fastprep_ext.vocabulary cimport Vocabulary

# Arguments and results are those of Encoder's methods of the same name.
cdef Py_ssize_t encode_documents(
    Vocabulary self, texts, out, uint64_t[::1] ends, end_token, bint close_last
) except -1
cdef object encode_rows(
    Vocabulary self, const uint8_t[::1] text, const int64_t[::1] starts, const int64_t[::1] stops,
    uint64_t[::1] ends
)
