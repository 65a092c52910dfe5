"""The table of pairs, the memory of their lists, and the heap of candidates."""

cdef int pairs_begin(PairTable *self, size_t capacity, uint64_t seed) noexcept nogil:
    self.used = 0
    self.seed = seed
    self.capacity = capacity
    self.slots = <Pair *>pages_alloc(capacity * sizeof(Pair))
    return 0 if self.slots != NULL else -1


cdef void pairs_free(PairTable *self) noexcept nogil:
    pages_free(self.slots, self.capacity * sizeof(Pair))
    self.slots = NULL
    self.capacity = self.used = 0


cdef inline size_t pair_place(const PairTable *self, uint64_t key) noexcept nogil:
    return mul_fold(key ^ self.seed, <uint64_t>0x9E3779B97F4A7C15) & (self.capacity - 1)


cdef int pairs_reserve(PairTable *self, size_t more) noexcept nogil:
    cdef PairTable grown
    cdef size_t i, live = 0, capacity = self.capacity
    if self.used + more <= self.capacity // 8 * 5:
        return 0
    for i in range(self.capacity):
        live += self.slots[i].places != NULL
    # Pairs that are no candidates are left out.
    while live + more > capacity // 2:
        capacity *= 2
    if pairs_begin(&grown, capacity, self.seed) != 0:
        return -1
    for i in range(self.capacity):
        if self.slots[i].places != NULL:
            pair_put(&grown, self.slots[i].key)[0] = self.slots[i]
    pairs_free(self)
    self[0] = grown
    return 0


cdef Pair *pair_find(const PairTable *self, uint64_t key) noexcept nogil:
    cdef size_t at = pair_place(self, key)
    while self.slots[at].key != key:
        if self.slots[at].key == 0:
            return NULL
        at = (at + 1) & (self.capacity - 1)
    return &self.slots[at]


cdef Pair *pair_put(PairTable *self, uint64_t key) noexcept nogil:
    cdef size_t at = pair_place(self, key)
    while self.slots[at].key != key:
        if self.slots[at].key == 0:
            self.slots[at].key = key
            self.used += 1
            break
        at = (at + 1) & (self.capacity - 1)
    return &self.slots[at]


# Pairs after it whose search would end at the free slot move there. To leave removed pairs in the table until
# it is made again took twice its memory then.
cdef void pair_remove(PairTable *self, Pair *pair) noexcept nogil:
    cdef size_t mask = self.capacity - 1, hole = pair - self.slots, at = hole
    while True:
        at = (at + 1) & mask
        if self.slots[at].key == 0:
            break
        if ((at - pair_place(self, self.slots[at].key)) & mask) >= ((at - hole) & mask):
            self.slots[hole] = self.slots[at]
            hole = at
    memset(&self.slots[hole], 0, sizeof(Pair))
    self.used -= 1


# -- lists -------------------------------------------------------------------------------------------

cdef uint32_t *list_new(Lists *self, size_t n) noexcept nogil:
    cdef size_t kind = (n + 1) // 2, size = 8 * kind, room
    cdef Range *made
    cdef uint8_t *at
    if kind < LIST_SIZES and self.spare[kind] != NULL:
        made = self.spare[kind]
        self.spare[kind] = made.next
        return <uint32_t *>made
    if size > self.left:
        made = take_range(self, max(size, <size_t>8 * LIST_SIZES))
        if made != NULL:
            at, room = <uint8_t *>made, made.size
        else:
            room = max(size + sizeof(Range), <size_t>LIST_BLOCK)
            made = <Range *>pages_alloc(room)
            if made == NULL:
                return NULL
            made.next, made.size = self.blocks, room
            self.blocks = made
            at = <uint8_t *>made + sizeof(Range)
            room -= sizeof(Range)
        if kind >= LIST_SIZES:
            put_range(self, at + size, room - size)
            return <uint32_t *>at
        put_range(self, self.at, self.left)
        self.at, self.left = at, room
    at = self.at
    self.at += size
    self.left -= size
    return <uint32_t *>at


