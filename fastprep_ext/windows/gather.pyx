"""Window indices -> a filled batch.

A :class:`BatchMaker` has the sources and the form of rows; it fills batches in memory of its
caller, without the GIL.
"""

cdef extern from "windows/fault_guard.h" nogil:
    void guard_install()
    int64_t guarded(int64_t (*body)(void *, void *) noexcept nogil, void *context, void *job)


cdef extern from *:
    """
    static int64_t plan_count = 0;
    #define plan_enter(plan) ((plan)->used = ++plan_count, \\
        (void)__atomic_fetch_add(&(plan)->users, 1, __ATOMIC_SEQ_CST), \\
        __atomic_load_n(&(plan)->first, __ATOMIC_SEQ_CST) != 0)
    #define plan_leave(plan) ((void)__atomic_fetch_sub(&(plan)->users, 1, __ATOMIC_SEQ_CST))
    #define plan_publish(plan, value) __atomic_store_n(&(plan)->first, value, __ATOMIC_SEQ_CST)
    #define plan_users(plan) __atomic_load_n(&(plan)->users, __ATOMIC_SEQ_CST)
    """
    bint plan_enter(Plan *plan) nogil
    void plan_leave(Plan *plan) nogil
    void plan_publish(Plan *plan, const int64_t *first) nogil
    int64_t plan_users(const Plan *plan) nogil

cdef enum:
    # Of plans that are kept, in stretches of 28 bytes. The mixed blocks of an order are planned once.
    MAX_STRETCHES = 1 << 21

cdef enum:
    PREFETCHED_WINDOWS = 4  # 1, 2 and 8 differ by less than the noise
    # Windows without a read of the disk after which a store is hot. Requesting a window that is in the page
    # cache takes 1.3 microseconds, and a read that was not requested as much as a hundred such requests.
    HOT_AFTER = 256
    HOT_AFTER_IN_ORDER = 16384  # the kernel reads up to 8 MiB ahead at once
    # Windows between two measurements of a hot store, which take 0.5 microseconds, as a window does.
    MEASURED_AFTER = 256
    # A fault of a map reads what read_ahead_kb says, up to 8 MiB in 10 milliseconds, so after so many rows
    # a store that was hot is read as a cold one if they took longer than they do from memory: per row
    # so many nanoseconds, and 8 per token. To read a row from a disk takes at least 80 microseconds.
    TIMED_ROWS = 8
    SLOW_ROW = 20000
    # Tokens that are read at once of windows that follow each other in a file that is not mapped.
    READ_IN_ORDER = 1 << 17

cdef extern from "windows/disk.h" nogil:
    int64_t count_disk_reads()
    int64_t clock_now()


cdef inline int64_t source_of(const Maker *maker, int64_t index) noexcept nogil:
    cdef int64_t source = 0
    while maker.first_index[source + 1] <= index:
        source += 1
    return source


cdef inline int64_t first_token(const Source *source, int64_t row) noexcept nogil:
    if source.row_first == NULL:
        return row * source.stride
    return source.starts[source.row_first[row]]


# Prefetch the start of a window.
cdef inline void prefetch_window(const Maker *maker, int64_t index) noexcept nogil:
    cdef int64_t number = source_of(maker, index)
    cdef const Source *source = &maker.sources[number]
    if source.plans != NULL:
        return
    index -= maker.first_index[number]
    prefetch_tokens(source.tokens, first_token(source, index), maker.row.length)
    if source.mask != NULL:
        prefetch_tokens(source.mask, first_token(source, index), maker.row.length)


# Request `count` tokens of a row from `start` on, fewer at the end of all, and their mask.
cdef inline void request_stretch(
    const Source *source, int64_t start, int64_t count, Requested *asked
) noexcept nogil:
    count = min(count, source.num_tokens - start)
    request(&asked[0], source.tokens, start, count)
    if source.mask != NULL:
        request(&asked[1], source.mask, start, count)


