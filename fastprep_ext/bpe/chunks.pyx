"""Chunks of texts, encoded by any number of threads, and TextBatch, which makes lists of them."""

cdef enum:
    # Bytes per chunk, unless one text is longer: its ids stay in a core's cache until they are
    # consumed.
    CHUNK_BYTES = 1 << 16
    TEXT_COST = 64             # an empty text is work, too


cdef int chunks_init(Chunks *self, Py_ssize_t texts) noexcept nogil:
    cdef Py_ssize_t i
    cdef size_t cost, all = 0, capacity = 0
    self.n = self.started = 0
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
    free(self.at)
    pthread_cond_destroy(&self.chunk_done)
    pthread_mutex_destroy(&self.lock)


cdef void encode_chunk(const Chunks *self, Chunk *chunk, Worker *worker) noexcept nogil:
    cdef Py_ssize_t failed
    chunk.ids = <uint32_t *>malloc(
        (most_ids(&self.bound, chunk.size, chunk.last - chunk.first) + BPE_SLACK) * sizeof(uint32_t)
    )
    if chunk.ids == NULL:
        chunk.count = BPE_NO_MEMORY
        return
    chunk.count = encode_each(
        self.ranks, worker, self.pattern, self.texts + chunk.first, self.sizes + chunk.first,
        chunk.last - chunk.first, self.cutter, chunk.ids, self.ends + chunk.first, &failed,
    )


cdef bint chunks_work(Chunks *self, Worker *worker) noexcept nogil:
    cdef Chunk *chunk = NULL
    pthread_mutex_lock(&self.lock)
    if self.started < self.n:
        chunk = &self.at[self.started]
        self.started += 1
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
    """Texts that threads encode together: each thread in :meth:`work`, one in :meth:`lists`.

    Threads encode without the GIL, and only one makes lists. Sharing that work was tried: each list
    increments the reference counts of the same int objects, whose cache lines then move between the
    cores, and a thread that waits for the GIL does not encode; two threads took longer than one.

    Parameters
    ----------
    vocabulary
        the encoder.
    texts
        the texts.
    specials
        the special tokens to recognize, or None.
    excluded
        one byte per text: texts with a 1 are not encoded but passed to `one` by :meth:`lists`. Texts
        that cannot be UTF-8 are added to them.
    """

    cdef Vocabulary vocabulary
    cdef Specials specials
    cdef tuple kept
    cdef bytearray excluded
    cdef Chunks chunks
    cdef const uint8_t **texts
    cdef size_t *sizes
    cdef uint64_t *ends
    cdef bint started

    def __cinit__(
        self, Vocabulary vocabulary not None, texts not None, Specials specials,
        bytearray excluded not None,
    ):
        cdef Py_ssize_t i, n, count
        self.kept = tuple(texts)
        count = len(self.kept)
        if len(excluded) != count:
            raise ValueError(f"{count} texts need as many marks, not {len(excluded)}")
        self.vocabulary = vocabulary
        self.specials = specials
        self.excluded = excluded
        self.texts = <const uint8_t **>calloc(count + 1, sizeof(void *))
        self.sizes = <size_t *>calloc(count + 1, sizeof(size_t))
        self.ends = <uint64_t *>calloc(count + 1, sizeof(uint64_t))
        if self.texts == NULL or self.sizes == NULL or self.ends == NULL:
            raise MemoryError(f"no memory for a list of {count} texts")
        for i in range(count):
            if self.excluded[i]:
                continue
            text = self.kept[i]
            if PyUnicode_Check(text):
                self.texts[i] = utf8_or_null(text, &n)
            if self.texts[i] == NULL:
                PyErr_Clear()
                self.excluded[i] = 1
            else:
                self.sizes[i] = n
        self.chunks.ranks = &vocabulary.ranks
        self.chunks.pattern = vocabulary.pattern
        self.chunks.cutter = vocabulary.cutter_of(specials)
        self.chunks.bound = vocabulary.bound
        self.chunks.texts = self.texts
        self.chunks.sizes = self.sizes
        self.chunks.ends = self.ends
        self.started = True
        if chunks_init(&self.chunks, count) != 0:
            raise MemoryError(f"no memory for chunks of {count} texts")

    def __dealloc__(self):
        if self.started:
            chunks_free(&self.chunks)
        free(self.texts)
        free(self.sizes)
        free(self.ends)

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

    def lists(self, one) -> list:
        """Return the ids of each text, in order; call it once. Encodes chunks that no thread has
        started.

        `one(text)` is called for each text that was excluded or could not be encoded; its
        exceptions propagate.
        """
        cdef Scratch scratch = self.vocabulary.acquire()
        cdef list result = [], ids
        cdef Py_ssize_t k, i
        cdef uint64_t begin
        cdef Chunk *chunk
        for k in range(self.chunks.n):
            if not chunk_is_done(&self.chunks, k):
                with nogil:
                    chunks_wait(&self.chunks, k, &scratch.worker)
            chunk = &self.chunks.at[k]
            begin = 0
            for i in range(chunk.first, chunk.last):
                if chunk.count < 0 or self.excluded[i]:
                    result.append(one(self.kept[i]))
                    continue
                ids = self.vocabulary.as_list(chunk.ids + begin, self.ends[i] - begin)
                # Every seven hundred lists trigger the garbage collector, which visits each int of all
                # of them (1.3 times the time); ints form no cycles.
                PyObject_GC_UnTrack(<void *>ids)
                result.append(ids)
                begin = self.ends[i]
            free(chunk.ids)
            chunk.ids = NULL
        self.vocabulary.release(scratch)
        for ids in result:
            if not PyObject_GC_IsTracked(ids):
                PyObject_GC_Track(<void *>ids)
        return result
