"""Exactness of the merge loop.

*What is counted.* The count of a pair is the number of places where it occurs, overlapping ones too,
weighted by the count of the word. A merge of (A, B) to N at p, with neighbours L and R, takes away one
(L, A) and one (B, R) and adds one (L, N) and one (N, R). Places are merged in ascending order. If the
token before was made by this merge, then L is N, and the pair that it just added, (N, A), was this
place's: `repeated` takes these away again, and they count as (N, N).

*A pair is born whole.* N is new, so all places of (L, N) and (N, R) come from the merge that makes N;
later merges only take some away. So a list is written once, at its exact size, in ascending order, and
a place in it still holds the pair if the tokens at p and after it are the two: a token only grows, so p
can never become the first place of the same token again.

*The floor.* Pairs born with a count below `floor` are not listed. While the best listed pair has a
count of at least `floor` it is the best of all. When none has, the words are scanned again with a
lower floor.

*Ties.* Of pairs with equal counts the one with the smallest key is merged: the smallest left token, then
the smallest right one. Candidates have the count of a pair at some time before, which is at least
the one now; the first candidate whose count is still right is the best pair.
"""

cdef enum:
    AHEAD = 16             # places whose tokens are fetched before they are needed
    FLOOR_STEP = 4

cdef void training_free(Training *self) noexcept nogil:
    words_free(self)
    free(self.lengths)
    free(self.sizes)
    free(self.merges)
    free(self.lefts)
    free(self.rights)
    free(self.touched)
    memset(self, 0, sizeof(Training))


cdef void words_free(Training *self) noexcept nogil:
    lists_free(&self.lists)
    pairs_free(&self.pairs)
    candidates_free(&self.candidates)
    pages_free(self.tokens, self.token_bytes)
    free(self.level_of)
    free(self.levels)
    free(self.neighbours)
    self.tokens = NULL
    self.level_of = NULL
    self.levels = NULL
    self.neighbours = NULL
    self.n_levels = self.room = 0


cdef inline uint64_t pair_key(size_t left, size_t right) noexcept nogil:
    return <uint64_t>left << 32 | right


# Whether two tokens may become one. Two bytes always may, as in tokenizers.
cdef inline bint may_merge(const Training *self, size_t left, size_t right) noexcept nogil:
    cdef const uint32_t *sizes = self.lengths if self.sizes == NULL else self.sizes
    cdef size_t size = sizes[left] + sizes[right]
    return self.max_length == 0 or size < self.max_length or size == 2


# -- all pairs ---------------------------------------------------------------------------------------

cdef int collect(Training *self) noexcept nogil:
    lists_free(&self.lists)
    pairs_free(&self.pairs)
    self.candidates.n = self.candidates.n_waiting = 0
    self.candidates.bound = UINT64_MAX
    if pairs_begin(&self.pairs, 1 << 12, self.pairs.seed) != 0:
        return TRAIN_NO_MEMORY
    if self.n_tokens == BYTE_TOKENS and self.sizes == NULL:
        if self.wide:
            return collect_bytes(self, <uint32_t *>self.tokens)
        return collect_bytes(self, <uint16_t *>self.tokens)
    if self.wide:
        return collect_pairs(self, <uint32_t *>self.tokens)
    return collect_pairs(self, <uint16_t *>self.tokens)


# List a pair if its count is large enough. False without memory.
cdef inline bint list_pair(Training *self, Pair *pair) noexcept nogil:
    pair.filled = 0
    pair.places = NULL
    if pair.count < self.floor or pair.n == 0:
        return True
    if not may_merge(self, pair.key >> 32, <uint32_t>pair.key):
        return True
    pair.places = list_new(&self.lists, pair.n)
    return pair.places != NULL


cdef int list_candidates(Training *self, const Pair *pairs, size_t count, size_t live) noexcept nogil:
    cdef size_t i
    if candidates_reserve(&self.candidates, live) != 0:
        return TRAIN_NO_MEMORY
    for i in range(count):
        if pairs[i].places != NULL:
            candidate_push(&self.candidates, pairs[i].count, pairs[i].key)
    return TRAIN_OK


# Before the first merge a table by both bytes holds all pairs.
cdef struct Cell:
    uint64_t count
    uint64_t n


cdef int collect_bytes(Training *self, const token_t *tokens) noexcept nogil:
    cdef size_t cells = BYTE_TOKENS * BYTE_TOKENS
    cdef int status = TRAIN_NO_MEMORY
    cdef Cell *all = <Cell *>calloc(cells, sizeof(Cell))
    cdef uint32_t **next = <uint32_t **>calloc(cells, sizeof(uint32_t *))
    if all != NULL and next != NULL:
        status = list_byte_pairs(self, tokens, all, next)
    free(all)
    free(next)
    return status


