"""WordEncoder: a vocabulary of words with integer ids; documents in, ids into the caller's arrays.

WordTable returns the objects that a dict holds, as the notebook does; here no object is created per
token.
"""

cdef extern from "Python.h":
    PyObject *decode_or_null "PyUnicode_DecodeUTF8"(const char *text, Py_ssize_t n, const char *errors)
    void PyErr_Clear()
    void decrement "Py_DECREF"(PyObject *item)

ctypedef fused Id:
    uint16_t
    uint32_t


cdef class WordEncoder:
    """A compiled vocabulary; immutable, so threads may share it.

    Parameters
    ----------
    vocab
        a dict from str to int, from 0 to 2**32 - 1.
    unknown
        the id of every word that is not in `vocab`.
    """

    cdef Index index
    cdef Table long_words
    cdef int64_t unknown
    cdef int64_t largest

    def __cinit__(self, dict vocab not None, uint32_t unknown):
        self.unknown = self.largest = unknown
        for attempt in range(100):
            if self.build(vocab, attempt):
                return
        raise RuntimeError("no seed of 100 gave a perfect hash")

    def __dealloc__(self):
        index_free(&self.index)
        table_free(&self.long_words)

    # Fill the index and the table of long words; False if these seeds do not work.
    cdef bint build(self, dict vocab, int attempt) except -1:
        cdef Table short_words
        cdef Table *table
        cdef Text word
        cdef uint32_t number
        cdef int status
        table_free(&self.long_words)
        index_free(&self.index)
        seed_table(&short_words, attempt)
        seed_table(&self.long_words, attempt)
        try:
            for key, value in vocab.items():
                word = text_of(key)
                number = value
                self.largest = max(self.largest, <int64_t>number)
                table = &short_words if is_short(&word) else &self.long_words
                if table_reserve(table, 1, word.length) < 0:
                    raise MemoryError(f"no memory for a table of {len(vocab)} words")
                table_put(table, &word, number)
            # A lookup reads the table even if it is empty.
            status = table_reserve(&self.long_words, 1, 0)
            if status == 0:
                status = index_build(&self.index, &short_words)
            if status == -1:
                raise MemoryError(f"no memory for a table of {len(vocab)} words")
            return status == 0
        finally:
            table_free(&short_words)

    def encode_documents(
        self, texts not None, out not None, ends not None, *, end_token=None, bint close_last=True
    ) -> int:
        """Encode documents back to back into the caller's arrays; see `WordEncoding`."""
        cdef Array ids, held_ends = array_of(ends, ITEM_UINT64, True)
        cdef uint64_t *end = <uint64_t *>held_ends.at
        cdef Py_ssize_t count = len(texts)
        cdef int64_t last = 0 if end_token is None else end_token
        if held_ends.count < count:
            raise ValueError(f"{count} texts need as many ends; there is room for {held_ends.count}")
        if memoryview(out).itemsize != 2:
            ids = array_of(out, ITEM_UINT32, True)
            return encode_words(
                self, texts, <uint32_t *>ids.at, ids.count, end, end_token is not None, last, close_last
            )
        if max(self.largest, last) > 0xFFFF:
            raise OverflowError(
                f"ids up to {max(self.largest, last)} do not fit uint16; give a uint32 buffer"
            )
        ids = array_of(out, ITEM_UINT16, True)
        return encode_words(
            self, texts, <uint16_t *>ids.at, ids.count, end, end_token is not None, last, close_last
        )


cdef Py_ssize_t encode_words(
    WordEncoder self, texts, Id *out, int64_t capacity, uint64_t *ends, bint has_end, int64_t last,
    bint close_last,
) except -1:
    cdef Text units
    cdef int64_t written = 0, added
    cdef Py_ssize_t i, count = len(texts)
    cdef str text
    for i in range(count):
        text = decoded(texts[i], i)
        units = text_of(text)
        if units.length >= RELEASE_GIL:
            with nogil:
                added = look_up_ids(self, &units, out + written, capacity - written)
        else:
            added = look_up_ids(self, &units, out + written, capacity - written)
        written += added
        if added < 0 or (has_end and written >= capacity):
            raise ValueError(f"there is room for {capacity} ids, which is less than texts may have")
        if has_end and (close_last or i + 1 < count):
            out[written] = <Id>last
            written += 1
        ends[i] = written
    return written


# Write the ids of a text; return how many, or -1 if they may not fit.
cdef int64_t look_up_ids(
    WordEncoder self, const Text *text, Id *out, int64_t capacity
) noexcept nogil:
    cdef Window window
    cdef int64_t values[WINDOW + 1]
    cdef int64_t at = 0, written = 0, i
    while at < text.length:
        at = cut_window(text, at, &window)
        if window.count > capacity - written:
            return -1
        look_up_window(&self.index, &self.long_words, text, &window, self.unknown, values)
        for i in range(window.count):
            out[written + i] = <Id>values[i]
        written += window.count
    return written


cdef str decoded(object text, Py_ssize_t index):
    cdef Array bytes
    cdef const uint8_t *at
    cdef Py_ssize_t i = 0
    cdef uint32_t point
    cdef int size
    cdef PyObject *made
    if PyUnicode_Check(text):
        return text
    bytes = array_of(text, ITEM_UINT8)
    at = <const uint8_t *>bytes.at
    made = decode_or_null(<const char *>at, bytes.count, NULL)
    if made != NULL:
        found = <object>made
        decrement(made)
        return found
    PyErr_Clear()
    while i < bytes.count:
        size = utf8_decode(at + i, bytes.count - i, &point)
        if size == 0:
            raise InvalidUtf8(f"text {index}, byte {i}: no UTF-8 character starts here", index, i)
        i += size
    raise MemoryError(f"no memory for a text of {bytes.count} bytes")
