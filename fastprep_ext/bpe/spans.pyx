"""Ids -> the characters of the text that each comes from.

The tokens of a part between added tokens spell it, so their lengths are enough. That holds for text that
normalization leaves as it is, if all its bytes are tokens; the caller has another way for the rest.
"""

cdef extern from "bpe/characters.h" nogil:
    ctypedef struct Characters:
        pass
    void characters_begin(Characters *self, const uint8_t *text, size_t n)
    int64_t characters_before(Characters *self, size_t at)

cdef extern from "Python.h":
    Py_ssize_t str_length "PyUnicode_GET_LENGTH"(object text)
    void *error_is_set "PyErr_Occurred"()

cdef enum:
    TOKENS_AHEAD = 16          # of the table's rows, which are a cache miss each


# Return whether tokens spell each part of a text between added tokens, or that with a space before it.
cdef bint is_spelled(
    const Ranks *ranks, const Cutter *cutter, const uint8_t *text, size_t n
) noexcept nogil:
    cdef Change change
    cdef size_t i
    if ranks.lacks_bytes:
        for i in range(n):
            if ranks.byte_ranks[text[i]] == NO_RANK:
                return False
    if cutter == NULL or cutter.change == NULL:
        return True
    change = cutter.change[0]
    if change.space != SPACE_NEVER and (cutter.late != NULL or change.space == SPACE_AFTER_PIECES):
        return False
    change.space = SPACE_NEVER
    return is_unchanged(&change, text, n)


# Return whether a part that is not empty gets a space before it; encode_section has the same rules.
cdef inline bint has_space_before(const Feed *feed, int space) noexcept nogil:
    if space == SPACE_NEVER or space == SPACE_ALWAYS:
        return space == SPACE_ALWAYS
    return feed.text[feed.part] != c' ' and (space == SPACE_BEFORE_PARTS or feed.part == 0)


# Write the first byte and the end of each id's text. False if the ids do not spell it.
cdef bint find_bytes(
    const Tokens *tokens, const Cutter *cutter, const uint8_t *text, size_t n, const uint32_t *ids,
    size_t count, int64_t *spans
) noexcept nogil:
    cdef int space = cutter.change.space if cutter != NULL and cutter.change != NULL else SPACE_NEVER
    cdef size_t k = 0, at, size, before
    cdef const Token *token
    cdef Feed feed
    memset(&feed, 0, sizeof(Feed))
    feed.text = text
    feed.n = n
    feed.early = cutter.early if cutter != NULL else NULL
    feed.late = cutter.late if cutter != NULL else NULL
    while feed_part(&feed):
        size = feed.part_end - feed.part
        before = 1 if size and has_space_before(&feed, space) else 0
        size += before
        at = 0
        while at < size:
            if k == count:
                return False
            if tokens.ids == NULL and k + TOKENS_AHEAD < count and ids[k + TOKENS_AHEAD] < tokens.n:
                prefetch(&tokens.at[ids[k + TOKENS_AHEAD]])
            token = token_of(tokens, ids[k])
            if token == NULL:
                return False
            # The space has the place of the character after it.
            spans[2 * k] = feed.part + max(at, before) - before
            at += token_size(token)
            spans[2 * k + 1] = feed.part + max(at, before + 1) - before
            k += 1
        if at != size:
            return False
        if feed.has_mark:
            if k == count or ids[k] != feed.mark:
                return False
            spans[2 * k] = feed.mark_begin
            spans[2 * k + 1] = feed.mark_end
            k += 1
    return k == count


# Replace bytes by characters: all that a span has a part of.
cdef void count_span_characters(
    const uint8_t *text, size_t n, int64_t *spans, size_t count
) noexcept nogil:
    cdef Characters characters
    cdef size_t k
    cdef int64_t end_byte = -1, end = 0, begin
    characters_begin(&characters, text, n)
    for k in range(count):
        begin = spans[2 * k]
        if begin == end_byte:
            spans[2 * k] = end - (text[begin] & 0xC0 == 0x80)
        else:
            spans[2 * k] = characters_before(&characters, begin + 1) - 1
        end_byte = spans[2 * k + 1]
        spans[2 * k + 1] = end = characters_before(&characters, end_byte)


def find_spans(
    Encoder encoder not None, Decoder decoder not None, text not None, ids, spans,
    Specials specials=None,
) -> bool:
    """Find the characters of a str that each of its ids comes from.

    Parameters
    ----------
    text : str
        The text.
    ids : buffer of uint32, [n]
        Its ids, as `encoder` gives them with `specials`.
    spans : buffer of int64, [2 * n]
        Receives for each id the index of its first character, and that after its last.

    Returns False, and `spans` has no meaning, if the text is normalized or has bytes that are no tokens.
    """
    cdef Py_ssize_t n
    cdef const uint8_t *utf8 = utf8_of(text, &n)
    cdef Py_ssize_t characters = str_length(text)
    cdef Array held = array_of(ids, ITEM_UINT32), out = array_of(spans, ITEM_INT64, True)
    cdef const Cutter *cutter = encoder.cutter_of(specials)
    cdef bint found
    if out.count != 2 * held.count:
        raise ValueError(f"{held.count} ids, and room for {out.count} places")
    with nogil:
        found = is_spelled(&encoder.ranks, cutter, utf8, n) and find_bytes(
            &decoder.tokens, cutter, utf8, n, <const uint32_t *>held.at, held.count, <int64_t *>out.at
        )
        if found and characters != n:
            count_span_characters(utf8, n, <int64_t *>out.at, held.count)
    return found


def list_with_spans(ids, spans) -> tuple:
    """List ids, a buffer of uint32, and the pairs in `spans`, a buffer of int64."""
    cdef Array held = array_of(ids, ITEM_UINT32), pairs = array_of(spans, ITEM_INT64)
    cdef list listed, spanned
    if pairs.count != 2 * held.count:
        raise ValueError(f"{held.count} ids, and {pairs.count} places")
    listed = PyList_New(held.count)
    spanned = PyList_New(held.count)
    list_ids(listed, <const uint32_t *>held.at, held.count)
    fill_pairs(spanned, <const int64_t *>pairs.at, held.count)
    # The collector runs when the tuple is made, because of all those pairs. It need not visit them.
    PyObject_GC_UnTrack(<void *>listed)
    PyObject_GC_UnTrack(<void *>spanned)
    made = (listed, spanned)
    PyObject_GC_Track(<void *>listed)
    PyObject_GC_Track(<void *>spanned)
    return made


def list_spans(spans) -> list:
    """List the pairs in a buffer of int64."""
    cdef Array held = array_of(spans, ITEM_INT64)
    cdef list result = PyList_New(held.count // 2)
    fill_pairs(result, <const int64_t *>held.at, held.count // 2)
    return result


def fill_from_lists(rows not None, numbers) -> bool:
    """Write the ints of lists, one list after another, to a buffer of int64.

    Returns False, and the buffer has no meaning, if there is anything else, or another number of them.
    """
    cdef Array held = array_of(numbers, ITEM_INT64, True)
    cdef int64_t *number = <int64_t *>held.at
    cdef Py_ssize_t count = 0, i
    cdef PyObject *item
    cdef list row
    for each in rows:
        if type(each) is not list:
            return False
        row = each
        with cython.critical_section(row):
            if len(row) > held.count - count:
                return False
            for i in range(len(row)):
                item = list_get_item(row, i)
                if not PyLong_CheckExact(item):
                    return False
                number[count + i] = int_value(item)
                if number[count + i] == -1 and error_is_set() != NULL:
                    PyErr_Clear()
                    return False
            count += len(row)
    return count == held.count
