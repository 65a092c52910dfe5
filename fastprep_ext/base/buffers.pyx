"""Buffers without copies: ids that numpy reads, texts that kernels read."""

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


cdef class Rows:
    """Many texts in one buffer, as a sequence: text i is ``buffer[starts[i]:stops[i]]``.

    The compiled side of an Arrow column or of unescaped JSON: a text becomes a Python object only
    when it is indexed. The buffers are held, not copied, and must not change while the rows are in
    use. `size` is the number of bytes of all texts. Raises ValueError for a text outside of the
    buffer.

    >>> from array import array
    >>> rows = Rows(b"onetwo", array("q", [0, 3]), array("q", [3, 6]))
    >>> len(rows), rows[1], list(rows[:1]), rows.size
    (2, b'two', [b'one'], 6)
    """

    def __cinit__(self, buffer, starts, stops):
        cdef Py_ssize_t i, capacity
        cdef int64_t begin, end
        self._bytes = array_of(buffer, ITEM_UINT8)
        self._starts, self._stops = array_of(starts, ITEM_INT64), array_of(stops, ITEM_INT64)
        if self._stops.count != self._starts.count:
            raise ValueError(f"{self._starts.count} texts begin, {self._stops.count} end")
        self.buffer = buffer
        self.bytes = <const uint8_t *>self._bytes.at
        self.starts = <const int64_t *>self._starts.at
        self.stops = <const int64_t *>self._stops.at
        self.count = self._starts.count
        capacity = self._bytes.count
        for i in range(self.count):
            begin, end = self.starts[i], self.stops[i]
            if not 0 <= begin <= end <= capacity:
                raise ValueError(
                    f"text {i} goes from {begin} to {end}, in a buffer of {capacity} bytes"
                )
            self.size += end - begin

    def __len__(self):
        return self.count

    def reach(self, Py_ssize_t first, Py_ssize_t limit) -> tuple:
        """Return the end of the run of texts from `first` on that has at most `limit` bytes, and
        its bytes.

        The run has at least one text.

        >>> from array import array
        >>> Rows(b"onetwo", array("q", [0, 3]), array("q", [3, 6])).reach(0, 5)
        (1, 3)
        """
        cdef Py_ssize_t last = first
        cdef int64_t size = 0, one
        if not 0 <= first < self.count:
            raise IndexError(f"text {first} of {self.count}")
        while last < self.count:
            one = self.stops[last] - self.starts[last]
            if last > first and size + one > limit:
                break
            size += one
            last += 1
        return last, size

    def __getitem__(self, index):
        cdef Py_ssize_t i
        if isinstance(index, slice):
            begin, end, step = index.indices(self.count)
            if step != 1:
                return [self[i] for i in range(begin, end, step)]
            end = max(begin, end)
            return Rows(
                self.buffer,
                memoryview(<object>self._starts.view.obj)[begin:end],
                memoryview(<object>self._stops.view.obj)[begin:end],
            )
        i = index
        if i < 0:
            i += self.count
        if not 0 <= i < self.count:
            raise IndexError(f"text {index} of {self.count}")
        if self.starts[i] == self.stops[i]:
            return b""
        return (<const char *>&self.bytes[self.starts[i]])[: self.stops[i] - self.starts[i]]


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
                # A buffer without bytes may have no address.
                self.texts[i] = &rows.bytes[rows.starts[i]] if self.sizes[i] else NULL
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


cdef extern from *:
    """
    #ifdef __GLIBC__
    #include <malloc.h>
    static int fastprep_keep_freed(int limit) {
        return mallopt(M_MMAP_THRESHOLD, limit) && mallopt(M_TRIM_THRESHOLD, 2 * limit);
    }
    #else
    static int fastprep_keep_freed(int limit) { return limit < 0; }
    #endif
    """
    int fastprep_keep_freed(int limit) nogil

cdef enum:
    MOST = 1 << 25             # the largest that glibc accepts, 32 MiB; twice as much is kept


def keep_freed() -> bool:
    """Keep up to 64 MiB of freed memory for later allocations; return whether the C library can.

    By default glibc returns the blocks into which files are read to the system, and each page of
    the next block is mapped and zeroed again. For processes that run nothing else.

    >>> keep_freed() in (True, False)
    True
    """
    return bool(fastprep_keep_freed(MOST))


def uninitialized(Py_ssize_t size) -> bytearray:
    """Return an uninitialized bytearray; the caller must write every byte before reading it.

    >>> len(uninitialized(5))
    5
    """
    if size < 0:
        raise ValueError(f"room for {size} bytes")
    return PyByteArray_FromStringAndSize(NULL, size)
