"""Threads that read stretches of files ahead of use.

A stretch is requested from the disk as a whole, and then one byte of each of its pages is read where the
file is mapped. So the thread that makes batches neither waits for the disk nor takes faults, and does not
allocate the pages, which together take about as long as widening the ids.
"""

cdef extern from "<signal.h>" nogil:
    ctypedef struct sigset_t:
        pass
    int sigfillset(sigset_t *)
    int sigdelset(sigset_t *, int)
    int SIG_SETMASK
    int pthread_sigmask(int, const sigset_t *, sigset_t *)

cdef enum:
    PIECE = 1 << 20    # bytes that a thread reads before it takes the next ones
    PAGE = 4096        # the smallest of any system


cdef struct Bytes:
    const char *at
    int64_t count


cdef int64_t touch_pages(void *context, void *job) noexcept nogil:
    cdef const Bytes *touched = <const Bytes *>job
    cdef int64_t at = 0
    cdef int64_t seen = 0
    while at < touched.count:
        seen += (<volatile const char *>touched.at)[at]
        at += PAGE
    return seen & 1


cdef void read_piece(
    const Readers *readers, const Stretch *piece, int64_t requested
) noexcept nogil:
    cdef const Tokens *tokens = piece.tokens
    cdef const char *place = tokens.places[piece.shard]
    cdef Bytes touched
    if requested > 0:
        request_part(tokens, piece.shard, piece.first, requested)
    if place != NULL and tokens.in_files:
        touched.at = place + piece.first * tokens.itemsize
        touched.count = (piece.end - piece.first) * tokens.itemsize
        # A file that was cut is an error once its tokens are needed.
        guarded(touch_pages, NULL, &touched)


cdef void block_signals() noexcept nogil:
    cdef sigset_t signals
    # Except those that this thread raises itself.
    sigfillset(&signals)
    sigdelset(&signals, SIGBUS)
    sigdelset(&signals, SIGSEGV)
    sigdelset(&signals, SIGFPE)
    sigdelset(&signals, SIGILL)
    pthread_sigmask(SIG_SETMASK, &signals, NULL)


cdef void *run_reader(void *context) noexcept nogil:
    cdef Readers *readers = <Readers *>context
    cdef Stretch *stretch
    cdef Stretch piece
    cdef int64_t requested, before
    block_signals()
    pthread_mutex_lock(&readers.lock)
    while not readers.stop:
        if readers.added == readers.taken:
            pthread_cond_wait(&readers.work, &readers.lock)
            continue
        stretch = &readers.queue[readers.taken % MAX_QUEUED]
        piece = stretch[0]
        requested = 0
        if not piece.is_requested and (
            not readers.kernel_reads_ahead or piece.tokens.places[piece.shard] == NULL
        ):
            requested = piece.end - piece.first
        stretch.is_requested = True
        piece.end = min(piece.end, piece.first + <int64_t>PIECE // piece.tokens.itemsize)
        stretch.first = piece.end
        if stretch.first == stretch.end:
            readers.taken += 1
        pthread_mutex_unlock(&readers.lock)
        before = count_disk_reads()
        read_piece(readers, &piece, requested)
        note_reads(
            readers.reads, count_disk_reads() != before, (piece.end - piece.first) // readers.length,
            readers.order,
        )
        pthread_mutex_lock(&readers.lock)
    pthread_mutex_unlock(&readers.lock)
    return NULL


cdef bint has_room(Readers *readers, int64_t count) noexcept nogil:
    cdef int64_t left
    if readers.count == 0:
        return True
    pthread_mutex_lock(&readers.lock)
    left = MAX_QUEUED - (readers.added - readers.taken)
    pthread_mutex_unlock(&readers.lock)
    return count <= left


cdef bint add_stretch(
    Readers *readers, const Tokens *tokens, int64_t shard, int64_t first, int64_t count
) noexcept nogil:
    cdef Stretch *stretch
    cdef bint added = False
    while readers.may_start and readers.count < READERS:
        if pthread_create(&readers.threads[readers.count], NULL, run_reader, readers) != 0:
            readers.may_start = False
            break
        readers.count += 1
    if readers.count == 0:
        return False
    pthread_mutex_lock(&readers.lock)
    if readers.added - readers.taken < MAX_QUEUED:
        stretch = &readers.queue[readers.added % MAX_QUEUED]
        stretch.tokens, stretch.shard = tokens, shard
        stretch.first, stretch.end = first, first + count
        stretch.is_requested = False
        readers.added += 1
        added = True
        pthread_cond_signal(&readers.work)
        pthread_cond_signal(&readers.work)
    pthread_mutex_unlock(&readers.lock)
    return added


# End the threads after their current piece.
cdef void stop_readers(Readers *readers) noexcept nogil:
    cdef int k
    readers.may_start = False
    if readers.count == 0:
        return
    pthread_mutex_lock(&readers.lock)
    readers.stop = True
    for k in range(readers.count):
        pthread_cond_signal(&readers.work)
    pthread_mutex_unlock(&readers.lock)
    for k in range(readers.count):
        pthread_join(readers.threads[k], NULL)
    readers.count = 0
