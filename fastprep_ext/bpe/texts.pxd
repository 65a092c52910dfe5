"""Texts -> ids: one that special tokens cut, or many, back to back."""


# All return how many ids there are, or a negative status of bpe_encode; `specials` may be NULL.

# At limit `limit` ids of one text, to out[n + BPE_SLACK]; with `out` NULL they are only counted.
cdef Py_ssize_t encode_parts(
    const Ranks *ranks, Worker *worker, int pattern, const uint8_t *text, size_t n,
    const SpecialTable *specials, size_t limit, uint32_t *out
) noexcept nogil

# Texts back to back, to out[bytes of all + BPE_SLACK]; ends[i]: the index behind the last id of text i;
# failed: the text that a negative status is about.
cdef Py_ssize_t encode_each(
    const Ranks *ranks, Worker *worker, int pattern, const uint8_t **texts, const size_t *sizes,
    Py_ssize_t documents, const SpecialTable *specials, uint32_t *out, uint64_t *ends,
    Py_ssize_t *failed
) noexcept nogil

# The same as ordinary text into the caller's capacity, which has no slack: out[bytes + texts]. `has_end`:
# the id `last` stands behind each text, behind the last one only if `close_last`.
cdef Py_ssize_t encode_documents(
    const Ranks *ranks, Worker *worker, int pattern, const uint8_t **texts, const size_t *sizes,
    Py_ssize_t documents, id_t *out, Py_ssize_t capacity, uint64_t *ends, bint has_end, uint64_t last,
    bint close_last, Py_ssize_t *failed
) noexcept nogil
