"""Ids -> bytes."""

cdef extern from "Python.h":
    bint PyLong_CheckExact(PyObject *item)
    PyObject *list_get_item "PyList_GET_ITEM"(object items, Py_ssize_t at)
    void PyErr_Clear()
    PyObject *new_bytes "PyBytes_FromStringAndSize"(const char *text, Py_ssize_t n) except NULL
    int _PyBytes_Resize(PyObject **text, Py_ssize_t n) except -1
    char *bytes_address "PyBytes_AS_STRING"(PyObject *text)

cdef extern from "bpe/ints.h":
    long long int_value(PyObject *item)
    int fill_pairs(object items, const int64_t *values, Py_ssize_t count) except -1

ctypedef fused any_id_t:
    uint16_t
    uint32_t
    int32_t
    int64_t

cdef enum:
    DECODED_ON_STACK = 256  # ids of a list that are read without allocating
    KEEP_GIL_IDS = 256      # below this, releasing the GIL costs more than the work
    SHORT_TOKEN = 15        # bytes that fit into a token's row
    LONG_TOKEN = 254        # as length: the token is longer, its bytes are in the blob
    NO_TOKEN_ROW = 255      # as length: there is no such token
    SPELL_BLOCK = 512       # ids whose tokens stay in the nearest caches for the second pass

# A token: its bytes and their number in one row, so that writing it is one load and one store. For a
# longer token, `bytes` holds its offset in the blob and its length.
cdef struct Token:
    uint8_t bytes[SHORT_TOKEN]
    uint8_t length

cdef struct TokenPlace:
    uint64_t start
    uint32_t length

# All tokens. With `ids` NULL, the token of id i is at[i]. Otherwise it is at[k] with ids[k] == i,
# sorted: a few tokens with huge ids must not take memory up to the largest id.
cdef struct Tokens:
    const Token *at
    size_t n
    const uint32_t *ids
    const uint8_t *blob

# Progress of decoding: ids before `at` are written, to out[done] of `capacity` bytes. `needed` is the
# size of the next block: SIZE_UNKNOWN until it is measured, NOT_A_TOKEN if ids[at] is not a token.
cdef struct Spelling:
    size_t at
    uint8_t *out
    size_t done
    size_t capacity
    size_t needed

cdef size_t SIZE_UNKNOWN = <size_t>-1
cdef size_t NOT_A_TOKEN = <size_t>-2


# Return the token with this id, or NULL.
cdef inline const Token *token_of(const Tokens *self, uint64_t id) noexcept nogil:
    cdef size_t low = 0, high = self.n, middle
    if self.ids == NULL:
        return &self.at[id] if id < self.n and self.at[id].length != NO_TOKEN_ROW else NULL
    while low < high:
        middle = (low + high) // 2
        if self.ids[middle] < id:
            low = middle + 1
        else:
            high = middle
    return &self.at[low] if low < self.n and self.ids[low] == id else NULL


cdef inline TokenPlace token_place(const Token *token) noexcept nogil:
    cdef TokenPlace place
    memcpy(&place.start, token.bytes, sizeof(place.start))
    memcpy(&place.length, token.bytes + sizeof(place.start), sizeof(place.length))
    return place


cdef inline size_t token_size(const Token *token) noexcept nogil:
    return token.length if token.length <= SHORT_TOKEN else token_place(token).length


# Write exactly the bytes of a token.
cdef inline void copy_token(const Tokens *self, const Token *token, uint8_t *out) noexcept nogil:
    if token.length <= SHORT_TOKEN:
        memcpy(out, token.bytes, token.length)
    else:
        memcpy(out, self.blob + token_place(token).start, token_place(token).length)


# Return the number of bytes of a block of ids; -1 - i if ids[i] is not a token.
cdef inline Py_ssize_t measure_ids(
    const Tokens *tokens, const any_id_t *ids, size_t count
) noexcept nogil:
    cdef size_t i
    cdef Py_ssize_t total = 0
    cdef const Token *token
    for i in range(count):
        token = token_of(tokens, <uint64_t>ids[i])
        if token == NULL:
            return -1 - <Py_ssize_t>i
        total += token_size(token)
    return total


