"""Changes of a text before it is split.

Nearly all text is in normal form C, so the kernel only finds what may not be: from a character that
nothing before it affects to the next such one. Python's unicodedata normalizes these few stretches.
"""

cdef extern from "Python.h":
    PyObject *decode_utf8 "PyUnicode_DecodeUTF8"(const char *text, Py_ssize_t n, const char *errors)
    PyObject *call_with "PyObject_CallFunctionObjArgs"(PyObject *function, PyObject *item, void *end)
    const char *utf8_bytes "PyUnicode_AsUTF8AndSize"(PyObject *text, Py_ssize_t *n)
    bint is_str "PyUnicode_Check"(PyObject *item)

cdef extern from "string.h" nogil:
    void *memmem(const void *text, size_t n, const void *wanted, size_t m)

cdef enum:
    STRETCHES_APART = 128      # bytes between two stretches that are normalized apart
    BYTES_ONE_BY_ONE = 8       # that are skipped before vectors are worth their start


cdef inline bint composes(const NfcTables *self, uint32_t first, uint32_t second) noexcept nogil:
    cdef uint64_t pair = <uint64_t>first << 21 | second, slot
    if 0x1161 <= second <= 0x1175:
        return 0x1100 <= first <= 0x1112
    if 0x11A8 <= second <= 0x11C2:
        return 0xAC00 <= first <= 0xD7A3 and (first - 0xAC00) % 28 == 0
    slot = (pair * <uint64_t>0x9E3779B97F4A7C15) >> 40 & self.pair_mask
    while self.pairs[slot]:
        if self.pairs[slot] == pair:
            return True
        slot = (slot + 1) & self.pair_mask
    return False


# Find the next stretch from `at` on, where a character starts that nothing before affects, that may not
# be in normal form C. Where it says so needlessly, normalizing changes nothing.
cdef bint nfc_next(
    const NfcTables *self, const uint8_t *text, size_t n, size_t at, size_t *begin, size_t *end
) noexcept nogil:
    cdef size_t safe = at, i = at, steps
    cdef uint32_t point, starter = 0, block, bit
    cdef uint64_t active
    cdef size_t k
    cdef int length, last = 0, combining
    cdef bint fails = False
    cdef bint is_fresh = False     # a character that is not active is before `i`, and not looked at yet
    while i < n:
        # In valid text these are enough to find nearly all characters that are not active.
        length = active_bytes(text[i])
        if length == 0:
            if fails:
                break
            is_fresh = True
            steps = min(n, i + BYTES_ONE_BY_ONE)
            i += 1
            while i < steps and active_bytes(text[i]) == 0:
                i += 1
            if i == steps:
                i = skip_inert(text, n, i)
            continue
        if length == 3 and n - i > 2:
            block = self.stages[(text[i] & 0x0F) << 6 | (text[i + 1] & 0x3F)]
            bit = text[i + 2] & 0x3F
        elif length == 2 and n - i > 1:
            block = self.stages[text[i] & 0x1F]
            bit = text[i + 1] & 0x3F
        else:
            length = 0
        if length and not self.active[block] >> bit & 1:
            if fails:
                break
            is_fresh = True
            i += length
            continue
        length = utf8_decode(text + i, n - i, &point)
        if length == 0:
            length = 1             # the splitter reports it
            point = 0xFFFD
        block = self.stages[point >> 6]
        active = self.active[block]
        bit = point & 63
        if not active >> bit & 1:
            if fails:
                break
            is_fresh = True
            i += length
            continue
        if is_fresh:
            safe = character_before(text, i, &starter)
            last = 0
            is_fresh = False
        k = self.ranks[block] + ones(active & ((<uint64_t>1 << bit) - 1))
        combining = self.classes[k]
        if self.kinds[k] == NFC_NO or (combining and last > combining):
            fails = True
        elif self.kinds[k] == NFC_MAYBE and (last < combining or (combining == 0 and last == 0)):
            if composes(self, starter, point):
                fails = True
            elif combining:
                block = self.stages[starter >> 6]
                if self.composed[block] >> (starter & 63) & 1:
                    fails = True
        if combining == 0:
            starter = point
        last = combining
        i += length
    if fails:
        begin[0] = safe
        end[0] = i
    return fails


cdef inline int ones(uint64_t bits) noexcept nogil:
    cdef int count = 0
    while bits:
        bits &= bits - 1
        count += 1
    return count


cdef bint is_unchanged(const Change *self, const uint8_t *text, size_t n) noexcept nogil:
    cdef size_t begin, end
    if self.space != SPACE_NEVER:
        return n == 0
    if self.normalize != NULL:
        if not self.nfc or nfc_next(&self.tables, text, n, 0, &begin, &end):
            return n == 0
    return not self.marks or memmem(text, n, <const char *>b"\xe2\x96\x81", 3) == NULL


cdef bint reserve_changed(Changed *self, size_t more) noexcept nogil:
    cdef uint8_t *larger
    cdef size_t capacity
    if self.n + more > self.capacity:
        capacity = self.n + more + self.capacity // 2 + 64
        larger = <uint8_t *>realloc(self.at, capacity)
        if larger == NULL:
            return False
        self.at = larger
        self.capacity = capacity
    return True


cdef bint append_bytes(Changed *self, const void *bytes, size_t n) noexcept nogil:
    if not reserve_changed(self, n + 16):
        return False
    memcpy(self.at + self.n, bytes, n)
    self.n += n
    return True


