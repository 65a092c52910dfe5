"""Encoder: Python texts in, ids out, the GIL released once per call."""

cdef enum:
    ENCODED_ON_STACK = 2048  # longest text, in bytes, that is encoded without allocating
    # Below this, releasing the GIL costs more than the work: another thread has to be woken, which takes
    # as long as encoding thousands of bytes. Two threads that gave it away had 0.72 to 0.77 times the
    # speed of one on texts of 500 and 2,000 bytes, 1.2 times on 10,000.
    KEEP_GIL_BYTES = 8192
    MAX_KEPT_IDS = 1 << 18   # ids that a scratch keeps memory for


# The caller's buffer for ids, of uint16 or uint32.
cdef Array writable_ids(object out):
    return array_of(out, ITEM_UINT16 if memoryview(out).itemsize == 2 else ITEM_UINT32, True)


#: The largest number of ids that a call takes as a limit: none.
NO_LIMIT = SIZE_MAX >> 1


cdef extern from "bpe/arrays.h":
    bint numpy_is_loaded()
    int numpy_load(object capsule, object uint16, object uint32) except -1
    object array_new(Py_ssize_t count)
    object array_over(object owner, void *data, Py_ssize_t count, int bytes)
    void *array_data(object array)
    Py_ssize_t array_count(object array)
    int array_kind(object array)


# Load what arrays.h needs; numpy takes longer to import than an encoding to load.
cdef int need_numpy() except -1:
    if numpy_is_loaded():
        return 0
    import numpy
    from sys import modules

    core = modules.get("numpy._core._multiarray_umath") or modules["numpy.core._multiarray_umath"]
    numpy_load(core._ARRAY_API, numpy.dtype(numpy.uint16), numpy.dtype(numpy.uint32))
    return 0


