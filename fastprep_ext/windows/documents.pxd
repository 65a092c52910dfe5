"""The contract of the document kernels: document ends in, marks of rows out."""


# Part k covers the tokens from token_base[k] on; its documents, numbered from document_base[k]
# on, end at token_base[k] + ends[k][i]. token_base[num_parts] is the number of all tokens.
cdef struct Ends:
    const uint64_t **ends
    int64_t *token_base
    int64_t *document_base
    int64_t num_parts

# Where the marks of a batch go; NULL is not wanted.
cdef struct Marks:
    int64_t *positions
    int64_t *documents
    int32_t *seqlens  # 0, then where each piece ends in the flattened batch
    int64_t num_seqlens
    int64_t longest

# Marks `count` places of a batch, from place `at` of the flattened batch on, that hold the tokens
# from `start` on; `targets`, where not NULL, are those of these places: the ones that lie in
# another document than their input become `target_fill`.
cdef void mark_tokens(
    const Ends *ends,
    Marks *marks,
    int64_t at,
    int64_t start,
    int64_t count,
    void *targets,
    int64_t target_fill,
    int64_t itemsize,
) noexcept nogil

# Marks `count` places that hold nothing.
cdef void mark_padding(Marks *marks, int64_t at, int64_t count) noexcept nogil

cdef class DocumentEnds:
    cdef Ends ends
    cdef tuple views
