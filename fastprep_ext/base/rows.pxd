"""Documents in one buffer, and where each comes from: what readers fill and encoders take."""


# Document i is bytes[starts[i]:stops[i]], and origins[i] says where it comes from, in the unit of its
# reader: a byte, a line, a row. The arrays belong to the rows. The bytes do, too, or are borrowed
# from `owner`, and then nothing is appended to them. Bounds are checked when a document is added.
cdef class Rows:
    cdef object owner          # of borrowed bytes; None
    cdef uint8_t *bytes
    cdef readonly size_t filled  # bytes that hold something
    cdef size_t room           # bytes allocated, 0 where they are borrowed
    cdef int64_t *starts
    cdef int64_t *stops
    cdef int64_t *origins
    cdef Py_ssize_t count
    cdef Py_ssize_t capacity   # of the arrays
    cdef readonly Py_ssize_t size  # bytes of all documents

    # Make room for more bytes, or documents, which may move the memory. MemoryError.
    cdef int reserve_bytes(self, size_t more) except -1
    cdef int reserve_rows(self, Py_ssize_t more) except -1
    # Append a document whose bytes are held already. ValueError, MemoryError.
    cdef int push(self, int64_t start, int64_t stop, int64_t origin) except -1
    # Rows without documents over the same bytes, with room for some.
    cdef Rows borrowing(self, Py_ssize_t rows)