# Write the bytes of a block of ids, all of which are tokens, to out; nothing beyond `end`.
cdef inline void write_tokens(
    const Tokens *tokens, const any_id_t *ids, size_t count, uint8_t *out, const uint8_t *end
) noexcept nogil:
    cdef size_t i
    cdef const Token *token
    for i in range(count):
        token = token_of(tokens, <uint64_t>ids[i])
        # A copy of constant size is one load and one store; its excess is overwritten by the next
        # token.
        if token.length <= SHORT_TOKEN and end - out >= <Py_ssize_t>sizeof(Token):
            memcpy(out, token, sizeof(Token))
        else:
            copy_token(tokens, token, out)
        out += token_size(token)


# Write ids block by block: two passes over few ids take 0.4 to 1 of the time of two passes over all.
# Stops at the end, before a block that does not fit, or at an id that is not a token.
cdef void spell_ids(
    const Tokens *tokens, const any_id_t *ids, size_t count, Spelling *to
) noexcept nogil:
    cdef size_t size, i
    cdef Py_ssize_t total
    while to.at < count:
        size = min(<size_t>SPELL_BLOCK, count - to.at)
        if to.needed == SIZE_UNKNOWN:
            # Waits for memory once per block, not for each mispredicted length.
            if size == SPELL_BLOCK and tokens.ids == NULL:
                for i in range(to.at, to.at + size):
                    if <uint64_t>ids[i] < tokens.n:
                        prefetch(&tokens.at[ids[i]])
            total = measure_ids(tokens, ids + to.at, size)
            if total < 0:
                to.at += -1 - total
                to.needed = NOT_A_TOKEN
                return
            to.needed = <size_t>total
        if to.needed > to.capacity - to.done:
            return
        write_tokens(tokens, ids + to.at, size, to.out + to.done, to.out + to.capacity)
        to.at += size
        to.done += to.needed
        to.needed = SIZE_UNKNOWN


# Count the characters that start in the bytes of a token: all bytes but 10xxxxxx.
cdef inline size_t count_characters(const uint8_t *bytes, size_t n) noexcept nogil:
    cdef size_t i, count = 0
    for i in range(n):
        count += (bytes[i] & 0xC0) != 0x80
    return count


# Accept anything with __index__ as an id, but not a float.
cdef inline uint32_t id_of(object item) except? 0xFFFFFFFF:
    return <uint32_t>(item if PyLong_Check(item) else PyNumber_Index(item))


# Read the ids of a list up to the first item that is not an int or not an id, by borrowed pointers;
# return how many. (By way of a tuple decoding took twice as long: the ints are scattered, and each
# reference count is changed twice.)
cdef Py_ssize_t plain_ids(list items, Py_ssize_t count, uint32_t *values) noexcept:
    cdef Py_ssize_t i, limit = min(count, <Py_ssize_t>len(items))
    cdef PyObject *item
    cdef long long value
    for i in range(limit):
        item = list_get_item(items, i)
        value = int_value(item) if PyLong_CheckExact(item) else -1
        if not 0 <= value <= <long long>0xFFFFFFFF:
            PyErr_Clear()
            return i
        values[i] = <uint32_t>value
    return limit


# Make room for the next block and, by extrapolation, for the rest; the excess is given back at the
# end.
cdef int reserve_spelling(PyObject **spelled, Spelling *to, size_t count) except -1:
    cdef size_t seen = min(to.at + SPELL_BLOCK, count)
    cdef size_t capacity = to.done + to.needed
    if seen < count:
        capacity += <size_t>(1.1 * capacity / seen * (count - seen)) + sizeof(Token)
    if spelled[0] == NULL:
        spelled[0] = new_bytes(NULL, capacity)
    else:
        _PyBytes_Resize(spelled, capacity)
    to.out = <uint8_t *>bytes_address(spelled[0])
    to.capacity = capacity
    return 0


