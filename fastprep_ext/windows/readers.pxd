"""Threads that read stretches of files ahead of use."""

cdef enum:
    READERS = 2
    MAX_QUEUED = 64

# Tokens `first` to `end` of a shard.
cdef struct Stretch:
    const Tokens *tokens
    int64_t shard
    int64_t first
    int64_t end
    bint is_requested      # from the disk

# Threads and their queue: of the stretches that were `added`, some are `taken`. One thread adds, and starts
# the others with the first stretch.
cdef struct Readers:
    bint may_start
    int count              # threads that run
    bint stop
    bint kernel_reads_ahead
    pthread_t threads[READERS]
    pthread_mutex_t lock
    pthread_cond_t work
    Stretch queue[MAX_QUEUED]
    int64_t added
    int64_t taken
    const OrderState *order
    Reads *reads
    int64_t length         # tokens per window

# Add `count` tokens of a shard to the queue. Return False if there are no threads, or no room.
cdef bint add_stretch(
    Readers *readers, const Tokens *tokens, int64_t shard, int64_t first, int64_t count
) noexcept nogil

# Return whether so many stretches can be added.
cdef bint has_room(Readers *readers, int64_t count) noexcept nogil

# Leave the handling of signals to other threads.
cdef void block_signals() noexcept nogil
