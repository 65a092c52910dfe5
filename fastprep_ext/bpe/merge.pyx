"""Merging: up to 128 bytes several at once (few.h), then by heap, and longer pieces in windows.

A piece of a few long runs of one byte is merged run by run, whatever its length.

A linear search serves where merging stops at two tokens. Search and heap keep for each part the rank of the pair of it and its right neighbour, and always
merge at the smallest (rank, position).

Why windows are exact: call two tokens *settled* next to each other if merging their bytes alone
gives just these two. **A sequence of tokens in which all neighbours are settled is what merging
the whole text gives.** For suppose not; then some merge is the first to cross a border of the
sequence, between a and b say. Until then nothing crossed a border, so inside a and b the same
merges happened as when their bytes are merged alone, in the same order, since each next merge is
the smallest (rank, position) of all and so also of those two. Hence the merge across the border
comes next there too, and a and b are not settled. Conversely neighbours in the result of any merging
are settled, by the same argument. So a long text can be merged a window at a time: take back a few
tokens, merge their bytes with the next ones, and check the one new border. Time is linear, and the
work stays in the first-level cache. (The heap alone fell from 9 to 1.5 MB/s between 64 KiB and
16 MiB of digits, and needed 32 bytes of memory per byte of the piece.)
"""

cdef extern from "bpe/few.h" nogil:
    ctypedef struct MergeTables:
        const Pairs *pairs
        const uint32_t *byte_ranks
        const uint32_t *byte_pairs
        const uint32_t *merges
    ctypedef void (*MergeTasks)(const MergeTables *tables, FewTask *tasks, size_t count) noexcept nogil
    MergeTasks merge_tasks_of(const char *path)

cdef MergeTasks MERGE_FEW = merge_tasks_of(simd.encode())
cdef MergeTasks MERGE_FEW_PLAIN = merge_tasks_of(b"portable")


cdef inline void merge_tasks_by(
    MergeTasks way, const Ranks *ranks, FewTask *tasks, size_t count
) noexcept nogil:
    cdef MergeTables tables
    tables.pairs = &ranks.pairs
    tables.byte_ranks = &ranks.byte_ranks[0]
    tables.byte_pairs = ranks.byte_pairs
    tables.merges = ranks.merges
    way(&tables, tasks, count)


cdef void merge_tasks(const Ranks *ranks, FewTask *tasks, size_t count) noexcept nogil:
    merge_tasks_by(MERGE_FEW, ranks, tasks, count)


cdef size_t merge_few(
    const Ranks *ranks, const uint8_t *piece, size_t n, uint32_t *out, bint plain=False
) noexcept nogil:
    cdef FewTask task
    task.piece = piece
    task.out = out
    task.n = <uint32_t>n
    merge_tasks_by(MERGE_FEW_PLAIN if plain else MERGE_FEW, ranks, &task, 1)
    return task.count

cdef enum:
    MERGED_ON_STACK = 512  # bytes that are merged without allocating
    # Bytes that a window adds: more than the longest tokens have.
    WINDOW_STEP = 64
    MIN_TAKEN_BACK = 8     # least number of bytes that it takes back, in whole tokens
    MAX_REWORK = 8         # times the piece may be merged over before the heap takes all of it
    MAX_BYTE_RUNS = 16     # of a piece that is merged run by run
    MAX_REPEATS = 64       # entries of a list of runs
    MERGE_NO_RUNS = -3     # merge_runs does not help here


cdef Py_ssize_t merge_whole(
    const Ranks *ranks, const uint8_t *piece, size_t n, uint32_t *out
) noexcept nogil:
    cdef Py_ssize_t count
    if n <= FEW_BYTES:
        return merge_few(ranks, piece, n, out)
    count = merge_runs(ranks, piece, n, out)
    if count >= 0:
        return count
    if n <= MERGED_ON_STACK:
        return merge_heap(ranks, piece, n, out)
    return merge_windows(ranks, piece, n, out)


# A token, as often as it follows itself.
cdef struct Repeat:
    uint32_t token
    size_t count


