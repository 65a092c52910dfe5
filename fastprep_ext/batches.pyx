"""The binding of the encoder for many texts whose ids stand back to back."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc

from fastprep_ext cimport texts as kernel
from fastprep_ext.bpe cimport BPE_SLACK
from fastprep_ext.buffers cimport Documents, Ids, room_for, view_of
from fastprep_ext.specials cimport Specials
from fastprep_ext.vocabulary cimport Scratch, Vocabulary, check


cdef Py_ssize_t encode_documents(
    Vocabulary self, texts, out, uint64_t[::1] ends, end_token, bint close_last
) except -1:
    cdef Documents sources = Documents(texts)
    cdef Py_ssize_t documents = sources.count, written, failed = 0
    cdef uint64_t last = 0 if end_token is None else end_token
    cdef bint closes = end_token is not None
    cdef Py_ssize_t room = len(out)
    cdef uint32_t[::1] wide
    cdef uint16_t[::1] narrow
    cdef bint is_wide = memoryview(out).itemsize != 2
    cdef Scratch scratch
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
    scratch = self.take()
    if is_wide:
        wide = out
        with nogil:
            written = kernel.encode_documents[uint32_t](
                &self.ranks, &scratch.worker, self.pattern, sources.texts, sources.sizes, documents,
                &wide[0] if room else NULL, room, &ends[0] if documents else NULL,
                closes, last, close_last, &failed,
            )
    else:
        narrow = out
        with nogil:
            written = kernel.encode_documents[uint16_t](
                &self.ranks, &scratch.worker, self.pattern, sources.texts, sources.sizes, documents,
                &narrow[0] if room else NULL, room, &ends[0] if documents else NULL,
                closes, last, close_last, &failed,
            )
    check(written, scratch, failed)
    self.give(scratch)
    return written


cdef object encode_rows(
    Vocabulary self, const uint8_t[::1] text, const int64_t[::1] starts, const int64_t[::1] stops,
    uint64_t[::1] ends
):
    cdef Py_ssize_t rows = starts.shape[0], size = text.shape[0], i, count = 0, failed = 0
    cdef size_t total = 0
    cdef const uint8_t *first = &text[0] if size else NULL
    cdef const uint8_t **texts = <const uint8_t **>malloc((rows + 1) * sizeof(void *))
    cdef size_t *sizes = <size_t *>malloc((rows + 1) * sizeof(size_t))
    cdef Ids out
    cdef Scratch scratch
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
        out = room_for(total + BPE_SLACK)
        scratch = self.take()
        with nogil:
            count = kernel.encode_each(
                &self.ranks, &scratch.worker, self.pattern, texts, sizes, rows, NULL, out.ids,
                &ends[0] if rows else NULL, &failed,
            )
        check(count, scratch, failed)
        self.give(scratch)
    finally:
        free(texts)
        free(sizes)
    return view_of(out, count)
