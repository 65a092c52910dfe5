"""Prefetching of batches by a thread.

A native thread, not one of Python's: it never takes the GIL, so a training loop that holds the GIL
cannot delay the next batch. It sleeps while the queue is empty. The reader never waits for a batch
that is not started: it makes that one itself.
"""

cdef extern from "<signal.h>" nogil:
    ctypedef struct sigset_t:
        pass
    int sigfillset(sigset_t *)
    int sigdelset(sigset_t *, int)
    int SIG_SETMASK
    int pthread_sigmask(int, const sigset_t *, sigset_t *)

cdef extern from "<unistd.h>" nogil:
    int getpid()


cdef enum:
    # Checks of what another thread does before sleeping, about 20 microseconds. Waking a thread takes
    # 5 to 10, longer than making a small batch: without spinning, 0.3 times the speed of batches of
    # 8192 tokens in an empty loop.
    MAX_SPINS = 400

cdef enum:
    WAITING
    STARTED
    DONE

cdef struct Slot:
    Batch batch
    int64_t state

# A queue of batches in order: of `submitted` ones, `started` are started by a thread and `taken`
# handed out.
cdef struct Queue:
    const Maker *maker
    Slot *slots
    int64_t capacity
    int64_t submitted
    int64_t started
    int64_t taken
    bint stop
    bint thread_sleeps
    bint reader_waits
    pthread_t thread
    pthread_mutex_t lock
    pthread_cond_t work
    pthread_cond_t ready


# The thread: make batches until it is stopped.
cdef void *run_queue(void *context) noexcept nogil:
    cdef Queue *queue = <Queue *>context
    cdef Slot *slot
    cdef sigset_t signals
    cdef int64_t known, spins
    # Other threads handle signals, except those that this thread raises itself.
    sigfillset(&signals)
    sigdelset(&signals, SIGBUS)
    sigdelset(&signals, SIGSEGV)
    sigdelset(&signals, SIGFPE)
    sigdelset(&signals, SIGILL)
    pthread_sigmask(SIG_SETMASK, &signals, NULL)
    pthread_mutex_lock(&queue.lock)
    while not queue.stop:
        if queue.started == queue.submitted:
            known = queue.submitted
            pthread_mutex_unlock(&queue.lock)
            spins = 0
            while spins < MAX_SPINS and load_acquire(&queue.submitted) == known:
                pause_core()
                spins += 1
            pthread_mutex_lock(&queue.lock)
            if queue.started != queue.submitted or queue.stop:
                continue
            queue.thread_sleeps = True
            pthread_cond_wait(&queue.work, &queue.lock)
            queue.thread_sleeps = False
            continue
        slot = &queue.slots[queue.started % queue.capacity]
        queue.started += 1
        slot.state = STARTED
        pthread_mutex_unlock(&queue.lock)
        make_batch(queue.maker, &slot.batch)
        pthread_mutex_lock(&queue.lock)
        slot.state = DONE
        if queue.reader_waits:
            pthread_cond_signal(&queue.ready)
    pthread_mutex_unlock(&queue.lock)
    return NULL


# Wait for the oldest batch, or make it here if it is not started.
cdef void await_batch(Queue *queue, Slot *slot) noexcept nogil:
    cdef int64_t spins = 0
    pthread_mutex_lock(&queue.lock)
    if slot.state == WAITING:
        queue.started += 1
        slot.state = STARTED
        pthread_mutex_unlock(&queue.lock)
        make_batch(queue.maker, &slot.batch)
        slot.state = DONE
        return
    if slot.state != DONE:
        pthread_mutex_unlock(&queue.lock)
        while spins < MAX_SPINS and load_acquire(&slot.state) != DONE:
            pause_core()
            spins += 1
        pthread_mutex_lock(&queue.lock)
    queue.reader_waits = True
    while slot.state != DONE:
        pthread_cond_wait(&queue.ready, &queue.lock)
    queue.reader_waits = False
    pthread_mutex_unlock(&queue.lock)


