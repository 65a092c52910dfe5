"""Chunks of texts, encoded by any number of threads, and TextBatch, which makes lists of them."""

cdef enum:
    # Bytes per chunk, unless one text is longer: its ids stay in a core's cache until they are
    # consumed.
    CHUNK_BYTES = 1 << 16
    TEXT_COST = 64             # an empty text is work, too


cdef int chunks_init(Chunks *self, Py_ssize_t texts) noexcept nogil:
    cdef Py_ssize_t i
    cdef size_t cost, all = 0, capacity = 0
    self.n = self.started = self.n_spare = 0
    self.room = most_ids(&self.bound, 2 * CHUNK_BYTES, CHUNK_BYTES // TEXT_COST)
    self.has_waiter = False
    pthread_mutex_init(&self.lock, NULL)
    pthread_cond_init(&self.chunk_done, NULL)
    for i in range(texts):
        all += self.sizes[i] + TEXT_COST
    # All chunks but the last are full.
    self.at = <Chunk *>calloc(all // CHUNK_BYTES + 1, sizeof(Chunk))
    if self.at == NULL:
        return -1
    for i in range(texts):
        if capacity == 0:
            self.at[self.n].first = i
            self.n += 1
            capacity = CHUNK_BYTES
        cost = self.sizes[i] + TEXT_COST
        capacity -= min(capacity, cost)
        self.at[self.n - 1].last = i + 1
        self.at[self.n - 1].size += self.sizes[i]
    return 0


cdef void chunks_free(Chunks *self) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(self.n):
        free(self.at[i].ids)
    for i in range(self.n_spare):
        free(self.spare[i])
    free(self.at)
    pthread_cond_destroy(&self.chunk_done)
    pthread_mutex_destroy(&self.lock)


cdef inline size_t chunk_room(const Chunks *self, const Chunk *chunk) noexcept nogil:
    return most_ids(&self.bound, chunk.size, chunk.last - chunk.first)


cdef void chunk_free(Chunks *self, Chunk *chunk) noexcept nogil:
    pthread_mutex_lock(&self.lock)
    if chunk.ids != NULL and self.n_spare < MAX_SPARE and chunk_room(self, chunk) <= self.room:
        self.spare[self.n_spare] = chunk.ids
        self.n_spare += 1
        chunk.ids = NULL
    pthread_mutex_unlock(&self.lock)
    free(chunk.ids)
    chunk.ids = NULL


cdef void encode_chunk(const Chunks *self, Chunk *chunk, Worker *worker) noexcept nogil:
    cdef Py_ssize_t failed
    cdef size_t room = max(chunk_room(self, chunk), self.room) + BPE_SLACK
    if not self.counts and chunk.ids == NULL:
        chunk.ids = <uint32_t *>malloc(room * sizeof(uint32_t))
        if chunk.ids == NULL:
            chunk.count = BPE_NO_MEMORY
            return
    chunk.count = encode_documents[uint32_t](
        self.ranks, worker, self.pattern, self.texts + chunk.first, self.sizes + chunk.first,
        chunk.last - chunk.first, self.guard, self.cutter, &self.bound, self.limit, chunk.ids,
        SIZE_MAX >> 1 if self.counts else room, self.ends + chunk.first, False, 0, True, &failed,
    )


cdef bint chunks_work(Chunks *self, Worker *worker) noexcept nogil:
    cdef Chunk *chunk = NULL
    pthread_mutex_lock(&self.lock)
    if self.started < self.n:
        chunk = &self.at[self.started]
        self.started += 1
        if self.n_spare and not self.counts and chunk_room(self, chunk) <= self.room:
            self.n_spare -= 1
            chunk.ids = self.spare[self.n_spare]
    pthread_mutex_unlock(&self.lock)
    if chunk == NULL:
        return False
    encode_chunk(self, chunk, worker)
    pthread_mutex_lock(&self.lock)
    chunk.done = True
    if self.has_waiter:
        pthread_cond_signal(&self.chunk_done)
    pthread_mutex_unlock(&self.lock)
    return True


cdef void chunks_stop(Chunks *self) noexcept nogil:
    pthread_mutex_lock(&self.lock)
    self.started = self.n
    pthread_mutex_unlock(&self.lock)


cdef bint chunk_is_done(Chunks *self, Py_ssize_t chunk) noexcept nogil:
    cdef bint done
    pthread_mutex_lock(&self.lock)
    done = self.at[chunk].done
    pthread_mutex_unlock(&self.lock)
    return done


cdef void chunks_wait(Chunks *self, Py_ssize_t chunk, Worker *worker) noexcept nogil:
    while not chunk_is_done(self, chunk):
        if not chunks_work(self, worker):
            break
    pthread_mutex_lock(&self.lock)
    self.has_waiter = True
    while not self.at[chunk].done:
        pthread_cond_wait(&self.chunk_done, &self.lock)
    self.has_waiter = False
    pthread_mutex_unlock(&self.lock)


cdef extern from "Python.h":
    void PyObject_GC_UnTrack(void *item)
    void PyObject_GC_Track(void *item)
    bint PyObject_GC_IsTracked(object item)
    const uint8_t *utf8_or_null "(const uint8_t *)PyUnicode_AsUTF8AndSize"(object text, Py_ssize_t *n)


cdef class TextBatch:
    """Texts that threads encode together: each thread in :meth:`work`, one in :meth:`lists`,
    :meth:`arrays` or :meth:`counts`.

    Threads encode without the GIL, and only one makes lists. Sharing that work was tried: a thread that
    waits for the GIL does not encode; two threads took longer than one.

    Parameters
    ----------
    vocabulary
        the encoder.
    texts
        Rows, or a sequence of str.
    specials
        the special tokens to recognize, or None.
    guard
        the tokens that must not occur, or None.
    limit
        the most ids of each text.
    buffers
        whether texts may be buffers of UTF-8.
    counts
        whether ids are only counted, for :meth:`counts`.

    Texts that have a token of the guard, or are not UTF-8, and those that could not be encoded, are
    passed to the function that the methods take; its exceptions propagate.
    """

    cdef Vocabulary vocabulary
    cdef Specials specials
    cdef Specials guard
    cdef Documents rows
    cdef object kept
    cdef Py_ssize_t count
    cdef uint8_t *apart        # [count] texts that have no UTF-8
    cdef Chunks chunks
    cdef const uint8_t **texts
    cdef size_t *sizes
    cdef uint64_t *ends
    cdef Py_buffer *views
    cdef Py_ssize_t held
    cdef bint started

    def __cinit__(
        self, Vocabulary vocabulary not None, texts not None, Specials specials=None,
        Specials guard=None, size_t limit=SIZE_MAX >> 1, *, bint buffers=False,
        bint counts=False,
    ):
        cdef Py_ssize_t i, n, count
        if isinstance(texts, Rows):
            self.rows = Documents(texts)
            self.kept = texts
        else:
            self.kept = tuple(texts)
        self.count = count = len(self.kept)
        self.vocabulary = vocabulary
        self.specials = specials
        self.guard = guard
        self.texts = <const uint8_t **>calloc(count + 1, sizeof(void *))
        self.sizes = <size_t *>calloc(count + 1, sizeof(size_t))
        self.ends = <uint64_t *>calloc(count + 1, sizeof(uint64_t))
        self.apart = <uint8_t *>calloc(count + 1, 1)
        if self.texts == NULL or self.sizes == NULL or self.ends == NULL or self.apart == NULL:
            raise MemoryError(f"no memory for a list of {count} texts")
        for i in range(count):
            if self.rows is not None:
                self.texts[i] = self.rows.texts[i]
                self.sizes[i] = self.rows.sizes[i]
                continue
            text = self.kept[i]
            if PyUnicode_Check(text):
                self.texts[i] = utf8_or_null(text, &n)
                self.sizes[i] = n
            elif buffers and PyObject_CheckBuffer(text):
                self._hold(i, text)
            if self.texts[i] == NULL:
                PyErr_Clear()
                self.sizes[i] = 0
                self.apart[i] = 1
        self.chunks.ranks = &vocabulary.ranks
        self.chunks.pattern = vocabulary.pattern
        self.chunks.cutter = vocabulary.cutter_of(specials)
        self.chunks.guard = guard.cutter.early if guard is not None else NULL
        self.chunks.bound = vocabulary.bound
        self.chunks.limit = limit
        self.chunks.counts = counts
        self.chunks.texts = self.texts
        self.chunks.sizes = self.sizes
        self.chunks.ends = self.ends
        self.started = True
        if chunks_init(&self.chunks, count) != 0:
            raise MemoryError(f"no memory for chunks of {count} texts")

    # Hold the buffer of text i. Its address may be NULL if it is empty.
    cdef int _hold(self, Py_ssize_t i, object text) except -1:
        if self.views == NULL:
            self.views = <Py_buffer *>calloc(self.count, sizeof(Py_buffer))
            if self.views == NULL:
                raise MemoryError(f"no memory for a list of {self.count} texts")
        PyObject_GetBuffer(text, &self.views[self.held], PyBUF_SIMPLE)
        self.texts[i] = <const uint8_t *>self.views[self.held].buf
        self.sizes[i] = self.views[self.held].len
        self.held += 1
        if self.texts[i] == NULL and self.sizes[i] == 0:
            self.texts[i] = <const uint8_t *>b""
        return 0

    def __dealloc__(self):
        cdef Py_ssize_t i
        if self.started:
            chunks_free(&self.chunks)
        for i in range(self.held):
            PyBuffer_Release(&self.views[i])
        free(self.views)
        free(self.texts)
        free(self.sizes)
        free(self.ends)
        free(self.apart)

    def __len__(self):
        """Return the number of chunks."""
        return self.chunks.n

    def work(self):
        """Encode chunks until all are started."""
        cdef Scratch scratch = self.vocabulary.acquire()
        with nogil:
            while chunks_work(&self.chunks, &scratch.worker):
                pass
        self.vocabulary.release(scratch)

    def stop(self):
        """Let the threads end after their current chunk."""
        chunks_stop(&self.chunks)

    # Wait for a chunk: encode others until none are left.
    cdef Chunk *_finished(self, Py_ssize_t number, Scratch scratch) except NULL:
        if not chunk_is_done(&self.chunks, number):
            with nogil:
                chunks_wait(&self.chunks, number, &scratch.worker)
        return &self.chunks.at[number]

    cdef bint _is_apart(self, const Chunk *chunk, Py_ssize_t text) noexcept:
        return chunk.count < 0 or self.apart[text]

    def lists(self, one) -> list:
        """Return the ids of each text, in order; call it once. Encodes chunks that no thread has
        started.

        ``one(text, its index)`` returns the ids of a text that is passed to it.
        """
        cdef Scratch scratch = self.vocabulary.acquire()
        cdef list result = [], ids
        cdef Py_ssize_t k, i
        cdef uint64_t begin
        cdef Chunk *chunk
        for k in range(self.chunks.n):
            chunk = self._finished(k, scratch)
            begin = 0
            for i in range(chunk.first, chunk.last):
                if self._is_apart(chunk, i):
                    result.append(one(self.kept[i], i))
                    continue
                ids = self.vocabulary.as_list(chunk.ids + begin, self.ends[i] - begin)
                # Every seven hundred lists trigger the garbage collector, which visits each int of all
                # of them (1.3 times the time); ints form no cycles.
                PyObject_GC_UnTrack(<void *>ids)
                result.append(ids)
                begin = self.ends[i]
            chunk_free(&self.chunks, chunk)
        self.vocabulary.release(scratch)
        for ids in result:
            if not PyObject_GC_IsTracked(ids):
                PyObject_GC_Track(<void *>ids)
        return result

    def arrays(self, one, offsets):
        """Return the ids of all texts, back to back, as an array of uint32; call it once.

        `offsets`, int64 [texts + 1], receives where the ids of each text begin, and the end of the last.
        ``one(text, its index)`` returns those of a text that is passed to it as an array of uint32.
        """
        cdef Scratch scratch
        cdef Array held = array_of(offsets, ITEM_INT64, True), found
        cdef int64_t *offset = <int64_t *>held.at
        cdef Py_ssize_t k, i
        cdef size_t room = 0
        cdef uint64_t begin
        cdef Ids out = Ids()
        cdef Chunk *chunk
        if held.count != self.count + 1:
            raise ValueError(f"{self.count} texts need {self.count + 1} offsets, not {held.count}")
        need_numpy()
        scratch = self.vocabulary.acquire()
        offset[0] = 0
        for k in range(self.chunks.n):
            chunk = self._finished(k, scratch)
            begin = 0
            if self.count == 1 and not self._is_apart(chunk, 0):
                out.ids, chunk.ids = chunk.ids, NULL     # they may be many, and are not copied
                offset[1] = out.count = chunk.count
                break
            for i in range(chunk.first, chunk.last):
                if self._is_apart(chunk, i):
                    found = array_of(one(self.kept[i], i), ITEM_UINT32)
                    append_ids(out, &room, <const uint32_t *>found.at, found.count)
                else:
                    append_ids(out, &room, chunk.ids + begin, self.ends[i] - begin)
                    begin = self.ends[i]
                offset[i + 1] = out.count
            chunk_free(&self.chunks, chunk)
        self.vocabulary.release(scratch)
        ids_view(out, out.count)
        return array_over(out, out.ids, out.count, 4)

    def counts(self, one, numbers) -> None:
        """Write how many ids each text has to `numbers`, int64 [texts]; call it once.

        ``one(text, its index)`` returns how many a text has that is passed to it.
        """
        cdef Scratch scratch
        cdef Array held = array_of(numbers, ITEM_INT64, True)
        cdef int64_t *number = <int64_t *>held.at
        cdef Py_ssize_t k, i
        cdef uint64_t begin
        cdef Chunk *chunk
        if held.count != self.count:
            raise ValueError(f"{self.count} texts have as many numbers, not {held.count}")
        scratch = self.vocabulary.acquire()
        for k in range(self.chunks.n):
            chunk = self._finished(k, scratch)
            begin = 0
            for i in range(chunk.first, chunk.last):
                if self._is_apart(chunk, i):
                    number[i] = one(self.kept[i], i)
                else:
                    number[i] = self.ends[i] - begin
                    begin = self.ends[i]
        self.vocabulary.release(scratch)


# Memory grows by halves: the system moves the pages of large memory, and copies nothing.
cdef int append_ids(Ids out, size_t *room, const uint32_t *ids, size_t count) except -1:
    cdef void *grown
    if out.count + count > room[0]:
        room[0] = max(out.count + count, room[0] + room[0] // 2)
        grown = realloc(out.ids, room[0] * sizeof(uint32_t))
        if grown == NULL:
            raise MemoryError(f"no memory for {room[0]} ids")
        out.ids = <uint32_t *>grown
    if count:
        memcpy(out.ids + out.count, ids, count * sizeof(uint32_t))
    out.count += count
    return 0
