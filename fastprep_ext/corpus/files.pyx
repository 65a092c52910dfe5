"""Many small files at once: a call per group of files, where Python takes several calls per file."""


cdef extern from "corpus/load.h" nogil:
    bint load_file(const char *path, uint8_t *out, size_t size)
    int64_t modified_ns(const char *path)


def load_files(list paths not None, list sizes not None, Rows rows not None) -> int:
    """Append the content of whole regular files to the bytes of rows; returns how many were read.

    Stops at the first file that cannot be read, or has another size than `sizes` says.

    >>> from fastprep_ext.base import Rows
    >>> load_files([b"missing"], [5], Rows())
    0
    """
    cdef Py_ssize_t i
    cdef size_t size
    cdef const char *path
    cdef bint good
    for i in range(len(paths)):
        path, size = <bytes>paths[i], sizes[i]
        rows.reserve_bytes(size)
        with nogil:
            good = load_file(path, rows.bytes + rows.filled, size)
        if not good:
            return i
        rows.filled += size
    return len(paths)


def split_files(Rows rows not None, list sizes not None, separator) -> None:
    """Append the documents of text files that rows hold back to back, as `split_documents` does.

    The origin of a document is the place of its first byte in its file, with the file's number above
    its lowest 48 bits, as `Rows.joined` has it. A byte order mark at the start of a file is skipped.

    >>> import io
    >>> from fastprep_ext.base import Rows
    >>> rows = Rows()
    >>> _ = rows.read(io.BytesIO(b"one--twothree").readinto, 100)
    >>> split_files(rows, [8, 5], b"--")
    >>> [*rows], rows.origin(1), rows.origin(2) == 1 << 48
    ([b'one', b'two', b'three'], 5, True)
    """
    cdef Py_ssize_t i
    cdef size_t size, start = 0
    for i in range(len(sizes)):
        size = sizes[i]
        if start + size > rows.filled:
            raise ValueError(f"file {i} ends at byte {start + size} of {rows.filled}")
        mark = 3 if size >= 3 and memcmp(rows.bytes + start, b"\xef\xbb\xbf", 3) == 0 else 0
        split_range(
            rows, start + mark, start + size, separator, size, False, True,
            (<int64_t>i << 48) - <int64_t>start,
        )
        start += size


def modified_times(list paths not None) -> list:
    """Return when each file was last changed, in nanoseconds; None for what is not there.

    >>> modified_times([b"missing"])
    [None]
    """
    cdef Py_ssize_t i
    cdef int64_t when
    cdef const char *path
    times = []
    for i in range(len(paths)):
        path = <bytes>paths[i]
        with nogil:
            when = modified_ns(path)
        times.append(None if when < 0 else when)
    return times
