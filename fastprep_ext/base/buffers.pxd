"""Python objects that own or keep alive the memory that kernels work on."""


# Bytes of an item, and whether it is signed.
cdef enum:
    ITEM_SIGNED = 16
    ITEM_UINT8 = 1
    ITEM_UINT16 = 2
    ITEM_UINT32 = 4
    ITEM_UINT64 = 8
    ITEM_INT32 = 4 + ITEM_SIGNED
    ITEM_INT64 = 8 + ITEM_SIGNED


# One row of numbers of one type in a buffer, which is held as long as this object lives. (Cython's typed
# memoryviews do the same for a sixth of each module's size and of its time to compile, and import
# `collections`, which takes longer than to load a module.)
cdef class Array:
    cdef Py_buffer view
    cdef void *at              # [count]; not to be read where count is 0
    cdef Py_ssize_t count


# The items of a one-dimensional, contiguous buffer. TypeError, ValueError or BufferError for another one.
cdef Array array_of(object source, int kind, bint writable=*)


# Memory of one call, freed with the object.
cdef class Memory:
    cdef void *at


# Uninitialized. MemoryError, which says what the memory is for.
cdef Memory allocate(size_t size, str purpose)


# Ids in memory of their own (malloc), as a buffer of uint32.
cdef class Ids:
    cdef uint32_t *ids
    cdef Py_ssize_t count
    cdef Py_ssize_t shape[1]
    cdef Py_ssize_t strides[1]


# Room for so many ids, which are not there yet. MemoryError.
cdef Ids new_ids(size_t ids)
# The first `count` of them as a writable memoryview, without the room behind them.
cdef object ids_view(Ids self, Py_ssize_t count)


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