cdef void list_free(Lists *self, uint32_t *places, size_t n) noexcept nogil:
    put_range(self, places, (n + 1) // 2 * 8)


# Keep memory, of a multiple of 8 bytes, for later lists.
cdef inline void put_range(Lists *self, void *memory, size_t size) noexcept nogil:
    cdef Range *range = <Range *>memory
    cdef size_t kind = size // 8
    if kind == 0:
        return
    if kind < LIST_SIZES:
        range.next = self.spare[kind]
        self.spare[kind] = range
        return
    kind = highest_bit(size)
    range.next, range.size = self.ranges[kind], size
    self.ranges[kind] = range


# Return a range of at least `size` bytes, and forget it; NULL if there is none. The first of a bin or none:
# to look through them would wait for memory at each.
cdef Range *take_range(Lists *self, size_t size) noexcept nogil:
    cdef size_t kind = highest_bit(size)
    cdef Range *found = self.ranges[kind]
    if found != NULL and found.size < size:
        found = NULL
    while found == NULL:
        kind += 1
        if kind == LIST_BINS:
            return NULL
        found = self.ranges[kind]
    self.ranges[kind] = found.next
    return found


cdef void lists_free(Lists *self) noexcept nogil:
    cdef Range *before
    while self.blocks != NULL:
        before = self.blocks.next
        pages_free(self.blocks, self.blocks.size)
        self.blocks = before
    memset(self, 0, sizeof(Lists))


# -- candidates --------------------------------------------------------------------------------------

cdef int candidates_reserve(Candidates *self, size_t more) noexcept nogil:
    if not grow_candidates(&self.at, &self.room, self.n + more):
        return -1
    return 0 if grow_candidates(&self.waiting, &self.waiting_room, self.n_waiting + more) else -1


cdef bint grow_candidates(Candidate **at, size_t *room, size_t wanted) noexcept nogil:
    cdef Candidate *grown
    if wanted <= room[0]:
        return True
    wanted = max(wanted, room[0] + room[0] // 2)
    grown = <Candidate *>realloc(at[0], wanted * sizeof(Candidate))
    if grown == NULL:
        return False
    at[0], room[0] = grown, wanted
    return True


cdef void candidates_free(Candidates *self) noexcept nogil:
    free(self.at)
    free(self.waiting)
    memset(self, 0, sizeof(Candidates))


cdef int candidates_refill(Candidates *self) noexcept nogil:
    cdef size_t i, kept = 0, n = self.n_waiting, moved = 0
    cdef uint64_t largest = 0
    for i in range(n):
        largest = max(largest, self.waiting[i].count)
    self.bound = largest // 2 + 1
    for i in range(n):
        moved += self.waiting[i].count >= self.bound
    if not grow_candidates(&self.at, &self.room, moved):
        return -1
    for i in range(n):
        if self.waiting[i].count >= self.bound:
            candidate_push(self, self.waiting[i].count, self.waiting[i].key)
        else:
            self.waiting[kept] = self.waiting[i]
            kept += 1
    self.n_waiting = kept
    return 0


cdef inline bint comes_first(const Candidate *a, const Candidate *b) noexcept nogil:
    return a.count > b.count or (a.count == b.count and a.key < b.key)


cdef void candidate_push(Candidates *self, uint64_t count, uint64_t key) noexcept nogil:
    cdef size_t at = self.n, parent
    cdef Candidate made
    made.count, made.key = count, key
    if count < self.bound:
        self.waiting[self.n_waiting] = made
        self.n_waiting += 1
        return
    self.n += 1
    while at:
        parent = (at - 1) >> 2
        if not comes_first(&made, &self.at[parent]):
            break
        self.at[at] = self.at[parent]
        at = parent
    self.at[at] = made


cdef void sift_first(Candidates *self, Candidate held) noexcept nogil:
    cdef size_t at = 0, child, best, last
    while True:
        child = 4 * at + 1
        if child >= self.n:
            break
        best = child
        last = min(child + 4, self.n)
        child += 1
        while child < last:
            if comes_first(&self.at[child], &self.at[best]):
                best = child
            child += 1
        if not comes_first(&self.at[best], &held):
            break
        self.at[at] = self.at[best]
        at = best
    self.at[at] = held


cdef void candidate_pop(Candidates *self) noexcept nogil:
    self.n -= 1
    if self.n:
        sift_first(self, self.at[self.n])


cdef void candidate_lower(Candidates *self, uint64_t count) noexcept nogil:
    cdef Candidate held = self.at[0]
    held.count = count
    sift_first(self, held)
