"""Loops over the sections of a text and over texts."""

cdef Py_ssize_t encode_text(
    const Ranks *ranks, Worker *worker, int pattern, const uint8_t *text, size_t n,
    const Cutter *cutter, size_t limit, id_t *out
) noexcept nogil:
    if cutter == NULL:
        return bpe_encode(ranks, worker, pattern, text, n, NULL, NULL, limit, out)
    if cutter.change == NULL or is_unchanged(cutter.change, text, n):
        return bpe_encode(
            ranks, worker, pattern, text, n, cutter.early, cutter.late, limit, out
        )
    return encode_changed(ranks, worker, pattern, text, n, cutter, limit, out)


# Change each section between the tokens found first, and encode it.
cdef Py_ssize_t encode_changed(
    const Ranks *ranks, Worker *worker, int pattern, const uint8_t *text, size_t n,
    const Cutter *cutter, size_t limit, id_t *out
) noexcept nogil:
    cdef Cursor cursor
    cdef Special special
    cdef size_t before, end
    cdef Py_ssize_t added, written = 0
    cdef bint found
    if not is_utf8(text, n):
        split_begin(&worker.split, pattern, text, n)
        worker.split.at = valid_bytes(text, n)
        worker.split.invalid = True
        return BPE_NOT_SPLIT
    memset(&cursor, 0, sizeof(cursor))
    while <size_t>written < limit:
        before = cursor.reached
        found = cutter.early != NULL and special_next(cutter.early, text, n, &cursor, &special)
        end = special.begin if found else n
        if end > before:
            if change_text(cutter.change, text + before, end - before, &worker.changed) != 0:
                return BPE_NO_MEMORY
            added = encode_section(
                ranks, worker, pattern, cutter, before == 0, limit - written,
                out + written if out != NULL else NULL,
            )
            if added < 0:
                return added
            written += added
        if not found:
            break
        if <size_t>written < limit:
            if out != NULL:
                out[written] = <id_t>cutter.early.values[special.token]
            written += 1
    return written


# Encode worker.changed. If it is cut, or gets spaces, part by part.
cdef Py_ssize_t encode_section(
    const Ranks *ranks, Worker *worker, int pattern, const Cutter *cutter, bint first, size_t limit,
    id_t *out
) noexcept nogil:
    cdef const Changed *changed = &worker.changed
    cdef int space = cutter.change.space
    cdef Cursor cursor
    cdef Special special
    cdef size_t before, end
    cdef Py_ssize_t added, written = 0
    cdef int status
    cdef bint found
    if space == SPACE_NEVER or space == SPACE_ALWAYS or (space == SPACE_BEFORE_FIRST and not first):
        return bpe_encode(
            ranks, worker, pattern, changed.at, changed.n, NULL, cutter.late, limit, out
        )
    memset(&cursor, 0, sizeof(cursor))
    while <size_t>written < limit:
        before = cursor.reached
        found = cutter.late != NULL and special_next(
            cutter.late, changed.at, changed.n, &cursor, &special
        )
        end = special.begin if found else changed.n
        if end > before:
            worker.spaced.n = 0
            if space == SPACE_AFTER_PIECES:
                status = append_pieces(
                    cutter.change.pieces, changed.at + before, end - before, &worker.split,
                    &worker.spaced
                )
                if status != 0:
                    return status
            elif changed.at[before] != c' ' and (space == SPACE_BEFORE_PARTS or before == 0):
                append_bytes(&worker.spaced, b" ", 1)
            if space != SPACE_AFTER_PIECES \
                    and not append_bytes(&worker.spaced, changed.at + before, end - before):
                return BPE_NO_MEMORY
            added = bpe_encode(
                ranks, worker, pattern, worker.spaced.at, worker.spaced.n, NULL, NULL,
                limit - written, out + written if out != NULL else NULL,
            )
            if added < 0:
                return added
            written += added
        if not found:
            break
        if <size_t>written < limit:
            if out != NULL:
                out[written] = <id_t>cutter.late.values[special.token]
            written += 1
    return written


cdef size_t valid_bytes(const uint8_t *text, size_t n) noexcept nogil:
    cdef size_t at = 0
    cdef uint32_t point
    cdef int length
    while at < n:
        length = utf8_decode(text + at, n - at, &point)
        if length == 0:
            break
        at += length
    return at


cdef Py_ssize_t encode_each(
    const Ranks *ranks, Worker *worker, int pattern, const uint8_t **texts, const size_t *sizes,
    Py_ssize_t documents, const Cutter *cutter, uint32_t *out, uint64_t *ends, Py_ssize_t *failed
) noexcept nogil:
    cdef Py_ssize_t i, count, written = 0
    for i in range(documents):
        failed[0] = i
        count = encode_text(
            ranks, worker, pattern, texts[i], sizes[i], cutter, SIZE_MAX >> 1, out + written
        )
        if count < 0:
            return count
        written += count
        ends[i] = written
    return written


# Near the end of the caller's buffer, which has no slack, ids are copied from a temporary buffer.
cdef Py_ssize_t encode_documents(
    const Ranks *ranks, Worker *worker, int pattern, const uint8_t **texts, const size_t *sizes,
    Py_ssize_t documents, const Cutter *cutter, const Bound *bound, id_t *out, Py_ssize_t capacity,
    uint64_t *ends, bint has_end, uint64_t last, bint close_last, Py_ssize_t *failed
) noexcept nogil:
    cdef Py_ssize_t i, k, count, written = 0, most
    cdef id_t *detour
    for i in range(documents):
        failed[0] = i
        most = most_ids(bound, sizes[i], 1)
        if written + most + BPE_SLACK <= capacity:
            count = encode_text(
                ranks, worker, pattern, texts[i], sizes[i], cutter, SIZE_MAX >> 1, out + written
            )
        else:
            detour = <id_t *>malloc((most + BPE_SLACK) * sizeof(id_t))
            if detour == NULL:
                return BPE_NO_MEMORY
            count = encode_text(
                ranks, worker, pattern, texts[i], sizes[i], cutter, SIZE_MAX >> 1, detour
            )
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
