"""Merging: a linear search for short pieces, a heap for long ones.

A pair's rank is that of its concatenated bytes. Both ways keep `rank[i]`, the rank of the token
that part i and its right neighbour would make, and always merge at the smallest (rank, position).
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memmove

from fastprep_ext.ranks cimport NO_RANK, Ranks, ranks_find_pair


cdef Py_ssize_t merge_piece(
    const Ranks *ranks, const uint8_t *piece, size_t n, uint32_t *out
) noexcept nogil:
    if n <= MERGE_SHORT:
        return merge_short(ranks, piece, n, out)
    return merge_long(ranks, piece, n, out)


cdef Py_ssize_t merge_short(
    const Ranks *ranks, const uint8_t *piece, size_t n, uint32_t *out
) noexcept nogil:
    cdef uint32_t rank[MERGE_SHORT]
    cdef uint32_t lowest
    cdef size_t count = n, i, at
    for i in range(n):
        out[i] = ranks.byte_ranks[piece[i]]
    for i in range(n - 1):
        rank[i] = ranks.byte_pairs[<size_t>piece[i] << 8 | piece[i + 1]]
    while count > 1:
        lowest = NO_RANK
        at = 0
        for i in range(count - 1):
            if rank[i] < lowest:
                lowest = rank[i]
                at = i
        if lowest == NO_RANK:
            break
        count -= 1
        out[at] = lowest
        memmove(out + at + 1, out + at + 2, (count - at - 1) * sizeof(uint32_t))
        if at + 1 < count:
            memmove(rank + at + 1, rank + at + 2, (count - at - 2) * sizeof(uint32_t))
            rank[at] = ranks_find_pair(ranks, lowest, out[at + 1])
        if at > 0:
            rank[at - 1] = ranks_find_pair(ranks, out[at - 1], lowest)
    return count


# A part of a long piece. It is named by the position of its first byte.
cdef struct Part:
    uint32_t token
    uint32_t rank             # of the pair it begins, NO_RANK where there is none or it is gone
    uint32_t before
    uint32_t after            # n: none


cdef Py_ssize_t merge_long(
    const Ranks *ranks, const uint8_t *piece, size_t n, uint32_t *out
) noexcept nogil:
    cdef Part *parts
    cdef uint64_t *heap       # rank << 32 | position; entries that no longer hold are passed over
    cdef size_t size = 0, i, at, right, beyond, count = 0
    cdef uint32_t rank
    if n >= NO_RANK:
        return MERGE_TOO_LONG
    # n - 1 pairs at first; a merge takes one entry off the heap and adds at most two.
    parts = <Part *>malloc(n * sizeof(Part))
    heap = <uint64_t *>malloc(2 * n * sizeof(uint64_t))
    if parts == NULL or heap == NULL:
        free(parts)
        free(heap)
        return MERGE_NO_MEMORY
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
    if size > 1:
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
        parts[at].token = rank
        parts[at].after = <uint32_t>beyond
        parts[right].rank = NO_RANK
        parts[at].rank = NO_RANK
        if beyond < n:
            parts[beyond].before = <uint32_t>at
            parts[at].rank = ranks_find_pair(ranks, rank, parts[beyond].token)
            if parts[at].rank != NO_RANK:
                push(heap, &size, <uint64_t>parts[at].rank << 32 | at)
        if at > 0:
            i = parts[at].before
            parts[i].rank = ranks_find_pair(ranks, parts[i].token, rank)
            if parts[i].rank != NO_RANK:
                push(heap, &size, <uint64_t>parts[i].rank << 32 | i)
    i = 0
    while i < n:
        out[count] = parts[i].token
        count += 1
        i = parts[i].after
    free(parts)
    free(heap)
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


cdef inline void push(uint64_t *heap, size_t *size, uint64_t item) noexcept nogil:
    cdef size_t at = size[0], parent
    size[0] += 1
    while at > 0:
        parent = (at - 1) // 2
        if heap[parent] <= item:
            break
        heap[at] = heap[parent]
        at = parent
    heap[at] = item
