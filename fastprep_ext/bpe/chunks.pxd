"""Many texts, encoded in chunks by any number of threads; one thread consumes the ids in order."""

cdef enum:
    MAX_SPARE = 16

# Consecutive texts. Once `done`, `ids` holds `count` ids, or `count` is a negative status.
cdef struct Chunk:
    Py_ssize_t first       # texts first..last - 1
    Py_ssize_t last
    size_t size            # bytes of all its texts
    uint32_t *ids          # malloc; NULL if they are only counted
    Py_ssize_t count
    bint done

cdef struct Chunks:
    const Ranks *ranks
    const SpecialTable *guard
    const Cutter *cutter
    Bound bound
    size_t limit           # the most ids of each text
    bint counts            # ids are only counted
    int pattern
    const uint8_t **texts
    const size_t *sizes
    uint64_t *ends         # of each text among the ids of its chunk
    Chunk *at
    Py_ssize_t n
    Py_ssize_t started     # chunks that a thread has started
    bint has_waiter        # a thread sleeps until a chunk is done
    size_t room            # ids that the memory of an average chunk has room for, and slack
    uint32_t *spare[MAX_SPARE]  # such memory, used before: its pages are mapped
    int n_spare
    pthread_mutex_t lock
    pthread_cond_t chunk_done

# Divide `texts` texts into chunks; the fields above `at` must be set. Non-zero without memory.
cdef int chunks_init(Chunks *self, Py_ssize_t texts) noexcept nogil
# No thread may be working any more.
cdef void chunks_free(Chunks *self) noexcept nogil

# Encode the next chunk that is not started. False if there is none.
cdef bint chunks_work(Chunks *self, Worker *worker) noexcept nogil
# Let no thread start another chunk.
cdef void chunks_stop(Chunks *self) noexcept nogil

# Free the ids of a chunk, or keep their memory for another.
cdef void chunk_free(Chunks *self, Chunk *chunk) noexcept nogil

# Return whether a chunk is done.
cdef bint chunk_is_done(Chunks *self, Py_ssize_t chunk) noexcept nogil
# Wait until a chunk is done: encode others until none are left, then sleep.
cdef void chunks_wait(Chunks *self, Py_ssize_t chunk, Worker *worker) noexcept nogil
