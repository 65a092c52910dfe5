"""Loops over the sections of a text and over texts."""

# Each section between special tokens is split as a text of its own.
cdef Py_ssize_t encode_parts(
    const Ranks *ranks, Worker *worker, int pattern, const uint8_t *text, size_t n,
    const SpecialTable *specials, size_t limit, uint32_t *out
) noexcept nogil:
    cdef size_t at = 0
    cdef Py_ssize_t added, written = 0
    cdef Special special
    if specials == NULL:
        return bpe_encode(ranks, worker, pattern, text, n, limit, out)
    while <size_t>written < limit and special_next(specials, text, n, at, &special):
        added = bpe_encode(
            ranks, worker, pattern, text + at, special.begin - at, limit - written,
            out + written if out != NULL else NULL,
        )
        if added < 0:
            return added
        written += added
        if <size_t>written == limit:
            return written
        if out != NULL:
            out[written] = <uint32_t>specials.values[special.token]
        written += 1
        at = special.end
    added = bpe_encode(
        ranks, worker, pattern, text + at, n - at, limit - written,
        out + written if out != NULL else NULL,
    )
    return added if added < 0 else written + added


cdef Py_ssize_t encode_each(
    const Ranks *ranks, Worker *worker, int pattern, const uint8_t **texts, const size_t *sizes,
    Py_ssize_t documents, const SpecialTable *specials, uint32_t *out, uint64_t *ends,
    Py_ssize_t *failed
) noexcept nogil:
    cdef Py_ssize_t i, count, written = 0
    for i in range(documents):
        failed[0] = i
        count = encode_parts(
            ranks, worker, pattern, texts[i], sizes[i], specials, SIZE_MAX >> 1, out + written
        )
        if count < 0:
            return count
        written += count
        ends[i] = written
    return written


# Near the end of the caller's buffer, which has no slack, ids are copied from a temporary buffer.
cdef Py_ssize_t encode_documents(
    const Ranks *ranks, Worker *worker, int pattern, const uint8_t **texts, const size_t *sizes,
    Py_ssize_t documents, id_t *out, Py_ssize_t capacity, uint64_t *ends, bint has_end, uint64_t last,
    bint close_last, Py_ssize_t *failed
) noexcept nogil:
    cdef Py_ssize_t i, k, count, written = 0
    cdef id_t *detour
    for i in range(documents):
        failed[0] = i
        if written + <Py_ssize_t>sizes[i] + BPE_SLACK <= capacity:
            count = bpe_encode(ranks, worker, pattern, texts[i], sizes[i], SIZE_MAX >> 1, out + written)
        else:
            detour = <id_t *>malloc((sizes[i] + BPE_SLACK) * sizeof(id_t))
            if detour == NULL:
                return BPE_NO_MEMORY
            count = bpe_encode(ranks, worker, pattern, texts[i], sizes[i], SIZE_MAX >> 1, detour)
            for k in range(count):
                out[written + k] = detour[k]
            free(detour)
        if count < 0:
            return count
        written += count
        if has_end and (close_last or i + 1 < documents):
            out[written] = <id_t>last
            written += 1
        ends[i] = written
    return written
