"""The binding of the encoder: Python texts in, ids out, the GIL released once a call."""

from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.long cimport PyLong_FromUnsignedLong
from cpython.ref cimport Py_INCREF, Py_XINCREF, PyObject
from cpython.unicode cimport PyUnicode_Check
from libc.stdint cimport SIZE_MAX, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc

from fastprep_ext.buffers cimport Documents, Ids, utf8_of
from fastprep_ext.bpe cimport (
    BPE_INVALID_UTF8, BPE_NO_MEMORY, BPE_SLACK, BPE_TOO_LONG, Worker, bpe_piece, worker_begin,
    worker_free,
)
from fastprep_ext.merge cimport MERGE_SHORT, merge_heap, merge_short, merge_to_two, merge_windows
from fastprep_ext.ranks cimport (
    MAX_PAIRS, MAX_TOKENS, NO_RANK, RANKS_BAD_MERGE, RANKS_DUPLICATE, RANKS_MERGE_TWICE,
    RANKS_TOO_MANY_PAIRS, Ranks, ranks_build, ranks_find, ranks_find_pair, ranks_free, token_bytes,
)
from fastprep_ext.specials cimport Specials, SpecialTable
from fastprep_ext.split cimport PATTERN_R50K, Split, split_begin, split_next
from fastprep_ext.texts cimport encode_documents, encode_each, encode_parts

from fastprep.errors import BadVocabulary, InvalidUtf8
from fastprep_ext.split import PATTERNS, simd

cdef extern from "Python.h":
    PyObject **tuple_items "&PyTuple_GET_ITEM"(object ints, Py_ssize_t first)
    void list_set_item "PyList_SET_ITEM"(object items, Py_ssize_t at, PyObject *item)

__all__ = ["PATTERNS", "Encoder", "simd", "split_pieces"]

cdef enum:
    ON_STACK = 2048            # texts up to this many bytes need no memory of their own
    KEEP_GIL = 256             # and below this, giving the GIL away costs more than the work
    READY_INTS = 1 << 18       # vocabularies up to this size get ready-made int objects


cdef class _Worker:
    """One thread's scratch. It wanders between threads, but serves one call at a time."""

    cdef Worker at

    def __cinit__(self):
        if worker_begin(&self.at) != 0:
            raise MemoryError("no memory for a piece cache")

    def __dealloc__(self):
        worker_free(&self.at)


