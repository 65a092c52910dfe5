"""Positions of an epoch -> window indices: a keyed permutation, and the shares of a mixture.

The permutation is a Feistel network over a grid of about sqrt(n) by sqrt(n) cells, with additions
modulo the sides in place of exclusive or (Black and Rogaway, "Ciphers with Arbitrary Finite
Domains", 2002). The grid has at most 2 * sqrt(n) cells more than there are windows; a position
mapped to one of those is mapped again (cycle-walking), which is rare. So any window of any epoch is
found in about 50 nanoseconds, from the key alone.
"""

cdef enum:
    NO_SOURCE = -1

# Odd constants without structure: the fractions of the golden ratio and of pi.
cdef uint64_t GOLDEN = 0x9E3779B97F4A7C15
cdef uint64_t PI = 0x243F6A8885A308D3


# A bijection of 64 bits in which every bit of x affects every bit (Stafford's mix 13).
cdef inline uint64_t mix(uint64_t x) noexcept nogil:
    x += GOLDEN
    x = (x ^ (x >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    x = (x ^ (x >> 27)) * <uint64_t>0x94D049BB133111EB
    return x ^ (x >> 31)


cdef void make_permutation(Permutation *p, uint64_t size, uint64_t key) noexcept nogil:
    cdef uint64_t side = <uint64_t>sqrt(<double>size)
    cdef int r
    while side * side < size:
        side += 1
    while side > 1 and (side - 1) * (side - 1) >= size:
        side -= 1
    p.size = size
    p.left = side
    p.right = (size + side - 1) // side
    p.rounds = SMALL_ROUNDS if size <= SMALL else ROUNDS
    for r in range(p.rounds):
        key = mix(key)
        p.keys[r] = key


# Eight rounds suffice on a large grid. On a grid of 2 by 3 they do not: all 720 orders of six windows
# are equally likely (chi-square over 43,200 keys) from 24 rounds on.
cdef inline uint64_t permute(const Permutation *p, uint64_t position) noexcept nogil:
    cdef uint64_t at = position
    cdef uint64_t left, right
    cdef int r
    while True:
        left = at // p.right
        right = at - left * p.right
        for r in range(0, p.rounds, 2):
            left += scale_down(mul_fold(right ^ p.keys[r], PI), p.left)
            left -= p.left if left >= p.left else 0
            right += scale_down(mul_fold(left ^ p.keys[r + 1], PI), p.right)
            right -= p.right if right >= p.right else 0
        at = left * p.right + right
        if at < p.size:
            return at


# Return how many of the positions of a phase below `position` go left.
cdef inline uint64_t share_of(const ShareNode *split, uint64_t position) noexcept nogil:
    return mul_div(position, split.share, split.remainder, split.total)


# The phase of `at` is that of an earlier position, or 0.
cdef inline void locate(const OrderState *order, int64_t position, Located *at) noexcept nogil:
    cdef int64_t node
    cdef const ShareNode *splits
    cdef uint64_t before
    at.place = position
    at.epoch = order.epoch
    at.source = 0
    if order.num_nodes > 0 or order.length != order.sizes[0]:
        at.place += at.epoch * order.length
        while at.phase + 1 < order.num_phases and order.phase_starts[at.phase + 1] <= at.place:
            at.phase += 1
        at.place -= order.phase_starts[at.phase]
        splits = order.splits + at.phase * order.num_nodes
        node = 0 if order.num_nodes > 0 else -1
        while node >= 0:
            before = share_of(&splits[node], at.place)
            if share_of(&splits[node], at.place + 1) > before:
                at.place = before
                node = splits[node].left
            else:
                at.place -= before
                node = splits[node].right
        at.source = -1 - node
        at.place += order.drawn[at.phase * order.num_sources + at.source]
        at.epoch = at.place // order.sizes[at.source]
        at.place -= at.epoch * order.sizes[at.source]


cdef inline uint64_t key_of(const OrderState *order, int64_t source, int64_t epoch) noexcept nogil:
    return mix(mix(mix(order.seed) ^ <uint64_t>epoch) ^ <uint64_t>source)


cdef void make_blocks(
    Blocks *blocks, const OrderState *order, int64_t source, int64_t epoch
) noexcept nogil:
    cdef uint64_t size = order.sizes[source]
    blocks.size = size
    cdef int64_t chunk = order.chunks[source]
    blocks.block = chunk if chunk > 0 else order.block
    blocks.group = chunk * order.mixed if chunk > 0 else order.group
    blocks.whole = size // blocks.block
    blocks.num_groups = max(<uint64_t>1, size // blocks.group)
    blocks.key = mix(key_of(order, source, epoch))
    blocks.offset = 0 if chunk > 0 else mix(blocks.key) % size
    blocks.known_group = -1
    make_permutation(&blocks.blocks, max(<uint64_t>1, blocks.whole), blocks.key)


cdef uint64_t window_to_read(const Blocks *blocks, uint64_t place) noexcept nogil:
    cdef uint64_t slot = place // blocks.block
    if slot < blocks.whole:
        place += (permute(&blocks.blocks, slot) - slot) * blocks.block
    place += blocks.offset
    return place - blocks.size if place >= blocks.size else place


cdef uint64_t window_of(Blocks *blocks, uint64_t place) noexcept nogil:
    cdef uint64_t group = min(place // blocks.group, blocks.num_groups - 1)
    cdef uint64_t first = group * blocks.group
    cdef uint64_t size = blocks.group if group < blocks.num_groups - 1 else blocks.size - first
    if <int64_t>group != blocks.known_group:
        make_permutation(&blocks.within, size, mix(blocks.key ^ (group + 1)))
        blocks.known_group = group
    return window_to_read(blocks, first + permute(&blocks.within, place - first))


cdef void fill_order(
    const OrderState *order, int64_t first, int64_t step, int64_t count, int64_t *indices
) noexcept nogil:
    cdef Permutation permutation
    cdef Blocks blocks
    cdef int64_t known_source = NO_SOURCE
    cdef int64_t known_epoch = NO_SOURCE
    cdef int64_t r, place
    cdef bint is_blocked
    cdef Located at
    at.phase = 0
    for r in range(count):
        # Positions ascend, so the phase of one is that of the one before, or a later one.
        locate(order, first + r * step, &at)
        place = at.place
        if order.shuffle:
            is_blocked = order.block > 0 or order.chunks[at.source] > 0
            if at.source != known_source or at.epoch != known_epoch:
                if not is_blocked:
                    make_permutation(
                        &permutation, order.sizes[at.source], key_of(order, at.source, at.epoch)
                    )
                else:
                    make_blocks(&blocks, order, at.source, at.epoch)
                known_source = at.source
                known_epoch = at.epoch
            place = permute(&permutation, place) if not is_blocked else window_of(&blocks, place)
        indices[r] = order.offsets[at.source] + place


cdef class Order:
    """The order in which an epoch visits the windows of one or several sources.

    Parameters
    ----------
    sizes
        the number of windows of each source; those of source k are numbered from ``sum(sizes[:k])`` on.
    splits
        the tree that shares positions among sources, its root first: of any `total` consecutive
        positions that reach a node, `share` go left; ``(share, total, left, right)``, where a child
        below 0 is source ``-1 - child``. Empty for one source.
    phases
        instead of `splits`, if they change: for each phase ``(start, nodes, drawn)``: its first
        position, counted over all epochs; its tree, ``(share, total, remainder, left, right)`` per
        node, where of the first p positions of the phase ``(p * share + remainder) // total`` go
        left; and the number of windows drawn from each source before it. The first starts at 0.
    length
        the number of positions of an epoch. A source whose windows are used up starts an epoch of its
        own; an epoch of a mixture continues where the one before stopped.
    seed, epoch
        the order is a function of these.
    shuffle
        False: each source in its own order.
    block, group
        windows per block, and blocks per group, if windows are shuffled in blocks: the blocks of a source
        are shuffled, and then the windows of each `group` of them. 0: all windows are shuffled together.
    chunks, mixed
        the same for single sources: for each source windows per block, or 0 for a source of which `block`
        is right. These blocks start at multiples of their size; others start anywhere.

    Raises
    ------
    InvalidWindow
        for sizes or numbers out of range.

    Examples
    --------
    >>> order = Order([10], seed=7, epoch=0)
    >>> sorted(order.take(range(10))) == list(range(10))
    True
    >>> Order([10], seed=7, epoch=1).take(range(10)) == order.take(range(10))
    False
    """

    def __cinit__(
        self, sizes, *, splits=(), phases=(), length=None, seed=0, epoch=0, shuffle=True, block=0,
        group=1, chunks=(), int64_t mixed=1
    ):
        cdef int64_t k, i
        sizes = list(map(int, sizes))
        if not sizes or min(sizes) < 1 or sum(sizes) >= 1 << 62:
            raise InvalidWindow(f"sources need at least one window each; found {sizes}")
        self.order.length = sum(sizes) if length is None else length
        if not 0 <= seed < 1 << 64:
            raise InvalidWindow(f"seed must be an integer from 0 to 2**64 - 1; found {seed}")
        if epoch < 0 or (epoch + 1) * self.order.length >= 1 << 62:
            raise InvalidWindow(
                f"epoch {epoch} is out of range: all epochs have 2**62 windows together, "
                f"one has {self.order.length}"
            )
        self.order.seed = seed
        self.order.epoch = epoch
        self.order.shuffle = shuffle
        if not (0 <= block < 1 << 62 and 1 <= group < 1 << 62):
            raise InvalidWindow(f"a group of {group} blocks of {block} windows")
        # Larger ones are those of a source that is one group.
        self.order.block = min(block, max(sizes))
        self.order.group = min(min(block, max(sizes)) * group, 1 << 62)
        self.order.num_sources = len(sizes)
        self.order.sizes = <int64_t *>malloc(len(sizes) * sizeof(int64_t))
        self.order.offsets = <int64_t *>malloc(len(sizes) * sizeof(int64_t))
        self.order.chunks = <int64_t *>calloc(len(sizes), sizeof(int64_t))
        self.order.mixed = max(mixed, 1)
        if not phases:
            nodes = [(share, total, total // 2, *children) for share, total, *children in splits]
            phases = [(0, nodes, [0] * len(sizes))]
        self.order.num_phases = len(phases)
        self.order.num_nodes = len(sizes) - 1
        for _, nodes, drawn in phases:
            if len(nodes) != len(sizes) - 1 or len(drawn) != len(sizes):
                raise InvalidWindow(f"{len(nodes)} nodes cannot share positions among {len(sizes)} sources")
        self.order.phase_starts = <int64_t *>malloc(len(phases) * sizeof(int64_t))
        self.order.splits = <ShareNode *>malloc(len(phases) * len(sizes) * sizeof(ShareNode))
        self.order.drawn = <int64_t *>malloc(len(phases) * len(sizes) * sizeof(int64_t))
        if (
            self.order.sizes == NULL or self.order.offsets == NULL or self.order.splits == NULL
            or self.order.phase_starts == NULL or self.order.drawn == NULL
            or self.order.chunks == NULL
        ):
            raise MemoryError
        for k, chunk in enumerate(chunks):
            self.order.chunks[k] = min(chunk, <int64_t>sizes[k])
        for k in range(self.order.num_sources):
            self.order.sizes[k] = sizes[k]
            self.order.offsets[k] = sum(sizes[:k])
        for k, (start, nodes, drawn) in enumerate(phases):
            self.order.phase_starts[k] = start
            for i, (share, total, remainder, left, right) in enumerate(nodes):
                self.order.splits[k * self.order.num_nodes + i] = ShareNode(
                    share, total, remainder, left, right
                )
            for i, count in enumerate(drawn):
                self.order.drawn[k * self.order.num_sources + i] = count

    def __dealloc__(self):
        free(self.order.sizes)
        free(self.order.offsets)
        free(self.order.chunks)
        free(self.order.phase_starts)
        free(self.order.splits)
        free(self.order.drawn)

    @property
    def length(self):
        """The number of positions of an epoch."""
        return self.order.length

    @property
    def epoch(self):
        """The epoch of this order."""
        return self.order.epoch

    def take(self, positions):
        """Return the windows at the positions of a range, as a list of ints.

        Raises
        ------
        InvalidWindow
            for a position outside the epoch.
        """
        cdef int64_t count = len(positions)
        cdef int64_t last = positions.start + (count - 1) * positions.step
        if count and not (0 <= positions.start < self.order.length and 0 <= last < self.order.length):
            raise InvalidWindow(f"{positions} is not within an epoch of {self.order.length} windows")
        cdef Memory memory = allocate(count * sizeof(int64_t))
        cdef int64_t *indices = <int64_t *>memory.at
        fill_order(&self.order, positions.start, positions.step, count, indices)
        found = []
        for r in range(count):
            found.append(indices[r])
        return found
