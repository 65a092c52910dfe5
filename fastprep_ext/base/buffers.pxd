"""Python objects that own or keep alive the memory that kernels work on."""


# Ids in memory of their own (malloc), as a buffer of uint32.
cdef class Ids:
    cdef uint32_t *ids
    cdef Py_ssize_t count
    cdef Py_ssize_t shape[1]
    cdef Py_ssize_t strides[1]


# Room for so many ids, which are not there yet. MemoryError.
cdef Ids room_for(size_t ids)
# The first `count` of them as a writable memoryview, without the room behind them.
cdef object view_of(Ids self, Py_ssize_t count)


# Where the UTF-8 of many texts lies: Rows, or str and buffers.
cdef class Documents:
    cdef object kept
    cdef readonly Py_ssize_t count
    cdef const uint8_t **texts # [count]
    cdef size_t *sizes         # [count] bytes of each
    cdef Py_buffer *views
    cdef Py_ssize_t held
    cdef readonly size_t total


# A str's UTF-8, which lives as long as the str. TypeError, UnicodeEncodeError.
cdef const uint8_t *utf8_of(object text, Py_ssize_t *n) except NULL
