"""Parts recur more often than long pieces: most are found in the cache of pieces.

All new pieces of a round of text are added before anything is looked up or merged, since only many
parts can hide each other's memory latency. (With rounds and vectors, new prose is 1.05 and
multilingual text 1.1 times as fast as with one piece and one batch at a time.)
"""

cdef enum:
    MIN_CUT_BYTES = 32             # bytes up to which merging costs less than searching for cuts
    NO_TASK = 0xFFFFFFFF


cdef void parts_begin(Parts *self, const Ranks *ranks, Cache *cache) noexcept nogil:
    self.ranks = ranks
    self.cache = cache
    self.n = 0


cdef int parts_add(Parts *self, Piece *piece, const uint8_t *bytes, size_t n) noexcept nogil:
    cdef Grams last
    cdef size_t at = 0, begin = 0, end, begun = 0
    cdef uint64_t cuts
    cdef int status
    piece.count = 0
    if n <= MIN_CUT_BYTES or begin_few(self.ranks, bytes, n, piece.out, &begun):
        return add_part(self, piece, bytes, n, 0, n, begun)
    last.two = last.three = last.four = 0
    while at < n:
        cuts = cuts_at(self.ranks, bytes, n, at, &last)
        while cuts:
            end = at + lowest_bit(cuts)
            cuts &= cuts - 1
            status = add_part(self, piece, bytes, n, begin, end, 0)
            if status != 0:
                return status
            begin = end
        at += 64
    return add_part(self, piece, bytes, n, begin, n, 0)


# Begin a long piece with atoms, if these make it short: then merging costs less than searching for cuts.
cdef inline bint begin_few(
    const Ranks *ranks, const uint8_t *bytes, size_t n, uint32_t *out, size_t *begun
) noexcept nogil:
    if ranks.atoms.tokens == NULL or not bytes[n - 1] & 0x80 or n > 3 * FEW_BYTES:
        return False
    begun[0] = atoms_of(&ranks.atoms, &ranks.byte_ranks[0], bytes, n, out)
    return begun[0] <= FEW_BYTES and 2 * begun[0] <= n + 8


cdef inline int add_part(
    Parts *self, Piece *piece, const uint8_t *bytes, size_t n, size_t begin, size_t end, size_t begun
) noexcept nogil:
    cdef size_t size = end - begin
    cdef Part *part
    cdef Py_ssize_t count
    if self.n == PARTS:
        parts_finish(self)
    part = &self.parts[self.n]
    self.n += 1
    part.piece = piece
    part.bytes = bytes + begin
    part.out = piece.out + begin
    part.n = <uint32_t>size
    part.looked_up = False
    if size == 1:
        part.n = 0
        part.count = 1
        part.out[0] = self.ranks.byte_ranks[bytes[begin]]
    elif size > FEW_BYTES and begun == 0 \
            and not begin_few(self.ranks, part.bytes, size, part.out, &begun):
        count = merge_whole(self.ranks, bytes + begin, size, part.out)
        if count < 0:
            return <int>count
        part.n = 0
        part.count = count
    elif self.cache != NULL and size > 2 and size <= KEY_BYTES and size < n:
        part.looked_up = True
        key_short(&part.key, bytes + begin, size, n - begin)
        part.slot = self.cache.path.slot(&part.key, self.cache.mask)
        prefetch(&self.cache.lines[part.slot])
        prefetch(&self.cache.lines[part.slot ^ 1])   # an entry that a new part displaces moves there
    part.begun = <uint32_t>begun
    return 0


cdef void parts_finish(Parts *self) noexcept nogil:
    cdef size_t i, k, tasks = 0
    cdef Part *part
    cdef FewTask *task
    cdef const Entry *entry
    cdef uint16_t *same
    cdef uint32_t ids[MOST_IDS]
    cdef Value value
    for i in range(self.n):
        part = &self.parts[i]
        part.task = NO_TASK
        if part.n == 0:
            continue
        if part.looked_up:
            entry = line_entry(&self.cache.lines[part.slot], &part.key)
            if key_equal(&entry.key, &part.key):
                part.count = entry.value.count
                value_unpack(&self.cache.packing, &entry.value, ids)
                memcpy(part.out, ids, part.count * sizeof(uint32_t))
                continue
            # The same part twice: both use the task of the first.
            same = &self.same[part.slot & (SAME - 1)]
            if same[0] < tasks and self.parts[self.task_part[same[0]]].looked_up \
                    and key_equal(&self.parts[self.task_part[same[0]]].key, &part.key):
                part.task = same[0]
                continue
            same[0] = <uint16_t>tasks
        part.task = <uint32_t>tasks
        self.task_part[tasks] = <uint32_t>i
        task = &self.tasks[tasks]
        task.piece = part.bytes
        task.out = part.out
        task.n = part.n
        if part.begun == 0 and part.n > 2 and self.ranks.atoms.tokens != NULL \
                and part.bytes[part.n - 1] & 0x80:
            part.begun = <uint32_t>atoms_of(
                &self.ranks.atoms, &self.ranks.byte_ranks[0], part.bytes, part.n, part.out
            )
        if part.begun:
            task.piece = NULL
            task.n = part.begun
        tasks += 1
    merge_tasks(self.ranks, self.tasks, tasks)
    for k in range(tasks):
        task = &self.tasks[k]
        part = &self.parts[self.task_part[k]]
        if part.looked_up and task.count <= self.cache.packing.most:
            value_pack(&self.cache.packing, &value, task.out, task.count)
            cache_add(self.cache, &part.key, part.bytes, part.n, &value)
    for i in range(self.n):
        part = &self.parts[i]
        if part.task != NO_TASK:
            task = &self.tasks[part.task]
            part.count = task.count
            if task.out != part.out:
                memmove(part.out, task.out, task.count * sizeof(uint32_t))
    for i in range(self.n):
        part = &self.parts[i]
        if part.out != part.piece.out + part.piece.count:
            memmove(part.piece.out + part.piece.count, part.out, part.count * sizeof(uint32_t))
        part.piece.count += part.count
    self.n = 0


cdef Py_ssize_t merge_in_parts(
    const Ranks *ranks, const uint8_t *bytes, size_t n, uint32_t *out
) noexcept nogil:
    cdef Parts *self = <Parts *>malloc(sizeof(Parts))
    cdef Piece piece
    cdef int status = MERGE_NO_MEMORY
    if self != NULL:
        memset(self.same, 0, sizeof(self.same))
        parts_begin(self, ranks, NULL)
        piece.out = out
        status = parts_add(self, &piece, bytes, n)
        parts_finish(self)
    free(self)
    return piece.count if status == 0 else status
