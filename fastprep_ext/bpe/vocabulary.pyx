"""Vocabulary: the rank table as a Python object, and the ids of single pieces."""

cdef extern from "Python.h":
    void decrement "Py_XDECREF"(PyObject *item)

cdef extern from "bpe/ints.h":
    int list_ids(object items, const uint32_t *ids, Py_ssize_t count) except -1


#: The methods of merging a piece, and the length in bytes of the longest piece that each accepts.
MERGE_METHODS = {
    "few": FEW_BYTES, "few, plain": FEW_BYTES, "search": MERGE_SHORT, "heap": 1 << 32,
    "windows": 1 << 32, "cuts": 1 << 32, "whole": 1 << 32,
}

cdef class Scratch:
    def __cinit__(self, uint32_t largest):
        if worker_begin(&self.worker, largest) != 0:
            raise MemoryError("no memory for a piece cache")

    def __dealloc__(self):
        worker_free(&self.worker)
        free(self.ids)


cdef class Vocabulary:
    """A compiled rank table with its splitter.

    Parameters
    ----------
    blob : bytes
        All tokens' bytes, back to back, in the order of their ids.
    ends : buffer of uint64, [n]
        End of each token in `blob`.
    ids : buffer of uint32, [n]
        Each token's id, increasing.
    pattern : int or Program
        One of `fastprep_ext.bpe.PATTERNS`, or a program.
    merges : buffer of uint32, [3 * m], or None
        For each merge, in the order of merging, the rows of its two tokens and of the token they make.
        None: two tokens merge if their bytes spell a token, in the order of the table.
    whole_pieces : bool
        Whether a piece that is a token is encoded as that token even if merging would not make it.
    lefts : bytes, or None
        For each token the length of the left token of its last merge, 0 for a single byte, as found by
        `last_merges`; saves the search. The caller must make sure that it is right.
    halves : buffer of bytes, or None
        The planes of a file of halves (halves.pxd), with `lefts`; saves looking up both tokens, and so the
        table of tokens by their bytes, until `find` needs it. They must be right, too.
    missing : str
        What becomes of a single byte that is not a token: "refuse", an error here; "error", an error for
        text that has it; "drop", it is left out of a piece before merging, and the first time a warning
        says so.
    added : Specials or None
        What happens to a text where a call does not say it.
    largest_added : int
        The largest id of the special and added tokens that calls may name.
    growth : (int, int)
        The most ids of a text: per byte, and for the text itself.
    fragments : (int, buffer of uint32 or None, int, bool), or None
        The first row that is not a token but a part of a character; the ids of the 256 bytes, which
        stand for the bytes of such parts; if None, the id of an unknown character, or -1 if such are
        left out, and whether a run of them has one id.

    Raises
    ------
    BadVocabulary
        For too many tokens or pairs, a token or a merge that occurs twice, a single byte without token.
    """

    def __cinit__(
        self, bytes blob not None, ends, ids, pattern, merges=None, bint whole_pieces=True,
        bytes lefts=None, halves=None, str missing not None="refuse", Specials added=None,
        uint32_t largest_added=0, growth=(1, 0), fragments=None,
    ):
        cdef Array held_ends = array_of(ends, ITEM_UINT64), held_ids = array_of(ids, ITEM_UINT32)
        cdef const uint64_t *end = <const uint64_t *>held_ends.at
        cdef const uint32_t *id = <const uint32_t *>held_ids.at
        cdef size_t n = held_ids.count, i
        cdef int status
        if n == 0 or n > MAX_TOKENS or <size_t>held_ends.count != n or end[n - 1] != <size_t>len(blob):
            raise BadVocabulary(
                f"a rank table has 1 to {MAX_TOKENS} tokens whose ends match their bytes; "
                f"this one has {n} ids, {held_ends.count} ends and {len(blob)} bytes"
            )
        for i in range(n):
            if end[i] <= (end[i - 1] if i else 0) or (i and id[i] <= id[i - 1]):
                raise BadVocabulary(
                    f"token {i} of the rank table is empty or out of order: "
                    "sort the tokens by id and leave out empty ones"
                )
        self._blob = blob
        self._ends = held_ends
        self._ids = held_ids
        self._idle_scratch = []
        self.pattern = pattern_number(pattern)
        self.splitter = pattern
        self.ranks.first_fragment = self.ranks.unk = NO_RANK
        self.largest = id[n - 1]
        if fragments is not None:
            self.ranks.first_fragment = fragments[0]
            if not 0 < self.ranks.first_fragment <= n:
                raise ValueError(f"row {fragments[0]} of {n} is not the first fragment")
            if fragments[1] is not None:
                self._byte_ids = array_of(fragments[1], ITEM_UINT32)
                if self._byte_ids.count != 256:
                    raise ValueError(f"{self._byte_ids.count} ids of bytes; there are 256")
                self.ranks.byte_ids = <const uint32_t *>self._byte_ids.at
            elif fragments[2] >= 0:
                self.ranks.unk = fragments[2]
                self.ranks.fuse = fragments[3]
            self.largest = id[self.ranks.first_fragment - 1]
        self.largest_id = max(self.largest, largest_added, self.ranks.unk if self.ranks.unk != NO_RANK else 0)
        if self.ranks.byte_ids != NULL:
            for i in range(256):
                if self.ranks.byte_ids[i] != NO_RANK:
                    self.largest_id = max(self.largest_id, self.ranks.byte_ids[i])
        self.added = added
        self.bound.per_byte, self.bound.per_text = growth
        self.ranks.n = n
        self.ranks.blob = <const uint8_t *><char *>blob
        self.ranks.ends = end
        self.ranks.ids = id
        self.ranks.whole_pieces = whole_pieces
        if merges is not None:
            self._merges = array_of(merges, ITEM_UINT32)
            self.ranks.n_merges = self._merges.count // 3
            # An empty list of merges is a list, too: its address must not be NULL.
            self.ranks.merges = <const uint32_t *>self._merges.at if self.ranks.n_merges else id
        if lefts is not None:
            if <size_t>len(lefts) != n or merges is not None:
                raise ValueError(
                    f"lefts has {len(lefts)} lengths for {n} tokens; it needs one each, and no merges"
                )
            self._lefts = lefts
            self.ranks.lefts = <const uint8_t *><char *>lefts
        if halves is not None:
            self._halves = array_of(halves, ITEM_UINT8)
            if lefts is None or n < BYTE_TOKENS or <size_t>self._halves.count != 6 * (n - BYTE_TOKENS):
                raise ValueError(
                    f"halves has {self._halves.count} bytes for {n} tokens; it needs lefts, and 6 for each "
                    "token that is not a byte"
                )
            self.ranks.halves = <const uint8_t *>self._halves.at
        with nogil:
            status = ranks_build(&self.ranks)
        if status == RANKS_DUPLICATE:
            raise BadVocabulary("the same token is in the rank table twice; remove one")
        if status == RANKS_TOO_MANY_PAIRS:
            raise BadVocabulary(
                f"the tokens are made of one another in too many ways: the limit is {MAX_PAIRS} pairs "
                "of tokens that make a token; leave out long repetitions"
            )
        if status == RANKS_BAD_MERGE:
            raise BadVocabulary(
                "two tokens of a merge do not spell the token it makes, or are not tokens"
            )
        if status == RANKS_MERGE_TWICE:
            raise BadVocabulary("the same two tokens merge twice in the list of merges; remove one")
        if status == RANKS_CROWDED:
            raise BadVocabulary(
                "hundreds of merges hash alike, which does not happen by chance; get the file from "
                "its source again"
            )
        if status != 0:
            raise MemoryError("no memory for the rank table")
        self.ranks.strict = missing == "error"
        for i in range(256):
            if missing == "refuse" and self.ranks.byte_ranks[i] == NO_RANK:
                raise BadVocabulary(
                    f"byte 0x{i:02X} is not a token of the rank table, so text that contains it has no "
                    "ids; a byte-level vocabulary has all 256 single bytes"
                )

    def __dealloc__(self):
        ranks_free(&self.ranks)

    cdef int need_pieces(self) except -1:
        cdef int status = 0
        with cython.critical_section(self):
            if self.ranks.pieces == NULL:
                status = ranks_add_pieces(&self.ranks)   # with the GIL, so that no other thread does
        if status != 0:
            raise MemoryError("no memory for the table of tokens")
        return 0

    cdef const Cutter *cutter_of(self, Specials specials) noexcept:
        if specials is None:
            specials = self.added
        return NULL if specials is None else &specials.cutter

    # Each thread gets what it had before, if that is idle: its cache is in the memory of that core.
    cdef Scratch acquire(self):
        cdef unsigned long thread = PyThread_get_thread_ident()
        cdef Scratch scratch = None, other
        cdef Py_ssize_t i
        with cython.critical_section(self):
            if len(self._idle_scratch):
                scratch = self._idle_scratch.pop()
        if scratch is None:
            return Scratch(self.largest_id)
        if scratch.thread != thread:
            with cython.critical_section(self):
                for i in range(len(self._idle_scratch)):
                    other = self._idle_scratch[i]
                    if other.thread == thread:
                        self._idle_scratch[i] = scratch
                        return other
        return scratch

    cdef int release(self, Scratch scratch) except -1:
        scratch.thread = PyThread_get_thread_ident()
        if scratch.worker.lost:
            self.tell_loss(scratch)
        scratch.large = None
        self._idle_scratch.append(scratch)
        return 0

    # Bytes are found lost where a piece is new, so the first loss is always seen, later ones not all.
    cdef int tell_loss(self, Scratch scratch) except -1:
        scratch.worker.lost = 0
        if not self.told:
            self.told = True
            import warnings

            warnings.warn(
                f"a text has the byte 0x{scratch.worker.lost_byte:02X}, which is not a token of this "
                "vocabulary: such bytes are left out, as the tokenizers library does. "
                "Encoding.count_missing counts them, and Encoding.from_file(missing='error') refuses them",
                RuntimeWarning, 3,
            )
        return 0

    def encode_piece(self, piece) -> list:
        """Return the ids of one piece, any bytes: looked up and merged as it is, not split."""
        cdef Array bytes = array_of(piece, ITEM_UINT8)
        cdef Py_ssize_t count
        cdef Scratch scratch
        if bytes.count == 0:
            return []
        scratch = self.acquire()
        with nogil:
            count = bpe_piece(
                &self.ranks, &scratch.worker, <const uint8_t *>bytes.at, bytes.count
            )
        check_status(count, scratch)
        ids = self.as_list(scratch.worker.merged, count)
        self.release(scratch)
        return ids

    def merge_piece(self, piece, str method not None) -> list:
        """Return the ids of one piece by one of `MERGE_METHODS`, for tests that they agree."""
        cdef Array held = array_of(piece, ITEM_UINT8)
        cdef const uint8_t *bytes = <const uint8_t *>held.at
        cdef Py_ssize_t n = held.count, count = 0
        cdef Memory memory
        cdef uint32_t *tokens
        if method not in MERGE_METHODS or not 1 <= n <= MERGE_METHODS[method]:
            raise ValueError(
                f"a piece of {n} bytes by {method!r}; the methods and their longest pieces: "
                f"{MERGE_METHODS}"
            )
        memory = allocate(n * sizeof(uint32_t))
        tokens = <uint32_t *>memory.at
        if method == "few":
            count = merge_few(&self.ranks, bytes, n, tokens)
        elif method == "few, plain":
            count = merge_few(&self.ranks, bytes, n, tokens, True)
        elif method == "search":
            count = merge_short(&self.ranks, bytes, n, tokens)
        elif method == "heap":
            count = merge_heap(&self.ranks, bytes, n, tokens)
        elif method == "windows":
            count = merge_windows(&self.ranks, bytes, n, tokens)
        elif method == "whole":
            count = merge_whole(&self.ranks, bytes, n, tokens)
        elif method == "cuts":
            count = merge_in_parts(&self.ranks, bytes, n, tokens)
        if count < 0:
            raise MemoryError(f"no memory to merge a piece of {n} bytes")
        for i in range(count):
            if tokens[i] < self.ranks.first_fragment:
                tokens[i] = self.ranks.ids[tokens[i]]
        return self.as_list(tokens, count)

    def cuts(self, piece) -> list:
        """List the positions at which a piece is cut before it is merged, for tests."""
        cdef Array bytes = array_of(piece, ITEM_UINT8)
        cdef bytearray cut = bytearray(bytes.count)
        find_cuts(
            &self.ranks, <const uint8_t *>bytes.at, bytes.count, <uint8_t *>PyByteArray_AS_STRING(cut)
        )
        found = []
        for i, is_cut in enumerate(cut):
            if is_cut:
                found.append(i)
        return found

    def last_merges(self, made) -> int:
        """Find the last merge of each token that merging makes.

        Fills `made`, [3 * n], with rows of the table as the constructor takes them, and returns the
        number of merges. They are in the order of the tokens they make, and merge all text as the
        whole table does: last_merges.pyx has the proof.
        """
        cdef Array out = array_of(made, ITEM_UINT32, True)
        cdef Memory scratch
        cdef size_t count
        if out.count < 3 * <Py_ssize_t>self.ranks.n:
            raise ValueError(f"{self.ranks.n} tokens need room for 3 numbers each")
        scratch = allocate(2 * self.ranks.longest * sizeof(uint32_t))
        with nogil:
            count = merge_list(&self.ranks, <uint32_t *>out.at, <uint32_t *>scratch.at)
        return count

    def find(self, token) -> int:
        """Return the id of the token with these bytes, or -1."""
        cdef Array bytes = array_of(token, ITEM_UINT8)
        cdef uint32_t row = NO_RANK
        if bytes.count:
            self.need_pieces()
            row = ranks_find(&self.ranks, <const uint8_t *>bytes.at, bytes.count)
        return -1 if row == NO_RANK else self.ranks.ids[row]

    cdef list as_list(self, const uint32_t *ids, Py_ssize_t count):
        cdef list result = PyList_New(count)
        list_ids(result, ids, count)
        return result


