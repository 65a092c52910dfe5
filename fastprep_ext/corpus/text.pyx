"""Text to the documents between its separators: what bytes.split does, without an object per document.

Separators are found from left to right, and do not overlap.
"""


cdef extern from "corpus/find.h" nogil:
    const uint8_t *find_bytes(const uint8_t *text, size_t n, const uint8_t *wanted, size_t m)


cdef inline bint is_blank(const uint8_t *text, size_t n) noexcept nogil:
    cdef size_t i = 0
    while i < n and (text[i] == c' ' or c'\t' <= text[i] <= c'\r'):
        i += 1
    return i == n


cdef Py_ssize_t split_texts(
    Splitting *s, int64_t *starts, int64_t *stops, Py_ssize_t count, Py_ssize_t capacity
) noexcept nogil:
    cdef const uint8_t *found
    cdef size_t stop
    while count < capacity:
        if <int64_t>s.at >= s.limit and not s.continued:
            s.ended = True
            break
        found = NULL
        if s.separator != NULL:
            found = find_bytes(s.text + s.at, s.n - s.at, s.separator, s.gap)
        if found == NULL and not s.final:
            break
        stop = s.n if found == NULL else found - s.text
        if s.continued or not is_blank(s.text + s.at, stop - s.at):
            starts[count], stops[count] = s.at, stop
            count += 1
        s.continued = False
        if found == NULL:
            s.at = s.n
            s.ended = True
            break
        s.at = stop + s.gap
    return count


# Appends the documents of the bytes from `start` to `stop` that rows hold; see split_documents. Sets how
# many bytes were taken, whether a document is continued, and whether no further one is wanted.
cdef tuple split_range(
    Rows rows, size_t start, size_t stop, object separator, int64_t limit, bint continued, bint final,
    int64_t base,
):
    cdef Splitting s
    cdef Array held
    cdef Py_ssize_t i, first = rows.count
    s.text, s.n, s.at = rows.bytes + start, stop - start, 0
    s.separator, s.gap = NULL, 0
    if separator is not None:
        held = array_of(separator, ITEM_UINT8)
        if held.count == 0:
            raise ValueError("an empty separator")
        s.separator, s.gap = <const uint8_t *>held.at, held.count
    s.limit, s.continued, s.final, s.ended = limit, continued, final, False
    while True:
        rows.reserve_rows(1)
        with nogil:
            rows.count = split_texts(&s, rows.starts, rows.stops, rows.count, rows.capacity)
        if rows.count < rows.capacity or s.ended:
            break
    for i in range(first, rows.count):
        rows.starts[i] += start
        rows.stops[i] += start
        rows.origins[i] = base + rows.starts[i]
        rows.size += rows.stops[i] - rows.starts[i]
    return s.at, s.continued, s.ended


def split_documents(
    Rows rows not None, separator, int64_t limit, bint continued, bint final,
    int64_t base,
) -> tuple:
    """Append the documents between separators in the bytes that rows hold, as documents of the rows.

    Parameters
    ----------
    rows
        bytes and no documents.
    separator
        None where the whole text is one document.
    limit
        documents that begin at this byte or later are left out.
    continued
        whether the bytes begin within a document, whose beginning was taken before. It is taken even
        if it is blank; others that are empty or only ASCII whitespace are none.
    final
        whether the text ends with these bytes.
    base
        the first byte's place in the file; the origin of a document is the place of its first byte.

    Returns
    -------
    tuple
        how many bytes were taken, the rest being the beginning of a document; whether that begins within
        a document still, as `continued`; whether no further document is wanted.

    >>> import io
    >>> from fastprep_ext.base import Rows
    >>> rows = Rows()
    >>> _ = rows.read(io.BytesIO(b"one--two-- --thr").readinto, 100)
    >>> split_documents(rows, b"--", 100, False, False, 7), [*rows], rows.origin(1)
    ((13, False, False), [b'one', b'two'], 12)
    """
    return split_range(rows, 0, rows.filled, separator, limit, continued, final, base)