cdef class Encoder(Vocabulary):
    """A vocabulary that encodes texts; constructed as :class:`Vocabulary`.

    `specials` are recognized in a text, by default those that were added. With a `guard`, a text that
    has one of its tokens gives None, and nothing is written.
    """

    def encode(
        self, text not None, Specials specials=None, size_t limit=SIZE_MAX >> 1, Specials guard=None
    ) -> list | None:
        """Return the ids of a str as a list, at most `limit` of them, with special tokens recognized.

        Raises UnicodeEncodeError on a lone surrogate.
        """
        cdef Py_ssize_t n, count
        cdef const uint8_t *utf8 = utf8_of(text, &n)
        cdef uint32_t small[ENCODED_ON_STACK + BPE_SLACK]
        cdef uint32_t *ids = small
        cdef size_t most = most_ids(&self.bound, n, 1)
        cdef Scratch scratch = self.acquire()
        cdef list found
        if most > ENCODED_ON_STACK:
            ids = room_for(scratch, most)
        count = self._run(scratch, utf8, n, specials, limit, guard, ids)
        if count == BPE_REFUSED:
            self.release(scratch)
            return None
        found = self.as_list(ids, count)
        self.release(scratch)
        return found

    def encode_to_array(
        self, text not None, Specials specials=None, size_t limit=SIZE_MAX >> 1, Specials guard=None
    ):
        """Return the ids of a str as an array of uint32."""
        cdef Py_ssize_t n
        cdef const uint8_t *utf8 = utf8_of(text, &n)
        return self._array(utf8, n, specials, limit, guard)

    def encode_buffer(self, data not None, size_t limit=SIZE_MAX >> 1):
        """Return the ids of a buffer of UTF-8 as an array of uint32."""
        cdef Documents source = Documents((data,))
        return self._array(source.texts[0], source.sizes[0], None, limit, None)

    cdef object _array(
        self, const uint8_t *utf8, Py_ssize_t n, Specials specials, size_t limit, Specials guard
    ):
        cdef uint32_t small[ENCODED_ON_STACK + BPE_SLACK]
        cdef uint32_t *ids = small
        cdef size_t most = most_ids(&self.bound, n, 1)
        cdef Ids out = None
        cdef Scratch scratch
        cdef Py_ssize_t count
        need_numpy()
        scratch = self.acquire()
        if most > MAX_KEPT_IDS:
            # Ids that are many are not copied: what they do not need of the memory is given back.
            out = new_ids(most + BPE_SLACK)
            ids = out.ids
        elif most > ENCODED_ON_STACK:
            ids = room_for(scratch, most)
        count = self._run(scratch, utf8, n, specials, limit, guard, ids)
        if count == BPE_REFUSED:
            self.release(scratch)
            return None
        if out is not None:
            self.release(scratch)
            ids_view(out, count)
            return array_over(out, out.ids, count, 4)
        array = array_new(count)
        memcpy(array_data(array), ids, count * sizeof(uint32_t))
        self.release(scratch)
        return array

    def encode_into(
        self, text not None, out not None, Specials specials=None, size_t limit=SIZE_MAX >> 1,
        Specials guard=None, bint is_checked=False
    ):
        """Write the ids of a str to an array of uint16 or uint32, and return its first part.

        For a buffer of another type nothing is done, and the result is NotImplemented; if the caller has
        checked it, ids are written and the result is their number.
        """
        cdef Array buffer
        cdef Scratch scratch
        cdef uint32_t small[ENCODED_ON_STACK + BPE_SLACK]
        cdef uint32_t *ids = small
        cdef void *to
        cdef Py_ssize_t n, count, capacity, i
        cdef const uint8_t *utf8 = utf8_of(text, &n)
        cdef size_t most = most_ids(&self.bound, n, 1)
        cdef int width
        cdef uint32_t wide = 0
        cdef bint is_array
        need_numpy()
        width = array_kind(out)
        is_array = width != 0
        if not is_array and not is_checked:
            return NotImplemented
        if is_array:
            to, capacity = array_data(out), array_count(out)
        else:
            buffer = writable_ids(out)
            to, capacity, width = buffer.at, buffer.count, buffer.view.itemsize
        scratch = self.acquire()
        if width == 4 and <size_t>capacity >= most + BPE_SLACK:
            ids = <uint32_t *>to
        elif most > ENCODED_ON_STACK:
            ids = room_for(scratch, most)
        count = self._run(scratch, utf8, n, specials, limit, guard, ids)
        if count == BPE_REFUSED:
            self.release(scratch)
            return None
        i = 0
        if count <= capacity and width == 4:
            i = count
            if <void *>ids != to:
                memcpy(to, ids, count * sizeof(uint32_t))
        elif count <= capacity:
            while i < count and ids[i] >> 16 == 0:
                (<uint16_t *>to)[i] = <uint16_t>ids[i]
                i += 1
            if i < count:
                wide = ids[i]
        self.release(scratch)
        if count > capacity:
            raise ValueError(f"the text has {count} ids; there is room for {capacity}")
        if i < count:
            raise OverflowError(f"id {wide} does not fit uint16; release a uint32 buffer")
        return array_over(out, to, count, width) if is_array else count

    def last_piece(self, text) -> int:
        """Return the byte at which the last piece of a UTF-8 text starts."""
        ends = split_pieces(text, self.splitter)
        return ends[len(ends) - 2] if len(ends) > 1 else 0

    def count(
        self, text not None, Specials specials=None, size_t limit=SIZE_MAX >> 1, Specials guard=None
    ) -> int | None:
        """Count the ids of a str; stop at `limit`."""
        cdef Py_ssize_t n
        cdef const uint8_t *utf8 = utf8_of(text, &n)
        cdef Scratch scratch = self.acquire()
        n = self._run(scratch, utf8, n, specials, limit, guard, NULL)
        self.release(scratch)
        return None if n == BPE_REFUSED else n

    def encode_documents(
        self, texts not None, out not None, ends not None, *, end_token=None, bint close_last=True
    ) -> int:
        """Encode documents back to back into the caller's buffers; see `Encoding`."""
        cdef Documents sources = Documents(texts)
        cdef Py_ssize_t documents = sources.count, written, failed = 0
        cdef uint64_t last = 0 if end_token is None else end_token
        cdef bint has_end = end_token is not None
        cdef Array held = writable_ids(out), held_ends = array_of(ends, ITEM_UINT64, True)
        cdef uint64_t *end = <uint64_t *>held_ends.at
        cdef Py_ssize_t capacity = held.count
        cdef bint is_wide = held.view.itemsize != 2
        cdef size_t most
        cdef const Cutter *cutter = self.cutter_of(None)
        cdef Scratch scratch
        if held_ends.count < documents:
            raise ValueError(
                f"{documents} texts need as many ends; there is room for {held_ends.count}"
            )
        most = most_ids(&self.bound, sources.total, documents) + documents
        if <size_t>capacity < most:
            raise ValueError(
                f"texts of {sources.total} bytes need room for {most} ids (most_ids, and one per text); "
                f"there is room for {capacity}"
            )
        if not is_wide and max(self.largest_id, last) > 0xFFFF:
            raise OverflowError(
                f"ids up to {max(self.largest_id, last)} do not fit uint16; release a uint32 buffer"
            )
        scratch = self.acquire()
        if is_wide:
            with nogil:
                written = encode_documents[uint32_t](
                    &self.ranks, &scratch.worker, self.pattern, sources.texts, sources.sizes, documents,
                    NULL, cutter, &self.bound, SIZE_MAX >> 1, <uint32_t *>held.at, capacity, end, has_end,
                    last, close_last, &failed,
                )
        else:
            with nogil:
                written = encode_documents[uint16_t](
                    &self.ranks, &scratch.worker, self.pattern, sources.texts, sources.sizes, documents,
                    NULL, cutter, &self.bound, SIZE_MAX >> 1, <uint16_t *>held.at, capacity, end, has_end,
                    last, close_last, &failed,
                )
        check_status(written, scratch, failed)
        self.release(scratch)
        return written

    cdef Py_ssize_t _run(
        self, Scratch scratch, const uint8_t *utf8, size_t n, Specials specials, size_t limit,
        Specials guard, uint32_t *ids
    ) except -1:
        cdef const Cutter *cutter = self.cutter_of(specials)
        cdef const SpecialTable *guarded = guard.cutter.early if guard is not None else NULL
        cdef Py_ssize_t count
        if n < KEEP_GIL_BYTES:
            count = encode_guarded(
                &self.ranks, &scratch.worker, self.pattern, utf8, n, guarded, cutter, limit, ids
            )
        else:
            with nogil:
                count = encode_guarded(
                    &self.ranks, &scratch.worker, self.pattern, utf8, n, guarded, cutter, limit, ids
                )
        if count != BPE_REFUSED:
            check_status(count, scratch)
        return count


# Memory for the ids of one call: the scratch's, which is kept, or for many ids memory of its own.
cdef uint32_t *room_for(Scratch scratch, size_t ids) except NULL:
    if ids > MAX_KEPT_IDS:
        scratch.large = allocate((ids + BPE_SLACK) * sizeof(uint32_t))
        return <uint32_t *>scratch.large.at
    if scratch.capacity < ids:
        free(scratch.ids)
        scratch.capacity = 0
        scratch.ids = <uint32_t *>malloc((2 * ids + BPE_SLACK) * sizeof(uint32_t))
        if scratch.ids == NULL:
            raise MemoryError(f"no memory for {ids} ids")
        scratch.capacity = 2 * ids
    return scratch.ids