# Request one row.
cdef void request_row(
    const Maker *maker, const Source *source, int64_t row, Requested *asked
) noexcept nogil:
    cdef int64_t stretch
    if source.row_first == NULL:
        request_stretch(source, row * source.stride, maker.row.length + 1, asked)
        return
    for stretch in range(source.row_first[row], source.row_first[row + 1]):
        request_stretch(
            source, source.starts[stretch], <int64_t>source.sizes[stretch] + 1, asked
        )


cdef bint request_rows(
    const Maker *maker, const int64_t *indices, int64_t count, Requested *asked
) noexcept nogil:
    cdef int64_t r, number, row, block
    cdef bint complete = True
    cdef const Source *source
    cdef Source own
    cdef Plan *plan
    for r in range(count):
        if not 0 <= indices[r] < maker.first_index[maker.num_sources]:
            continue  # an error once the row is made
        number = source_of(maker, indices[r])
        source = &maker.sources[number]
        row = indices[r] - maker.first_index[number]
        if source.plans == NULL:
            request_row(maker, source, row, asked)
            continue
        block = shard_of(source.block_rows, source.num_blocks, row)
        plan = &source.plans[block]
        if plan_enter(plan):
            own = source[0]
            own.row_first, own.starts, own.sizes = plan.first, plan.starts, plan.sizes
            request_row(maker, &own, row - source.block_rows[block], asked)
        else:
            complete = False
        plan_leave(plan)
    return complete


cdef void note_reads(
    Reads *reads, bint was_read, int64_t windows, const OrderState *order
) noexcept nogil:
    cdef int64_t hot_after = HOT_AFTER
    if order != NULL:
        hot_after = HOT_AFTER + 4 * order.block if order.shuffle else HOT_AFTER_IN_ORDER
    reads.unmeasured = 0
    reads.idle = 0 if was_read else reads.idle + windows
    if reads.counts:
        reads.cold = reads.idle < hot_after


# Write one row to the places from `at` on of the flattened batch.
cdef int64_t write_row(
    const Maker *maker, const Source *source, int64_t row, Batch *batch, int64_t at
) noexcept nogil:
    cdef const RowForm *form = &maker.row
    cdef int64_t end = at + form.length
    cdef int64_t stretch, last, start, count, status, alone
    cdef int64_t ignored
    cdef bint marked = source.ends != NULL or source.documents != NULL
    cdef char *inputs
    cdef char *targets
    if source.row_first == NULL:
        stretch = last = 0
    else:
        stretch = source.row_first[row]
        last = source.row_first[row + 1] - 1
    while stretch <= last:
        if source.row_first == NULL:
            start = row * source.stride
            count = min(form.length, source.num_tokens - 1 - start)
        else:
            start = source.starts[stretch]
            count = source.sizes[stretch]
        inputs = batch.inputs + at * form.itemsize
        targets = batch.targets + at * form.itemsize
        if source.joined:
            if stretch > source.row_first[row] and not maker.mask:
                status = write_last(
                    source.tokens, form, start, targets - form.itemsize, &ignored
                )
                if status == 0 and source.mask != NULL:
                    status = mask_targets(source.mask, form, start, 1, targets - form.itemsize)
                if status != 0:
                    return status
            # Of the row's tokens all are inputs, or all but the last.
            alone = 1 if at + count <= end else 0
            count -= 1
        else:
            # In a window that extends beyond the last token, that token is an input without a target.
            alone = 1 if source.row_first == NULL and count < form.length else 0
        if count > 0:
            status = write_pairs(source.tokens, form, start, count, inputs, targets)
            if status == 0 and source.mask != NULL:
                status = mask_targets(source.mask, form, start + 1, count, targets)
            if status != 0:
                return status
        if alone:
            targets += count * form.itemsize
            inputs += count * form.itemsize
            status = write_last(source.tokens, form, start + count, inputs, targets)
            if status != 0:
                return status
        if source.documents != NULL:
            mark_piece(&batch.marks, at, count, source.documents[stretch])
        elif marked and count + alone > 0:
            status = mark_tokens(
                source.ends, &batch.marks, at, start, count + alone,
                batch.targets + at * form.itemsize if maker.mask else NULL,
                form.target_fill, form.itemsize,
            )
            if status != 0:
                return status
        at += count + alone
        stretch += 1
    if at < end:
        fill(batch.inputs + at * form.itemsize, end - at, form.input_fill, form.itemsize)
        fill(batch.targets + at * form.itemsize, end - at, form.target_fill, form.itemsize)
        if marked:
            mark_padding(&batch.marks, at, end - at)
    return 0


