"""Documents in one buffer, as a sequence: a Python object per document only where one is taken."""


cdef extern from "Python.h":
    enum:
        PyBUF_READ
        PyBUF_WRITE

cdef extern from "base/utf8_check.h" nogil:
    bint is_utf8(const uint8_t *text, size_t n)

# hashlib holds the GIL for texts of less than 2 KiB and makes two objects for each, so that drawing
# documents took 7 per cent of a task's time, all of it under the GIL.
cdef extern from "base/blake2b.h" nogil:
    uint64_t blake2b_8(const uint8_t *text, size_t n)

cdef enum:
    LEAST_ROWS = 64
    MAX_ROOM = 1 << 25         # bytes of a block that keeps its size when bytes are removed


# marks[i]: whether the hash of a document is below a number.
cdef void draw_rows(
    const uint8_t *bytes, const int64_t *starts, const int64_t *stops, Py_ssize_t count,
    uint64_t below, uint8_t *marks
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(count):
        marks[i] = blake2b_8(bytes + starts[i], stops[i] - starts[i]) < below


cdef void hash_rows(
    const uint8_t *bytes, const int64_t *starts, const int64_t *stops, Py_ssize_t count, uint64_t *hashes
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(count):
        hashes[i] = blake2b_8(bytes + starts[i], stops[i] - starts[i])


# The first row at or after `first` that is not UTF-8; `count` if all are.
cdef Py_ssize_t next_invalid(
    const uint8_t *bytes, const int64_t *starts, const int64_t *stops, Py_ssize_t first,
    Py_ssize_t count,
) noexcept nogil:
    cdef Py_ssize_t i = first
    while i < count and is_utf8(bytes + starts[i], stops[i] - starts[i]):
        i += 1
    return i


cdef class Rows:
    """Documents in one buffer: document i is bytes ``starts[i]`` to ``stops[i]``.

    Without arguments there are none, and the bytes are the rows' own. With them the bytes are those of
    a buffer, which is kept, not copied, and must not change. `size` is the sum of the documents' bytes,
    `filled` how many bytes of their own the rows hold.

    >>> from array import array
    >>> rows = Rows(b"onetwo", array("q", [0, 3]), array("q", [3, 6]))
    >>> len(rows), rows[1], list(rows[:1]), rows.size
    (2, b'two', [b'one'], 6)

    Raises ValueError for a document outside of the buffer.
    """

    def __cinit__(self, buffer=None, starts=None, stops=None, origins=None):
        cdef Py_ssize_t i, n
        cdef Array held, first, last, origin
        if buffer is None:
            return
        held, first, last = array_of(buffer, ITEM_UINT8), array_of(starts, ITEM_INT64), array_of(
            stops, ITEM_INT64
        )
        origin = None if origins is None else array_of(origins, ITEM_INT64)
        n = first.count
        if last.count != n or (origin is not None and origin.count != n):
            raise ValueError(f"{n} texts begin, {last.count} end; each needs one origin")
        self.owner = held
        self.bytes, self.filled = <uint8_t *>held.at, held.count
        self.reserve_rows(n)
        for i in range(n):
            self.push(
                (<int64_t *>first.at)[i], (<int64_t *>last.at)[i],
                i if origin is None else (<int64_t *>origin.at)[i],
            )

    def __dealloc__(self):
        if self.room:
            block_free(self.bytes)
        free(self.starts)
        free(self.stops)
        free(self.origins)

    cdef int reserve_bytes(self, size_t more) except -1:
        cdef size_t wanted = self.filled + more
        cdef void *grown
        if self.owner is not None:
            raise ValueError("the bytes are borrowed; nothing can be appended to them")
        if wanted <= self.room:
            return 0
        wanted = max(wanted, self.room + self.room // 2)
        grown = block_grow(self.bytes, self.filled, wanted)
        if grown == NULL:
            raise MemoryError(f"no memory for a block of {wanted} bytes")
        self.bytes, self.room = <uint8_t *>grown, block_size(grown)
        return 0

    cdef int reserve_rows(self, Py_ssize_t more) except -1:
        cdef Py_ssize_t wanted = self.count + more
        cdef int64_t **arrays[3]
        cdef void *moved
        cdef int k
        if wanted <= self.capacity:
            return 0
        wanted = max(wanted, 2 * self.capacity, LEAST_ROWS)
        arrays[0], arrays[1], arrays[2] = &self.starts, &self.stops, &self.origins
        for k in range(3):
            moved = realloc(arrays[k][0], wanted * sizeof(int64_t))
            if moved == NULL:
                raise MemoryError(f"no memory for {wanted} documents")
            arrays[k][0] = <int64_t *>moved
        self.capacity = wanted
        return 0

    # -- filling --------------------------------------------------------------------------------------

    def read(self, readinto not None, size_t wanted) -> int:
        """Append what ``readinto(buffer)`` puts into a buffer of `wanted` bytes; returns how many.

        >>> import io
        >>> rows = Rows()
        >>> rows.read(io.BytesIO(b"onetwo").readinto, 100), rows.filled
        (6, 6)
        """
        cdef size_t count
        if wanted == 0:
            return 0
        self.reserve_bytes(wanted)
        view = PyMemoryView_FromMemory(<char *>self.bytes + self.filled, wanted, PyBUF_WRITE)
        try:
            count = readinto(view)
        finally:
            view.release()
        self.filled += min(count, wanted)
        return count

    def carry(self, Rows other not None, size_t start) -> None:
        """Append the bytes that other rows hold from `start` on, without their documents."""
        cdef size_t n
        if start >= other.filled:
            return
        n = other.filled - start
        self.reserve_bytes(n)
        with nogil:
            memcpy(self.bytes + self.filled, other.bytes + start, n)
        self.filled += n

    def discard(self, size_t n) -> None:
        """Remove the first `n` bytes that the rows hold, which must have no documents.

        >>> import io
        >>> rows = Rows()
        >>> _ = rows.read(io.BytesIO(b"onetwo").readinto, 100)
        >>> rows.discard(3)
        >>> bytes(rows.held())
        b'two'
        """
        cdef void *smaller
        if self.owner is not None or self.count:
            raise ValueError(f"{self.count} documents, whose bytes cannot be moved")
        n = min(n, self.filled)
        self.filled -= n
        # A block that had to grow for one document is not kept for the next ones.
        smaller = block_allocate(max(self.filled, 1)) if n and self.room > MAX_ROOM else NULL
        if smaller == NULL:
            memmove(self.bytes, self.bytes + n, self.filled)
            return
        memcpy(smaller, self.bytes + n, self.filled)
        block_free(self.bytes)
        self.bytes, self.room = <uint8_t *>smaller, block_size(smaller)

    def append(self, bytes text not None, int64_t origin) -> None:
        """Append a document and its bytes."""
        cdef Py_ssize_t n = PyBytes_GET_SIZE(text)
        self.reserve_bytes(n)
        memcpy(self.bytes + self.filled, PyBytes_AS_STRING(text), n)
        self.filled += n
        self.push(self.filled - n, self.filled, origin)

    def add(self, int64_t start, int64_t stop, int64_t origin) -> None:
        """Append a document whose bytes are held already."""
        self.push(start, stop, origin)

    cdef int push(self, int64_t start, int64_t stop, int64_t origin) except -1:
        if not 0 <= start <= stop <= <int64_t>self.filled:
            raise ValueError(
                f"text {self.count} goes from {start} to {stop}, in a buffer of {self.filled} bytes"
            )
        if self.count == self.capacity:
            self.reserve_rows(1)
        self.starts[self.count], self.stops[self.count] = start, stop
        self.origins[self.count] = origin
        self.count += 1
        self.size += stop - start
        return 0

    def held(self) -> memoryview:
        """Return the bytes that the rows hold, not copied: for use while the rows are not changed."""
        if self.filled == 0:
            return memoryview(b"")
        return PyMemoryView_FromMemory(<char *>self.bytes, self.filled, PyBUF_READ)

    def view_of(self, Py_ssize_t index) -> memoryview:
        """Return the bytes of a document, not copied: for use while the rows are not changed."""
        if not 0 <= index < self.count:
            raise IndexError(f"text {index} of {self.count}")
        return PyMemoryView_FromMemory(
            <char *>self.bytes + self.starts[index], self.stops[index] - self.starts[index], PyBUF_READ
        )

    # -- a sequence -----------------------------------------------------------------------------------

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        cdef Py_ssize_t i
        if isinstance(index, slice):
            begin, end, step = index.indices(self.count)
            if step != 1:
                return list(map(self.__getitem__, range(begin, end, step)))
            return self.part(begin, max(begin, end))
        i = index
        if i < 0:
            i += self.count
        if not 0 <= i < self.count:
            raise IndexError(f"text {index} of {self.count}")
        return (<const char *>self.bytes + self.starts[i])[: self.stops[i] - self.starts[i]]

    def origin(self, Py_ssize_t index) -> int:
        """Return where a document comes from, in the unit of its reader."""
        if not 0 <= index < self.count:
            raise IndexError(f"text {index} of {self.count}")
        return self.origins[index]

    def reach(self, Py_ssize_t first, Py_ssize_t most) -> tuple:
        """Count the documents from `first` on that have at most `most` bytes together, at least one.

        Returns the index after the last of them, and their bytes.

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
            if last > first and size + one > most:
                break
            size += one
            last += 1
        return last, size

    # -- other rows from these ------------------------------------------------------------------------

    cdef Rows borrowing(self, Py_ssize_t rows):
        cdef Rows made = Rows()
        made.owner = self if self.owner is None else self.owner
        made.bytes, made.filled = self.bytes, self.filled
        made.reserve_rows(rows)
        return made

    def part(self, Py_ssize_t first, Py_ssize_t last) -> Rows:
        """Return documents `first` to `last`, the latter excluded, over the same bytes."""
        cdef Rows made = self.borrowing(max(last - first, 0))
        cdef Py_ssize_t i
        for i in range(max(first, 0), min(last, self.count)):
            made.push(self.starts[i], self.stops[i], self.origins[i])
        return made

    def piece(self, Py_ssize_t index, int64_t start, int64_t stop) -> Rows:
        """Return one document, of which only the bytes `start` to `stop`, over the same bytes."""
        cdef Rows made = self.borrowing(1)
        if not 0 <= index < self.count:
            raise IndexError(f"text {index} of {self.count}")
        start, stop = self.starts[index] + start, self.starts[index] + stop
        made.push(start, stop, self.origins[index])
        return made

    def draw(self, uint64_t below) -> tuple:
        """Split the documents by the first 64 bits of their BLAKE2b hash: not below a number, below it.

        The hash is BLAKE2b (RFC 7693) of 8 bytes, read as a big-endian number.

        >>> rows = Rows()
        >>> for number in range(1000):
        ...     rows.append(b"document %d" % number, number)
        >>> train, validation = rows.draw(1 << 60)
        >>> len(train), len(validation), validation[0]
        (933, 67, b'document 40')
        """
        cdef Rows rest = self.borrowing(self.count), drawn = self.borrowing(self.count)
        cdef Py_ssize_t i
        cdef bytearray marks = bytearray(self.count)
        cdef uint8_t *mark = marks
        with nogil:
            draw_rows(self.bytes, self.starts, self.stops, self.count, below, mark)
        for i in range(self.count):
            if mark[i]:
                drawn.push(self.starts[i], self.stops[i], self.origins[i])
            else:
                rest.push(self.starts[i], self.stops[i], self.origins[i])
        return rest, drawn

    def hashes(self) -> memoryview:
        """Return the hash of each document, by which :meth:`draw` splits them, as uint64.

        >>> rows = Rows()
        >>> rows.append(b"document 40", 0)
        >>> f"{rows.hashes()[0]:016x}"
        '0c70b0a2bb50d30b'
        """
        made = uninitialized(self.count * sizeof(uint64_t)).cast("Q")
        cdef Array held = array_of(made, ITEM_UINT64, True)
        with nogil:
            hash_rows(self.bytes, self.starts, self.stops, self.count, <uint64_t *>held.at)
        return made

    def invalid(self) -> list:
        """Return the indices of the documents that are not UTF-8.

        >>> from array import array
        >>> Rows(b"one\\xff", array("q", [0, 3]), array("q", [3, 4])).invalid()
        [1]
        """
        cdef Py_ssize_t i = 0
        found = []
        while True:
            with nogil:
                i = next_invalid(self.bytes, self.starts, self.stops, i, self.count)
            if i == self.count:
                return found
            found.append(i)
            i += 1

    def without(self, indices not None) -> Rows:
        """Return all documents but those at some indices, which ascend, over the same bytes.

        >>> rows = Rows()
        >>> for text in (b"one", b"two", b"three"):
        ...     rows.append(text, 0)
        >>> list(rows.without([1]))
        [b'one', b'three']
        """
        cdef Rows made = self.borrowing(self.count)
        cdef Py_ssize_t i, first = 0, last
        for last in [*indices, self.count]:
            for i in range(max(first, 0), min(last, self.count)):
                made.push(self.starts[i], self.stops[i], self.origins[i])
            first = last + 1
        return made

    def replaced(self, dict texts not None) -> Rows:
        """Return copies of all documents, with other bytes for some of them, by index.

        >>> rows = Rows()
        >>> for text in (b"one", b"two"):
        ...     rows.append(text, 0)
        >>> list(rows.replaced({1: b"2"}))
        [b'one', b'2']
        """
        cdef Rows made = Rows()
        cdef Py_ssize_t i
        made.reserve_bytes(self.size)
        for i in range(self.count):
            made.append(texts.get(i) or self[i], self.origins[i])
        return made

    @staticmethod
    def joined(rows not None, numbers not None) -> Rows:
        """Return copies of all documents of several rows, a number for each added to its origins.

        Origins have 48 bits for the place in a file; the number is added above them. So rows that were
        joined before, whose numbers count from 0, may be joined again.

        >>> parts = [Rows(), Rows()]
        >>> for part in parts:
        ...     part.append(b"one", 5)
        >>> made = Rows.joined(parts, [0, 1])
        >>> [*made], made.origin(1) == 1 << 48 | 5
        ([b'one', b'one'], True)
        """
        cdef Rows made = Rows(), part
        cdef Py_ssize_t i
        cdef int64_t n, number
        for part, number in zip(rows, numbers):
            made.reserve_bytes(part.size)
            made.reserve_rows(part.count)
            for i in range(part.count):
                n = part.stops[i] - part.starts[i]
                if n:
                    memcpy(made.bytes + made.filled, part.bytes + part.starts[i], n)
                made.filled += n
                made.push(made.filled - n, made.filled, (number << 48) + part.origins[i])
        return made