cdef int check_status(Py_ssize_t status, Scratch scratch, Py_ssize_t index=0) except -1:
    if status >= 0:
        return 0
    if status == BPE_NOT_SPLIT:
        check_split(&scratch.worker.split, index)
    if status == BPE_LACKS_BYTE:
        raise MissingByte(
            f"text {index} has the byte 0x{scratch.worker.lost_byte:02X}, which is not a token of this "
            "vocabulary; read the file with missing='drop' to leave such bytes out"
        )
    if status == BPE_TOO_LONG:
        raise OverflowError("a single piece of 4 GiB or more cannot be merged")
    raise MemoryError("no memory to merge a long piece")


def count_bytes(text not None, bytes of not None) -> int:
    """Count the bytes of a str, or of a buffer of UTF-8, that are among the bytes `of`."""
    cdef Documents source = Documents((text,))
    cdef bint wanted[256]
    cdef size_t i, count = 0
    memset(wanted, 0, sizeof(wanted))
    for byte in of:
        wanted[<uint8_t>byte] = True
    with nogil:
        for i in range(<size_t>source.sizes[0]):
            count += wanted[source.texts[0][i]]
    return count


def missing_bytes(bytes blob not None, ends) -> bytes:
    """Return the single bytes that are not tokens, in ascending order.

    Parameters
    ----------
    blob : bytes
        All tokens' bytes, back to back.
    ends : buffer of uint64, [n]
        End of each token in `blob`.
    """
    cdef Array held = array_of(ends, ITEM_UINT64)
    cdef const uint64_t *end = <const uint64_t *>held.at
    cdef const uint8_t *bytes_ = <const uint8_t *><char *>blob
    cdef bint there[256]
    cdef Py_ssize_t i
    cdef uint64_t start = 0
    if held.count and end[held.count - 1] > <uint64_t>len(blob):
        raise ValueError("ends and blob do not belong together")
    for i in range(256):
        there[i] = False
    for i in range(held.count):
        if end[i] == start + 1:
            there[bytes_[start]] = True
        start = end[i]
    missing = bytearray()
    for i in range(256):
        if not there[i]:
            missing.append(i)
    return bytes(missing)