# Write one row of a source that is planned block by block; READ_FAILED if its block is not planned.
cdef int64_t write_planned_row(
    const Maker *maker, const Source *source, int64_t row, Batch *batch, int64_t at
) noexcept nogil:
    cdef Source own = source[0]
    cdef int64_t block = shard_of(source.block_rows, source.num_blocks, row)
    cdef int64_t status = READ_FAILED
    cdef Plan *plan = &source.plans[block]
    if plan_enter(plan):
        own.row_first, own.starts = plan.first, plan.starts
        own.sizes, own.documents = plan.sizes, plan.documents
        status = write_row(maker, &own, row - source.block_rows[block], batch, at)
    plan_leave(plan)
    return status


# Return how many rows from row r on are one range of tokens, which is widened at once; 1 if it is not known.
# Of windows that follow each other, and not more than are timed together.
cdef inline int64_t adjacent_rows(
    const Maker *maker, const Source *source, const Batch *batch, int64_t r, int64_t row
) noexcept nogil:
    cdef int64_t count
    if (
        source.row_first != NULL or source.plans != NULL or source.ends != NULL
        or source.mask != NULL or source.stride != maker.row.length
    ):
        return 1
    count = min(TIMED_ROWS - r % TIMED_ROWS, batch.rows - r)
    count = min(count, min(source.num_rows, (source.num_tokens - 1) // source.stride) - row)
    return min(count, (maker.row.scratch.ahead - 1) // source.stride)


cdef int64_t write_rows(void *context, void *job) noexcept nogil:
    cdef Maker *maker = <Maker *>context
    cdef Batch *batch = <Batch *>job
    cdef int64_t source, index, status, r, row, count, seqlens
    cdef int64_t begin = batch.row
    cdef int64_t limit = maker.first_index[maker.num_sources]
    cdef int64_t longest = TIMED_ROWS * (SLOW_ROW + 8 * maker.row.length)
    cdef int64_t now
    cdef int64_t before = clock_now() if maker.timed else 0
    if begin == 0:
        batch.marks.num_seqlens = 0
        batch.marks.longest = 0
        if batch.marks.seqlens != NULL:
            batch.marks.seqlens[0] = 0
    for r in range(begin, batch.rows):
        batch.row = r
        if not 0 <= batch.indices[r] < limit:
            return BAD_INDEX
    for r in range(begin, min(batch.rows, begin + <int64_t>PREFETCHED_WINDOWS)):
        if not maker.row.cold and not maker.in_order:
            prefetch_window(maker, batch.indices[r])
    r = begin
    while r < batch.rows:
        batch.row = r
        if maker.timed and r % TIMED_ROWS == 0 and r > begin:
            now = clock_now()
            if now - before > longest:
                return SLOW
            before = now
        seqlens = batch.marks.num_seqlens
        index = batch.indices[r]
        source = source_of(maker, index)
        row = index - maker.first_index[source]
        if maker.in_order:
            count = adjacent_rows(maker, &maker.sources[source], batch, r, row)
            if count > 1 and write_pairs(
                maker.sources[source].tokens, &maker.row, row * maker.row.length,
                count * maker.row.length, batch.inputs + r * maker.row.length * maker.row.itemsize,
                batch.targets + r * maker.row.length * maker.row.itemsize,
            ) == 0:
                r += count
                continue
            # An error is that of a single row.
        elif r + PREFETCHED_WINDOWS < batch.rows and not maker.row.cold:
            prefetch_window(maker, batch.indices[r + PREFETCHED_WINDOWS])
        if maker.sources[source].plans != NULL:
            status = write_planned_row(
                maker, &maker.sources[source], row, batch, r * maker.row.length
            )
        else:
            status = write_row(maker, &maker.sources[source], row, batch, r * maker.row.length)
        if status != 0:
            batch.marks.num_seqlens = seqlens  # the row may be made again
            return status
        r += 1
    return 0


# Return whether the windows of a batch follow each other, so that the kernel reads ahead by itself.
cdef bint is_one_stretch(const Batch *batch) noexcept nogil:
    cdef int64_t r
    for r in range(1, batch.rows):
        if batch.indices[r] != batch.indices[r - 1] + 1:
            return False
    return True


# Allocate scratch memory of a row, or of `ahead` tokens; return whether that failed.
cdef bint make_scratch(const Maker *maker, int64_t ahead, Scratch *scratch) noexcept nogil:
    scratch.tokens = NULL
    scratch.start = scratch.end = 0
    scratch.ahead = ahead
    scratch.at = <char *>malloc(8 * max(maker.row.length + 1, ahead))
    return scratch.at == NULL


# Request the rows of a batch that are not made.
cdef void request_rest(const Maker *maker, const Batch *batch) noexcept nogil:
    cdef Requested asked[2]
    no_requests(asked, NULL)
    request_rows(maker, batch.indices + batch.row, batch.rows - batch.row, asked)
    end_both(asked)


cdef void make_batch(const Maker *maker, Batch *batch) noexcept nogil:
    cdef Maker own = maker[0]  # with scratch memory of this call
    cdef Scratch scratch, mask_scratch
    cdef int64_t *given = batch.indices
    cdef Reads *reads = maker.reads
    cdef bint measured = reads.cold
    cdef bint in_order = False
    cdef bint failed
    cdef int64_t before = 0
    cdef int64_t ahead = 0
    if not measured and reads.counts:
        reads.unmeasured += batch.rows
        measured = reads.unmeasured >= MEASURED_AFTER
    # Where whole pages are used, in order or in blocks, a map is cheaper, and its faults read ahead.
    own.row.cold = reads.cold and not batch.whole and (batch.order == NULL or batch.order.shuffle)
    if batch.order != NULL:
        batch.indices = <int64_t *>malloc((batch.rows + 1) * sizeof(int64_t))
    if batch.indices != NULL:
        if batch.order != NULL:
            fill_order(batch.order, batch.first, batch.step, batch.rows, batch.indices)
        in_order = is_one_stretch(batch)
    own.in_order = in_order and batch.rows > 1
    if own.in_order:
        ahead = min(batch.rows * maker.row.length + 1, <int64_t>READ_IN_ORDER)
    mask_scratch.at = NULL
    failed = make_scratch(maker, ahead, &scratch)
    if maker.has_masks:
        failed |= make_scratch(maker, ahead, &mask_scratch)
    own.row.scratch, own.row.mask_scratch = &scratch, &mask_scratch
    if failed or batch.indices == NULL:
        batch.status = NO_MEMORY
    else:
        if measured:
            before = count_disk_reads()
        if reads.cold and not batch.requested and not in_order:
            request_rest(maker, batch)
        own.timed = reads.counts and not reads.cold
        batch.status = guarded(write_rows, &own, batch)
        if batch.status == SLOW:
            if not measured:
                before = count_disk_reads()
                measured = True
            own.timed = False
            own.row.cold = batch.order == NULL or batch.order.shuffle
            if own.row.cold:
                request_rest(maker, batch)
            batch.status = guarded(write_rows, &own, batch)
        if batch.status != 0:
            batch.window = batch.indices[batch.row]
        if measured:
            # Windows that were requested before say nothing if they do not read the disk.
            note_reads(
                reads, count_disk_reads() != before, 0 if batch.requested else batch.rows, batch.order
            )
    free(scratch.at)
    free(mask_scratch.at)
    if batch.order != NULL:
        free(batch.indices)
        batch.indices = given


cdef class GatheredRows:
    """The windows of one sequence of tokens.

    Parameters
    ----------
    tokens
        a :class:`~TokenShards`.
    num_rows, stride
        the number of windows, and the distance between their starts in tokens.
    segments
        None, or ``(row_first, starts, sizes)``, int64, int64 and int32: row i consists of the
        stretches ``row_first[i]`` to ``row_first[i + 1] - 1``, ``sizes[k]`` pairs of neighbours
        from token ``starts[k]`` on.
    joined
        whether sizes are those of stretches in tokens, which follow each other without a gap: the
        target of a stretch's last token is the first token of the next, and a row has one token
        more than it has places.
    ends
        None, or a :class:`~DocumentEnds` of the same tokens.
    mask
        None, or a :class:`~TokenShards` of as many uint8: a target whose own byte is 0 is masked.
    describe
        returns the name of the file that holds a position in the tokens.
    blocks
        None, or for rows that are planned block by block ``(row_starts, plan)``: int64, the first row
        of each block and the number of all rows; and a function of the number of a block, which
        returns ``(row_first, starts, sizes, documents)`` as in `segments`, and int64, the document of
        each stretch.
    max_stretches
        of plans that are kept; at least one plan is, and those that are in use are in addition.
    """

    def __cinit__(self, TokenShards tokens not None, int64_t num_rows, int64_t stride, *,
                  segments=None, bint joined=False, DocumentEnds ends=None,
                  TokenShards mask=None, describe=None,
                  blocks=None, int64_t max_stretches=MAX_STRETCHES):
        self.tokens, self.ends, self.mask = tokens, ends, mask
        self.describe = describe
        self.source.mask = NULL
        if mask is not None:
            if mask.num_tokens != tokens.num_tokens or mask.kind != UINT8:
                raise InvalidWindow(
                    f"a mask is a byte per token; found {mask.num_tokens} items of "
                    f"{mask.tokens.itemsize} bytes for {tokens.num_tokens} tokens"
                )
            self.source.mask = &mask.tokens
        self.source.tokens = &tokens.tokens
        self.source.num_tokens = tokens.num_tokens
        self.source.num_rows = num_rows
        self.source.stride = stride
        self.source.ends = NULL
        if ends is not None:
            if ends.ends.token_base[ends.ends.num_parts] != tokens.num_tokens:
                raise InvalidWindow(
                    f"the document ends are of {ends.ends.token_base[ends.ends.num_parts]} tokens, "
                    f"but there are {tokens.num_tokens}"
                )
            self.source.ends = &ends.ends
        self.source.row_first = NULL
        self.source.joined = joined and segments is not None
        if segments is not None:
            row_first, starts, sizes = segments
            self.row_first = array_of(row_first, ITEM_INT64)
            self.starts, self.sizes = array_of(starts, ITEM_INT64), array_of(sizes, ITEM_INT32)
            self.source.row_first = <const int64_t *>self.row_first.at
            self.source.starts = <const int64_t *>self.starts.at
            self.source.sizes = <const int32_t *>self.sizes.at
        self.planned, self.retired = {}, []
        self.max_stretches = max_stretches
        if blocks is not None:
            row_starts, self.plan = blocks
            self.block_rows = array_of(row_starts, ITEM_INT64)
            self.source.block_rows = <const int64_t *>self.block_rows.at
            self.source.num_blocks = self.block_rows.count - 1
            self.source.plans = <Plan *>calloc(self.block_rows.count, sizeof(Plan))
            if self.source.plans == NULL:
                raise MemoryError

    def __dealloc__(self):
        free(self.source.plans)

    # Plan a block; return whether it was not planned.
    cdef bint make_plan(self, int64_t block) except -1:
        cdef Plan *plan = &self.source.plans[block]
        cdef Array first, starts, sizes, documents
        if block in self.planned:
            return False
        row_first, row_starts, row_sizes, row_documents = self.plan(block)
        first, starts = array_of(row_first, ITEM_INT64), array_of(row_starts, ITEM_INT64)
        sizes, documents = array_of(row_sizes, ITEM_INT32), array_of(row_documents, ITEM_INT64)
        if block in self.planned:  # by another thread
            return True
        self.drop_plans(starts.count)
        self.planned[block] = (first, starts, sizes, documents)
        self.num_stretches += starts.count
        plan.starts, plan.sizes = <const int64_t *>starts.at, <const int32_t *>sizes.at
        plan.documents = <const int64_t *>documents.at
        plan_publish(plan, <const int64_t *>first.at)
        return True

    # Drop the plans that were not used for the longest time, until there is room for more stretches.
    cdef drop_plans(self, int64_t more):
        cdef int64_t block, oldest
        cdef Array starts
        while self.planned and self.num_stretches + more > self.max_stretches:
            oldest = -1
            for block in self.planned:
                if oldest < 0 or self.source.plans[block].used < self.source.plans[oldest].used:
                    oldest = block
            plan_publish(&self.source.plans[oldest], NULL)
            arrays = self.planned.pop(oldest)
            starts = arrays[1]
            self.num_stretches -= starts.count
            self.retired.append((oldest, arrays))
        left = []
        for block, arrays in self.retired:
            if plan_users(&self.source.plans[block]) > 0:
                left.append((block, arrays))
        self.retired = left

    # Return the number of a row in its plan, and make the source one of that plan: for a caller that
    # has the GIL, after which nothing else reads the fields that are set.
    cdef int64_t select(self, int64_t row) except -1:
        cdef int64_t block
        cdef Plan *plan
        if self.source.plans == NULL:
            return row
        block = shard_of(self.source.block_rows, self.source.num_blocks, row)
        self.make_plan(block)
        self.row_first, self.starts, self.sizes, _ = self.planned[block]
        self.source.row_first = <const int64_t *>self.row_first.at
        self.source.starts = <const int64_t *>self.starts.at
        self.source.sizes = <const int32_t *>self.sizes.at
        return row - self.source.block_rows[block]


cdef class BatchMaker:
    """Fills batches of windows in memory of its caller.

    Parameters
    ----------
    sources
        :class:`GatheredRows`; the windows of each are numbered after those of the one before.
    length
        pairs in a row, L.
    out
        "same" for ids of the stored type, "int32" or "int64".
    input_fill, target_fill
        values of places without token.
    mask
        whether targets in another document than their input become `target_fill`.
    vocab_size
        ids must be below it; 0: no limit.

    Notes
    -----
    Batches are passed as addresses ``(inputs, targets, positions, documents, seqlens)``, of which
    the last three may be 0: ``[rows, L]`` of the type of `out`, twice; int64 ``[rows, L]``, twice;
    int32 of ``rows * L + 1``. The memory must stay valid until the batch is made.
    """

    def __cinit__(self, sources, int64_t length, *, str out="int64", int64_t input_fill=0,
                  int64_t target_fill=-100, bint mask=False, int64_t vocab_size=0):
        cdef Py_ssize_t k
        cdef GatheredRows rows
        cdef TokenShards tokens
        cdef int kind = INT64
        self.sources = tuple(sources)
        self.maker.num_sources = len(self.sources)
        self.maker.sources = <Source *>calloc(len(self.sources) + 1, sizeof(Source))
        self.maker.first_index = <int64_t *>calloc(len(self.sources) + 1, sizeof(int64_t))
        if self.maker.sources == NULL or self.maker.first_index == NULL:
            raise MemoryError
        for k in range(self.maker.num_sources):
            rows = self.sources[k]
            tokens = rows.tokens
            if k and kind != tokens.kind:
                raise InvalidWindow("the sources of a batch must hold ids of one type")
            kind = tokens.kind
            self.maker.sources[k] = rows.source
            self.maker.has_masks |= rows.source.mask != NULL
            self.maker.first_index[k + 1] = self.maker.first_index[k] + rows.source.num_rows
            self.maker.row.itemsize = tokens.tokens.itemsize
        form = {"same": 0, "int32": OUT32, "int64": OUT64}[out]
        if out != "same":
            self.maker.row.itemsize = 4 if out == "int32" else 8
        self.maker.row.pairs = pairs_function(kind, form)
        self.maker.row.length = length
        self.maker.row.input_fill = input_fill
        self.maker.row.target_fill = target_fill
        self.maker.mask = mask
        self.maker.reads = &self.reads
        self.reads.counts = count_disk_reads() >= 0
        for rows in self.sources:
            tokens = rows.tokens
            if tokens.tokens.on_network:
                self.reads.counts = False
                self.reads.cold = True
            elif tokens.tokens.in_files and count_disk_reads() >= 0:
                self.reads.cold = True
        self.vocab_size = vocab_size
        self.maker.row.last = vocab_size - 1 if vocab_size else (1 << 63) - 1
        if out == "int32" or (out == "same" and kind == INT32):
            self.maker.row.last = min(self.maker.row.last, (1 << 31) - 1)
        guard_install()

    def __dealloc__(self):
        free(self.maker.sources)
        free(self.maker.first_index)

    def __len__(self):
        return self.maker.first_index[self.maker.num_sources]

    def make(self, indices, places):
        """Fill the batch of the windows `indices`, a sequence of ints; releases the GIL.

        Returns
        -------
        tuple
            the number of pieces in the sequence lengths, and the length of the longest.

        Raises
        ------
        IndexError
            for an index that is not a window.
        InvalidWindow
            for a negative id.
        IdOutOfRange
            for an id that is not below `vocab_size`.
        InvalidStore
            for a file that can no longer be read.
        """
        cdef Batch batch
        cdef int64_t rows = len(indices)
        cdef int64_t r
        cdef Memory memory = allocate(rows * sizeof(int64_t))
        cdef int64_t *numbers = <int64_t *>memory.at
        for r in range(rows):
            numbers[r] = indices[r]
        batch.order = NULL
        batch.indices = numbers
        self.set_places(&batch, rows, places)
        with nogil:
            make_batch(&self.maker, &batch)
        if batch.status != 0:
            self.finish(&batch)
        return batch.marks.num_seqlens, batch.marks.longest

    cdef set_places(self, Batch *batch, int64_t rows, places):
        inputs, targets, positions, documents, seqlens = places
        batch.rows = rows
        batch.row = 0
        batch.requested = False
        batch.whole = False
        batch.inputs = <char *><uintptr_t>inputs
        batch.targets = <char *><uintptr_t>targets
        batch.marks.positions = <int64_t *><uintptr_t>positions
        batch.marks.documents = <int64_t *><uintptr_t>documents
        batch.marks.seqlens = <int32_t *><uintptr_t>seqlens

    # Make the rest of a batch whose status is not 0: open the shards that it needs, or raise its error.
    cdef finish(self, Batch *batch):
        cdef int64_t failed = -1
        while batch.status == READ_FAILED:
            # A shard may have been opened for another batch since this one failed.
            if not self.open_shards(batch) and batch.row == failed:
                break
            failed = batch.row
            batch.requested = batch.whole = False  # what was not open or not planned was not requested
            with nogil:
                make_batch(&self.maker, batch)
        if batch.status != 0:
            self.raise_error(batch)

    # Open the shards of the window of a batch that failed; return whether any was not open.
    cdef bint open_shards(self, Batch *batch) except -1:
        cdef int64_t source = source_of(&self.maker, batch.window)
        cdef GatheredRows rows = self.sources[source]
        cdef int64_t row = batch.window - self.maker.first_index[source]
        cdef bint found = False
        if rows.source.plans != NULL:
            found = rows.make_plan(shard_of(rows.source.block_rows, rows.source.num_blocks, row))
            row = rows.select(row)
        for first, count in self.stretches(rows, row):
            found |= rows.tokens.open_shards(first, count + 1)
            if rows.mask is not None:
                found |= rows.mask.open_shards(first, count + 1)
            if rows.ends is not None:
                found |= rows.ends.open_parts(first, count + 1)
        return found

    # Return the first token of each stretch of a row, and its number of pairs.
    cdef list stretches(self, GatheredRows rows, int64_t row):
        cdef int64_t start, stretch
        cdef list found = []
        if rows.source.row_first == NULL:
            start = first_token(&rows.source, row)
            return [(start, min(self.maker.row.length, rows.source.num_tokens - 1 - start))]
        for stretch in range(rows.source.row_first[row], rows.source.row_first[row + 1]):
            found.append(
                (rows.source.starts[stretch], rows.source.sizes[stretch] - rows.source.joined)
            )
        return found

    # Raise the error of a batch's status.
    cdef raise_error(self, Batch *batch):
        cdef int64_t index = batch.window
        cdef int64_t source, row, start
        cdef GatheredRows rows
        if batch.status == NO_MEMORY:
            raise MemoryError
        if batch.status == BAD_INDEX:
            raise IndexError(f"window {index} of a dataset that has {len(self)}")
        source = source_of(&self.maker, index)
        rows = self.sources[source]
        row = rows.select(index - self.maker.first_index[source])
        start = first_token(&rows.source, row)
        if batch.status in (READ_FAILED, FAULTED):
            place = rows.describe(start) if rows.describe is not None else "the tokens"
            if rows.mask is not None:
                place += " or the mask beside it"
            raise InvalidStore(
                f"{place}: cannot be read near token {start} of all; the file was cut or its "
                f"disk failed while it was open, so restore it and open the store again"
            )
        for first, count in self.stretches(rows, row):
            for position, token in enumerate(read_tokens(rows.tokens, first, count + 1), first):
                if token < 0:
                    raise InvalidWindow(
                        f"the id at position {position} is {token}; ids are never negative; "
                        f"were unsigned ids read as signed ones?"
                    )
                if token > self.maker.row.last:
                    raise IdOutOfRange(
                        f"the id at position {position} is {token}, but ids must be below "
                        f"{self.maker.row.last + 1}; check which tokenizer made them, "
                        f"the vocab_size of the model and the dtype of the batch"
                    )
        raise InvalidWindow(f"an id in window {index} changed while it was read")


def read_tokens(TokenShards tokens not None, int64_t start, int64_t count):
    """Return `count` ids from `start` on as a list of ints.

    Examples
    --------
    >>> from array import array
    >>> from fastprep_ext.windows import TokenShards
    >>> read_tokens(TokenShards([array("H", [10, 11]), array("H", [12])]), 1, 2)
    [11, 12]
    """
    cdef const char *place
    if not (0 <= start and 0 < count <= tokens.num_tokens - start):
        raise InvalidWindow(f"{count} ids from {start} on, but there are {tokens.num_tokens}")
    cdef Memory memory = allocate(count * tokens.tokens.itemsize)
    cdef Scratch scratch
    scratch.at = <char *>memory.at
    scratch.tokens = NULL
    scratch.ahead = 0
    place = fetch(&tokens.tokens, start, count, &scratch, False)
    if place == NULL:
        raise InvalidStore(f"{count} ids from {start} on cannot be read")
    raw = place[:count * tokens.tokens.itemsize]
    return memoryview(raw).cast(("B", "H", "I", "i", "q")[<int>tokens.kind]).tolist()
