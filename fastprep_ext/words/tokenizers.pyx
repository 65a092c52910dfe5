"""The notebook's word tokenizers: str in, lists of ids or of words out."""

cdef extern from "Python.h":
    # On bare pointers: Cython would increment and decrement each reference count once more.
    void Py_INCREF(PyObject *o)
    void PyList_SET_ITEM(object list, Py_ssize_t i, PyObject *o)
    list PyList_New(Py_ssize_t n)


cdef enum:
    RELEASE_GIL = 1 << 14  # code points from which on the GIL is released
    PREFETCHED_IDS = 32    # ids
    DONE = 0               # results of look_up
    FULL = 1
    UNKNOWN = 2

# The ids of a text's pieces so far: addresses of objects, which the kernels treat as integers.
cdef struct FoundIds:
    int64_t at                # origin of the next window
    int64_t count
    int64_t capacity
    int64_t *items


cdef Text text_of(object text) except *:
    if not PyUnicode_Check(text):
        raise TypeError(f"text must be a str, not {type(text).__name__}")
    return Text(PyUnicode_DATA(text), PyUnicode_GET_LENGTH(text), PyUnicode_KIND(text))


# Seeded by Python's hash of str, which is keyed per process.
cdef int seed_table(Table *table, int attempt=0) except -1:
    table_init(table, <uint64_t>hash(f"low {attempt}") | 1, <uint64_t>hash(f"high {attempt}") | 1)
    return 0


cdef class WordTable:
    """A compiled vocabulary: words in, their ids out.

    Parameters
    ----------
    vocab
        a dict from words to ids of any kind; later changes have no effect.
    unknown
        the word whose id is used for every word that is not in `vocab`, or None.
    """

    cdef Index index
    cdef Table long_words
    cdef tuple ids
    cdef int64_t unknown_id
    cdef Py_ssize_t size
    cdef readonly object vocab
    cdef readonly object unknown

    def __cinit__(self, vocab, unknown=None):
        cdef Text word
        cdef list items = list(vocab.items())
        cdef list words = [], ids = []
        for key, number in items:
            if isinstance(key, str):
                words.append(key)
                ids.append(number)
        self.ids = tuple(ids)
        self.size = len(items)
        self.vocab = vocab
        self.unknown = unknown
        for attempt in range(100):
            if self.build(words, attempt):
                break
        else:
            raise RuntimeError("no seed of 100 gave a perfect hash")
        self.unknown_id = -1
        if unknown is not None:
            word = text_of(unknown)
            self.unknown_id = index_find(&self.index, &self.long_words, &word)

    # Fill the index and the table of long words; False if these seeds do not work.
    cdef bint build(self, list words, int attempt) except -1:
        cdef Table short_words
        cdef Table *table
        cdef Text word
        cdef int status
        table_free(&self.long_words)
        index_free(&self.index)
        seed_table(&short_words, attempt)
        seed_table(&self.long_words, attempt)
        try:
            for key, number in zip(words, self.ids):
                word = text_of(key)
                table = &short_words if is_short(&word) else &self.long_words
                if table_reserve(table, 1, word.length) < 0:
                    raise MemoryError(f"no memory for a table of {len(words)} words")
                table_put(table, &word, address(number))
            # A lookup reads the table even if it is empty.
            status = table_reserve(&self.long_words, 1, 0)
            if status == 0:
                status = index_build(&self.index, &short_words)
            if status == -1:
                raise MemoryError(f"no memory for a table of {len(words)} words")
            return status == 0
        finally:
            table_free(&short_words)

    def __dealloc__(self):
        index_free(&self.index)
        table_free(&self.long_words)

    def __len__(self):
        """Return the length that the vocabulary had."""
        return self.size

    def __reduce__(self):
        return type(self), (self.vocab, self.unknown)

    def encode(self, text):
        """Return the ids of the words of `text`, the same objects that the vocabulary held.

        A word without an id, if there is no `unknown`, is looked up in the vocabulary itself, whose
        KeyError propagates.
        """
        cdef Text units = text_of(text)
        cdef Window window
        cdef FoundIds ids = FoundIds(0, 0, 0, NULL)
        cdef list others = []     # keeps alive the ids that are not from the vocabulary
        cdef int status
        try:
            while True:
                if units.length >= RELEASE_GIL:
                    with nogil:
                        status = self.look_up(&units, &window, &ids)
                else:
                    status = self.look_up(&units, &window, &ids)
                if status == DONE:
                    return list_of(&ids)
                if status == FULL:
                    grow_ids(&ids, &units)
                else:
                    self.look_up_in_vocab(text, &window, &ids, others)
        finally:
            free(ids.items)

    # Encode windows until the text is DONE, the ids are FULL, or the last window has an UNKNOWN word.
    cdef int look_up(self, const Text *text, Window *window, FoundIds *ids) noexcept nogil:
        cdef bint any_unknown
        while ids.at < text.length:
            if ids.capacity - ids.count < WINDOW:
                return FULL
            ids.at = cut_window(text, ids.at, window)
            any_unknown = look_up_window(
                &self.index, &self.long_words, text, window, self.unknown_id,
                ids.items + ids.count,
            )
            ids.count += window.count
            if any_unknown:
                return UNKNOWN
        return DONE

    # Look up the window's unknown words in the vocabulary, and keep their ids alive in `others`. A
    # plain dict raises KeyError; one with __missing__ returns a value.
    cdef int look_up_in_vocab(
        self, object text, const Window *window, FoundIds *ids, list others
    ) except -1:
        cdef int64_t *items = ids.items + (ids.count - window.count)
        cdef int64_t i
        for i in range(window.count):
            if items[i] < 0:
                word = self.unknown
                if word is None:
                    word = PyUnicode_Substring(
                        text, piece_start(window, i), piece_end(window, i)
                    )
                number = self.vocab[word]
                others.append(number)
                items[i] = address(number)
        return 0