cdef class Encoder:
    """A rank table and a splitter, compiled: text -> ids.

    Parameters
    ----------
    blob : bytes
        All tokens' bytes, back to back, in the order of their ids.
    ends : buffer of uint64, [n]
        Where each token ends in `blob`.
    ids : buffer of uint32, [n]
        Each token's id, increasing.
    pattern : int
        One of `PATTERNS`.
    merges : buffer of uint32, [3 * m], or None
        For each merge, in the order of merging, the rows in the table of its two tokens and of the
        one they make. None: two tokens merge if their bytes spell a token, in the order of the table.
    whole_pieces : bool
        Whether a piece that is a token is that token even if merging would not make it.

    Raises
    ------
    BadVocabulary
        Too many tokens or pairs, a token or a merge twice, a single byte that is no token.
    """

    cdef Ranks ranks
    cdef readonly int pattern
    cdef bytes _blob
    cdef const uint64_t[::1] _ends
    cdef const uint32_t[::1] _ids
    cdef const uint32_t[::1] _merges
    cdef list _idle            # workers that no call is using
    cdef tuple _ints           # the int object of every id, made when a list is first asked for
    cdef readonly uint32_t largest

    def __cinit__(
        self, bytes blob not None, const uint64_t[::1] ends not None,
        const uint32_t[::1] ids not None, int pattern, const uint32_t[::1] merges=None,
        bint whole_pieces=True,
    ):
        cdef size_t n = ids.shape[0], i
        cdef int status
        cdef const uint8_t *bytes = <const uint8_t *><char *>blob
        if n == 0 or n > MAX_TOKENS or <size_t>ends.shape[0] != n or ends[n - 1] != <size_t>len(blob):
            raise BadVocabulary(
                f"a rank table has 1 to {MAX_TOKENS} tokens whose ends match their bytes; "
                f"this one has {n} ids, {ends.shape[0]} ends and {len(blob)} bytes"
            )
        if pattern not in PATTERNS.values():
            raise ValueError(f"pattern {pattern} is none of {PATTERNS}")
        for i in range(n):
            if ends[i] <= (ends[i - 1] if i else 0) or (i and ids[i] <= ids[i - 1]):
                raise BadVocabulary(
                    f"token {i} of the rank table is empty or out of order: "
                    "sort the tokens by id and leave out empty ones"
                )
        self._blob = blob
        self._ends = ends
        self._ids = ids
        self._idle = []
        self.pattern = pattern
        self.largest = ids[n - 1]
        self.ranks.n = n
        self.ranks.blob = bytes
        self.ranks.ends = &ends[0]
        self.ranks.ids = &ids[0]
        self.ranks.whole_pieces = whole_pieces
        if merges is not None:
            self._merges = merges
            self.ranks.n_merges = merges.shape[0] // 3
            # A list of no merges is a list, too: its place must not be NULL.
            self.ranks.merges = &merges[0] if self.ranks.n_merges else &ids[0]
        with nogil:
            status = ranks_build(&self.ranks)
        if status == RANKS_DUPLICATE:
            raise BadVocabulary("the same token stands in the rank table twice; leave one out")
        if status == RANKS_TOO_MANY_PAIRS:
            raise BadVocabulary(
                f"the tokens are made of one another in too many ways: the limit is {MAX_PAIRS} pairs "
                "of tokens that make a token; leave out long repetitions"
            )
        if status == RANKS_BAD_MERGE:
            raise BadVocabulary("two tokens of a merge do not spell the token it makes")
        if status == RANKS_MERGE_TWICE:
            raise BadVocabulary("the same two tokens merge twice in the list of merges; leave one out")
        if status != 0:
            raise MemoryError("no memory for the rank table")
        for i in range(256):
            if self.ranks.byte_ranks[i] == NO_RANK:
                raise BadVocabulary(
                    f"byte 0x{i:02X} is no token of the rank table, so text that holds it has no "
                    "ids; a byte-level vocabulary has all 256 single bytes"
                )

    def __dealloc__(self):
        ranks_free(&self.ranks)

    cdef _Worker _take(self):
        try:
            return self._idle.pop()
        except IndexError:
            return _Worker()

    def encode(
        self, text not None, Specials specials=None, size_t most=SIZE_MAX >> 1
    ) -> list:
        """The ids of a str as a list: those of `specials` cut it, and no more than `most` of them.

        Raises UnicodeEncodeError on a lone surrogate.
        """
        cdef Py_ssize_t n, count
        cdef const uint8_t *utf8 = utf8_of(text, &n)
        cdef uint32_t small[ON_STACK + BPE_SLACK]
        cdef uint32_t *ids = small
        if n > ON_STACK:
            ids = <uint32_t *>malloc((n + BPE_SLACK) * sizeof(uint32_t))
            if ids == NULL:
                raise MemoryError(f"no memory for the ids of a text of {n} bytes")
        try:
            count = self._run(utf8, n, specials, most, ids)
            return self._list(ids, count)
        finally:
            if ids != small:
                free(ids)

    def encode_many(self, texts not None, Specials specials=None) -> list:
        """The ids of each text of a sequence of str, as lists; the GIL is released once for all."""
        cdef Documents sources = Documents(tuple(texts), True)
        cdef Py_ssize_t documents = len(sources.kept), i, begin = 0
        cdef list result = PyList_New(documents)
        cdef list ids
        cdef uint64_t *ends = <uint64_t *>malloc((documents + 1) * sizeof(uint64_t))
        cdef uint32_t *out = <uint32_t *>malloc((sources.total + BPE_SLACK) * sizeof(uint32_t))
        cdef _Worker worker
        cdef Py_ssize_t count, failed = 0
        try:
            if out == NULL or ends == NULL:
                raise MemoryError(f"no memory for the ids of {sources.total} bytes")
            worker = self._take()
            with nogil:
                count = encode_each(
                    &self.ranks, &worker.at, self.pattern, sources.texts, sources.sizes, documents,
                    &specials.table if specials is not None else NULL, out, ends, &failed,
                )
            _check(count, worker, failed)
            self._idle.append(worker)
            for i in range(documents):
                ids = self._list(out + begin, ends[i] - begin)
                Py_INCREF(ids)
                PyList_SET_ITEM(result, i, ids)
                begin = ends[i]
            return result
        finally:
            free(out)
            free(ends)

    def encode_to_buffer(
        self, text not None, Specials specials=None, size_t most=SIZE_MAX >> 1
    ) -> memoryview:
        """The ids of a str, or of a buffer of UTF-8, as a writable memoryview of uint32."""
        cdef Documents source = Documents((text,))
        cdef size_t n = source.sizes[0]
        cdef Ids out = Ids()
        out.ids = <uint32_t *>malloc((n + BPE_SLACK) * sizeof(uint32_t))
        if out.ids == NULL:
            raise MemoryError(f"no memory for the ids of a text of {n} bytes")
        out.count = self._run(source.texts[0], n, specials, most, out.ids)
        cdef void *shrunk = realloc(out.ids, (out.count + 1) * sizeof(uint32_t))
        if shrunk != NULL:
            out.ids = <uint32_t *>shrunk
        return memoryview(out)

    def encode_into(
        self, text not None, out not None, Specials specials=None, size_t most=SIZE_MAX >> 1
    ) -> int:
        """Writes the ids of a str, or of a buffer of UTF-8, to a uint16 or uint32 buffer; how many."""
        cdef Documents source = Documents((text,))
        cdef size_t n = source.sizes[0], room
        cdef uint32_t[::1] wide = None
        cdef uint16_t[::1] narrow
        cdef Ids detour
        cdef Py_ssize_t i
        if memoryview(out).itemsize == 4:
            wide = out
            room = wide.shape[0]
            if room >= n + BPE_SLACK:
                return self._run(source.texts[0], n, specials, most, &wide[0])
        else:
            narrow = out
            room = narrow.shape[0]
        detour = Ids()
        detour.ids = <uint32_t *>malloc((n + BPE_SLACK) * sizeof(uint32_t))
        if detour.ids == NULL:
            raise MemoryError(f"no memory for the ids of a text of {n} bytes")
        detour.count = self._run(source.texts[0], n, specials, most, detour.ids)
        if <size_t>detour.count > room:
            raise ValueError(f"the text has {detour.count} ids; there is room for {room}")
        for i in range(detour.count):
            if wide is not None:
                wide[i] = detour.ids[i]
            elif detour.ids[i] >> 16:
                raise OverflowError(f"id {detour.ids[i]} does not fit uint16; give a uint32 buffer")
            else:
                narrow[i] = <uint16_t>detour.ids[i]
        return detour.count

    def last_piece(self, const uint8_t[::1] text not None) -> int:
        """The byte at which the last piece of a UTF-8 text begins."""
        ends = split_pieces(text, self.pattern)
        return ends[len(ends) - 2] if len(ends) > 1 else 0

    def count(self, text not None, Specials specials=None) -> int:
        """How many ids a str, or a buffer of UTF-8, has."""
        cdef Documents source
        cdef Py_ssize_t n
        cdef const uint8_t *utf8
        if PyUnicode_Check(text):
            utf8 = utf8_of(text, &n)
            return self._run(utf8, n, specials, SIZE_MAX >> 1, NULL)
        source = Documents((text,))
        return self._run(source.texts[0], source.sizes[0], specials, SIZE_MAX >> 1, NULL)

    def encode_piece(self, const uint8_t[::1] piece not None) -> list:
        """The ids of one piece: looked up and merged as it is, not split. Any bytes."""
        cdef Py_ssize_t count
        cdef Py_ssize_t n = piece.shape[0]
        cdef _Worker worker
        if n == 0:
            return []
        worker = self._take()
        with nogil:
            count = bpe_piece(&self.ranks, &worker.at, &piece[0], n)
        _check(count, worker)
        ids = self._list(worker.at.merged, count)
        self._idle.append(worker)
        return ids

    def merge_piece(self, const uint8_t[::1] piece not None, str way not None) -> list:
        """The ids of one piece by merging alone, in one way: "search", "heap" or "windows"."""
        cdef Py_ssize_t n = piece.shape[0], count
        cdef uint32_t *ranks
        if n == 0 or (n > MERGE_SHORT and way == "search"):
            raise ValueError(f"a piece of {n} bytes; a search takes 1 to {MERGE_SHORT}")
        ranks = <uint32_t *>malloc(n * sizeof(uint32_t))
        if ranks == NULL:
            raise MemoryError(f"no memory for a piece of {n} bytes")
        try:
            if way == "search":
                count = merge_short(&self.ranks, &piece[0], n, ranks)
            elif way == "heap":
                count = merge_heap(&self.ranks, &piece[0], n, ranks)
            else:
                count = merge_windows(&self.ranks, &piece[0], n, ranks)
            if count < 0:
                raise MemoryError(f"no memory to merge a piece of {n} bytes")
            return [self.ranks.ids[ranks[i]] for i in range(count)]
        finally:
            free(ranks)

    def last_merges(self, uint32_t[::1] made not None) -> int:
        """For each token that merging makes, the last merge on the way to it.

        Fills `made`, [3 * n], with rows of the table as the constructor takes them, and returns how
        many merges there are. They are listed by the row of the token they make.

        These n pairs at most merge all text as the whole table does. For suppose that merging some
        text makes a token T of two neighbours. Until then no merge crossed T's edges, so inside them
        there happened what happens when the bytes of T are merged alone, in the same order; so the
        two are what was left at the end there. Hence no other pair is ever merged into T.
        """
        cdef size_t n, count = 0
        cdef uint32_t token, rank
        cdef const uint8_t *piece
        cdef uint32_t *parts = <uint32_t *>malloc(2 * self.ranks.longest * sizeof(uint32_t))
        if made.shape[0] < 3 * <Py_ssize_t>self.ranks.n:
            free(parts)
            raise ValueError(f"{self.ranks.n} tokens need room for 3 numbers each")
        if parts == NULL:
            raise MemoryError(f"no memory for a token of {self.ranks.longest} bytes")
        with nogil:
            for token in range(self.ranks.n):
                n = token_bytes(&self.ranks, token)
                piece = self.ranks.blob + self.ranks.ends[token] - n
                if merge_to_two(&self.ranks, piece, n, parts, parts + n) != 2:
                    continue
                rank = ranks_find_pair(&self.ranks, parts[0], parts[1])
                if rank != NO_RANK:
                    made[3 * count] = parts[0]
                    made[3 * count + 1] = parts[1]
                    made[3 * count + 2] = token
                    count += 1
        free(parts)
        return count

    def find(self, const uint8_t[::1] token not None) -> int:
        """The id of the token with these bytes, or -1."""
        cdef uint32_t row = NO_RANK
        if token.shape[0]:
            row = ranks_find(&self.ranks, &token[0], token.shape[0])
        return -1 if row == NO_RANK else self.ranks.ids[row]

    def encode_documents(
        self, texts not None, out not None, uint64_t[::1] ends not None, *, end_token=None,
        bint close_last=True,
    ) -> int:
        """Encodes documents back to back into the caller's buffers; see `Encoding`."""
        cdef object kept = tuple(texts)
        cdef Py_ssize_t documents = len(kept), i, written = -1
        cdef Documents sources = Documents(kept)
        cdef uint64_t last = 0 if end_token is None else end_token
        cdef bint closes = end_token is not None
        cdef Py_ssize_t room = len(out)
        cdef uint32_t[::1] wide
        cdef uint16_t[::1] narrow
        cdef bint is_wide = memoryview(out).itemsize != 2
        cdef _Worker worker
        cdef Py_ssize_t failed = 0
        if ends.shape[0] < documents:
            raise ValueError(f"{documents} texts need as many ends; there is room for {len(ends)}")
        if room < sources.total + documents:
            raise ValueError(
                f"texts of {sources.total} bytes need room for {sources.total + documents} ids "
                f"(bytes + texts); there is room for {room}"
            )
        if not is_wide and max(self.largest, last) > 0xFFFF:
            raise OverflowError(
                f"ids up to {max(self.largest, last)} do not fit uint16; give a uint32 buffer"
            )
        worker = self._take()
        if is_wide:
            wide = out
            with nogil:
                written = encode_documents[uint32_t](
                    &self.ranks, &worker.at, self.pattern, sources.texts, sources.sizes, documents,
                    &wide[0] if room else NULL, room, &ends[0] if documents else NULL,
                    closes, last, close_last, &failed,
                )
        else:
            narrow = out
            with nogil:
                written = encode_documents[uint16_t](
                    &self.ranks, &worker.at, self.pattern, sources.texts, sources.sizes, documents,
                    &narrow[0] if room else NULL, room, &ends[0] if documents else NULL,
                    closes, last, close_last, &failed,
                )
        _check(written, worker, failed)
        self._idle.append(worker)
        return written

    def encode_rows(
        self, const uint8_t[::1] text not None, const int64_t[::1] starts not None,
        const int64_t[::1] stops not None, uint64_t[::1] ends not None,
    ) -> memoryview:
        """The ids of rows that lie in one buffer of UTF-8, back to back, as a memoryview of uint32.

        Row i is text[starts[i]:stops[i]]; `ends`, as long, receives the index behind its last id.
        """
        cdef Py_ssize_t rows = starts.shape[0], size = text.shape[0], i, count = 0, failed = 0
        cdef size_t total = 0
        cdef const uint8_t *first = &text[0] if size else NULL
        cdef const uint8_t **texts = <const uint8_t **>malloc((rows + 1) * sizeof(void *))
        cdef size_t *sizes = <size_t *>malloc((rows + 1) * sizeof(size_t))
        cdef Ids out = Ids()
        cdef _Worker worker
        try:
            if texts == NULL or sizes == NULL:
                raise MemoryError(f"no memory for {rows} rows")
            if stops.shape[0] != rows or ends.shape[0] != rows:
                raise ValueError(f"{rows} rows begin, {len(stops)} end, {len(ends)} ends have room")
            for i in range(rows):
                if not 0 <= starts[i] <= stops[i] <= size:
                    raise ValueError(
                        f"row {i} goes from {starts[i]} to {stops[i]}, in a buffer of {size} bytes"
                    )
                texts[i] = first + starts[i]
                sizes[i] = stops[i] - starts[i]
                total += sizes[i]
            out.ids = <uint32_t *>malloc((total + BPE_SLACK) * sizeof(uint32_t))
            if out.ids == NULL:
                raise MemoryError(f"no memory for the ids of {total} bytes")
            worker = self._take()
            with nogil:
                count = encode_each(
                    &self.ranks, &worker.at, self.pattern, texts, sizes, rows, NULL, out.ids,
                    &ends[0] if rows else NULL, &failed,
                )
            _check(count, worker, failed)
            self._idle.append(worker)
        finally:
            free(texts)
            free(sizes)
        out.count = count
        cdef void *shrunk = realloc(out.ids, (count + 1) * sizeof(uint32_t))
        if shrunk != NULL:
            out.ids = <uint32_t *>shrunk
        return memoryview(out)

    cdef Py_ssize_t _run(
        self, const uint8_t *utf8, size_t n, Specials specials, size_t most, uint32_t *ids
    ) except -1:
        cdef _Worker worker = self._take()
        cdef const SpecialTable *table = &specials.table if specials is not None else NULL
        cdef Py_ssize_t count
        if n < KEEP_GIL:
            count = encode_parts(&self.ranks, &worker.at, self.pattern, utf8, n, table, most, ids)
        else:
            with nogil:
                count = encode_parts(
                    &self.ranks, &worker.at, self.pattern, utf8, n, table, most, ids
                )
        _check(count, worker)
        self._idle.append(worker)
        return count

    cdef list _list(self, const uint32_t *ids, Py_ssize_t count):
        cdef list result = PyList_New(count)
        cdef tuple ints = self._ints
        cdef size_t ready = 0
        cdef PyObject **items = NULL
        cdef PyObject *item
        cdef object number
        cdef Py_ssize_t i
        if ints is None and self.largest < READY_INTS:
            ints = tuple(range(self.largest + 1))
            self._ints = ints
        if ints is not None:
            items = tuple_items(ints, 0)
            ready = len(ints)
        for i in range(count):
            if ids[i] < ready:
                # Bare pointers: a variable of Cython's counts each object up and down once more.
                # (Fetching the objects ahead of their use was tried: no effect.)
                item = items[ids[i]]
                Py_XINCREF(item)
                list_set_item(result, i, item)
            else:
                number = PyLong_FromUnsignedLong(ids[i])
                Py_INCREF(number)
                PyList_SET_ITEM(result, i, number)
        return result


