"""Many texts, encoded in chunks by as many threads as come; one of them takes the ids in order."""


# Texts side by side. `ids` is there once it is `done`: `count` of them, or a negative status.
cdef struct Chunk:
    Py_ssize_t first           # texts first..last - 1
    Py_ssize_t last
    size_t size                # bytes of all
    uint32_t *ids              # malloc; whoever takes them frees them
    Py_ssize_t count
    bint done

cdef struct Chunks:
    const Ranks *ranks
    const SpecialTable *specials
    int pattern
    const uint8_t **texts
    const size_t *sizes
    uint64_t *ends             # of each text among its chunk's ids
    Chunk *at
    Py_ssize_t n
    Py_ssize_t started           # chunks that somebody has started
    bint has_waiter               # somebody sleeps until a chunk is done
    pthread_mutex_t lock
    pthread_cond_t chunk_done

# Divides texts, of which `texts`, `sizes` and the rest above `at` tell. Non-zero: no memory.
cdef int chunks_init(Chunks *self, Py_ssize_t texts) noexcept nogil
# No thread may be at work any more.
cdef void chunks_free(Chunks *self) noexcept nogil

# Encodes the next chunk that nobody has started. False: there is none.
cdef bint chunks_work(Chunks *self, Worker *worker) noexcept nogil
# Nobody begins another one.
cdef void chunks_stop(Chunks *self) noexcept nogil

# Whether a chunk is done.
cdef bint chunk_is_done(Chunks *self, Py_ssize_t chunk) noexcept nogil
# Returns when it is: encodes others meanwhile, and sleeps when none are left.
cdef void chunks_wait(Chunks *self, Py_ssize_t chunk, Worker *worker) noexcept nogil
