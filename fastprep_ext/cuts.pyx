"""Exact cuts.

A merge across a border within a piece makes a token whose bytes lie in the piece on both sides of it.
So **where no token occurs in the piece across a border, no merge ever crosses it, and both sides can
be merged apart**: the merges of either side come in the same order as before, since each next one is the
smallest (rank, position) of all and so of its side.

Whether a token occurs across a border is asked of a few bytes around it: no two bytes across it are a
token, no three are, and no four across it occur in any token of four or more (which would hold four
such bytes). A set of bits may say yes where the answer is no: then there is one cut less.

Parts recur where long pieces do not: most are found in the cache of pieces. It makes short pieces of
long ones: those of more than 32 bytes in multilingual text fall into parts of 3.0 bytes on average in
r50k, 4.7 in cl100k, 11.5 in o200k.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc
from libc.string cimport memcpy

from fastprep_ext.cache cimport (
    Cache, Entry, INLINE_IDS, KEY_BYTES, Key, cache_add, entry_is_near, key_short, key_slot, line_entry,
)
from fastprep_ext.few cimport FEW_BYTES, Task, merge_few, merge_tasks
from fastprep_ext.merge cimport merge_whole
from fastprep_ext.ranks cimport NO_RANK, token_bytes

cdef extern from "bits.h" nogil:
    int lowest_bit(uint64_t x)
    void prefetch(const void *p)

cdef enum:
    PARTS = 64                 # of a piece that are merged together
    FEWEST_BITS = 16
    MOST_BITS = 23             # 1 MiB


cdef inline uint32_t load32(const uint8_t *bytes) noexcept nogil:
    cdef uint32_t x
    memcpy(&x, bytes, 4)
    return x


cdef inline uint32_t gram_bit(const Ranks *ranks, uint32_t gram) noexcept nogil:
    return (gram * <uint32_t>0x9E3779B1) >> ranks.gram_shift


cdef inline uint64_t has_gram(const Ranks *ranks, uint32_t gram) noexcept nogil:
    cdef uint32_t bit = gram_bit(ranks, gram)
    return ranks.grams[bit >> 6] >> (bit & 63) & 1


cdef int cuts_build(Ranks *ranks) noexcept nogil:
    cdef int bits = FEWEST_BITS
    cdef size_t n, i
    cdef uint32_t token, bit
    cdef const uint8_t *bytes
    while bits < MOST_BITS and <uint64_t>1 << bits < 2 * ranks.ends[ranks.n - 1]:
        bits += 1
    ranks.gram_shift = 32 - bits
    ranks.grams = <uint64_t *>calloc(((<size_t>1 << bits) + 63) // 64, sizeof(uint64_t))
    if ranks.grams == NULL:
        return -1
    for token in range(<uint32_t>ranks.n):
        n = token_bytes(ranks, token)
        bytes = ranks.blob + ranks.ends[token] - n
        if n == 3:
            bit = gram_bit(ranks, bytes[0] | <uint32_t>bytes[1] << 8 | <uint32_t>bytes[2] << 16)
            ranks.grams[bit >> 6] |= <uint64_t>1 << (bit & 63)
        for i in range(3, n):
            bit = gram_bit(ranks, load32(bytes + i - 3))
            ranks.grams[bit >> 6] |= <uint64_t>1 << (bit & 63)
    return 0


# What is left of one stretch of 64 bytes for the next: where tokens may begin.
cdef struct Grams:
    uint64_t two
    uint64_t three
    uint64_t four


# The borders before bytes at + 0 to at + 63 that no merge can cross; one bit each.
cdef inline uint64_t cuts_at(
    const Ranks *ranks, const uint8_t *piece, size_t n, size_t at, Grams *last
) noexcept nogil:
    cdef uint64_t two = 0, three = 0, four = 0, crossed
    cdef size_t i, stretch = min(<size_t>64, n - at), fours = 0
    cdef uint32_t gram
    cdef const uint8_t *bytes = piece + at
    if n >= at + 4:
        fours = min(stretch, n - at - 3)
    for i in range(fours):
        gram = load32(bytes + i)
        two |= <uint64_t>(ranks.byte_pairs[bytes[i] << 8 | bytes[i + 1]] != NO_RANK) << i
        three |= has_gram(ranks, gram & 0xFFFFFF) << i
        four |= has_gram(ranks, gram) << i
    for i in range(fours, min(stretch, n - at - 1)):
        two |= <uint64_t>(ranks.byte_pairs[bytes[i] << 8 | bytes[i + 1]] != NO_RANK) << i
        if at + i + 3 == n:
            gram = bytes[i] | <uint32_t>bytes[i + 1] << 8 | <uint32_t>bytes[i + 2] << 16
            three |= has_gram(ranks, gram) << i
    crossed = two << 1 | last.two >> 63
    crossed |= three << 1 | last.three >> 63 | three << 2 | last.three >> 62
    crossed |= four << 1 | last.four >> 63 | four << 2 | last.four >> 62 | four << 3 | last.four >> 61
    last.two = two
    last.three = three
    last.four = four
    if at == 0:
        crossed |= 1               # the piece's own start
    if stretch < 64:
        crossed |= <uint64_t>-1 << stretch
    return ~crossed


cdef void find_cuts(const Ranks *ranks, const uint8_t *piece, size_t n, uint8_t *cut) noexcept nogil:
    cdef size_t at = 0, i
    cdef uint64_t cuts
    cdef Grams last
    last.two = last.three = last.four = 0
    while at < n:
        cuts = cuts_at(ranks, piece, n, at, &last)
        for i in range(at, min(at + 64, n)):
            cut[i] = cuts >> (i - at) & 1
        at += 64


# Parts of a piece whose tokens stand where their bytes do, until they are put together.
cdef struct Parts:
    size_t n
    size_t begins[PARTS]
    uint32_t sizes[PARTS]
    uint32_t counts[PARTS]
    Key keys[PARTS]
    uint32_t slots[PARTS]
    uint32_t todo[PARTS]       # parts that tasks are for
    Task tasks[PARTS]


cdef Py_ssize_t merge_piece(
    const Ranks *ranks, Cache *cache, const uint8_t *piece, size_t n, uint32_t *out
) noexcept nogil:
    cdef Parts parts
    cdef Grams last
    cdef size_t at = 0, begin = 0, written = 0
    cdef uint64_t cuts
    cdef Py_ssize_t added
    if n <= FEW_BYTES:
        return merge_few(ranks, piece, n, out)
    parts.n = 0
    last.two = last.three = last.four = 0
    while at < n:
        cuts = cuts_at(ranks, piece, n, at, &last)
        while cuts:
            add_part(cache, &parts, piece, n, begin, at + lowest_bit(cuts))
            begin = at + lowest_bit(cuts)
            cuts &= cuts - 1
            if parts.n == PARTS:
                added = put_together(ranks, cache, &parts, piece, out, written)
                if added < 0:
                    return added
                written += added
        at += 64
    add_part(cache, &parts, piece, n, begin, n)
    added = put_together(ranks, cache, &parts, piece, out, written)
    return added if added < 0 else written + added


cdef inline void add_part(
    const Cache *cache, Parts *parts, const uint8_t *piece, size_t n, size_t begin, size_t end
) noexcept nogil:
    cdef size_t size = end - begin, slot
    cdef Key *key = &parts.keys[parts.n]
    parts.begins[parts.n] = begin
    parts.sizes[parts.n] = <uint32_t>size
    if cache != NULL and size > 2 and size <= KEY_BYTES:
        key_short(key, piece + begin, size, n - begin)
        slot = key_slot(key, cache.mask)
        parts.slots[parts.n] = <uint32_t>slot
        prefetch(&cache.lines[slot])
    parts.n += 1


# Writes the tokens of all parts behind the first `written` of the piece; how many, or a status.
cdef inline Py_ssize_t put_together(
    const Ranks *ranks, Cache *cache, Parts *parts, const uint8_t *piece, uint32_t *out, size_t written
) noexcept nogil:
    cdef size_t i, k, n, begin, tasks = 0, added = 0
    cdef Py_ssize_t count
    cdef const Entry *entry
    cdef Task *task
    for i in range(parts.n):
        begin = parts.begins[i]
        n = parts.sizes[i]
        parts.counts[i] = 1
        if n == 1:
            out[begin] = ranks.byte_ranks[piece[begin]]
            continue
        if cache != NULL and n > 2 and n <= KEY_BYTES:
            entry = line_entry(&cache.lines[parts.slots[i]], &parts.keys[i])
            if entry_is_near(entry, &parts.keys[i]):
                parts.counts[i] = entry.count
                for k in range(entry.count):
                    out[begin + k] = entry.ids[k]
                continue
        if n <= FEW_BYTES:
            task = &parts.tasks[tasks]
            task.piece = piece + begin
            task.out = out + begin
            task.n = <uint32_t>n
            parts.todo[tasks] = <uint32_t>i
            tasks += 1
            continue
        count = merge_whole(ranks, piece + begin, n, out + begin)
        if count < 0:
            return count
        parts.counts[i] = <uint32_t>count
    merge_tasks(ranks, parts.tasks, tasks)
    for k in range(tasks):
        i = parts.todo[k]
        task = &parts.tasks[k]
        parts.counts[i] = task.count
        if cache != NULL and task.n > 2 and task.n <= KEY_BYTES and task.count <= INLINE_IDS:
            cache_add(cache, &parts.keys[i], task.piece, task.n, task.out, task.count)
    out += written
    for i in range(parts.n):
        for k in range(parts.counts[i]):
            out[added + k] = (out - written)[parts.begins[i] + k]
        added += parts.counts[i]
    parts.n = 0
    return added
