"""A compiled vocabulary, which all encoders of it share."""

# The piece cache and memory of one thread at a time. Threads share it in turn, one call each.
cdef class Scratch:
    cdef Worker worker
    cdef unsigned long thread  # that used it last
    cdef uint32_t *ids         # room for the ids of a call, and slack
    cdef size_t capacity
    cdef Memory large          # for those of one call that are too many to keep room for


cdef class Vocabulary:
    cdef Ranks ranks
    cdef readonly int pattern
    cdef readonly object splitter  # the program of the pattern, or its number
    cdef readonly uint32_t largest
    cdef readonly uint32_t largest_id  # of the added tokens, too
    cdef readonly Specials added       # what happens to a text by default, or None
    cdef Bound bound
    cdef bint told           # that text lost bytes
    cdef bytes _blob         # `ranks` points into it
    cdef bytes _lefts
    cdef Array _halves
    cdef Array _ends
    cdef Array _ids
    cdef Array _merges
    cdef Array _byte_ids
    cdef list _idle_scratch  # not in use by any call

    # Make the table of pieces, if there is none yet.
    cdef int need_pieces(self) except -1
    cdef const Cutter *cutter_of(self, Specials specials) noexcept
    # For the duration of a call; the scratch of a failed call is dropped.
    cdef Scratch acquire(self)
    cdef int release(self, Scratch scratch) except -1
    cdef int tell_loss(self, Scratch scratch) except -1
    # Return ids as a list of int.
    cdef list as_list(self, const uint32_t *ids, Py_ssize_t count)


# Raise the error of a negative status of the encoder, for text `index` of several.
cdef int check_status(Py_ssize_t status, Scratch scratch, Py_ssize_t index=*) except -1