# Merge a piece of a few long runs of one byte. All pairs of the lowest rank are merged in one sweep from
# left to right. That is what merging them one by one does, as long as no pair that a merge makes has this
# rank or a lower one; where one has, or the list gets long, the result is MERGE_NO_RUNS.
cdef Py_ssize_t merge_runs(
    const Ranks *ranks, const uint8_t *piece, size_t n, uint32_t *out
) noexcept nogil:
    cdef Repeat lists[2][MAX_REPEATS]
    cdef size_t size = 0, i, k, count = 0
    cdef int now = 0
    cdef uint32_t lowest
    for i in range(n):
        if i > 0 and piece[i] == piece[i - 1]:
            lists[0][size - 1].count += 1
            continue
        # The list is read for each merge, so few runs must be long ones.
        if size == MAX_BYTE_RUNS:
            return MERGE_NO_RUNS
        lists[0][size] = Repeat(ranks.byte_ranks[piece[i]], 1)
        size += 1
    if n < 16 * size * size:
        return MERGE_NO_RUNS
    while True:
        lowest = lowest_of_runs(ranks, lists[now], size)
        if lowest == NO_RANK:
            break
        size = merge_sweep(ranks, lists[now], size, lowest, lists[1 - now])
        if size == 0:
            return MERGE_NO_RUNS
        now = 1 - now
    for i in range(size):
        for k in range(lists[now][i].count):
            out[count + k] = lists[now][i].token
        count += lists[now][i].count
    return count


cdef uint32_t lowest_of_runs(const Ranks *ranks, const Repeat *runs, size_t size) noexcept nogil:
    cdef uint32_t lowest = NO_RANK
    cdef size_t i
    for i in range(size):
        if runs[i].count > 1:
            lowest = min(lowest, ranks_find_pair(ranks, runs[i].token, runs[i].token))
        if i + 1 < size:
            lowest = min(lowest, ranks_find_pair(ranks, runs[i].token, runs[i + 1].token))
    return lowest


# Merge the pairs of this rank, which is the lowest, into `out`, and return its size; 0: not exact.
cdef size_t merge_sweep(
    const Ranks *ranks, const Repeat *runs, size_t size, uint32_t rank, Repeat *out
) noexcept nogil:
    cdef uint32_t made = token_made(ranks, rank), token
    cdef size_t filled = 0, i = 0, left = runs[0].count, pairs
    cdef bint higher
    while i < size:
        if filled + 2 > MAX_REPEATS:
            return 0
        token = runs[i].token
        pairs = 0
        if left > 1 and ranks_find_pair(ranks, token, token) == rank:
            pairs = left // 2
            left -= 2 * pairs
        elif i + 1 < size and ranks_find_pair(ranks, token, runs[i + 1].token) == rank:
            if left > 1:
                push_run(out, &filled, token, left - 1)
            pairs = 1
            i += 1
            left = runs[i].count - 1
        if pairs:
            # The pairs with both neighbours, at the time of each merge.
            higher = filled == 0 or ranks_find_pair(ranks, out[filled - 1].token, made) > rank
            if pairs > 1:
                higher &= ranks_find_pair(ranks, made, made) > rank
                higher &= ranks_find_pair(ranks, made, token) > rank
            if left:
                higher &= ranks_find_pair(ranks, made, runs[i].token) > rank
            elif i + 1 < size:
                higher &= ranks_find_pair(ranks, made, runs[i + 1].token) > rank
            if not higher:
                return 0
            push_run(out, &filled, made, pairs)
        else:
            push_run(out, &filled, token, left)
            left = 0
        if left == 0:
            i += 1
            left = runs[i].count if i < size else 0
    return filled


cdef inline void push_run(Repeat *out, size_t *filled, uint32_t token, size_t count) noexcept nogil:
    if filled[0] and out[filled[0] - 1].token == token:
        out[filled[0] - 1].count += count
        return
    out[filled[0]] = Repeat(token, count)
    filled[0] += 1


cdef Py_ssize_t merge_short(
    const Ranks *ranks, const uint8_t *piece, size_t n, uint32_t *out
) noexcept nogil:
    cdef uint32_t rank[MERGE_SHORT]
    return merge_by_search(ranks, piece, n, out, rank, 1)


cdef size_t merge_to_two(
    const Ranks *ranks, const uint8_t *piece, size_t n, uint32_t *out, uint32_t *scratch
) noexcept nogil:
    return merge_by_search(ranks, piece, n, out, scratch, 2)


