"""Buffers without copies: ids that numpy reads, texts that kernels read."""

cdef extern from "base/blocks.h" nogil:
    void *block_allocate(size_t size)
    void *block_grow(void *block, size_t filled, size_t size)
    size_t block_size(const void *block)
    void block_free(void *block)
    void blocks_release()

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL


@cython.final
@cython.freelist(8)
cdef class Array:
    """One row of numbers of one type in a buffer, which it holds."""

    def __dealloc__(self):
        PyBuffer_Release(&self.view)


cdef Array array_of(object source, int kind, bint writable=False):
    cdef Array self = Array.__new__(Array)
    cdef const char *form
    cdef const char *letters = b"BHILQN"
    if kind & ITEM_SIGNED:
        letters = b"bhilqn"
    PyObject_GetBuffer(
        source, &self.view, PyBUF_FORMAT | PyBUF_ND | (PyBUF_WRITABLE if writable else 0)
    )
    form = self.view.format
    if form[0] == c"<" or form[0] == c"=" or form[0] == c"@":
        form += 1
    if (
        self.view.ndim != 1
        or self.view.itemsize != kind & ~ITEM_SIGNED
        or form[0] == 0
        or strchr(letters, form[0]) == NULL
        or form[1] != 0
    ):
        raise ValueError(
            f"expected a row of {'int' if kind & ITEM_SIGNED else 'uint'}{8 * (kind & ~ITEM_SIGNED)}, "
            f"got a buffer of {self.view.ndim} dimensions and format {self.view.format.decode()!r}"
        )
    self.at = self.view.buf
    self.count = self.view.shape[0]
    return self


@cython.final
cdef class Memory:
    """Memory of one call, freed with the object."""

    def __dealloc__(self):
        free(self.at)


cdef Memory allocate(size_t size):
    cdef Memory self = Memory.__new__(Memory)
    self.at = malloc(size + (size == 0))
    if self.at == NULL:
        raise MemoryError(f"no memory for {size} bytes")
    return self


cdef class Ids:
    """Ids in memory of their own, freed with the last view of them."""

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


cdef Ids new_ids(size_t ids):
    cdef Ids self = Ids()
    self.ids = <uint32_t *>malloc(ids * sizeof(uint32_t))
    if self.ids == NULL:
        raise MemoryError(f"no memory for {ids} ids")
    return self


cdef object ids_view(Ids self, Py_ssize_t count):
    cdef void *shrunk = realloc(self.ids, (count + 1) * sizeof(uint32_t))
    if shrunk != NULL:
        self.ids = <uint32_t *>shrunk
    self.count = count
    return memoryview(self)


cdef class Documents:
    """Addresses of the UTF-8 of many texts; keeps their buffers alive."""

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


cdef class Block:
    """Uninitialized memory as a writable buffer of bytes, kept for the next one when it is freed."""

    def __dealloc__(self):
        block_free(self.at)

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, self.at, self.count, 0, flags)


def uninitialized(Py_ssize_t size) -> memoryview:
    """Return uninitialized memory; the caller must write every byte before reading it.

    >>> len(uninitialized(5))
    5
    """
    cdef Block block = Block()
    if size < 0:
        raise ValueError(f"a buffer of {size} bytes")
    block.at = block_allocate(max(size, 1))
    if block.at == NULL:
        raise MemoryError(f"no memory for a block of {size} bytes")
    block.count = size
    return memoryview(block)


def release_blocks() -> None:
    """Return the memory of freed blocks to the system; until then it is kept for the next blocks.

    >>> release_blocks()
    """
    blocks_release()
