"""Single passes over arrays of ids, ends and text, without a Python object per item."""

cdef extern from "base/crc.h" nogil:
    bint has_fast_crc32()
    uint32_t crc32_of(const uint8_t *text, size_t n, uint32_t value)

cdef extern from "base/blake2b.h" nogil:
    void blake2b_of(const uint8_t *text, size_t n, size_t size, uint64_t *digest)

ctypedef fused Id:
    uint16_t
    uint32_t

cdef enum:
    RUN = 255                  # maximum of a byte counter; bytes are added 16 or 32 at a time


cdef int64_t largest_of(const Id *ids, Py_ssize_t n) noexcept nogil:
    cdef Id found = 0
    cdef Py_ssize_t i
    for i in range(n):
        found = ids[i] if ids[i] > found else found
    return found


cdef size_t count_of(const Id *ids, Py_ssize_t n, Id wanted) noexcept nogil:
    cdef size_t count = 0
    cdef Py_ssize_t i
    for i in range(n):
        count += ids[i] == wanted
    return count


cdef bint is_at_all(
    const Id *ids, Py_ssize_t n, Id wanted, const uint64_t *places, Py_ssize_t count, uint64_t offset
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(count):
        if places[i] < offset or places[i] - offset >= <uint64_t>n:
            return False
        if ids[places[i] - offset] != wanted:
            return False
    return True


cdef bint occurs_at(
    const Id *ids, Py_ssize_t n, size_t wanted, const uint64_t *places, Py_ssize_t count, uint64_t offset
) noexcept nogil:
    if n == 0 or wanted > <Id>-1:
        return count == 0
    return count_of(ids, n, <Id>wanted) == <size_t>count and is_at_all(
        ids, n, <Id>wanted, places, count, offset
    )


cdef size_t newlines_in(const uint8_t *text, size_t n) noexcept nogil:
    cdef size_t count = 0, i = 0, k
    cdef uint8_t lanes[64]
    cdef int run
    while n - i >= 64:
        for k in range(64):
            lanes[k] = 0
        run = 0
        while run < RUN and n - i >= 64:
            for k in range(64):
                lanes[k] += text[i + k] == c'\n'
            i += 64
            run += 1
        for k in range(64):
            count += lanes[k]
    while i < n:
        count += text[i] == c'\n'
        i += 1
    return count


# Return a buffer of uint16 or uint32.
cdef Array ids_of(object ids):
    return array_of(ids, ITEM_UINT16 if memoryview(ids).itemsize == 2 else ITEM_UINT32)


def largest(ids) -> int:
    """Return the largest id in a buffer of uint16 or uint32; -1 if it is empty.

    >>> from array import array
    >>> largest(array("H", [3, 50256, 7])), largest(array("I"))
    (50256, -1)
    """
    cdef Array held
    cdef int64_t found
    if len(ids) == 0:
        return -1
    held = ids_of(ids)
    with nogil:
        if held.view.itemsize == 2:
            found = largest_of(<const uint16_t *>held.at, held.count)
        else:
            found = largest_of(<const uint32_t *>held.at, held.count)
    return found


#: Whether `crc32` is faster than zlib's on this machine: it has instructions for it.
is_crc32_fast = bool(has_fast_crc32())


def crc32(content, uint32_t value=0) -> int:
    """Return zlib's CRC-32 of a buffer, continued from that of the bytes before it.

    >>> import zlib
    >>> crc32(b"two", crc32(b"one")) == zlib.crc32(b"onetwo")
    True
    """
    cdef Py_buffer view
    cdef uint32_t found
    PyObject_GetBuffer(content, &view, PyBUF_SIMPLE)
    with nogil:
        found = crc32_of(<const uint8_t *>view.buf, view.len, value)
    PyBuffer_Release(&view)
    return found


def blake2b(content) -> bytes:
    """Return the BLAKE2b digest of a buffer, of 32 bytes.

    Start-up needs it, and hashlib's has to be imported first.

    >>> import hashlib
    >>> blake2b(b"text") == hashlib.blake2b(b"text", digest_size=32).digest()
    True
    """
    cdef Py_buffer view
    cdef uint64_t digest[8]
    PyObject_GetBuffer(content, &view, PyBUF_SIMPLE)
    with nogil:
        blake2b_of(<const uint8_t *>view.buf, view.len, 32, digest)
    PyBuffer_Release(&view)
    return PyBytes_FromStringAndSize(<const char *>digest, 32)


def shift_ends(ends, int64_t by) -> None:
    """Add `by`, which may be negative, to every end in a buffer of uint64, in place.

    >>> from array import array
    >>> ends = array("Q", [3, 6])
    >>> shift_ends(ends, 1 << 32)
    >>> ends.tolist()
    [4294967299, 4294967302]
    """
    cdef Array held = array_of(ends, ITEM_UINT64, True)
    cdef uint64_t *at = <uint64_t *>held.at
    cdef Py_ssize_t i
    for i in range(held.count):
        at[i] += <uint64_t>by


cdef void begin_all(
    Id *ids, uint64_t *ends, Py_ssize_t rows, Py_ssize_t first, Id token
) noexcept nogil:
    # From the last row on, so that each moves to where nothing is that has not moved yet.
    cdef Py_ssize_t i = rows - 1
    cdef uint64_t start, before
    while i >= first:
        start = ends[i - 1] if i else 0
        before = i - first
        memmove(ids + start + before + 1, ids + start, (ends[i] - start) * sizeof(Id))
        ids[start + before] = token
        ends[i] += before + 1
        i -= 1


def begin_rows(ids, ends, uint32_t token, Py_ssize_t first=0) -> None:
    """Put `token` before each row of `ids` from row `first` on, in place, and move `ends` along.

    `ids` is a buffer of uint16 or uint32 with room for one more id per row.

    >>> from array import array
    >>> ids, ends = array("H", [1, 2, 3, 0, 0]), array("Q", [2, 3])
    >>> begin_rows(ids, ends, 9)
    >>> ids.tolist(), ends.tolist()
    ([9, 1, 2, 9, 3], [3, 5])

    Raises ValueError if there is no room, or the ends do not ascend.
    """
    cdef bint narrow = memoryview(ids).itemsize == 2
    cdef Array held = array_of(ids, ITEM_UINT16 if narrow else ITEM_UINT32, True)
    cdef Array held_ends = array_of(ends, ITEM_UINT64, True)
    cdef uint64_t *end = <uint64_t *>held_ends.at
    cdef Py_ssize_t rows = held_ends.count, i
    if not 0 <= first <= rows or (narrow and token > 0xFFFF):
        raise ValueError(f"row {first} of {rows}, and the token {token}")
    for i in range(1, rows):
        if end[i] < end[i - 1]:
            raise ValueError(f"row {i} ends before it starts")
    if rows and (end[rows - 1] > <uint64_t>held.count
                 or held.count - <Py_ssize_t>end[rows - 1] < rows - first):
        raise ValueError(f"{rows - first} more ids than {end[rows - 1]}; there is room for {held.count}")
    with nogil:
        if narrow:
            begin_all(<uint16_t *>held.at, end, rows, first, <uint16_t>token)
        else:
            begin_all(<uint32_t *>held.at, end, rows, first, token)


def count_newlines(text, Py_ssize_t start, Py_ssize_t stop) -> int:
    r"""Count the newlines in ``text[start:stop]``, at four times the speed of bytes.count.

    >>> count_newlines(b"one\ntwo\n", 0, 4)
    1
    """
    cdef Array bytes = array_of(text, ITEM_UINT8)
    cdef size_t count
    stop = min(stop, bytes.count)
    if not 0 <= start < stop:
        return 0
    with nogil:
        count = newlines_in(<const uint8_t *>bytes.at + start, stop - start)
    return count


def is_increasing(ends, uint64_t lower, uint64_t step) -> bool:
    """Return whether each of `ends` exceeds the one before it by `step` or more, the first one `lower`.

    >>> from array import array
    >>> is_increasing(array("Q", [3, 3]), 0, 0), is_increasing(array("Q", [3, 3]), 0, 1)
    (True, False)
    """
    cdef Array held = array_of(ends, ITEM_UINT64)
    cdef const uint64_t *at = <const uint64_t *>held.at
    cdef Py_ssize_t i
    cdef size_t wrong = 0
    if held.count and (at[0] < lower or at[0] - lower < step):
        return False
    with nogil:
        for i in range(1, held.count):
            wrong += at[i] < at[i - 1] or at[i] - at[i - 1] < step
    return wrong == 0


def occurs_exactly_at(ids, size_t wanted, places, uint64_t offset) -> bool:
    """Return whether `wanted` occurs in `ids` at exactly the distinct `places`, and nowhere else.

    `offset` is the place of the first id; `ids` is a buffer of uint16 or uint32.

    >>> from array import array
    >>> ids = array("H", [5, 9, 6, 9])
    >>> occurs_exactly_at(ids, 9, array("Q", [101, 103]), 100)
    True
    >>> occurs_exactly_at(ids, 9, array("Q", [1]), 0)
    False
    """
    cdef Array held = ids_of(ids), at = array_of(places, ITEM_UINT64)
    cdef bint found
    with nogil:
        if held.view.itemsize == 2:
            found = occurs_at(
                <const uint16_t *>held.at, held.count, wanted, <const uint64_t *>at.at, at.count, offset
            )
        else:
            found = occurs_at(
                <const uint32_t *>held.at, held.count, wanted, <const uint64_t *>at.at, at.count, offset
            )
    return found


def copy_bytes(source not None, target not None, Py_ssize_t at) -> int:
    """Copy bytes into a writable buffer at an offset, without the GIL; returns how many.

    >>> target = bytearray(5)
    >>> copy_bytes(b"one", target, 1), target
    (3, bytearray(b'\\x00one\\x00'))
    """
    cdef Array held = array_of(source, ITEM_UINT8), out = array_of(target, ITEM_UINT8, True)
    if not 0 <= at <= out.count - held.count:
        raise ValueError(f"{held.count} bytes do not fit at byte {at} of {out.count}")
    with nogil:
        memcpy(<uint8_t *>out.at + at, held.at, held.count)
    return held.count


cdef Py_ssize_t pieces_size(
    const uint64_t *starts, const uint64_t *stops, Py_ssize_t count, uint64_t most
) noexcept nogil:
    cdef uint64_t size = 0
    cdef Py_ssize_t i
    for i in range(count):
        if starts[i] > stops[i] or stops[i] > most:
            return -1
        size += stops[i] - starts[i]
    return size


def copy_pieces(source not None, starts, stops, target not None) -> int:
    """Copy pieces of a buffer, one after the other, to the start of a writable one; returns their size.

    Piece i is bytes ``starts[i]`` to ``stops[i]``, in buffers of uint64. The GIL is released.

    >>> from array import array
    >>> target = bytearray(6)
    >>> copy_pieces(b"onetwo", array("Q", [3, 0]), array("Q", [6, 3]), target), target
    (6, bytearray(b'twoone'))
    """
    cdef Array held = array_of(source, ITEM_UINT8), out = array_of(target, ITEM_UINT8, True)
    cdef Array first = array_of(starts, ITEM_UINT64), last = array_of(stops, ITEM_UINT64)
    cdef const uint64_t *begin = <const uint64_t *>first.at
    cdef const uint64_t *end = <const uint64_t *>last.at
    cdef uint8_t *at = <uint8_t *>out.at
    cdef Py_ssize_t i, size
    if first.count != last.count:
        raise ValueError(f"{first.count} starts and {last.count} stops of pieces")
    with nogil:
        size = pieces_size(begin, end, first.count, held.count)
        if 0 <= size <= out.count:
            for i in range(first.count):
                memcpy(at, <const uint8_t *>held.at + begin[i], end[i] - begin[i])
                at += end[i] - begin[i]
    if size < 0:
        raise ValueError(f"a piece is outside of a buffer of {held.count} bytes")
    if size > out.count:
        raise ValueError(f"pieces of {size} bytes do not fit into {out.count}")
    return size


def find_newline(text, Py_ssize_t start, Py_ssize_t stop) -> int:
    r"""Return the first newline in ``text[start:stop]``, or -1.

    >>> find_newline(b"one\ntwo\n", 1, 8), find_newline(b"one", 0, 3)
    (3, -1)
    """
    cdef Array held = array_of(text, ITEM_UINT8)
    cdef const uint8_t *found
    start, stop = max(start, 0), min(stop, held.count)
    if start >= stop:
        return -1
    with nogil:
        found = <const uint8_t *>memchr(<uint8_t *>held.at + start, c'\n', stop - start)
    return -1 if found == NULL else found - <uint8_t *>held.at


def find_last_newline(text, Py_ssize_t start, Py_ssize_t stop) -> int:
    r"""Return the last newline in ``text[start:stop]``, or -1.

    >>> find_last_newline(b"one\ntwo\n", 0, 7), find_last_newline(b"one", 0, 3)
    (3, -1)
    """
    cdef Array held = array_of(text, ITEM_UINT8)
    cdef const uint8_t *at = <const uint8_t *>held.at
    start, stop = max(start, 0), min(stop, held.count)
    with nogil:
        while stop > start and at[stop - 1] != c'\n':
            stop -= 1
    return stop - 1 if stop > start else -1
