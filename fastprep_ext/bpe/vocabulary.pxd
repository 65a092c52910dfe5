"""A compiled vocabulary, which all that encode share."""


# One thread's piece cache and memory. It wanders between threads, but serves one call at a time.
cdef class Scratch:
    cdef Worker worker
    cdef unsigned long thread  # that used it last


cdef class Vocabulary:
    cdef Ranks ranks
    cdef readonly int pattern
    cdef readonly uint32_t largest
    cdef bytes _blob           # what `ranks` points into
    cdef bytes _lefts
    cdef Array _ends
    cdef Array _ids
    cdef Array _merges
    cdef list _idle_scratch            # what no call is using
    cdef PyObject **_ints      # [largest + 1] the int objects of ids that were as_list; or NULL

    # For a call's length; what a failed call had is not given back.
    cdef Scratch acquire(self)
    cdef int release(self, Scratch scratch) except -1
    # Ids as a list of int.
    cdef list as_list(self, const uint32_t *ids, Py_ssize_t count)
    cdef PyObject *new_int(self, uint32_t id) except NULL


# Raises what a negative status of the encoder means, for text `index` of several.
cdef int check_status(Py_ssize_t status, Scratch scratch, Py_ssize_t index=*) except -1
