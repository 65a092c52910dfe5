"""Many texts in one buffer, as a sequence: no Python object a text until someone asks for one."""

from libc.stdint cimport int64_t, uint8_t

__all__ = ["Rows"]


cdef class Rows:
    """Texts that lie in one buffer: text i is ``buffer[starts[i]:stops[i]]``.

    The buffers are kept, not copied, and must not change while the rows are in use. `size` is the
    number of bytes of all texts taken together.

    >>> from array import array
    >>> rows = Rows(b"onetwo", array("q", [0, 3]), array("q", [3, 6]))
    >>> len(rows), rows[1], list(rows[:1]), rows.size
    (2, b'two', [b'one'], 6)

    Raises ValueError for a text that lies outside of the buffer.
    """

    def __cinit__(
        self, const uint8_t[::1] buffer not None, const int64_t[::1] starts not None,
        const int64_t[::1] stops not None,
    ):
        cdef Py_ssize_t i, room = buffer.shape[0]
        cdef int64_t wrong = 0, begin, end
        if stops.shape[0] != starts.shape[0]:
            raise ValueError(f"{len(starts)} texts begin, {len(stops)} end")
        self.buffer = buffer.base
        self.bytes, self.starts, self.stops = buffer, starts, stops
        for i in range(starts.shape[0]):
            begin, end = starts[i], stops[i]
            if not 0 <= begin <= end <= room:
                raise ValueError(
                    f"text {i} goes from {begin} to {end}, in a buffer of {room} bytes"
                )
            self.size += end - begin

    def __len__(self):
        return self.starts.shape[0]

    def reach(self, Py_ssize_t first, Py_ssize_t most) -> tuple:
        """How far texts from `first` on go that have at most so many bytes together, but one at least.

        Returns the index behind the last of them, and their bytes.

        >>> from array import array
        >>> Rows(b"onetwo", array("q", [0, 3]), array("q", [3, 6])).reach(0, 5)
        (1, 3)
        """
        cdef Py_ssize_t count = self.starts.shape[0], last = first
        cdef int64_t size = 0, one
        if not 0 <= first < count:
            raise IndexError(f"text {first} of {count}")
        while last < count:
            one = self.stops[last] - self.starts[last]
            if last > first and size + one > most:
                break
            size += one
            last += 1
        return last, size

    def __getitem__(self, index):
        cdef Py_ssize_t count = self.starts.shape[0], i
        if isinstance(index, slice):
            begin, end, step = index.indices(count)
            if step != 1:
                return [self[i] for i in range(begin, end, step)]
            end = max(begin, end)
            return Rows(self.bytes, self.starts[begin:end], self.stops[begin:end])
        i = index
        if i < 0:
            i += count
        if not 0 <= i < count:
            raise IndexError(f"text {index} of {count}")
        if self.starts[i] == self.stops[i]:
            return b""
        return (<const char *>&self.bytes[self.starts[i]])[: self.stops[i] - self.starts[i]]
