"""ids -> bytes."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy

__all__ = ["Decoder"]

ctypedef fused any_id_t:
    uint16_t
    uint32_t
    int32_t
    int64_t

# Where a token's bytes lie; length 0: no token has this id.
cdef struct Token:
    uint64_t start
    uint64_t length


# Bytes that the ids spell; -1 - i where ids[i] is no token.
cdef Py_ssize_t measure(
    const Token *tokens, size_t n_tokens, const any_id_t *ids, size_t count
) noexcept nogil:
    cdef size_t i
    cdef Py_ssize_t total = 0
    for i in range(count):
        if <uint64_t>ids[i] >= n_tokens or tokens[<size_t>ids[i]].length == 0:
            return -1 - <Py_ssize_t>i
        total += tokens[<size_t>ids[i]].length
    return total


cdef void spell(
    const Token *tokens, const uint8_t *blob, const any_id_t *ids, size_t count, uint8_t *out
) noexcept nogil:
    cdef size_t i
    cdef const Token *token
    for i in range(count):
        token = &tokens[<size_t>ids[i]]
        memcpy(out, blob + token.start, token.length)
        out += token.length


cdef class Decoder:
    """All tokens of a vocabulary by id.

    Parameters
    ----------
    blob : bytes
        The tokens' bytes, back to back.
    ends : buffer of uint64, [n]
        Where each token ends in `blob`.
    ids : buffer of uint32, [n]
        Each token's id.
    """

    cdef Token *tokens
    cdef size_t n_tokens
    cdef bytes blob

    def __cinit__(
        self, bytes blob not None, const uint64_t[::1] ends not None, const uint32_t[::1] ids not None
    ):
        cdef Py_ssize_t i
        cdef uint64_t start = 0
        if ends.shape[0] != ids.shape[0] or (ids.shape[0] and ends[ids.shape[0] - 1] > len(blob)):
            raise ValueError("ends, ids and blob do not belong together")
        for i in range(ids.shape[0]):
            self.n_tokens = max(self.n_tokens, <size_t>ids[i] + 1)
        self.blob = blob
        self.tokens = <Token *>calloc(self.n_tokens + 1, sizeof(Token))
        if self.tokens == NULL:
            raise MemoryError("no memory for the decoder's table")
        for i in range(ids.shape[0]):
            if ends[i] < start:
                raise ValueError("ends do not increase")
            self.tokens[ids[i]].start = start
            self.tokens[ids[i]].length = ends[i] - start
            start = ends[i]

    def __dealloc__(self):
        free(self.tokens)

    def decode_bytes(self, ids not None) -> bytes:
        """The bytes that `ids` spell: a sequence of int, or an array of integers.

        Raises KeyError for an id that is no token.
        """
        cdef const uint16_t[::1] uint16s
        cdef const uint32_t[::1] uint32s
        cdef const int32_t[::1] int32s
        cdef const int64_t[::1] int64s
        if isinstance(ids, list):
            return self._decode_list(ids)
        try:
            view = memoryview(ids)
        except TypeError:
            return self._decode_list(list(ids))
        if view.ndim == 1 and view.c_contiguous and view.nbytes:
            if view.format == "H":
                uint16s = view
                return self._decode(&uint16s[0], uint16s.shape[0])
            if view.format == "I":
                uint32s = view
                return self._decode(&uint32s[0], uint32s.shape[0])
            if view.format == "i":
                int32s = view
                return self._decode(&int32s[0], int32s.shape[0])
            if view.format in ("l", "q") and view.itemsize == 8:
                int64s = view
                return self._decode(&int64s[0], int64s.shape[0])
        return self._decode_list(list(ids))

    cdef bytes _decode(self, const any_id_t *ids, size_t count):
        cdef Py_ssize_t total
        cdef bytes out
        cdef const uint8_t *blob = <const uint8_t *>PyBytes_AS_STRING(self.blob)
        cdef uint8_t *at
        with nogil:
            total = measure(self.tokens, self.n_tokens, ids, count)
        if total < 0:
            raise KeyError(f"Invalid token for decoding: {ids[-1 - total]}")
        out = PyBytes_FromStringAndSize(NULL, total)
        at = <uint8_t *>PyBytes_AS_STRING(out)
        with nogil:
            spell(self.tokens, blob, ids, count, at)
        return out

    cdef bytes _decode_list(self, list ids):
        cdef Py_ssize_t count = len(ids), i
        cdef uint32_t *values = <uint32_t *>malloc((count + 1) * sizeof(uint32_t))
        if values == NULL:
            raise MemoryError(f"no memory for {count} ids")
        try:
            for i in range(count):
                values[i] = <uint32_t>ids[i]
            return self._decode(values, count)
        finally:
            free(values)