# Not cleared by the garbage collector: the memory that the thread writes to must outlive it.
@cython.no_gc_clear
cdef class Prefetcher:
    """Makes the batches of an order, a bounded number ahead of the reader.

    Parameters
    ----------
    maker
        the :class:`BatchMaker`.
    order
        the order of the epoch.
    ahead
        maximum number of batches in the queue; 0: there is no thread.

    Notes
    -----
    In a forked process the thread does not exist; batches are then made when they are taken.
    """

    cdef Queue queue
    cdef BatchMaker maker
    cdef Order order
    cdef object owners
    cdef int process  # the process that has the thread; 0: none

    def __cinit__(self, BatchMaker maker not None, Order order not None, int64_t ahead):
        self.maker = maker
        self.order = order
        self.owners = deque()
        self.process = 0
        self.queue.maker = &maker.maker
        self.queue.capacity = max(ahead, 1)
        self.queue.slots = <Slot *>calloc(self.queue.capacity, sizeof(Slot))
        if self.queue.slots == NULL:
            raise MemoryError
        pthread_mutex_init(&self.queue.lock, NULL)
        pthread_cond_init(&self.queue.work, NULL)
        pthread_cond_init(&self.queue.ready, NULL)
        # If no thread can be created, batches are made when they are taken.
        if ahead > 0 and pthread_create(&self.queue.thread, NULL, run_queue, &self.queue) == 0:
            self.process = getpid()

    def __dealloc__(self):
        self.stop()
        free(self.queue.slots)

    def __len__(self):
        """Return how many batches are submitted and not taken."""
        return self.queue.submitted - self.queue.taken

    def submit(self, positions, places, owner):
        """Request the batch of a range of positions, to be written to `places`.

        `owner` keeps that memory alive; :meth:`take` returns it. At most `ahead` batches, or one,
        may be in the queue.
        """
        cdef Slot *slot = &self.queue.slots[self.queue.submitted % self.queue.capacity]
        slot.batch.order = &self.order.order
        slot.batch.indices = NULL
        slot.batch.first = positions.start
        slot.batch.step = positions.step
        self.maker.set_places(&slot.batch, len(positions), places)
        self.owners.append(owner)
        pthread_mutex_lock(&self.queue.lock)
        slot.state = WAITING
        self.queue.submitted += 1
        if self.queue.thread_sleeps:
            pthread_cond_signal(&self.queue.work)
        pthread_mutex_unlock(&self.queue.lock)

    def take(self):
        """Return the oldest batch: its owner, and the result of :meth:`BatchMaker.make`.

        Raises
        ------
        FastprepError
            as raised by :meth:`BatchMaker.make`.
        """
        cdef Slot *slot = &self.queue.slots[self.queue.taken % self.queue.capacity]
        cdef Slot *started
        if self.process and self.process != getpid():
            # A thread that was not forked may hold the lock: this thread now owns everything.
            pthread_mutex_init(&self.queue.lock, NULL)
            self.process = 0
            started = &self.queue.slots[(self.queue.started - 1) % self.queue.capacity]
            if self.queue.started > self.queue.taken and started.state == STARTED:
                started.state = WAITING
                self.queue.started -= 1
        with nogil:
            await_batch(&self.queue, slot)
        self.queue.taken += 1
        owner = self.owners.popleft()
        if slot.batch.status != 0:
            self.maker.finish(&slot.batch)
        return owner, slot.batch.marks.num_seqlens, slot.batch.marks.longest

    def stop(self):
        """End the thread after its current batch."""
        if self.process == 0:
            return
        mine = self.process == getpid()
        self.process = 0
        if not mine:
            return
        pthread_mutex_lock(&self.queue.lock)
        self.queue.stop = True
        pthread_cond_signal(&self.queue.work)
        pthread_mutex_unlock(&self.queue.lock)
        with nogil:
            pthread_join(self.queue.thread, NULL)
