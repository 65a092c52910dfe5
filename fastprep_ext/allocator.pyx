"""Memory for blocks: what is freed may be kept, and what is written to need not be zeros before."""

from cpython.bytearray cimport PyByteArray_FromStringAndSize

__all__ = ["keep_freed", "room"]

cdef extern from *:
    """
    #ifdef __GLIBC__
    #include <malloc.h>
    static int fastprep_keep_freed(int most) {
        return mallopt(M_MMAP_THRESHOLD, most) && mallopt(M_TRIM_THRESHOLD, 2 * most);
    }
    #else
    static int fastprep_keep_freed(int most) { return most < 0; }
    #endif
    """
    int fastprep_keep_freed(int most) nogil

cdef enum:
    MOST = 1 << 25             # the most that glibc takes, 32 MiB; twice as much is kept


def keep_freed() -> bool:
    """Keeps up to 64 MiB of freed memory for what is allocated next; whether the C library can.

    By default the blocks in which a file is read go back to the system one by one, and each page of
    the next one is made anew and filled with zeros. For a process that does nothing else.

    >>> keep_freed() in (True, False)
    True
    """
    return bool(fastprep_keep_freed(MOST))


def room(Py_ssize_t size) -> bytearray:
    """A bytearray of that size whose bytes mean nothing: for who reads only what was written to it.

    >>> len(room(5))
    5
    """
    if size < 0:
        raise ValueError(f"room for {size} bytes")
    return PyByteArray_FromStringAndSize(NULL, size)