cdef int _check(Py_ssize_t status, _Worker worker, Py_ssize_t index=0) except -1:
    if status >= 0:
        return 0
    if status == BPE_INVALID_UTF8:
        raise InvalidUtf8(
            f"text {index} is not UTF-8: no character begins at byte {worker.at.split.at}; "
            "decode it with its real encoding first",
            index, worker.at.split.at,
        )
    if status == BPE_TOO_LONG:
        raise OverflowError("a single piece of 4 GiB or more cannot be merged")
    raise MemoryError("no memory to merge a long piece")


def split_pieces(const uint8_t[::1] text not None, int pattern=PATTERN_R50K) -> list:
    """The ends of the pieces of a UTF-8 text, in bytes: what the encoder looks up one by one."""
    cdef Split split
    cdef size_t ends[512]
    cdef size_t count, i
    cdef list result = []
    if pattern not in PATTERNS.values():
        raise ValueError(f"pattern {pattern} is none of {PATTERNS}")
    if text.shape[0] == 0:
        return result
    split_begin(&split, pattern, &text[0], text.shape[0])
    while True:
        count = split_next(&split, ends, 512)
        if count == 0:
            break
        for i in range(count):
            result.append(ends[i])
    if split.invalid:
        raise InvalidUtf8(f"no UTF-8 character begins at byte {split.at}", 0, split.at)
    return result
