"""Merging up to 32 bytes, as nearly all pieces have.

Each step of a merge needs the ranks of the two pairs that the step before it has made, and the table
of pairs is larger than the near caches. So several pieces take their steps in turn, and each asks for
the lines of its next step before it lets the others go on.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastprep_ext.ranks cimport (
    MAX_TOKENS, NO_PAIR_RANK, PairBucket, Ranks, pair_bucket_unless, pair_key, pairs_rank_in, token_made,
)

cdef extern from "bits.h" nogil:
    int lowest_bit(uint64_t x)
    int highest_bit(uint64_t x)
    uint32_t lowest8(const uint32_t *x)
    uint32_t lowest16(const uint32_t *x)
    uint32_t lowest32(const uint32_t *x)
    void prefetch(const void *p)

cdef enum:
    AT_ONCE = 16
    NO_TOKEN = MAX_TOKENS      # the neighbour of the first part and of the last
    NO_PAIR = NO_PAIR_RANK << 6    # a key of no pair, whatever its place

# A piece on its way. A part is known by the place of its first byte, 1 to n.
cdef struct Few:
    uint32_t keys[FEW_BYTES + 2] # rank << 6 | place, of the pair of a part and its right neighbour
    uint32_t tokens[FEW_BYTES + 2]
    uint64_t live              # a bit for each part
    int width                  # of the keys that are looked at: 8, 16 or 32
    int at                     # the part made last, whose pairs are not known yet
    int before
    uint64_t key               # of its right pair, and where it would be
    uint64_t key_before        # of its left pair
    const PairBucket *bucket
    const PairBucket *bucket_before
    Task *task


cdef void merge_tasks(const Ranks *ranks, Task *tasks, size_t count) noexcept nogil:
    cdef Few few[AT_ONCE]
    cdef Few *running[AT_ONCE]
    cdef size_t next = 0, n = 0, i
    while next < count and n < AT_ONCE:
        running[n] = &few[n]
        n += begin(ranks, &few[n], &tasks[next])
        next += 1
    while n:
        for i in range(n):
            arrive(ranks, running[i])
        i = 0
        while i < n:
            if advance(ranks, running[i]):
                i += 1
                continue
            finish(running[i])
            while next < count:
                next += 1
                if begin(ranks, running[i], &tasks[next - 1]):
                    i += 1
                    break
            else:
                n -= 1
                running[i] = running[n]


cdef size_t merge_few(
    const Ranks *ranks, const uint8_t *piece, size_t n, uint32_t *out
) noexcept nogil:
    cdef Few few
    cdef Task task
    task.piece = piece
    task.out = out
    task.n = <uint32_t>n
    if begin(ranks, &few, &task):
        arrive(ranks, &few)
        while advance(ranks, &few):
            arrive(ranks, &few)
        finish(&few)
    return task.count


# The first step. False if it is the last one as well.
cdef inline bint begin(const Ranks *ranks, Few *self, Task *task) noexcept nogil:
    cdef size_t i, n = task.n
    cdef const uint8_t *piece = task.piece
    self.task = task
    self.live = (<uint64_t>1 << (n + 1)) - 2
    self.width = 8 if n <= 9 else (16 if n <= 17 else 32)
    for i in range(n, self.width + 1):
        self.keys[i] = NO_PAIR
    self.tokens[0] = NO_TOKEN
    self.tokens[n + 1] = NO_TOKEN
    for i in range(n):
        self.tokens[i + 1] = ranks.byte_ranks[piece[i]]
    for i in range(n - 1):
        self.keys[i + 1] = (
            (ranks.byte_pairs[<size_t>piece[i] << 8 | piece[i + 1]] & NO_PAIR_RANK) << 6
            | <uint32_t>(i + 1)
        )
    if advance(ranks, self):
        return True
    finish(self)
    return False


# The ranks that the last step asked for.
cdef inline void arrive(const Ranks *ranks, Few *self) noexcept nogil:
    self.keys[self.at] = (
        pairs_rank_in(&ranks.pairs, self.bucket, self.key) << 6 | <uint32_t>self.at
    )
    self.keys[self.before] = (
        pairs_rank_in(&ranks.pairs, self.bucket_before, self.key_before) << 6 | <uint32_t>self.before
    )


# Merges at the lowest rank and asks for the new ones. False if nothing merges.
cdef inline bint advance(const Ranks *ranks, Few *self) noexcept nogil:
    cdef uint32_t lowest, made, right_token, left_token
    cdef uint64_t live = self.live
    cdef int at, right, before, beyond
    if self.width == 8:
        lowest = lowest8(self.keys + 1)
    elif self.width == 16:
        lowest = lowest16(self.keys + 1)
    else:
        lowest = lowest32(self.keys + 1)
    if lowest >= NO_PAIR:
        return False
    at = lowest & 63
    right = lowest_bit(live & (<uint64_t>-2 << at))
    live ^= <uint64_t>1 << right
    before = highest_bit((live & ((<uint64_t>1 << at) - 1)) | 1)
    beyond = lowest_bit((live & (<uint64_t>-2 << at)) | <uint64_t>2 << self.task.n)
    made = token_made(ranks, lowest >> 6)
    right_token = self.tokens[beyond]
    left_token = self.tokens[before]
    self.live = live
    self.at = at
    self.before = before
    self.keys[right] = NO_PAIR
    self.tokens[at] = made
    self.key = pair_key(made, right_token)
    self.key_before = pair_key(left_token, made)
    self.bucket = pair_bucket_unless(&ranks.pairs, self.key, beyond > <int>self.task.n)
    self.bucket_before = pair_bucket_unless(&ranks.pairs, self.key_before, before == 0)
    prefetch(self.bucket)
    prefetch(self.bucket_before)
    return True


cdef inline void finish(Few *self) noexcept nogil:
    cdef uint64_t live = self.live
    cdef uint32_t count = 0
    while live:
        self.task.out[count] = self.tokens[lowest_bit(live)]
        live &= live - 1
        count += 1
    self.task.count = count