cdef bint append_normalized(
    const Change *change, const uint8_t *text, size_t n, Changed *out
) noexcept with gil:
    cdef PyObject *given = decode_utf8(<const char *>text, n, NULL)
    cdef PyObject *made = NULL
    cdef const char *bytes = NULL
    cdef Py_ssize_t size
    cdef bint done = False
    if given != NULL:
        made = call_with(change.normalize, given, NULL)
    if made != NULL and is_str(made):
        bytes = utf8_bytes(made, &size)
    if bytes != NULL:
        done = append_bytes(out, bytes, size)
    PyErr_Clear()
    decrement(given)
    decrement(made)
    return done


cdef int change_text(const Change *self, const uint8_t *text, size_t n, Changed *out) noexcept nogil:
    cdef size_t begin, end, done = 0, at = 0, held_begin = 0, held_end = 0
    cdef const uint8_t *mark
    cdef size_t first
    cdef bint found
    out.n = 0
    if not reserve_changed(out, n + 16):
        return -1
    if self.space == SPACE_ALWAYS and n > 0 and not append_bytes(out, b" ", 1):
        return -1
    first = out.n
    if self.normalize != NULL and not self.nfc:
        if not append_normalized(self, text, n, out):
            return -1
        done = n
    elif self.normalize != NULL:
        while True:
            found = nfc_next(&self.tables, text, n, at, &begin, &end)
            if found and held_end and begin < held_end + STRETCHES_APART:
                held_end = at = end
                continue
            if held_end:
                if not append_bytes(out, text + done, held_begin - done) \
                        or not append_normalized(self, text + held_begin, held_end - held_begin, out):
                    return -1
                done = held_end
            if not found:
                break
            held_begin = begin
            held_end = at = end
    if not append_bytes(out, text + done, n - done):
        return -1
    if self.marks:
        done = at = first
        while True:
            mark = <const uint8_t *>memmem(out.at + at, out.n - at, <const char *>b"\xe2\x96\x81", 3)
            if mark == NULL:
                break
            end = mark - out.at
            memmove(out.at + done, out.at + at, end - at)
            done += end - at
            out.at[done] = c' '
            done += 1
            at = end + 3
        memmove(out.at + done, out.at + at, out.n - at)
        out.n = done + out.n - at
    return 0


# Append the pieces of a text that are not whitespace, each with a space after it. A status as of bpe_encode.
cdef int append_pieces(
    int pattern, const uint8_t *text, size_t n, Split *split, Changed *out
) noexcept nogil:
    cdef size_t ends[MIN_SPLIT_CAPACITY]
    cdef size_t count, i, begin = 0
    cdef uint32_t point
    split_begin(split, pattern, text, n)
    while True:
        count = split_next(split, ends, MIN_SPLIT_CAPACITY)
        if count == 0:
            break
        for i in range(count):
            if utf8_decode(text + begin, n - begin, &point) and CLASSES[point] != UC_SPACE:
                if not append_bytes(out, text + begin, ends[i] - begin) or not append_bytes(out, b" ", 1):
                    return BPE_NO_MEMORY
            begin = ends[i]
    return BPE_NOT_SPLIT if split.invalid or split.failure else 0


cdef class TextChange:
    """A change of texts before they are split.

    Parameters
    ----------
    normalize : callable or None
        From str to str.
    nfc : tuple of buffers, or None
        The tables of `fastprep.vocabulary.nfc`, if `normalize` is that function, so that it is called
        only for text that it may change.
    marks : bool
        Whether U+2581 becomes a space.
    space : int
        Where a space is put before text, or after pieces; see changes.pxd.
    pieces : number, or Program
        The pattern of these pieces.
    """

    def leaves(self, text not None) -> bool:
        """Return whether a UTF-8 text stays as it is, but for spaces that it gets; True is certain."""
        cdef Array bytes = array_of(text, ITEM_UINT8)
        cdef Change change = self.change
        change.space = SPACE_NEVER
        return is_unchanged(&change, <const uint8_t *>bytes.at, bytes.count)

    def __cinit__(self, normalize=None, nfc=None, bint marks=False, int space=0, pieces=0):
        cdef NfcTables *tables = &self.change.tables
        cdef Array held
        self.function = normalize
        self.change.normalize = NULL if normalize is None else <PyObject *>normalize
        self.change.marks = marks
        self.change.space = space
        self.program = pieces
        self.change.pieces = pattern_number(pieces)
        if nfc is not None:
            self.change.nfc = True
            kinds = (ITEM_UINT16, ITEM_UINT64, ITEM_UINT64, ITEM_UINT32, ITEM_UINT8, ITEM_UINT8, ITEM_UINT64)
            arrays = []
            for table, kind in zip(nfc, kinds):
                arrays.append(array_of(table, kind))
            self.arrays = tuple(arrays)
            held = arrays[0]
            tables.stages = <const uint16_t *>held.at
            held = arrays[1]
            tables.active = <const uint64_t *>held.at
            held = arrays[2]
            tables.composed = <const uint64_t *>held.at
            held = arrays[3]
            tables.ranks = <const uint32_t *>held.at
            held = arrays[4]
            tables.classes = <const uint8_t *>held.at
            held = arrays[5]
            tables.kinds = <const uint8_t *>held.at
            held = arrays[6]
            tables.pairs = <const uint64_t *>held.at
            tables.pair_mask = held.count - 1
