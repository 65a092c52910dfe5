"""Ids that numpy reads without a copy, and texts that kernels read without one."""


cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL


cdef class Ids:
    """Ids in memory of their own, which goes when the last view of it does."""

    def __dealloc__(self):
        free(self.ids)

    def __len__(self):
        return self.count

    def __getbuffer__(self, Py_buffer *view, int flags):
        self.shape[0] = self.count
        self.strides[0] = sizeof(uint32_t)
        view.buf = self.ids
        view.obj = self
        view.len = self.count * sizeof(uint32_t)
        view.itemsize = sizeof(uint32_t)
        view.readonly = 0
        view.ndim = 1
        view.format = b"I"
        view.shape = self.shape
        view.strides = self.strides
        view.suboffsets = NULL
        view.internal = NULL


cdef Ids room_for(size_t ids):
    cdef Ids self = Ids()
    self.ids = <uint32_t *>malloc(ids * sizeof(uint32_t))
    if self.ids == NULL:
        raise MemoryError(f"no memory for {ids} ids")
    return self


cdef object view_of(Ids self, Py_ssize_t count):
    cdef void *shrunk = realloc(self.ids, (count + 1) * sizeof(uint32_t))
    if shrunk != NULL:
        self.ids = <uint32_t *>shrunk
    self.count = count
    return memoryview(self)


cdef class Documents:
    """Where the UTF-8 of many texts lies; keeps their buffers alive."""

    def __cinit__(self, texts):
        cdef Py_ssize_t i, n
        cdef Rows rows
        self.kept = texts if isinstance(texts, Rows) else tuple(texts)
        self.count = len(self.kept)
        self.texts = <const uint8_t **>calloc(self.count + 1, sizeof(void *))
        self.sizes = <size_t *>calloc(self.count + 1, sizeof(size_t))
        if self.texts == NULL or self.sizes == NULL:
            raise MemoryError(f"no memory for a list of {self.count} texts")
        if isinstance(texts, Rows):
            rows = texts
            self.total = rows.size
            for i in range(self.count):
                self.sizes[i] = rows.stops[i] - rows.starts[i]
                self.texts[i] = rows.bytes + rows.starts[i]
            return
        self.views = <Py_buffer *>calloc(self.count + 1, sizeof(Py_buffer))
        if self.views == NULL:
            raise MemoryError(f"no memory for a list of {self.count} texts")
        for i in range(self.count):
            if PyUnicode_Check(self.kept[i]):
                self.texts[i] = utf8_of(self.kept[i], &n)
                self.sizes[i] = n
            else:
                PyObject_GetBuffer(self.kept[i], &self.views[self.held], PyBUF_SIMPLE)
                self.texts[i] = <const uint8_t *>self.views[self.held].buf
                self.sizes[i] = self.views[self.held].len
                self.held += 1
            self.total += self.sizes[i]

    def __dealloc__(self):
        cdef Py_ssize_t i
        for i in range(self.held):
            PyBuffer_Release(&self.views[i])
        free(self.texts)
        free(self.sizes)
        free(self.views)


cdef const uint8_t *utf8_of(object text, Py_ssize_t *n) except NULL:
    if not PyUnicode_Check(text):
        raise TypeError(f"expected a str, got {type(text).__name__}")
    return <const uint8_t *>PyUnicode_AsUTF8AndSize(text, n)


def uninitialized(Py_ssize_t size) -> bytearray:
    """A bytearray of that size whose bytes mean nothing: for who reads only what was written to it.

    >>> len(uninitialized(5))
    5
    """
    if size < 0:
        raise ValueError(f"room for {size} bytes")
    return PyByteArray_FromStringAndSize(NULL, size)