cdef int list_byte_pairs(
    Training *self, const token_t *tokens, Cell *all, uint32_t **next
) noexcept nogil:
    cdef size_t p = BLOCK, at, live = 0, i
    cdef size_t cells = BYTE_TOKENS * BYTE_TOKENS
    cdef uint64_t weight
    cdef Pair *pair
    cdef uint32_t *place
    for i in range(self.n_levels):
        weight = self.levels[i].count
        while p < self.levels[i].end:
            at = <size_t>tokens[p] * BYTE_TOKENS + tokens[p + 1]
            all[at].count += weight
            all[at].n += 1
            p += 1
    for at in range(BYTE_TOKENS, cells):
        live += at % BYTE_TOKENS != 0 and all[at].n != 0 and all[at].count >= self.floor
    if pairs_reserve(&self.pairs, live) != 0 or candidates_reserve(&self.candidates, live) != 0:
        return TRAIN_NO_MEMORY
    for at in range(BYTE_TOKENS, cells):
        if at % BYTE_TOKENS == 0 or all[at].n == 0 or all[at].count < self.floor:
            continue
        pair = pair_put(&self.pairs, pair_key(at // BYTE_TOKENS, at % BYTE_TOKENS))
        pair.count, pair.n = all[at].count, <uint32_t>all[at].n
        pair.places = next[at] = list_new(&self.lists, pair.n)
        if pair.places == NULL:
            return TRAIN_NO_MEMORY
        candidate_push(&self.candidates, pair.count, pair.key)
    for p in range(BLOCK, self.places - 1):
        at = <size_t>tokens[p] * BYTE_TOKENS + tokens[p + 1]
        place = next[at]
        if place != NULL:
            place[0] = <uint32_t>p
            next[at] = place + 1
    return TRAIN_OK


cdef int collect_pairs(Training *self, const token_t *tokens) noexcept nogil:
    cdef size_t p, next, live = 0, i, level = 0
    cdef Pair *pair
    p = BLOCK
    while p < self.places:
        if tokens[p] == 0:
            p += 1
            continue
        next = p + self.lengths[tokens[p]]
        if tokens[next] != 0:
            # Of this table all slots are kept until the lists are made.
            if self.pairs.used + 1 > self.pairs.capacity // 8 * 5 and not grow_counts(&self.pairs):
                return TRAIN_NO_MEMORY
            pair = pair_put(&self.pairs, pair_key(tokens[p], tokens[next]))
            while p >= self.levels[level].end:
                level += 1
            pair.count += self.levels[level].count
            pair.n += 1
        p = next
    for i in range(self.pairs.capacity):
        if self.pairs.slots[i].key != 0:
            if not list_pair(self, &self.pairs.slots[i]):
                return TRAIN_NO_MEMORY
            live += self.pairs.slots[i].places != NULL
    p = BLOCK
    while p < self.places:
        if tokens[p] == 0:
            p += 1
            continue
        next = p + self.lengths[tokens[p]]
        if tokens[next] != 0:
            pair = pair_find(&self.pairs, pair_key(tokens[p], tokens[next]))
            if pair.places != NULL:
                pair.places[pair.filled] = <uint32_t>p
                pair.filled += 1
        p = next
    # The others are left out.
    self.pairs.used = self.pairs.capacity
    if pairs_reserve(&self.pairs, 0) != 0:
        return TRAIN_NO_MEMORY
    return list_candidates(self, self.pairs.slots, self.pairs.capacity, live)


# Add up how often each token occurs; uses[0] is of token 1.
cdef void count_uses(const Training *self, const token_t *tokens, uint64_t *uses) noexcept nogil:
    cdef size_t p = BLOCK, i
    if tokens == NULL:
        return
    for i in range(self.n_levels):
        while p < self.levels[i].end:
            if tokens[p] == 0:
                p += 1
                continue
            uses[tokens[p] - 1] += self.levels[i].count
            p += self.lengths[tokens[p]]


cdef bint grow_counts(PairTable *self) noexcept nogil:
    cdef PairTable grown
    cdef size_t i
    if pairs_begin(&grown, 2 * self.capacity, self.seed) != 0:
        return False
    for i in range(self.capacity):
        if self.slots[i].key != 0:
            pair_put(&grown, self.slots[i].key)[0] = self.slots[i]
    pairs_free(self)
    self[0] = grown
    return True


# -- one merge after the other -----------------------------------------------------------------------

cdef int train(Training *self, size_t most) noexcept nogil:
    cdef Candidate best
    cdef Pair *pair
    cdef int status
    while most and self.n_tokens < self.max_tokens:
        if self.candidates.n == 0 and self.candidates.n_waiting:
            if candidates_refill(&self.candidates) != 0:
                return TRAIN_NO_MEMORY
            continue
        if self.candidates.n == 0:
            if self.floor <= self.least:
                return TRAIN_DONE
            self.floor = max(self.least, self.floor // FLOOR_STEP)
            self.rescans += 1
            status = collect(self)
            if status != TRAIN_OK:
                return status
            continue
        best = self.candidates.at[0]
        pair = pair_find(&self.pairs, best.key)
        if pair == NULL or pair.places == NULL:
            candidate_pop(&self.candidates)
            continue
        if pair.count < self.candidates.bound:
            # It waits until the bound is lowered.
            candidate_pop(&self.candidates)
            if candidates_reserve(&self.candidates, 1) != 0:
                return TRAIN_NO_MEMORY
            candidate_push(&self.candidates, pair.count, pair.key)
            continue
        if pair.count < best.count:
            candidate_lower(&self.candidates, pair.count)
            continue
        candidate_pop(&self.candidates)
        if self.candidates.n:
            prefetch(&self.pairs.slots[pair_place(&self.pairs, self.candidates.at[0].key)])
        if self.wide:
            status = merge_pair(self, pair, <uint32_t *>self.tokens)
        else:
            status = merge_pair(self, pair, <uint16_t *>self.tokens)
        if status != TRAIN_OK:
            return status
        most -= 1
    return TRAIN_DONE if self.n_tokens == self.max_tokens else TRAIN_OK


cdef int merge_pair(Training *self, Pair *pair, token_t *tokens) noexcept nogil:
    cdef uint32_t *places = pair.places
    cdef size_t n = pair.n, left = pair.key >> 32, right = <uint32_t>pair.key
    cdef size_t made = self.n_tokens, kept, count_left = 0, count_right = 0, births = 0, i, token
    cdef uint64_t repeated[2]
    cdef uint32_t *touched = self.touched
    cdef uint32_t *others = self.touched + self.max_tokens + 1
    cdef Delta *delta
    if n > self.room:
        free(self.neighbours)
        self.room = n + n // 2
        self.neighbours = <uint32_t *>malloc(2 * self.room * sizeof(uint32_t))
        if self.neighbours == NULL:
            self.room = 0
            return TRAIN_NO_MEMORY
    self.merges[self.n_merges].left = <uint32_t>left
    self.merges[self.n_merges].right = <uint32_t>right
    self.merges[self.n_merges].count = pair.count
    self.n_merges += 1
    self.lengths[made] = self.lengths[left] + self.lengths[right]
    if self.sizes != NULL:
        self.sizes[made] = self.sizes[left] + self.sizes[right]
    self.n_tokens += 1
    pair_remove(&self.pairs, pair)  # its list is freed below
    kept = apply_merge(
        self, tokens, places, n, left, right, made, touched, &count_left, others, &count_right, repeated
    )
    prefetch_list(self)
    # The slots of all pairs of the old tokens are fetched together. The deltas of 0, no token, are ignored.
    self.lefts[0].weight = self.lefts[0].n = 0
    self.rights[0].weight = self.rights[0].n = 0
    for i in range(count_left):
        token = touched[i]
        prefetch(&self.pairs.slots[pair_place(&self.pairs, pair_key(token, left))])
        births += self.lefts[token].weight >= self.floor
    for i in range(count_right):
        token = others[i]
        prefetch(&self.pairs.slots[pair_place(&self.pairs, pair_key(right, token))])
        births += self.rights[token].weight >= self.floor
    for i in range(count_left):
        token = touched[i]
        # The pairs of N and A were born in this merge.
        if token != made and token != 0:
            take_away(self, pair_key(token, left), self.lefts[token].weight)
    for i in range(count_right):
        token = others[i]
        if token != 0:
            take_away(self, pair_key(right, token), self.rights[token].weight)
    if repeated[1]:
        self.rights[left].weight -= repeated[0]
        self.rights[left].n -= <uint32_t>repeated[1]
    if births:
        if pairs_reserve(&self.pairs, births) != 0 or candidates_reserve(&self.candidates, births) != 0:
            return TRAIN_NO_MEMORY
        for i in range(count_left):
            delta = &self.lefts[touched[i]]
            if not give_birth(self, delta, touched[i], made):
                return TRAIN_NO_MEMORY
        for i in range(count_right):
            delta = &self.rights[others[i]]
            if not give_birth(self, delta, made, others[i]):
                return TRAIN_NO_MEMORY
        fill_lists(self, places, kept)
    for i in range(count_left):
        memset(&self.lefts[touched[i]], 0, sizeof(Delta))
    for i in range(count_right):
        memset(&self.rights[others[i]], 0, sizeof(Delta))
    list_free(&self.lists, places, n)
    prefetch_tokens(self, tokens)
    return TRAIN_OK


# The next merge is nearly always of the pair that is the best one now: its places, and the tokens there,
# are fetched while this merge ends (no difference on a busy machine).
cdef inline void prefetch_list(const Training *self) noexcept nogil:
    cdef const Pair *pair
    if self.candidates.n:
        pair = pair_find(&self.pairs, self.candidates.at[0].key)
        if pair != NULL and pair.places != NULL:
            prefetch(pair.places)


cdef inline void prefetch_tokens(const Training *self, const token_t *tokens) noexcept nogil:
    cdef const Pair *pair
    cdef size_t i
    if self.candidates.n:
        pair = pair_find(&self.pairs, self.candidates.at[0].key)
        if pair != NULL and pair.places != NULL:
            for i in range(min(<size_t>pair.n, <size_t>AHEAD)):
                prefetch(&tokens[pair.places[i]])


# Merge the pair wherever it still is; keep these places at the start of the list, and their neighbours.
cdef size_t apply_merge(
    Training *self, token_t *tokens, uint32_t *places, size_t n, size_t left, size_t right, size_t made,
    uint32_t *touched, size_t *count_left, uint32_t *others, size_t *count_right, uint64_t *repeated
) noexcept nogil:
    cdef size_t length = self.lengths[left], whole = self.lengths[made], i, kept = 0, p
    cdef size_t touched_left = 0, touched_right = 0, before, after
    cdef token_t dead = <token_t>-1
    cdef token_t token = <token_t>made, first = <token_t>left, second = <token_t>right
    cdef uint64_t weight = 0, repeated_weight = 0, repeated_n = 0
    cdef size_t level_end = 0
    cdef const Level *level
    cdef uint32_t *neighbours = self.neighbours
    cdef Delta *lefts = self.lefts
    cdef Delta *rights = self.rights
    for i in range(min(n, <size_t>AHEAD)):
        prefetch(&tokens[places[i]])
    for i in range(n):
        if i + AHEAD < n:
            prefetch(&tokens[places[i + AHEAD]])
        p = places[i]
        if tokens[p] != first or tokens[p + length] != second:
            continue
        if p >= level_end:
            level = &self.levels[self.level_of[p >> BLOCK_BITS]]
            weight, level_end = level.count, level.end
        before, after = tokens[p - 1], tokens[p + whole]
        tokens[p + length - 1] = dead
        tokens[p + length] = dead
        tokens[p] = token
        tokens[p + whole - 1] = token
        if unlikely(before == made):
            repeated_weight += weight
            repeated_n += 1
            neighbours[2 * kept - 1] = 0
        touched[touched_left] = <uint32_t>before
        touched_left += lefts[before].n == 0
        lefts[before].weight += weight
        lefts[before].n += 1
        others[touched_right] = <uint32_t>after
        touched_right += rights[after].n == 0
        rights[after].weight += weight
        rights[after].n += 1
        places[kept] = <uint32_t>p
        neighbours[2 * kept] = <uint32_t>before
        neighbours[2 * kept + 1] = <uint32_t>after
        kept += 1
    count_left[0], count_right[0] = touched_left, touched_right
    repeated[0], repeated[1] = repeated_weight, repeated_n
    return kept


# Lower the count of a pair, and drop it once it can only be merged after the words were scanned again.
cdef inline void take_away(Training *self, uint64_t key, uint64_t weight) noexcept nogil:
    cdef Pair *pair = pair_find(&self.pairs, key)
    if pair == NULL or pair.places == NULL:
        return
    pair.count -= weight
    if pair.count < self.floor:
        list_free(&self.lists, pair.places, pair.n)
        pair_remove(&self.pairs, pair)


# List the pair of a new token and a neighbour, if it is frequent enough. False without memory.
cdef inline bint give_birth(Training *self, Delta *delta, size_t left, size_t right) noexcept nogil:
    cdef Pair *pair
    delta.next = NULL
    if delta.weight < self.floor or delta.n == 0 or not may_merge(self, left, right):
        return True
    pair = pair_put(&self.pairs, pair_key(left, right))
    pair.count, pair.n = delta.weight, delta.n
    pair.places = list_new(&self.lists, delta.n)
    if pair.places == NULL:
        return False
    delta.next = pair.places
    candidate_push(&self.candidates, pair.count, pair.key)
    return True


cdef void fill_lists(Training *self, const uint32_t *places, size_t kept) noexcept nogil:
    cdef size_t i, before, after
    cdef Delta *delta
    for i in range(kept):
        before, after = self.neighbours[2 * i], self.neighbours[2 * i + 1]
        delta = &self.lefts[before]
        if delta.next != NULL:
            delta.next[0] = <uint32_t>(places[i] - self.lengths[before])
            delta.next += 1
        delta = &self.rights[after]
        if delta.next != NULL:
            delta.next[0] = places[i]
            delta.next += 1