cdef class Decoder:
    """All tokens of a vocabulary by id.

    Parameters
    ----------
    blob : bytes
        The tokens' bytes, back to back.
    ends : buffer of uint64, [n]
        End of each token in `blob`.
    ids : buffer of uint32, [n]
        Each token's id. Of two tokens with the same id the first is used.
    extra : list of (bytes, int)
        More tokens, each with its id.
    """

    cdef Tokens tokens
    cdef Token *rows
    cdef uint32_t *sorted_ids
    cdef bytes blob

    def __cinit__(
        self, bytes blob not None, ends, ids, list extra not None=[]
    ):
        cdef Array held_ends = array_of(ends, ITEM_UINT64)
        cdef Array held_ids = array_of(ids, ITEM_UINT32)
        cdef const uint64_t *token_ends = <const uint64_t *>held_ends.at
        cdef const uint32_t *token_ids = <const uint32_t *>held_ids.at
        cdef Py_ssize_t rows = held_ids.count, n = rows + len(extra), i, k
        cdef uint64_t start = 0, end = 0, id, largest = 0
        cdef list extra_ids = [], pieces = [blob], starts = []
        if held_ends.count != rows or (rows and token_ends[rows - 1] > <uint64_t>len(blob)):
            raise ValueError("ends, ids and blob do not belong together")
        for i in range(rows):
            if token_ends[i] < start:
                raise ValueError("ends do not increase")
            start = token_ends[i]
            largest = max(largest, token_ids[i])
        end = len(blob)
        for token, number in extra:
            id = id_of(number)
            largest = max(largest, id)
            extra_ids.append(id)
            pieces.append(token)
            # Offsets of the tokens of `extra`, and the end of the last.
            starts.append(end)
            end += len(token)
        starts.append(end)
        self.blob = b"".join(pieces)
        if largest < 8 * <uint64_t>n + 4096:
            self.tokens.n = largest + 1
        else:
            # A stable sort: of tokens with equal ids the first comes first.
            all_ids = []
            for i in range(rows):
                all_ids.append(token_ids[i])
            all_ids.extend(extra_ids)
            order = sorted(range(n), key=all_ids.__getitem__)
            self.tokens.n = n
            self.sorted_ids = <uint32_t *>malloc(n * sizeof(uint32_t))
        self.rows = <Token *>malloc((self.tokens.n + 1) * sizeof(Token))
        if self.rows == NULL or (self.sorted_ids == NULL and self.tokens.n != largest + 1):
            raise MemoryError("no memory for the decoder's table")
        self.tokens.at = self.rows
        self.tokens.ids = self.sorted_ids
        self.tokens.blob = <const uint8_t *>PyBytes_AS_STRING(self.blob)
        memset(self.rows, NO_TOKEN_ROW, (self.tokens.n + 1) * sizeof(Token))
        for k in range(n):
            i = k if self.sorted_ids == NULL else order[k]
            if i < rows:
                id, start, end = token_ids[i], token_ends[i - 1] if i else 0, token_ends[i]
            else:
                id, start, end = extra_ids[i - rows], starts[i - rows], starts[i - rows + 1]
            if end - start > 0xFFFFFFFF:
                raise ValueError(f"token {id} has more than 4294967295 bytes")
            if self.sorted_ids != NULL:
                self.sorted_ids[k] = <uint32_t>id
                self.put(&self.rows[k], start, end - start)
            elif self.rows[id].length == NO_TOKEN_ROW:
                self.put(&self.rows[id], start, end - start)

    cdef void put(self, Token *token, uint64_t start, uint64_t length) noexcept:
        cdef uint32_t size = <uint32_t>length
        if length <= SHORT_TOKEN:
            memcpy(token.bytes, self.tokens.blob + start, length)
            token.length = <uint8_t>length
        else:
            memcpy(token.bytes, &start, sizeof(start))
            memcpy(token.bytes + sizeof(start), &size, sizeof(size))
            token.length = LONG_TOKEN

    def __dealloc__(self):
        free(self.rows)
        free(self.sorted_ids)

    def decode_bytes(self, ids not None) -> bytes:
        """Return the bytes of `ids`, a sequence of int or an array of integers.

        Raises KeyError for an id that is not a token, OverflowError for a number that cannot be an id.
        """
        cdef Array held
        if isinstance(ids, list):
            return self._decode_items(ids)
        if not PyObject_CheckBuffer(ids):
            return self._decode_items(tuple(ids))
        view = memoryview(ids)
        if view.ndim == 1 and view.c_contiguous and view.nbytes:
            if view.format == "H":
                held = array_of(view, ITEM_UINT16)
                return self._decode(<const uint16_t *>held.at, held.count)
            if view.format == "I":
                held = array_of(view, ITEM_UINT32)
                return self._decode(<const uint32_t *>held.at, held.count)
            if view.format == "i":
                held = array_of(view, ITEM_INT32)
                return self._decode(<const int32_t *>held.at, held.count)
            if view.format in ("l", "q") and view.itemsize == 8:
                held = array_of(view, ITEM_INT64)
                return self._decode(<const int64_t *>held.at, held.count)
        return self._decode_items(tuple(ids))

    def decode_token(self, token_id) -> bytes:
        """Return the bytes of one token. Raises KeyError if there is none."""
        cdef uint32_t id = id_of(token_id)
        cdef const Token *token = token_of(&self.tokens, id)
        if token == NULL:
            raise KeyError(str(id))
        cdef bytes spelled = PyBytes_FromStringAndSize(NULL, token_size(token))
        copy_token(&self.tokens, token, <uint8_t *>PyBytes_AS_STRING(spelled))
        return spelled

    def decode_each(self, ids not None) -> list:
        """Return the bytes of each token."""
        return list(map(self.decode_token, ids))

    def offsets(self, list tokens not None) -> list:
        """Return, for the bytes of each token, the character of their text in which they start.

        A token that starts within a character counts as starting in it.
        """
        cdef Py_ssize_t seen = 0
        cdef bytes token
        cdef const uint8_t *at
        cdef list result = []
        for token in tokens:
            at = <const uint8_t *>PyBytes_AS_STRING(token)
            result.append(max(0, seen - (1 if (at[0] & 0xC0) == 0x80 else 0)))
            seen += count_characters(at, len(token))
        return result

    def cut(self, text not None, ids) -> str:
        """Return the start of `text` that most of its first `ids` spell, to the end of a character.

        Parameters
        ----------
        text : str
            a text that the ids spell the start of.
        ids : buffer of uint32
            its first ids.
        """
        cdef Array held = array_of(ids, ITEM_UINT32)
        cdef const uint32_t *id = <const uint32_t *>held.at
        cdef Py_ssize_t count = held.count, n, size, i
        cdef const uint8_t *utf8 = utf8_of(text, &n)
        size = measure_ids(&self.tokens, id, count)
        if size < 0 or size > n:
            raise ValueError("the ids do not spell the start of the text")
        while count and size < n and utf8[size] & 0xC0 == 0x80:
            count -= 1
            size -= token_size(token_of(&self.tokens, id[count]))
        return PyUnicode_DecodeUTF8(<const char *>utf8, size, NULL)

    cdef bytes _decode(self, const any_id_t *ids, size_t count):
        cdef PyObject *spelled = NULL
        cdef Spelling to = Spelling(at=0, out=NULL, done=0, capacity=0, needed=SIZE_UNKNOWN)
        try:
            while True:
                if count < KEEP_GIL_IDS:
                    spell_ids(&self.tokens, ids, count, &to)
                else:
                    with nogil:
                        spell_ids(&self.tokens, ids, count, &to)
                if to.at == count:
                    break
                if to.needed == NOT_A_TOKEN:
                    wrong = ids[to.at]
                    if not 0 <= wrong <= 2**32 - 1:
                        raise OverflowError(f"{wrong} is not a token id: ids are 0 to 4294967295")
                    raise KeyError(f"Invalid token for decoding: {wrong}")
                reserve_spelling(&spelled, &to, count)
            if to.capacity > to.done:
                _PyBytes_Resize(&spelled, to.done)
            return b"" if spelled == NULL else <bytes>spelled
        finally:
            decrement(spelled)

    cdef bytes _decode_items(self, items):
        cdef Py_ssize_t count = len(items), i
        cdef uint32_t on_stack[DECODED_ON_STACK]
        cdef uint32_t *ids = on_stack
        cdef Memory held
        if count > DECODED_ON_STACK:
            held = allocate(count * sizeof(uint32_t))
            ids = <uint32_t *>held.at
        if isinstance(items, list):
            with cython.critical_section(items):
                i = plain_ids(items, count, ids)
            if i < count:
                return self._decode_items(tuple(items))
        else:
            # A tuple, which nothing can shorten while its items are read.
            for i in range(count):
                ids[i] = id_of((<tuple>items)[i])
        return self._decode(ids, count)


def check_ids(ids) -> None:
    """Raise OverflowError for a number that cannot be an id, TypeError for what is not an int."""
    for number in ids:
        id_of(number)
