"""Mapped files without descriptors: Python's `mmap` keeps one per map before 3.13."""

from libc.errno cimport ENOMEM, errno
from libc.string cimport strerror

cdef extern from "<sys/mman.h>" nogil:
    int PROT_READ
    int PROT_WRITE
    int MAP_SHARED
    int MAP_PRIVATE
    void *MAP_FAILED
    void *map_pages "mmap"(void *at, size_t size, int access, int flags, int file, long long offset)
    int unmap_pages "munmap"(void *at, size_t size)
    int advise_pages "madvise"(void *at, size_t size, int advice)
    int MADV_WILLNEED

cdef extern from "<unistd.h>" nogil:
    long sysconf(int name)
    int _SC_PAGESIZE


@cython.final
cdef class FileMap:
    """The first bytes of a file, mapped."""

    cdef void *at
    cdef Py_ssize_t size
    cdef bint private

    def __dealloc__(self):
        if self.at != NULL:
            unmap_pages(self.at, self.size)

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, self.at, self.size, not self.private, flags)


def map_file(int file, Py_ssize_t size, bint private=False) -> memoryview:
    """Map the first `size` bytes of an open file; the map stays valid after the file is closed.

    It is read-only, or with `private` writable, and then writes do not reach the file. A read beyond
    the file's end raises SIGBUS, so compare `size` with that of the file first. Raises OSError if the
    system refuses the map.

    >>> with open(__file__, "rb") as file:
    ...     mapped = map_file(file.fileno(), 4)
    >>> len(mapped)
    4
    """
    cdef FileMap self = FileMap()
    cdef int access = PROT_READ | (PROT_WRITE if private else 0)
    if size < 1:
        raise ValueError(f"a map of {size} bytes")
    cdef void *at = map_pages(NULL, size, access, MAP_PRIVATE if private else MAP_SHARED, file, 0)
    cdef int number = errno
    if at == MAP_FAILED:
        more = ""
        if number == ENOMEM:
            more = "; a process may have only vm.max_map_count maps (65530 by default)"
        raise OSError(number, f"mmap of {size} bytes: {strerror(number).decode()}{more}")
    self.at, self.size, self.private = at, size, private
    return memoryview(self)


def will_need(part) -> None:
    """Start to read the pages of a part of a mapped file that are not in memory, and no others.

    A fault of a map reads ahead, up to megabytes where `read_ahead_kb` says so: too much for one document
    of many.

    >>> with open(__file__, "rb") as file:
    ...     will_need(map_file(file.fileno(), 4))
    """
    cdef uintptr_t page = sysconf(_SC_PAGESIZE), start
    cdef Py_buffer view
    PyObject_GetBuffer(part, &view, PyBUF_SIMPLE)
    start = <uintptr_t>view.buf - <uintptr_t>view.buf % page
    with nogil:
        advise_pages(<void *>start, <uintptr_t>view.buf + view.len - start, MADV_WILLNEED)
    PyBuffer_Release(&view)
