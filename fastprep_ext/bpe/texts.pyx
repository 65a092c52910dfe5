"""Loops over the sections of a text and over texts."""

cdef enum:
    SHORT_BYTES = 256          # a longer document fills batches of pieces by itself
    MAX_SHORT = 128            # short documents in a batch

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


cdef bint has_any(const SpecialTable *tokens, const uint8_t *text, size_t n) noexcept nogil:
    cdef Cursor cursor
    cdef Special found
    memset(&cursor, 0, sizeof(cursor))
    return special_next(tokens, text, n, &cursor, &found)


cdef Py_ssize_t encode_guarded(
    const Ranks *ranks, Worker *worker, int pattern, const uint8_t *text, size_t n,
    const SpecialTable *guard, const Cutter *cutter, size_t limit, id_t *out
) noexcept nogil:
    if guard != NULL and has_any(guard, text, n):
        return BPE_REFUSED
    return encode_text(ranks, worker, pattern, text, n, cutter, limit, out)


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


# Encode the first of some documents as one batch of pieces, if they are short: a document of a few
# pieces, looked up by itself, waits for the memory of each. Returns the number of ids, and sets how many
# documents they are of; none if the first has to be encoded by itself, for its length or its error.
cdef size_t encode_short(
    const Ranks *ranks, Worker *worker, int pattern, const uint8_t **texts, const size_t *sizes,
    size_t documents, const SpecialTable *guard, const SpecialTable *early, const Bound *bound,
    size_t limit, id_t *out, size_t capacity, uint64_t *ends, bint has_end, uint64_t last, size_t *done
) noexcept nogil:
    cdef Round *round = worker.round
    cdef Cache *cache = &worker.cache
    cdef size_t stops[MAX_SHORT]   # the piece at which each document ends
    cdef size_t count = 0, pieces = 0, first, added, missed, misses, i, j, room = BPE_SLACK
    cdef size_t written = 0, piece, start
    done[0] = 0
    while count < min(documents, <size_t>MAX_SHORT) and sizes[count] <= SHORT_BYTES \
            and pieces + sizes[count] + MIN_SPLIT_CAPACITY <= BATCH:
        room += most_ids(bound, sizes[count], 1) + 1
        if room > capacity:
            break
        if guard != NULL and has_any(guard, texts[count], sizes[count]) \
                or early != NULL and has_any(early, texts[count], sizes[count]):
            break
        first = pieces
        split_begin(&worker.split, pattern, texts[count], sizes[count])
        while True:
            added = split_next(&worker.split, round.ends + pieces, BATCH - pieces)
            if added == 0:
                break
            pieces += added
        if worker.split.invalid or worker.split.failure:
            pieces = first
            break
        cache.path.make_keys(
            cache.lines, cache.mask, texts[count], sizes[count], 0, round.ends + first, pieces - first,
            round.keys + first, round.slots + first,
        )
        stops[count] = pieces
        count += 1
    if count < 2:
        return 0
    missed = cache.path.look(
        cache.lines, round.keys, round.slots, pieces, round.found, round.missed
    )
    prefetch_neighbours(worker, missed)
    i = first = misses = 0
    for j in range(missed):
        piece = round.missed[j]
        while piece >= stops[i]:
            first = stops[i]
            i += 1
        start = round.ends[piece - 1] if piece > first else 0
        # From the first document on, which may be after this one in memory.
        misses = add_miss(
            worker, misses, piece, piece, start + <size_t>texts[i] - <size_t>texts[0],
            round.ends[piece] - start,
        )
    if misses and resolve_misses(ranks, worker, texts[0], misses) != 0:
        return 0
    first = 0
    for i in range(count):
        added = emit_ids(worker, first, stops[i] - first, out + written if out != NULL else NULL)
        written += min(added, limit)
        first = stops[i]
        if has_end:
            if out != NULL:
                out[written] = <id_t>last
            written += 1
        ends[i] = written
    cache_grow(cache)
    done[0] = count
    return written


# Near the end of the caller's buffer, which has no slack, ids are copied from a temporary buffer.
cdef Py_ssize_t encode_documents(
    const Ranks *ranks, Worker *worker, int pattern, const uint8_t **texts, const size_t *sizes,
    Py_ssize_t documents, const SpecialTable *guard, const Cutter *cutter, const Bound *bound,
    size_t limit, id_t *out, Py_ssize_t capacity, uint64_t *ends, bint has_end, uint64_t last,
    bint close_last, Py_ssize_t *failed
) noexcept nogil:
    cdef Py_ssize_t i = 0, k, count, written = 0, most
    cdef id_t *detour
    cdef size_t done
    cdef bint is_plain = cutter == NULL or (cutter.change == NULL and cutter.late == NULL)
    cdef const SpecialTable *early = cutter.early if cutter != NULL else NULL
    while i < documents:
        failed[0] = i
        # The last one may be left open, and errors of bytes without a token name the first document.
        if is_plain and not ranks.lacks_bytes and sizes[i] <= SHORT_BYTES:
            count = encode_short(
                ranks, worker, pattern, texts + i, sizes + i, documents - i - (not close_last), guard,
                early, bound, limit, out + written if out != NULL else NULL, capacity - written, ends + i,
                has_end, last, &done,
            )
            if done:
                for k in range(i, i + <Py_ssize_t>done):
                    ends[k] += written
                written += count
                i += done
                continue
        most = most_ids(bound, sizes[i], 1)
        if written + most + BPE_SLACK <= capacity:
            count = encode_guarded(
                ranks, worker, pattern, texts[i], sizes[i], guard, cutter, limit,
                out + written if out != NULL else NULL,
            )
        else:
            detour = <id_t *>malloc((most + BPE_SLACK) * sizeof(id_t))
            if detour == NULL:
                return BPE_NO_MEMORY
            count = encode_guarded(
                ranks, worker, pattern, texts[i], sizes[i], guard, cutter, limit, detour
            )
            for k in range(count):
                out[written + k] = detour[k]
            free(detour)
        if count < 0:
            return count
        written += count
        if has_end and (close_last or i + 1 < documents):
            if out != NULL:
                out[written] = <id_t>last
            written += 1
        ends[i] = written
        i += 1
    return written
