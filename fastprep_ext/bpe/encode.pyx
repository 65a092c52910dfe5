"""Encoder: Python texts in, ids out, the GIL released once per call."""

cdef enum:
    ENCODED_ON_STACK = 2048  # longest text, in bytes, that is encoded without allocating
    KEEP_GIL_BYTES = 256     # below this, releasing the GIL costs more than the work


# The caller's buffer for ids, of uint16 or uint32.
cdef Array writable_ids(object out):
    return array_of(out, ITEM_UINT16 if memoryview(out).itemsize == 2 else ITEM_UINT32, True)


cdef class Encoder(Vocabulary):
    """A vocabulary that encodes texts; constructed as :class:`Vocabulary`."""

    def encode(
        self, text not None, Specials specials=None, size_t limit=SIZE_MAX >> 1
    ) -> list:
        """Return the ids of a str as a list, at most `limit` of them, with special tokens recognized.

        Raises UnicodeEncodeError on a lone surrogate.
        """
        cdef Py_ssize_t n, count
        cdef const uint8_t *utf8 = utf8_of(text, &n)
        cdef uint32_t small[ENCODED_ON_STACK + BPE_SLACK]
        cdef uint32_t *ids = small
        cdef size_t most = most_ids(&self.bound, n, 1)
        cdef Memory held
        if most > ENCODED_ON_STACK:
            held = allocate((most + BPE_SLACK) * sizeof(uint32_t))
            ids = <uint32_t *>held.at
        count = self._run(utf8, n, specials, limit, ids)
        return self.as_list(ids, count)

    def encode_to_buffer(
        self, text not None, Specials specials=None, size_t limit=SIZE_MAX >> 1
    ) -> memoryview | bytearray:
        """Return the ids of a str, or of a buffer of UTF-8, as a writable buffer of uint32."""
        cdef Documents source
        cdef Ids out
        cdef uint32_t small[ENCODED_ON_STACK + BPE_SLACK]
        cdef Py_ssize_t n
        cdef size_t most
        cdef const uint8_t *utf8
        if PyUnicode_Check(text):
            utf8 = utf8_of(text, &n)
        else:
            source = Documents((text,))
            utf8, n = source.texts[0], source.sizes[0]
        most = most_ids(&self.bound, n, 1)
        if most <= ENCODED_ON_STACK:
            # Creating anything heavier than a bytearray takes as long as encoding a prompt.
            n = self._run(utf8, n, specials, limit, small)
            return PyByteArray_FromStringAndSize(<char *>small, n * sizeof(uint32_t))
        out = new_ids(most + BPE_SLACK)
        return ids_view(out, self._run(utf8, n, specials, limit, out.ids))

    def encode_into(
        self, text not None, out not None, Specials specials=None, size_t limit=SIZE_MAX >> 1
    ) -> int:
        """Write the ids of a str, or of UTF-8, to a uint16 or uint32 buffer; return how many."""
        cdef Documents source = Documents((text,))
        cdef size_t n = source.sizes[0], most = most_ids(&self.bound, source.sizes[0], 1), capacity
        cdef Array held = writable_ids(out)
        cdef bint is_wide = held.view.itemsize == 4
        cdef Ids detour
        cdef Py_ssize_t i, count
        capacity = held.count
        if is_wide and capacity >= most + BPE_SLACK:
            return self._run(source.texts[0], n, specials, limit, <uint32_t *>held.at)
        detour = new_ids(most + BPE_SLACK)
        count = self._run(source.texts[0], n, specials, limit, detour.ids)
        if <size_t>count > capacity:
            raise ValueError(f"the text has {count} ids; there is room for {capacity}")
        for i in range(count):
            if is_wide:
                (<uint32_t *>held.at)[i] = detour.ids[i]
            elif detour.ids[i] >> 16:
                raise OverflowError(f"id {detour.ids[i]} does not fit uint16; release a uint32 buffer")
            else:
                (<uint16_t *>held.at)[i] = <uint16_t>detour.ids[i]
        return count

    def last_piece(self, text) -> int:
        """Return the byte at which the last piece of a UTF-8 text starts."""
        ends = split_pieces(text, self.splitter)
        return ends[len(ends) - 2] if len(ends) > 1 else 0

    def count(self, text not None, Specials specials=None) -> int:
        """Count the ids of a str, or of a buffer of UTF-8."""
        cdef Documents source
        cdef Py_ssize_t n
        cdef const uint8_t *utf8
        if PyUnicode_Check(text):
            utf8 = utf8_of(text, &n)
            return self._run(utf8, n, specials, SIZE_MAX >> 1, NULL)
        source = Documents((text,))
        return self._run(source.texts[0], source.sizes[0], specials, SIZE_MAX >> 1, NULL)

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
                    cutter, &self.bound, <uint32_t *>held.at, capacity, end, has_end, last, close_last, &failed,
                )
        else:
            with nogil:
                written = encode_documents[uint16_t](
                    &self.ranks, &scratch.worker, self.pattern, sources.texts, sources.sizes, documents,
                    cutter, &self.bound, <uint16_t *>held.at, capacity, end, has_end, last, close_last, &failed,
                )
        check_status(written, scratch, failed)
        self.release(scratch)
        return written

    def encode_rows(self, text, starts, stops, ends) -> memoryview:
        """Return the ids of rows of one buffer of UTF-8, back to back, as a memoryview of uint32.

        Row i is text[starts[i]:stops[i]]; `ends`, of the same length, receives the end of its ids.
        """
        cdef Array held = array_of(text, ITEM_UINT8), held_ends = array_of(ends, ITEM_UINT64, True)
        cdef Array held_starts = array_of(starts, ITEM_INT64), held_stops = array_of(stops, ITEM_INT64)
        cdef const int64_t *start = <const int64_t *>held_starts.at
        cdef const int64_t *stop = <const int64_t *>held_stops.at
        cdef Py_ssize_t rows = held_starts.count, size = held.count, i, count = 0, failed = 0
        cdef size_t total = 0
        cdef Memory held_texts = allocate(rows * sizeof(void *))
        cdef Memory held_sizes = allocate(rows * sizeof(size_t))
        cdef const uint8_t **texts = <const uint8_t **>held_texts.at
        cdef size_t *sizes = <size_t *>held_sizes.at
        cdef Ids out
        cdef const Cutter *cutter
        cdef Scratch scratch
        if held_stops.count != rows or held_ends.count != rows:
            raise ValueError(
                f"{rows} rows begin, {held_stops.count} end, {held_ends.count} ends have room"
            )
        for i in range(rows):
            if not 0 <= start[i] <= stop[i] <= size:
                raise ValueError(
                    f"row {i} goes from {start[i]} to {stop[i]}, in a buffer of {size} bytes"
                )
            texts[i] = <const uint8_t *>held.at + start[i]
            sizes[i] = stop[i] - start[i]
            total += sizes[i]
        out = new_ids(most_ids(&self.bound, total, rows) + BPE_SLACK)
        cutter = self.cutter_of(None)
        scratch = self.acquire()
        with nogil:
            count = encode_each(
                &self.ranks, &scratch.worker, self.pattern, texts, sizes, rows, cutter, out.ids,
                <uint64_t *>held_ends.at, &failed,
            )
        check_status(count, scratch, failed)
        self.release(scratch)
        return ids_view(out, count)

    cdef Py_ssize_t _run(
        self, const uint8_t *utf8, size_t n, Specials specials, size_t limit, uint32_t *ids
    ) except -1:
        cdef Scratch scratch = self.acquire()
        cdef const Cutter *cutter = self.cutter_of(specials)
        cdef Py_ssize_t count
        if n < KEEP_GIL_BYTES:
            count = encode_text[uint32_t](
                &self.ranks, &scratch.worker, self.pattern, utf8, n, cutter, limit, ids
            )
        else:
            with nogil:
                count = encode_text[uint32_t](
                    &self.ranks, &scratch.worker, self.pattern, utf8, n, cutter, limit, ids
                )
        check_status(count, scratch)
        self.release(scratch)
        return count
