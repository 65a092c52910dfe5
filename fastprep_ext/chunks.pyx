"""Many texts, encoded in chunks by as many threads as come; one of them takes the ids in order."""

from libc.stdint cimport uint32_t
from libc.stdlib cimport calloc, free, malloc

from fastprep_ext.bpe cimport BPE_NO_MEMORY, BPE_SLACK, Worker
from fastprep_ext.texts cimport encode_each
from fastprep_ext.threads cimport (
    pthread_cond_destroy, pthread_cond_init, pthread_cond_signal, pthread_cond_wait,
    pthread_mutex_destroy, pthread_mutex_init, pthread_mutex_lock, pthread_mutex_unlock,
)

cdef enum:
    # Bytes of a chunk, unless one text is longer: its ids stay in a core's cache until they are taken.
    CHUNK_BYTES = 1 << 16
    TEXT_COST = 64             # a text without characters is work, too


cdef int chunks_begin(Chunks *self, Py_ssize_t texts) noexcept nogil:
    cdef Py_ssize_t i
    cdef size_t cost, all = 0, room = 0
    self.n = self.begun = 0
    self.awaited = False
    pthread_mutex_init(&self.lock, NULL)
    pthread_cond_init(&self.one_is_done, NULL)
    for i in range(texts):
        all += self.sizes[i] + TEXT_COST
    # All but the last are full.
    self.at = <Chunk *>calloc(all // CHUNK_BYTES + 1, sizeof(Chunk))
    if self.at == NULL:
        return -1
    for i in range(texts):
        if room == 0:
            self.at[self.n].first = i
            self.n += 1
            room = CHUNK_BYTES
        cost = self.sizes[i] + TEXT_COST
        room -= min(room, cost)
        self.at[self.n - 1].last = i + 1
        self.at[self.n - 1].size += self.sizes[i]
    return 0


cdef void chunks_end(Chunks *self) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(self.n):
        free(self.at[i].ids)
    free(self.at)
    pthread_cond_destroy(&self.one_is_done)
    pthread_mutex_destroy(&self.lock)


cdef void encode(const Chunks *self, Chunk *chunk, Worker *worker) noexcept nogil:
    cdef Py_ssize_t failed
    chunk.ids = <uint32_t *>malloc((chunk.size + BPE_SLACK) * sizeof(uint32_t))
    if chunk.ids == NULL:
        chunk.count = BPE_NO_MEMORY
        return
    chunk.count = encode_each(
        self.ranks, worker, self.pattern, self.texts + chunk.first, self.sizes + chunk.first,
        chunk.last - chunk.first, self.specials, chunk.ids, self.ends + chunk.first, &failed,
    )


cdef bint chunks_work(Chunks *self, Worker *worker) noexcept nogil:
    cdef Chunk *chunk = NULL
    pthread_mutex_lock(&self.lock)
    if self.begun < self.n:
        chunk = &self.at[self.begun]
        self.begun += 1
    pthread_mutex_unlock(&self.lock)
    if chunk == NULL:
        return False
    encode(self, chunk, worker)
    pthread_mutex_lock(&self.lock)
    chunk.done = True
    if self.awaited:
        pthread_cond_signal(&self.one_is_done)
    pthread_mutex_unlock(&self.lock)
    return True


cdef void chunks_stop(Chunks *self) noexcept nogil:
    pthread_mutex_lock(&self.lock)
    self.begun = self.n
    pthread_mutex_unlock(&self.lock)


cdef bint chunks_have(Chunks *self, Py_ssize_t chunk) noexcept nogil:
    cdef bint done
    pthread_mutex_lock(&self.lock)
    done = self.at[chunk].done
    pthread_mutex_unlock(&self.lock)
    return done


cdef void chunks_wait(Chunks *self, Py_ssize_t chunk, Worker *worker) noexcept nogil:
    while not chunks_have(self, chunk):
        if not chunks_work(self, worker):
            break
    pthread_mutex_lock(&self.lock)
    self.awaited = True
    while not self.at[chunk].done:
        pthread_cond_wait(&self.one_is_done, &self.lock)
    self.awaited = False
    pthread_mutex_unlock(&self.lock)
