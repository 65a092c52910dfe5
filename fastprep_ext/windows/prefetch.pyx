"""Prefetching of batches by a thread.

A native thread, not one of Python's: it never takes the GIL, so a training loop that holds the GIL
cannot delay the next batch. It sleeps while the queue is empty. The reader never waits for a batch
that is not started: it makes that one itself.
"""

cdef extern from "<unistd.h>" nogil:
    int getpid()


cdef enum:
    # Checks of what another thread does before sleeping, about 20 microseconds. Waking a thread takes
    # 5 to 10, longer than making a small batch: without spinning, 0.3 times the speed of batches of
    # 8192 tokens in an empty loop.
    MAX_SPINS = 400

cdef enum:
    # What is requested from the disk before its batch is made: as many windows, unless they are long.
    AHEAD_WINDOWS = 256
    AHEAD_BYTES = 8 << 20
    # In order, a quarter at a time: long requests read at the speed of the disk whatever its read-ahead.
    AHEAD_IN_ORDER = 16 << 20
    # A kernel that reads so many bytes ahead by itself does it with larger pages than when it is asked, for a
    # fifth of the faults: 0.95 of the speed of reads of a whole file, where requests gave 0.55.
    ENOUGH_READ_AHEAD = 4 << 20
    # Blocks that are requested earlier than the blocks of a group are on average used up.
    EARLY_BLOCKS = 2
    # Stretches that a block may consist of, one per shard and mask.
    ROOM = 8

cdef enum:
    WAITING
    STARTED
    DONE

cdef struct Slot:
    Batch batch
    int64_t state

# What of an order is requested from the disk. `requested` is the first position that is not: batches start
# `step` positions apart. Of an order in blocks, whose groups are requested while the group before is read,
# it is, for each source, the first block that is not, counted in `epochs`. Rows that are planned block by
# block are requested one by one. A shard that is `wanted` is opened by the reader of batches, which has the GIL.
cdef struct Ahead:
    int64_t step           # 0: batches come in any order, so nothing is requested
    int64_t batches
    int64_t least          # positions that are requested together, or more
    int64_t requested
    bint in_blocks
    bint in_stretches      # in order, so that the tokens of many batches are one stretch
    int64_t *epochs
    int64_t *blocks
    int64_t wanted         # the source, from 1 on; 0: none
    int64_t wanted_start   # tokens
    int64_t wanted_count
    bint cannot_open

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
    Ahead ahead
    Readers readers
    pthread_t thread
    pthread_mutex_t lock
    pthread_cond_t work
    pthread_cond_t ready


