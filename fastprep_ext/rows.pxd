"""Many texts in one buffer: the compiled side of an Arrow column, or of unescaped JSON."""

from libc.stdint cimport int64_t, uint8_t


# Text i is base[starts[i]:stops[i]]; the bounds were checked when it was made.
cdef class Rows:
    cdef readonly object buffer
    cdef const uint8_t[::1] bytes
    cdef const int64_t[::1] starts
    cdef const int64_t[::1] stops
    cdef readonly Py_ssize_t size
