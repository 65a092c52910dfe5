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


# Return the window at a place in a shuffled order of chunks: chunks come in a random order, and the windows
# of `mixed` consecutive ones in this order are shuffled together. What is left after the last whole chunk
# comes last. `group` is the permutation of the last call, of group `known`.
cdef uint64_t permute_chunks(
    const Permutation *chunks, Permutation *group, int64_t *known, uint64_t size, uint64_t chunk,
    uint64_t mixed, uint64_t key, uint64_t place
) noexcept nogil:
    cdef uint64_t whole = chunks.size * chunk
    cdef uint64_t number = place // (chunk * mixed)
    cdef uint64_t first = number * chunk * mixed
    if place >= whole:
        first = whole
        number = chunks.size
    if <int64_t>number != known[0]:
        make_permutation(
            group, size - whole if place >= whole else min(chunk * mixed, whole - first),
            mix(key ^ (number + 1)),
        )
        known[0] = number
    place = permute(group, place - first)
    if first == whole:
        return whole + place
    return permute(chunks, first // chunk + place // chunk) * chunk + place % chunk


cdef void fill_order(
    const OrderState *order, int64_t first, int64_t step, int64_t count, int64_t *indices
) noexcept nogil:
    cdef Permutation permutation
    cdef Permutation group
    cdef int64_t known_group = NO_SOURCE
    cdef uint64_t key = 0
    cdef int64_t known_source = NO_SOURCE
    cdef int64_t known_epoch = NO_SOURCE
    cdef int64_t phase = 0
    cdef int64_t r, node, source, epoch, place
    cdef const ShareNode *splits
    cdef uint64_t before
    for r in range(count):
        place = first + r * step
        epoch = order.epoch
        source = 0
        if order.num_nodes > 0 or order.length != order.sizes[0]:
            place += epoch * order.length
            # Positions ascend, so the phase of one is that of the one before, or a later one.
            while phase + 1 < order.num_phases and order.phase_starts[phase + 1] <= place:
                phase += 1
            place -= order.phase_starts[phase]
            splits = order.splits + phase * order.num_nodes
            node = 0 if order.num_nodes > 0 else -1
            while node >= 0:
                before = share_of(&splits[node], place)
                if share_of(&splits[node], place + 1) > before:
                    place = before
                    node = splits[node].left
                else:
                    place -= before
                    node = splits[node].right
            source = -1 - node
            place += order.drawn[phase * order.num_sources + source]
            epoch = place // order.sizes[source]
            place -= epoch * order.sizes[source]
        if order.shuffle:
            if source != known_source or epoch != known_epoch:
                key = mix(mix(mix(order.seed) ^ <uint64_t>epoch) ^ <uint64_t>source)
                make_permutation(
                    &permutation,
                    order.sizes[source] // max(order.chunks[source], 1),
                    key,
                )
                known_source = source
                known_epoch = epoch
                known_group = NO_SOURCE
            if order.chunks[source] > 0:
                place = permute_chunks(
                    &permutation, &group, &known_group, order.sizes[source], order.chunks[source],
                    order.mixed, key, place,
                )
            else:
                place = permute(&permutation, place)
        indices[r] = order.offsets[source] + place


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
    chunks, mixed
        for each source the size of a chunk of windows, or 0; chunks come in a random order, and of
        `mixed` of them the windows are shuffled together. Of a size 0 all windows are.

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
        self, sizes, *, splits=(), phases=(), length=None, seed=0, epoch=0, shuffle=True,
        chunks=(), int64_t mixed=1
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
