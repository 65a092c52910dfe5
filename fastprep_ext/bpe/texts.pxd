"""Texts -> ids: one text cut by special tokens, or many back to back."""

# All return the number of ids, or a negative status of bpe_encode; `specials` may be NULL.

# Write at most `limit` ids of one text to out[n + BPE_SLACK]; with `out` NULL they are only counted.
cdef Py_ssize_t encode_parts(
    const Ranks *ranks, Worker *worker, int pattern, const uint8_t *text, size_t n,
    const SpecialTable *specials, size_t limit, uint32_t *out
) noexcept nogil

# Write the ids of texts, back to back, to out[bytes of all + BPE_SLACK]; ends[i] is the end of the
# ids of text i; a negative status is about text failed[0].
cdef Py_ssize_t encode_each(
    const Ranks *ranks, Worker *worker, int pattern, const uint8_t **texts, const size_t *sizes,
    Py_ssize_t documents, const SpecialTable *specials, uint32_t *out, uint64_t *ends,
    Py_ssize_t *failed
) noexcept nogil

# The same for ordinary text, into a buffer of `capacity` ids without slack, at least bytes + texts.
# With `has_end`, the id `last` follows each text, but the last text only with `close_last`.
cdef Py_ssize_t encode_documents(
    const Ranks *ranks, Worker *worker, int pattern, const uint8_t **texts, const size_t *sizes,
    Py_ssize_t documents, id_t *out, Py_ssize_t capacity, uint64_t *ends, bint has_end, uint64_t last,
    bint close_last, Py_ssize_t *failed
) noexcept nogil