cdef inline int64_t address(object value) noexcept:
    return <int64_t><intptr_t><PyObject *>value


# The objects are scattered in memory: prefetching each PREFETCHED_IDS ahead saves a fifth of the
# total time with 130,000 of them.
cdef list list_of(const FoundIds *ids):
    cdef list found = PyList_New(ids.count)
    cdef int64_t i, prefetched = max(<int64_t>0, ids.count - PREFETCHED_IDS)
    for i in range(prefetched):
        prefetch(<const void *><intptr_t>ids.items[i + PREFETCHED_IDS])
        put_in_list(found, i, <PyObject *><intptr_t>ids.items[i])
    for i in range(prefetched, ids.count):
        put_in_list(found, i, <PyObject *><intptr_t>ids.items[i])
    return found


cdef inline void put_in_list(list found, int64_t i, PyObject *item) noexcept:
    Py_INCREF(item)
    PyList_SET_ITEM(found, i, item)


# A text has at most as many pieces as code points; prose has one per five.
cdef int grow_ids(FoundIds *ids, const Text *text) except -1:
    cdef int64_t capacity = max(2 * ids.capacity, text.length // 4)
    cdef int64_t *items
    capacity = min(capacity, text.length) + WINDOW
    items = <int64_t *>realloc(ids.items, capacity * sizeof(int64_t))
    if items == NULL:
        raise MemoryError(f"no memory for the ids of {text.length} characters")
    ids.items = items
    ids.capacity = capacity
    return 0


def split_words(text):
    """Return the pieces of `text`, each as a str, in order."""
    cdef Text units = text_of(text)
    cdef Window window
    cdef int64_t i, at = 0
    cdef list words = []
    while at < units.length:
        at = cut_window(&units, at, &window)
        for i in range(window.count):
            words.append(
                PyUnicode_Substring(text, piece_start(&window, i), piece_end(&window, i))
            )
    return words


# Add all windows of the text to the table. 0, or -1 without memory.
cdef int collect(Table *table, const Text *text, Window *window) noexcept nogil:
    cdef int64_t next_at, at = 0
    while at < text.length:
        next_at = cut_window(text, at, window)
        if table_reserve(table, window.count, next_at - at) < 0:
            return -1
        collect_window(table, text, window)
        at = next_at
    return 0


# Short words are created in sorted order, so that later passes over the list find them contiguous in
# memory; in the order of the table, build_vocab took twice as long.
cdef list words_of(const Table *table):
    cdef list words = []
    cdef ShortWord *sorted_words
    cdef uint8_t characters[16]
    cdef int64_t i
    cdef int k
    cdef const Slot *slot
    cdef Memory memory = allocate(table.short_count * sizeof(ShortWord))
    sorted_words = <ShortWord *>memory.at
    with nogil:
        list_short(table, sorted_words)
    for i in range(table.short_count):
        for k in range(8):
            characters[k] = <uint8_t>(sorted_words[i].first >> (56 - 8 * k))
            characters[8 + k] = <uint8_t>(sorted_words[i].second >> (56 - 8 * k))
        words.append(PyUnicode_FromKindAndData(1, characters, characters[15]))
    if table.count > table.short_count:
        for i in range(<int64_t>table.mask + 1):
            slot = table.slots + i
            if slot.value >= 0 and slot.length < 0:
                words.append(PyUnicode_FromKindAndData(4, table.arena + slot.high, -slot.length))
    return words


def unique_words(texts):
    """Return the distinct words of all texts: sorted ones of up to 15 Latin-1 characters, then others.

    A str is created only per distinct word, not per occurrence.
    """
    cdef Table table
    cdef Text units
    cdef Window window
    cdef int status
    seed_table(&table)
    try:
        for text in texts:
            units = text_of(text)
            if units.length >= RELEASE_GIL:
                with nogil:
                    status = collect(&table, &units, &window)
            else:
                status = collect(&table, &units, &window)
            if status < 0:
                raise MemoryError(f"no memory for more than {table.count} words")
        return words_of(&table)
    finally:
        table_free(&table)


def join_words(words, ids, str closers):
    """Join the words of `ids` with spaces, and remove the whitespace before `closers`.

    `words` maps ids to words; `closers` are ASCII code points below 64.
    """
    cdef str joined = " ".join(list(map(words.__getitem__, ids)))
    cdef Text units = text_of(joined)
    cdef uint64_t mask = 0
    cdef int64_t left
    cdef Memory out
    for closer in closers:
        if ord(closer) >= 64:
            raise ValueError(f"{closer!r} is not a closer: its code point is 64 or more")
        mask |= <uint64_t>1 << <int>ord(closer)
    out = allocate(units.length * units.kind)
    with nogil:
        left = close_up(&units, mask, out.at)
    return PyUnicode_FromKindAndData(units.kind, out.at, left)
