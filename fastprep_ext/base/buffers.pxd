"""Python objects that own, or keep alive, the memory that kernels work on."""

# Bytes per item; ITEM_SIGNED is added for signed integers.
cdef enum:
    ITEM_SIGNED = 16
    ITEM_UINT8 = 1
    ITEM_UINT16 = 2
    ITEM_UINT32 = 4
    ITEM_UINT64 = 8
    ITEM_INT32 = 4 + ITEM_SIGNED
    ITEM_INT64 = 8 + ITEM_SIGNED


# A row of numbers of one type in a buffer, held as long as this object lives. (Cython's typed
# memoryviews did the same, but took a sixth of the size and compile time of each module, and imported
# `collections`, which takes longer than loading a module.)
cdef class Array:
    cdef Py_buffer view
    cdef void *at              # [count]; must not be read if count is 0
    cdef Py_ssize_t count


# Return the items of a one-dimensional, contiguous buffer. TypeError, ValueError or BufferError for
# any other.
cdef Array array_of(object source, int kind, bint writable=*)


# Memory of one call, freed with the object.
cdef class Memory:
    cdef void *at


# Return uninitialized memory. MemoryError.
cdef Memory allocate(size_t size)


# Ids in memory of their own, exported as a buffer of uint32.
cdef class Ids:
    cdef uint32_t *ids
    cdef Py_ssize_t count
    cdef Py_ssize_t shape[1]
    cdef Py_ssize_t strides[1]


# Allocate memory for `ids` ids; count is 0 until ids_view sets it. MemoryError.
cdef Ids new_ids(size_t ids)
# Return the first `count` ids as a writable memoryview; the unused memory is given back.
cdef object ids_view(Ids self, Py_ssize_t count)


# Addresses of the UTF-8 of many texts: Rows, or a sequence of str and buffers.
cdef class Documents:
    cdef object kept
    cdef readonly Py_ssize_t count
    cdef const uint8_t **texts  # [count]
    cdef size_t *sizes          # [count] bytes of each text
    cdef Py_buffer *views
    cdef Py_ssize_t held
    cdef readonly size_t total


# Return the UTF-8 of a str, which lives as long as the str. TypeError, UnicodeEncodeError.
cdef const uint8_t *utf8_of(object text, Py_ssize_t *n) except NULL


# Memory of its own, as a buffer of bytes.
cdef class Block:
    cdef void *at
    cdef Py_ssize_t count
