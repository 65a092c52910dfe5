"""Document ends -> position ids, document ids, masked targets and sequence lengths."""

cdef extern from *:
    """
    #define ends_enter(ends) ((void)__atomic_fetch_add(&(ends)->users, 1, __ATOMIC_SEQ_CST))
    #define ends_leave(ends) ((void)__atomic_fetch_sub(&(ends)->users, 1, __ATOMIC_SEQ_CST))
    #define ends_users(ends) __atomic_load_n(&(ends)->users, __ATOMIC_SEQ_CST)
    #define ends_publish(place, value) __atomic_store_n(place, value, __ATOMIC_SEQ_CST)
    #define ends_at(place) __atomic_load_n(place, __ATOMIC_SEQ_CST)
    """
    void ends_enter(Ends *ends) nogil
    void ends_leave(Ends *ends) nogil
    int64_t ends_users(Ends *ends) nogil
    void ends_publish(const uint64_t **place, const uint64_t *value) nogil
    const uint64_t *ends_at(const uint64_t **place) nogil

cdef enum:
    MAX_OPEN_ENDS = 8192  # a process may have 65,530 maps, and several datasets


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


cdef int64_t mark_tokens(
    Ends *ends,
    Marks *marks,
    int64_t at,
    int64_t start,
    int64_t count,
    void *targets,
    int64_t target_fill,
    int64_t itemsize,
) noexcept nogil:
    cdef int64_t status
    if not ends.on_demand:
        return mark_in_parts(ends, marks, at, start, count, targets, target_fill, itemsize)
    ends_enter(ends)
    status = mark_in_parts(ends, marks, at, start, count, targets, target_fill, itemsize)
    ends_leave(ends)
    return status


cdef int64_t mark_in_parts(
    Ends *ends,
    Marks *marks,
    int64_t at,
    int64_t start,
    int64_t count,
    void *targets,
    int64_t target_fill,
    int64_t itemsize,
) noexcept nogil:
    cdef int64_t part = shard_of(ends.token_base, ends.num_parts, start)
    cdef int64_t document, known, end, take
    cdef int64_t done = 0
    cdef const uint64_t *own
    while done < count:
        while ends.token_base[part + 1] <= start:
            part += 1
        known = ends.document_base[part + 1] - ends.document_base[part]
        own = ends_at(&ends.ends[part])
        if own == NULL and known > 0:
            return READ_FAILED
        document = first_above(own, known, start - ends.token_base[part])
        while done < count and start < ends.token_base[part + 1]:
            if document < known:
                end = ends.token_base[part] + <int64_t>own[document]
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
    return 0


cdef class DocumentEnds:
    """The ends of the documents of a sequence of tokens.

    Parameters
    ----------
    parts
        for each part of the sequence (a shard) its number of tokens and the ends of its documents,
        uint64, ascending, in tokens from the start of the part.
    open
        for parts that are opened on demand: a function of the number of a part, which returns its ends. Then
        `parts` has the numbers of documents instead.
    max_open
        of the parts that are opened on demand, how many stay open besides those of one row.

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

    def __cinit__(self, parts, open=None, *, int64_t max_open=MAX_OPEN_ENDS):
        cdef Py_ssize_t k, n
        parts = list(parts) or [(0, b"" if open is None else 0)]
        n = len(parts)
        self.open, self.opened, self.views, self.dropped = open, deque(), {}, []
        self.max_open = max_open
        self.ends.on_demand = open is not None
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
        for k, (tokens, ends) in enumerate(parts):
            count = len(ends) if open is None else ends
            self.ends.token_base[k + 1] = self.ends.token_base[k] + <int64_t>int(tokens)
            self.ends.document_base[k + 1] = self.ends.document_base[k] + <int64_t>count
            if open is None:
                self.keep(k, ends)

    # Hold the ends of a part.
    cdef keep(self, int64_t k, ends):
        cdef Array held
        cdef int64_t tokens = self.ends.token_base[k + 1] - self.ends.token_base[k]
        cdef uint64_t last
        view = memoryview(ends)
        if not len(ends):
            return
        if view.ndim != 1 or view.itemsize != 8 or view.format.lstrip("<=@") not in ("L", "Q"):
            raise InvalidWindow(
                f"document ends must be a row of uint64; found {view.ndim} dimensions of the "
                f"format {view.format!r}"
            )
        if len(ends) != self.ends.document_base[k + 1] - self.ends.document_base[k]:
            raise InvalidWindow(f"part {k} has {len(ends)} document ends, not those that were announced")
        held = array_of(view, ITEM_UINT64)
        last = (<const uint64_t *>held.at)[held.count - 1]
        if last > <uint64_t>tokens:
            raise InvalidWindow(f"the last document ends at token {last}, but there are {tokens}")
        self.views[k] = held
        ends_publish(&self.ends.ends[k], <const uint64_t *>held.at)

    # Open the parts of `count` tokens from `start` on; return whether any was not open.
    cdef bint open_parts(self, int64_t start, int64_t count) except -1:
        cdef int64_t first, k
        cdef bint found = False
        if self.open is None or count < 1:
            return False
        first = k = shard_of(self.ends.token_base, self.ends.num_parts, start)
        while k < self.ends.num_parts and self.ends.token_base[k] < start + count:
            if self.ends.ends[k] == NULL and self.ends.document_base[k] < self.ends.document_base[k + 1]:
                # After those of this row, which must not drop each other.
                while len(self.opened) >= max(self.max_open, k - first + 1):
                    self.drop_oldest()
                ends = self.open(k)
                if self.ends.ends[k] == NULL:  # else another thread has opened it
                    self.keep(k, ends)
                    self.opened.append(k)
                found = True
            k += 1
        return found

    cdef drop_oldest(self):
        cdef int64_t k = self.opened.popleft()
        ends_publish(&self.ends.ends[k], NULL)
        self.dropped.append(self.views.pop(k))
        if ends_users(&self.ends) == 0:
            self.dropped.clear()

    def __dealloc__(self):
        free(self.ends.ends)
        free(self.ends.token_base)
        free(self.ends.document_base)

    @property
    def num_documents(self):
        """The number of documents that end in all parts together."""
        return self.ends.document_base[self.ends.num_parts]