# Merge until at most `least` tokens are left, or none merge.
cdef inline size_t merge_by_search(
    const Ranks *ranks, const uint8_t *piece, size_t n, uint32_t *out, uint32_t *rank, size_t least
) noexcept nogil:
    cdef uint32_t lowest
    cdef size_t count = n, i, at
    for i in range(n):
        out[i] = ranks.byte_ranks[piece[i]]
    for i in range(n - 1):
        rank[i] = ranks.byte_pairs[<size_t>piece[i] << 8 | piece[i + 1]]
    while count > least:
        lowest = NO_RANK
        at = 0
        for i in range(count - 1):
            if rank[i] < lowest:
                lowest = rank[i]
                at = i
        if lowest == NO_RANK:
            break
        count -= 1
        out[at] = token_made(ranks, lowest)
        memmove(out + at + 1, out + at + 2, (count - at - 1) * sizeof(uint32_t))
        if at + 1 < count:
            memmove(rank + at + 1, rank + at + 2, (count - at - 2) * sizeof(uint32_t))
            rank[at] = ranks_find_pair(ranks, out[at], out[at + 1])
        if at > 0:
            rank[at - 1] = ranks_find_pair(ranks, out[at - 1], out[at])
    return count


# A part of a piece in the heap, identified by the position of its first byte.
cdef struct HeapPart:
    uint32_t token
    uint32_t rank          # of the pair it starts; NO_RANK if there is none or the part is gone
    uint32_t before
    uint32_t after         # n: none


cdef Py_ssize_t merge_heap(
    const Ranks *ranks, const uint8_t *piece, size_t n, uint32_t *out
) noexcept nogil:
    cdef HeapPart few_parts[MERGED_ON_STACK]
    cdef uint64_t few_items[2 * MERGED_ON_STACK]
    cdef HeapPart *parts = few_parts
    cdef uint64_t *heap = few_items
    cdef Py_ssize_t count
    if n >= NO_RANK:
        return MERGE_TOO_LONG
    if n <= MERGED_ON_STACK:
        return merge_by_heap(ranks, piece, n, out, few_parts, few_items)
    parts = <HeapPart *>malloc(n * sizeof(HeapPart))
    heap = <uint64_t *>malloc(2 * n * sizeof(uint64_t))
    count = MERGE_NO_MEMORY
    if parts != NULL and heap != NULL:
        count = merge_by_heap(ranks, piece, n, out, parts, heap)
    free(parts)
    free(heap)
    return count


# The items of the heap are rank << 32 | position; stale ones are skipped. There are n - 1 pairs at
# first, and a merge removes one item and adds at most two: 2 n items suffice.
cdef Py_ssize_t merge_by_heap(
    const Ranks *ranks, const uint8_t *piece, size_t n, uint32_t *out, HeapPart *parts, uint64_t *heap
) noexcept nogil:
    cdef size_t size = 0, i, at, right, beyond, count = 0
    cdef uint32_t rank
    for i in range(n):
        parts[i].token = ranks.byte_ranks[piece[i]]
        parts[i].before = <uint32_t>(i - 1)
        parts[i].after = <uint32_t>(i + 1)
        parts[i].rank = NO_RANK
        if i + 1 < n:
            parts[i].rank = ranks.byte_pairs[<size_t>piece[i] << 8 | piece[i + 1]]
            if parts[i].rank != NO_RANK:
                heap[size] = <uint64_t>parts[i].rank << 32 | i
                size += 1
    i = size // 2
    while i > 0:
        i -= 1
        sift_down(heap, size, i)
    while size > 0:
        at = <uint32_t>heap[0]
        rank = <uint32_t>(heap[0] >> 32)
        size -= 1
        heap[0] = heap[size]
        sift_down(heap, size, 0)
        if parts[at].rank != rank:
            continue
        right = parts[at].after
        beyond = parts[right].after
        parts[at].token = token_made(ranks, rank)
        parts[at].after = <uint32_t>beyond
        parts[right].rank = NO_RANK
        parts[at].rank = NO_RANK
        if beyond < n:
            parts[beyond].before = <uint32_t>at
            parts[at].rank = ranks_find_pair(ranks, parts[at].token, parts[beyond].token)
            if parts[at].rank != NO_RANK:
                push_up(heap, &size, <uint64_t>parts[at].rank << 32 | at)
        if at > 0:
            i = parts[at].before
            parts[i].rank = ranks_find_pair(ranks, parts[i].token, parts[at].token)
            if parts[i].rank != NO_RANK:
                push_up(heap, &size, <uint64_t>parts[i].rank << 32 | i)
    i = 0
    while i < n:
        out[count] = parts[i].token
        count += 1
        i = parts[i].after
    return count