# Request batches that follow one, until one has rows that are not planned. Return the first position that
# is not requested.
cdef int64_t request_batches(Queue *queue, const Batch *batch, int64_t first, int64_t end) noexcept nogil:
    cdef int64_t rows
    cdef Requested asked[2]
    cdef int64_t *indices = <int64_t *>malloc((batch.rows + 1) * sizeof(int64_t))
    if indices == NULL:
        return first
    no_requests(asked, NULL)
    while first < end:
        rows = min(batch.rows, (batch.order.length - first + batch.step - 1) // batch.step)
        fill_order(batch.order, first, batch.step, rows, indices)
        if not request_rows(queue.maker, indices, rows, asked):
            break
        first += queue.ahead.step
    end_both(asked)
    free(indices)
    return first


# Return whether the shards of tokens of a source are open. If not, they are wanted.
cdef bint want_open(Queue *queue, int64_t number, int64_t start, int64_t count) noexcept nogil:
    cdef Ahead *ahead = &queue.ahead
    cdef const Source *source = &queue.maker.sources[number]
    count = min(count, source.num_tokens - start)
    if are_open(source.tokens, start, count) and (
        source.mask == NULL or are_open(source.mask, start, count)
    ):
        return True
    if load_acquire(&ahead.wanted) == 0 and not ahead.cannot_open:
        ahead.wanted_start, ahead.wanted_count = start, count
        store_release(&ahead.wanted, number + 1)
    return False


# Request the tokens of batches in order. Return the first position that is not requested.
cdef int64_t request_stretches(
    Queue *queue, const Batch *batch, int64_t first, int64_t end
) noexcept nogil:
    cdef const Source *source = &queue.maker.sources[0]
    cdef int64_t start = first * source.stride
    cdef int64_t count = (end - first - 1) * source.stride + queue.maker.row.length + 1
    cdef Requested asked[2]
    if first >= end or not want_open(queue, 0, start, count):
        return first
    no_requests(asked, &queue.readers)
    request_stretch(source, start, count, asked)
    end_both(asked)
    return end


# Request the blocks of the groups of a batch, and as much of the next group as it has read of its own. At the
# start of an epoch one block per batch or little more, so that the first batches do not wait for a whole group.
# Return the number of windows requested.
cdef int64_t request_blocks(Queue *queue, const Batch *batch) noexcept nogil:
    cdef const OrderState *order = batch.order
    cdef Ahead *ahead = &queue.ahead
    cdef Blocks blocks
    cdef Located at
    cdef Requested asked[2]
    cdef int64_t known_source = NO_SOURCE
    cdef int64_t known_epoch = NO_SOURCE
    cdef int64_t windows = 0
    cdef int64_t most = 2 * ahead.step
    cdef bint complete = True
    cdef int64_t r, group, first, size, next_size, end, slot, place, window
    cdef const Source *source
    at.phase = 0
    no_requests(asked, &queue.readers)
    for r in range(batch.rows):
        locate(order, batch.first + r * batch.step, &at)
        if at.source != known_source or at.epoch != known_epoch:
            make_blocks(&blocks, order, at.source, at.epoch)
            known_source = at.source
            known_epoch = at.epoch
        group = min(at.place // order.group, <int64_t>blocks.num_groups - 1)
        first = group * order.group
        size = order.group
        next_size = order.group
        if group == <int64_t>blocks.num_groups - 1:
            size = blocks.size - first
            next_size = 0
        elif group == <int64_t>blocks.num_groups - 2:
            next_size = blocks.size - first - size
        # In windows, then in blocks. Rounded up: the first place of a group needs all of it.
        end = first + size + <int64_t>(<double>(at.place - first) / size * next_size)
        if next_size > 0:
            end = min(end + EARLY_BLOCKS * order.block, first + size + next_size)
        end = min(end + order.block - 1, <int64_t>blocks.size + order.block - 1) // order.block
        if ahead.epochs[at.source] != at.epoch or ahead.blocks[at.source] < first // order.block:
            ahead.epochs[at.source] = at.epoch
            ahead.blocks[at.source] = first // order.block
        source = &queue.maker.sources[at.source]
        while ahead.blocks[at.source] < end and windows < most and has_room(&queue.readers, ROOM):
            slot = ahead.blocks[at.source]
            place = slot * order.block
            if source.row_first == NULL and not want_open(
                queue, at.source, <int64_t>window_to_read(&blocks, place) * source.stride,
                (order.block - 1) * source.stride + queue.maker.row.length + 1,
            ):
                break
            while place < min((slot + 1) * order.block, <int64_t>blocks.size):
                window = order.offsets[at.source] + <int64_t>window_to_read(&blocks, place)
                request_rows(queue.maker, &window, 1, asked)
                place += 1
            end_both(asked)
            ahead.blocks[at.source] += 1
            windows += order.block
        complete &= ahead.blocks[at.source] >= (first + size) // order.block
    ahead.requested = order.length if complete else 0
    return windows


# Request what is needed after a batch; for the thread, or for the reader if there is no thread.
cdef void request_ahead(Queue *queue, const Batch *batch) noexcept nogil:
    cdef Ahead *ahead = &queue.ahead
    cdef Reads *reads = queue.maker.reads
    cdef int64_t before, first, end, windows, requested
    if not reads.cold or ahead.step == 0 or batch.status != 0:
        return
    windows = 0
    before = count_disk_reads()
    if ahead.in_blocks:
        windows = request_blocks(queue, batch)
    else:
        first = max(ahead.requested, batch.first + ahead.step)
        end = batch.first + ahead.batches * ahead.step + 1
        if end - first < ahead.least:
            return
        end = min(end, batch.order.length)
        if ahead.in_stretches:
            # Measured by those that read.
            ahead.requested = request_stretches(queue, batch, first, end)
            return
        requested = request_batches(queue, batch, first, end)
        windows = (requested - first) // ahead.step * batch.rows
        ahead.requested = requested
    note_reads(reads, count_disk_reads() != before, windows, batch.order)


# Make a batch, as one whose windows are requested or not.
cdef void make_next(Queue *queue, Slot *slot) noexcept nogil:
    slot.batch.requested = slot.batch.first < queue.ahead.requested
    slot.batch.whole = slot.batch.requested and queue.ahead.in_blocks
    make_batch(queue.maker, &slot.batch)


# The thread: make batches until it is stopped.
cdef void *run_queue(void *context) noexcept nogil:
    cdef Queue *queue = <Queue *>context
    cdef Slot *slot
    cdef Batch made
    cdef int64_t known, spins
    block_signals()
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
        make_next(queue, slot)
        made = slot.batch  # once the state is DONE, the reader may submit another one in this slot
        pthread_mutex_lock(&queue.lock)
        slot.state = DONE
        if queue.reader_waits:
            pthread_cond_signal(&queue.ready)
        if queue.maker.reads.cold and not queue.stop:
            pthread_mutex_unlock(&queue.lock)
            request_ahead(queue, &made)
            pthread_mutex_lock(&queue.lock)
    pthread_mutex_unlock(&queue.lock)
    return NULL


# Wait for the oldest batch, or make it here if it is not started.
cdef void await_batch(Queue *queue, Slot *slot, bint has_thread) noexcept nogil:
    cdef int64_t spins = 0
    pthread_mutex_lock(&queue.lock)
    if slot.state == WAITING:
        queue.started += 1
        slot.state = STARTED
        pthread_mutex_unlock(&queue.lock)
        make_next(queue, slot)
        slot.state = DONE
        if not has_thread:
            request_ahead(queue, &slot.batch)
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
    step
        positions from the start of a batch to the start of the next. While a store is read from the disk,
        the windows of the batches that follow are requested from it, at least 256 of them or 8 MiB. 0: those
        of no other batch are.

    Notes
    -----
    In a forked process the thread does not exist; batches are then made when they are taken.
    """

    cdef Queue queue
    cdef BatchMaker maker
    cdef Order order
    cdef object owners
    cdef int process  # the process that has the thread; 0: none

    def __cinit__(
        self, BatchMaker maker not None, Order order not None, int64_t ahead, int64_t step=0
    ):
        cdef int64_t k
        self.maker = maker
        self.order = order
        self.owners = deque()
        self.process = 0
        self.queue.maker = &maker.maker
        self.queue.capacity = max(ahead, 1)
        self.queue.slots = <Slot *>calloc(self.queue.capacity, sizeof(Slot))
        self.queue.ahead.step = step
        self.queue.ahead.epochs = <int64_t *>malloc(order.order.num_sources * sizeof(int64_t))
        self.queue.ahead.blocks = <int64_t *>calloc(order.order.num_sources, sizeof(int64_t))
        if (
            self.queue.slots == NULL or self.queue.ahead.epochs == NULL
            or self.queue.ahead.blocks == NULL
        ):
            raise MemoryError
        self.queue.ahead.in_blocks = order.order.shuffle and order.order.block > 0
        for k in range(order.order.num_sources):
            self.queue.ahead.epochs[k] = NO_SOURCE
            if maker.maker.sources[k].plans != NULL:
                self.queue.ahead.in_blocks = False
        pthread_mutex_init(&self.queue.lock, NULL)
        pthread_cond_init(&self.queue.work, NULL)
        pthread_cond_init(&self.queue.ready, NULL)
        pthread_mutex_init(&self.queue.readers.lock, NULL)
        pthread_cond_init(&self.queue.readers.work, NULL)
        self.queue.readers.reads = maker.maker.reads
        self.queue.readers.order = &order.order
        self.queue.readers.length = maker.maker.row.length
        # If no thread can be created, batches are made when they are taken.
        if ahead > 0 and pthread_create(&self.queue.thread, NULL, run_queue, &self.queue) == 0:
            self.process = getpid()
            self.queue.readers.may_start = True

    def __dealloc__(self):
        self.stop()
        free(self.queue.slots)
        free(self.queue.ahead.epochs)
        free(self.queue.ahead.blocks)

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
        if self.queue.ahead.batches == 0 and self.queue.ahead.step > 0:
            self.set_ahead(len(positions), positions.step)
        self.owners.append(owner)
        pthread_mutex_lock(&self.queue.lock)
        slot.state = WAITING
        self.queue.submitted += 1
        if self.queue.thread_sleeps:
            pthread_cond_signal(&self.queue.work)
        pthread_mutex_unlock(&self.queue.lock)

    # Set how much is requested from the disk ahead of batches of so many windows.
    cdef set_ahead(self, int64_t rows, int64_t step):
        cdef int64_t size = max(rows, 1) * self.maker.maker.row.length * 2  # bytes, of uint16
        cdef Ahead *ahead = &self.queue.ahead
        cdef const Source *source = &self.maker.maker.sources[0]
        ahead.in_stretches = (
            self.process != 0 and not self.order.order.shuffle and self.maker.maker.num_sources == 1
            and source.row_first == NULL and source.plans == NULL
            and source.stride <= self.maker.maker.row.length and ahead.step == rows and step == 1
        )
        self.queue.readers.kernel_reads_ahead = ahead.in_stretches and self.kernel_reads_ahead()
        if self.order.order.shuffle:
            ahead.batches = max(1, min((AHEAD_WINDOWS + rows - 1) // max(rows, 1), AHEAD_BYTES // size))
            ahead.least = 1
        elif self.kernel_reads_ahead() and step == 1 and not ahead.in_stretches:
            ahead.step = 0
        else:
            ahead.batches = max(1, AHEAD_IN_ORDER // size)
            ahead.least = max(1, ahead.batches // 4) * ahead.step

    cdef bint kernel_reads_ahead(self):
        cdef int64_t k
        for k in range(self.maker.maker.num_sources):
            if self.maker.maker.sources[k].tokens.read_ahead < ENOUGH_READ_AHEAD:
                return False
        return True

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
            self.queue.readers.may_start = False
            self.queue.readers.count = 0
            self.queue.ahead.in_stretches = False
            started = &self.queue.slots[(self.queue.started - 1) % self.queue.capacity]
            if self.queue.started > self.queue.taken and started.state == STARTED:
                started.state = WAITING
                self.queue.started -= 1
        cdef bint has_thread = self.process != 0
        with nogil:
            await_batch(&self.queue, slot, has_thread)
        self.queue.taken += 1
        owner = self.owners.popleft()
        if slot.batch.status != 0:
            self.maker.finish(&slot.batch)
        return owner, slot.batch.marks.num_seqlens, slot.batch.marks.longest

    @property
    def wants_open(self):
        """True if :meth:`open_wanted` has something to open."""
        return self.queue.ahead.wanted != 0 and not self.queue.ahead.cannot_open

    def open_wanted(self):
        """Open the shards of windows that are to be requested from the disk, if they are not open.

        Raises
        ------
        InvalidStore
            for a file that is missing or was replaced; no other shard is opened by this method then.
        """
        cdef GatheredRows rows
        cdef Ahead *ahead = &self.queue.ahead
        cdef int64_t wanted = load_acquire(&ahead.wanted)
        if wanted == 0:
            return
        ahead.cannot_open = True
        rows = self.maker.sources[wanted - 1]
        rows.tokens.open_shards(ahead.wanted_start, ahead.wanted_count)
        if rows.mask is not None:
            rows.mask.open_shards(ahead.wanted_start, ahead.wanted_count)
        ahead.cannot_open = False
        store_release(&ahead.wanted, 0)

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
            stop_readers(&self.queue.readers)
