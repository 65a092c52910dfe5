"""Merging up to 64 bytes, by the SIMD path of this process. few.h has the steps."""

from libc.stdint cimport uint8_t, uint32_t

from fastprep_ext.ranks cimport Pairs, Ranks
from fastprep_ext.split import simd

cdef extern from "few.h" nogil:
    ctypedef struct MergeTables:
        const Pairs *pairs
        const uint32_t *byte_ranks
        const uint32_t *byte_pairs
        const uint32_t *merges
    ctypedef void (*MergeTasks)(const MergeTables *tables, Task *tasks, size_t count) noexcept nogil
    MergeTasks merge_tasks_of(const char *path)

cdef MergeTasks WAY = merge_tasks_of(simd.encode())
cdef MergeTasks PLAIN_WAY = merge_tasks_of(b"portable")


cdef inline void merge_by(
    MergeTasks way, const Ranks *ranks, Task *tasks, size_t count
) noexcept nogil:
    cdef MergeTables tables
    tables.pairs = &ranks.pairs
    tables.byte_ranks = &ranks.byte_ranks[0]
    tables.byte_pairs = ranks.byte_pairs
    tables.merges = ranks.merges
    way(&tables, tasks, count)


cdef void merge_tasks(const Ranks *ranks, Task *tasks, size_t count) noexcept nogil:
    merge_by(WAY, ranks, tasks, count)


cdef size_t merge_few(
    const Ranks *ranks, const uint8_t *piece, size_t n, uint32_t *out, bint plain=False
) noexcept nogil:
    cdef Task task
    task.piece = piece
    task.out = out
    task.n = <uint32_t>n
    merge_by(PLAIN_WAY if plain else WAY, ranks, &task, 1)
    return task.count