cdef inline void sift_down(uint64_t *heap, size_t size, size_t at) noexcept nogil:
    cdef uint64_t item
    cdef size_t child
    if at >= size:
        return
    item = heap[at]
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= item:
            break
        heap[at] = heap[child]
        at = child
    heap[at] = item


cdef inline void push_up(uint64_t *heap, size_t *size, uint64_t item) noexcept nogil:
    cdef size_t at = size[0], parent
    size[0] += 1
    while at > 0:
        parent = (at - 1) // 2
        if heap[parent] <= item:
            break
        heap[at] = heap[parent]
        at = parent
    heap[at] = item


cdef Py_ssize_t merge_windows(
    const Ranks *ranks, const uint8_t *piece, size_t n, uint32_t *out
) noexcept nogil:
    cdef uint32_t few[MERGED_ON_STACK]
    cdef uint32_t *window
    cdef size_t at = 0, count = 0, step, back, tail, done = 0
    cdef Py_ssize_t added
    cdef bint settled
    cdef Settled last
    last.left = NO_RANK
    last.right = NO_RANK
    while at < n:
        step = min(<size_t>WINDOW_STEP, n - at)
        back = 0
        tail = 0
        while back < count and tail < MIN_TAKEN_BACK:
            back += 1
            tail += token_bytes(ranks, out[count - back])
        while True:
            done += tail + step
            if done > MAX_REWORK * n:
                return merge_heap(ranks, piece, n, out)    # borders keep moving: windows do not help
            window = few
            if tail + step > MERGED_ON_STACK:
                window = <uint32_t *>malloc((tail + step) * sizeof(uint32_t))
                if window == NULL:
                    return MERGE_NO_MEMORY
            added = merge_once(ranks, piece + at - tail, tail + step, window)
            settled = added >= 0 and (
                back == count
                or is_settled(ranks, piece + at - tail, out[count - back - 1], window[0], &last)
            )
            if settled:
                memmove(out + count - back, window, added * sizeof(uint32_t))
            if window != few:
                free(window)
            if added < 0:
                return added
            if settled:
                break
            back = min(2 * back, count)
            tail = total_bytes(ranks, out + count - back, back)
        count = count - back + added
        at += step
    return count


cdef inline Py_ssize_t merge_once(
    const Ranks *ranks, const uint8_t *piece, size_t n, uint32_t *out
) noexcept nogil:
    if n <= FEW_BYTES:
        return merge_few(ranks, piece, n, out)
    return merge_heap(ranks, piece, n, out)


cdef inline size_t total_bytes(const Ranks *ranks, const uint32_t *tokens, size_t count) noexcept nogil:
    cdef size_t total = 0, i
    for i in range(count):
        total += token_bytes(ranks, tokens[i])
    return total


# The two tokens last found settled: in a run of one character they are always the same two.
cdef struct Settled:
    uint32_t left
    uint32_t right


# Return whether two neighbours, whose border is at `border`, are settled.
cdef bint is_settled(
    const Ranks *ranks, const uint8_t *border, uint32_t left, uint32_t right, Settled *last
) noexcept nogil:
    cdef uint32_t few[MERGED_ON_STACK]
    cdef uint32_t *merged = few
    cdef size_t before = token_bytes(ranks, left), n = before + token_bytes(ranks, right)
    cdef bint settled
    if last.left == left and last.right == right:
        return True
    if n > MERGED_ON_STACK:
        merged = <uint32_t *>malloc(n * sizeof(uint32_t))
        if merged == NULL:
            return False       # takes more tokens back, in the end all of them
    settled = merge_once(ranks, border - before, n, merged) == 2 and merged[0] == left
    if settled:
        last.left = left
        last.right = right
    if merged != few:
        free(merged)
    return settled
