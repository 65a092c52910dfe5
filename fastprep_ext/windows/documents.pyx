"""Document ends -> position ids, document ids, masked targets and sequence lengths."""

# Return how many of the ascending `ends` are at most `place`.
cdef inline int64_t first_above(const uint64_t *ends, int64_t count, uint64_t place) noexcept nogil:
    cdef int64_t low = 0
    cdef int64_t high = count
    cdef int64_t middle
    while low < high:
        middle = (low + high) // 2
        if ends[middle] > place:
            high = middle
        else:
            low = middle + 1
    return low


# Mark `count` consecutive places that belong to one document.
cdef inline void mark_piece(
    Marks *marks, int64_t at, int64_t count, int64_t document
) noexcept nogil:
    cdef int64_t i
    if marks.positions != NULL:
        for i in range(count):
            marks.positions[at + i] = i
    if marks.documents != NULL:
        for i in range(count):
            marks.documents[at + i] = document
    if marks.seqlens != NULL:
        marks.num_seqlens += 1
        marks.seqlens[marks.num_seqlens] = <int32_t>(at + count)
        marks.longest = max(marks.longest, count)


cdef void mark_padding(Marks *marks, int64_t at, int64_t count) noexcept nogil:
    if count > 0:
        mark_piece(marks, at, count, -1)


cdef void mark_tokens(
    const Ends *ends,
    Marks *marks,
    int64_t at,
    int64_t start,
    int64_t count,
    void *targets,
    int64_t target_fill,
    int64_t itemsize,
) noexcept nogil:
    cdef int64_t part = 0
    cdef int64_t document, known, end, take
    cdef int64_t done = 0
    # There are fewer parts than documents, but a store may have thousands of shards.
    cdef int64_t high = ends.num_parts - 1
    cdef int64_t middle
    while part < high:
        middle = (part + high) // 2
        if ends.token_base[middle + 1] > start:
            high = middle
        else:
            part = middle + 1
    known = ends.document_base[part + 1] - ends.document_base[part]
    document = first_above(ends.ends[part], known, start - ends.token_base[part])
    while done < count:
        while ends.token_base[part + 1] <= start:
            part += 1
            known = ends.document_base[part + 1] - ends.document_base[part]
            document = first_above(ends.ends[part], known, start - ends.token_base[part])
        if document < known:
            end = ends.token_base[part] + <int64_t>ends.ends[part][document]
        else:
            end = ends.token_base[part + 1]  # tokens after the last end
        take = min(end - start, count - done)
        if take > 0:
            mark_piece(marks, at + done, take, ends.document_base[part] + document)
            done += take
            start += take
            if start == end and targets != NULL:
                fill(<char *>targets + (done - 1) * itemsize, 1, target_fill, itemsize)
        document += 1


cdef class DocumentEnds:
    """The ends of the documents of a sequence of tokens.

    Parameters
    ----------
    parts
        for each part of the sequence (a shard) its number of tokens and the ends of its documents,
        uint64, ascending, in tokens from the start of the part.

    Raises
    ------
    InvalidWindow
        for ends that are not uint64, or whose last one is beyond its part.

    Examples
    --------
    >>> import numpy as np
    >>> DocumentEnds([(5, np.array([2, 5], np.uint64))]).num_documents
    2
    """

    def __cinit__(self, parts):
        cdef Py_ssize_t k, n
        cdef Array held
        cdef uint64_t last
        parts = list(parts) or [(0, b"")]
        n = len(parts)
        self.ends.num_parts = n
        self.ends.ends = <const uint64_t **>calloc(n + 1, sizeof(uint64_t *))
        self.ends.token_base = <int64_t *>calloc(n + 1, sizeof(int64_t))
        self.ends.document_base = <int64_t *>calloc(n + 1, sizeof(int64_t))
        if (
            self.ends.ends == NULL
            or self.ends.token_base == NULL
            or self.ends.document_base == NULL
        ):
            raise MemoryError
        views = []
        for k, (tokens, ends) in enumerate(parts):
            self.ends.token_base[k + 1] = self.ends.token_base[k] + <int64_t>int(tokens)
            self.ends.document_base[k + 1] = self.ends.document_base[k] + <int64_t>len(ends)
            if not len(ends):
                continue
            view = memoryview(ends)
            if view.ndim != 1 or view.itemsize != 8 or view.format.lstrip("<=@") not in ("L", "Q"):
                raise InvalidWindow(
                    f"document ends must be a row of uint64; found {view.ndim} dimensions of the "
                    f"format {view.format!r}"
                )
            held = array_of(view, ITEM_UINT64)
            self.ends.ends[k] = <const uint64_t *>held.at
            last = self.ends.ends[k][held.count - 1]
            if last > <uint64_t>int(tokens):
                raise InvalidWindow(
                    f"the last document ends at token {last}, but there are {tokens}"
                )
            views.append(held)
        self.views = tuple(views)

    def __dealloc__(self):
        free(self.ends.ends)
        free(self.ends.token_base)
        free(self.ends.document_base)

    @property
    def num_documents(self):
        """The number of documents that end in all parts together."""
        return self.ends.document_base[self.ends.num_parts]
