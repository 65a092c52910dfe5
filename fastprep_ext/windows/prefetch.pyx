"""Batches made ahead of their use, by a thread of its own.

A native thread, not one of Python's: it takes no GIL, so a training loop that holds it cannot
hold up the next batch. It sleeps when there is nothing to make. The reader never waits for a
batch that nobody has begun: it makes that one itself.
"""


cdef extern from "<signal.h>" nogil:
    ctypedef struct sigset_t:
        pass
    int sigfillset(sigset_t*)
    int sigdelset(sigset_t*, int)
    int SIG_SETMASK
    int pthread_sigmask(int, const sigset_t*, sigset_t*)

cdef extern from "<unistd.h>" nogil:
    int getpid()


cdef enum:
    # Looks at what another thread does before a sleep, some 20 microseconds. Waking a sleeper
    # takes 5 to 10, more than a small batch does: without this, 0.3 times the speed of batches
    # of 8192 tokens that nothing is done with.
    LOOKS = 400

cdef enum:
    WAITING
    BEGUN
    DONE

cdef struct slot_t:
    batch_t batch
    int64_t state

# A queue: jobs number..., of which `begun` are taken by someone and `taken` handed out.
cdef struct queue_t:
    const maker_t* maker
    slot_t* slots
    int64_t room
    int64_t submitted
    int64_t begun
    int64_t taken
    bint stop
    bint idle  # the thread sleeps
    bint awaited  # the reader does
    pthread_t thread
    pthread_mutex_t lock
    pthread_cond_t work
    pthread_cond_t ready


# ---- kernels ---------------------------------------------------------------------------------


cdef void* work(void* context) noexcept nogil:
    """What the thread does until it is stopped."""
    cdef queue_t* queue = <queue_t*>context
    cdef slot_t* slot
    cdef sigset_t signals
    cdef int64_t known, looks
    # Signals are the other threads' business, but for those that this one raises itself.
    sigfillset(&signals)
    sigdelset(&signals, SIGBUS)
    sigdelset(&signals, SIGSEGV)
    sigdelset(&signals, SIGFPE)
    sigdelset(&signals, SIGILL)
    pthread_sigmask(SIG_SETMASK, &signals, NULL)
    pthread_mutex_lock(&queue.lock)
    while not queue.stop:
        if queue.begun == queue.submitted:
            known = queue.submitted
            pthread_mutex_unlock(&queue.lock)
            looks = 0
            while looks < LOOKS and load_now(&queue.submitted) == known:
                pause_core()
                looks += 1
            pthread_mutex_lock(&queue.lock)
            if queue.begun != queue.submitted or queue.stop:
                continue
            queue.idle = True
            pthread_cond_wait(&queue.work, &queue.lock)
            queue.idle = False
            continue
        slot = &queue.slots[queue.begun % queue.room]
        queue.begun += 1
        slot.state = BEGUN
        pthread_mutex_unlock(&queue.lock)
        make_batch(queue.maker, &slot.batch)
        pthread_mutex_lock(&queue.lock)
        slot.state = DONE
        if queue.awaited:
            pthread_cond_signal(&queue.ready)
    pthread_mutex_unlock(&queue.lock)
    return NULL


cdef void finish(queue_t* queue, slot_t* slot) noexcept nogil:
    """Have the oldest batch made: wait for it, or make it here if nobody has begun it."""
    cdef int64_t looks = 0
    pthread_mutex_lock(&queue.lock)
    if slot.state == WAITING:
        queue.begun += 1
        slot.state = BEGUN
        pthread_mutex_unlock(&queue.lock)
        make_batch(queue.maker, &slot.batch)
        slot.state = DONE
        return
    if slot.state != DONE:
        pthread_mutex_unlock(&queue.lock)
        while looks < LOOKS and load_now(&slot.state) != DONE:
            pause_core()
            looks += 1
        pthread_mutex_lock(&queue.lock)
    queue.awaited = True
    while slot.state != DONE:
        pthread_cond_wait(&queue.ready, &queue.lock)
    queue.awaited = False
    pthread_mutex_unlock(&queue.lock)


# ---- binding ---------------------------------------------------------------------------------


# Not cleared by the garbage collector: what the thread writes to must outlive it.
@cython.no_gc_clear
cdef class Prefetcher:
    """Makes the batches of an order, some of them ahead.

    Parameters
    ----------
    maker
        makes them.
    order
        the order of the epoch.
    ahead
        how many batches may wait, made or to be made; 0: none, and there is no thread.

    Notes
    -----
    In a process forked meanwhile the thread does not exist; batches are then made when they are
    asked for.
    """

    cdef queue_t queue
    cdef BatchMaker maker
    cdef Order order
    cdef object owners
    cdef int process  # the one that has the thread; 0: none has

    def __cinit__(self, BatchMaker maker not None, Order order not None, int64_t ahead):
        self.maker = maker
        self.order = order
        self.owners = deque()
        self.process = 0
        self.queue.maker = &maker.maker
        self.queue.room = max(ahead, 1)
        self.queue.slots = <slot_t*>PyMem_Calloc(self.queue.room, sizeof(slot_t))
        if self.queue.slots == NULL:
            raise MemoryError
        pthread_mutex_init(&self.queue.lock, NULL)
        pthread_cond_init(&self.queue.work, NULL)
        pthread_cond_init(&self.queue.ready, NULL)
        # Where no thread can be had, batches are made when they are asked for.
        if ahead > 0 and pthread_create(&self.queue.thread, NULL, work, &self.queue) == 0:
            self.process = getpid()

    def __dealloc__(self):
        self.stop()
        PyMem_Free(self.queue.slots)

    def __len__(self):
        """How many batches were submitted and not taken."""
        return self.queue.submitted - self.queue.taken

    def submit(self, positions, places, owner):
        """Ask for the batch of a range of positions, to be written to `places`.

        `owner` keeps that memory; it is given back by :meth:`take`. At most `ahead` batches, or
        one, may be under way.
        """
        cdef slot_t* slot = &self.queue.slots[self.queue.submitted % self.queue.room]
        slot.batch.order = &self.order.order
        slot.batch.indices = NULL
        slot.batch.first = positions.start
        slot.batch.step = positions.step
        self.maker.set_places(&slot.batch, len(positions), places)
        self.owners.append(owner)
        pthread_mutex_lock(&self.queue.lock)
        slot.state = WAITING
        self.queue.submitted += 1
        if self.queue.idle:
            pthread_cond_signal(&self.queue.work)
        pthread_mutex_unlock(&self.queue.lock)

    def take(self):
        """Give the oldest batch asked for: its owner, and what :meth:`BatchMaker.make` returns.

        Raises
        ------
        FastprepError
            what :meth:`BatchMaker.make` raises.
        """
        cdef slot_t* slot = &self.queue.slots[self.queue.taken % self.queue.room]
        cdef slot_t* begun
        if self.process and self.process != getpid():
            # The lock may be held by a thread that was not forked: everything is this thread's.
            pthread_mutex_init(&self.queue.lock, NULL)
            self.process = 0
            begun = &self.queue.slots[(self.queue.begun - 1) % self.queue.room]
            if self.queue.begun > self.queue.taken and begun.state == BEGUN:
                begun.state = WAITING
                self.queue.begun -= 1
        with nogil:
            finish(&self.queue, slot)
        self.queue.taken += 1
        owner = self.owners.popleft()
        if slot.batch.status != 0:
            self.maker.raise_error(&slot.batch)
        return owner, slot.batch.marks.num_seqlens, slot.batch.marks.longest

    def stop(self):
        """End the thread, after the batch that it is at."""
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
