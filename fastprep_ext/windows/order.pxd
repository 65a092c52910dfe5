"""Shuffled order: positions of an epoch in, window indices out."""

cdef enum:
    SMALL = 1024  # windows; up to this size more rounds cost less than a bad shuffle
    SMALL_ROUNDS = 32
    ROUNDS = 8

# A bijection of [0, size), different for every key, on a grid of `left` * `right` >= size cells.
cdef struct Permutation:
    uint64_t size
    uint64_t left
    uint64_t right
    uint64_t keys[SMALL_ROUNDS]
    int rounds

cdef void make_permutation(Permutation *p, uint64_t size, uint64_t key) noexcept nogil
cdef uint64_t permute(const Permutation *p, uint64_t position) noexcept nogil

# A node of the tree that shares positions among sources: of the first p positions of a phase that
# reach it, (p * share + remainder) // total go to `left`, the others to `right`; remainder < total.
# A child below 0 is source -1 - child.
cdef struct ShareNode:
    uint64_t share
    uint64_t total
    uint64_t remainder
    int64_t left
    int64_t right

# Windows in blocks: the blocks of consecutive windows in the order of `blocks`, `group` windows of them
# at a time shuffled by `within`. Windows that fill no block, and groups that fill no group, are the end of
# the last group. The first block starts at window `offset`, and the last window is followed by the first.
cdef struct Blocks:
    uint64_t size
    uint64_t block
    uint64_t whole         # blocks
    uint64_t group
    uint64_t num_groups
    uint64_t offset
    uint64_t key
    int64_t known_group    # of `within`
    Permutation blocks
    Permutation within

# A position of an order: that of the window `place` in an epoch of a source.
cdef struct Located:
    int64_t phase
    int64_t source
    int64_t epoch
    int64_t place

# The parameters of an order; see the class.
cdef struct OrderState:
    int64_t num_sources
    int64_t *sizes
    int64_t *offsets
    int64_t num_phases
    int64_t num_nodes
    int64_t *phase_starts  # of each phase, counted over all epochs; the first is 0
    ShareNode *splits      # [num_phases, num_nodes]
    int64_t *drawn         # [num_phases, num_sources], windows of a source before the phase
    int64_t length
    int64_t epoch
    uint64_t seed
    bint shuffle
    int64_t block          # windows per block; 0: all windows are shuffled together
    int64_t group          # windows per group of blocks
    int64_t *chunks        # [num_sources], windows per block of this source, or 0
    int64_t mixed          # blocks per group of such a source

cdef void locate(const OrderState *order, int64_t position, Located *at) noexcept nogil
cdef void make_blocks(
    Blocks *blocks, const OrderState *order, int64_t source, int64_t epoch
) noexcept nogil

# The window at a place, and that at a place if no group was shuffled: the order in which they are read.
cdef uint64_t window_of(Blocks *blocks, uint64_t place) noexcept nogil
cdef uint64_t window_to_read(const Blocks *blocks, uint64_t place) noexcept nogil

# Write the windows at `count` positions: first, first + step, first + 2 * step, ...
cdef void fill_order(
    const OrderState *order, int64_t first, int64_t step, int64_t count, int64_t *indices
) noexcept nogil

cdef class Order:
    cdef OrderState order
