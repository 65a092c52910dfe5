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
    # Pairs that are no candidates any more are left out. Half of the slots stay free, so that the next
    # such pass is far.
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


# -- lists -------------------------------------------------------------------------------------------

cdef uint32_t *list_new(Lists *self, size_t n) noexcept nogil:
    cdef size_t kind = (n + 1) // 2, size
    cdef void *made
    self.held += 8 * kind
    if n > SMALL_LIST:
        return <uint32_t *>malloc(8 * kind)
    made = self.spare[kind]
    if made != NULL:
        self.spare[kind] = (<void **>made)[0]
        return <uint32_t *>made
    size = 8 * kind
    if size > self.left:
        made = pages_alloc(LIST_BLOCK)
        if made == NULL:
            return NULL
        (<void **>made)[0] = self.blocks
        self.blocks = made
        self.at = <uint8_t *>made + 8
        self.left = LIST_BLOCK - 8
    made = self.at
    self.at += size
    self.left -= size
    return <uint32_t *>made


cdef void list_free(Lists *self, uint32_t *places, size_t n) noexcept nogil:
    cdef size_t kind = (n + 1) // 2
    self.held -= 8 * kind
    if n > SMALL_LIST:
        free(places)
        return
    (<void **>places)[0] = self.spare[kind]
    self.spare[kind] = places


cdef void lists_free(Lists *self, PairTable *pairs) noexcept nogil:
    cdef size_t i
    cdef void *before
    for i in range(pairs.capacity if pairs.slots != NULL else 0):
        if pairs.slots[i].places != NULL and pairs.slots[i].n > SMALL_LIST:
            free(pairs.slots[i].places)
    while self.blocks != NULL:
        before = (<void **>self.blocks)[0]
        pages_free(self.blocks, LIST_BLOCK)
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
