"""Documents: their ends in, marks of rows out."""

# Part k covers the tokens from token_base[k] on; its documents, numbered from document_base[k] on,
# end at token_base[k] + ends[k][i]. token_base[num_parts] is the number of all tokens. If parts are opened
# on demand, ends[k] is NULL until part k is opened, and again once it was dropped; dropped ends may be freed
# while there are no `users`.
cdef struct Ends:
    const uint64_t **ends
    bint on_demand
    int64_t users
    int64_t *token_base
    int64_t *document_base
    int64_t num_parts

# Arrays for the marks of a batch; NULL if not wanted.
cdef struct Marks:
    int64_t *positions
    int64_t *documents
    int32_t *seqlens  # 0, then the end of each piece in the flattened batch
    int64_t num_seqlens
    int64_t longest

# Mark `count` places of a batch, from place `at` of the flattened batch on, which hold the tokens
# from `start` on. `targets`, if not NULL, are those of these places: those in another document than
# their input become `target_fill`. 0, or READ_FAILED if a part is not open.
cdef int64_t mark_tokens(
    Ends *ends,
    Marks *marks,
    int64_t at,
    int64_t start,
    int64_t count,
    void *targets,
    int64_t target_fill,
    int64_t itemsize,
) noexcept nogil

# Mark `count` places that hold no token.
cdef void mark_padding(Marks *marks, int64_t at, int64_t count) noexcept nogil

cdef class DocumentEnds:
    cdef Ends ends
    cdef object open, opened  # None, and a deque of the parts that are open, in this order
    cdef dict views           # part -> its ends
    cdef list dropped         # ends that a thread may be reading
    cdef int64_t max_open
    cdef bint open_parts(self, int64_t start, int64_t count) except -1
    cdef drop_oldest(self)
    cdef keep(self, int64_t k, ends)
