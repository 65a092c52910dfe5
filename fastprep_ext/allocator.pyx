"""What the C library does with memory that is freed: to have it back costs as much as to read a file."""

__all__ = ["keep_freed"]

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
