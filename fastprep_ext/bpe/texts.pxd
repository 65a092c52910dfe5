"""Texts -> ids: one text cut by added tokens, or many back to back."""

# The most ids of texts: per byte, and per text.
cdef struct Bound:
    size_t per_byte
    size_t per_text


cdef inline size_t most_ids(const Bound *self, size_t bytes, size_t texts) noexcept nogil:
    return self.per_byte * bytes + self.per_text * texts


# All return the number of ids, or a negative status of bpe_encode; `cutter` may be NULL.

# Write at most `limit` ids of one text to out[most_ids of Recipe + BPE_SLACK]; with `out` NULL they are
# only counted.
cdef Py_ssize_t encode_text(
    const Ranks *ranks, Worker *worker, int pattern, const uint8_t *text, size_t n,
    const Cutter *cutter, size_t limit, id_t *out
) noexcept nogil

# The same, but BPE_REFUSED for a text that has a token of `guard`, which may be NULL.
cdef Py_ssize_t encode_guarded(
    const Ranks *ranks, Worker *worker, int pattern, const uint8_t *text, size_t n,
    const SpecialTable *guard, const Cutter *cutter, size_t limit, id_t *out
) noexcept nogil

# Write the ids of texts, at most `limit` of each, back to back into a buffer of `capacity` ids without
# slack; `bound` says how many one text may have. ends[i] is the end of the ids of text i; a negative
# status is about text failed[0]. With `has_end`, the id `last` follows each text, but the last text only
# with `close_last`. With `out` NULL they are only counted, and there is always room.
cdef Py_ssize_t encode_documents(
    const Ranks *ranks, Worker *worker, int pattern, const uint8_t **texts, const size_t *sizes,
    Py_ssize_t documents, const SpecialTable *guard, const Cutter *cutter, const Bound *bound,
    size_t limit, id_t *out, Py_ssize_t capacity, uint64_t *ends, bint has_end, uint64_t last,
    bint close_last, Py_ssize_t *failed
) noexcept nogil
