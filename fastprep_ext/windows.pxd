"""The contract of the window kernels: token ids in, rows of int64 out."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t

# Every way in which ids lie on disk or in memory.
ctypedef fused token_t:
    uint8_t
    uint16_t
    uint32_t
    int32_t
    int64_t

# Writes `count` tokens to `out` as int64 and returns a negative number if one of them is negative.
cdef int64_t widen(const token_t* tokens, int64_t count, int64_t* out) noexcept nogil

# Shard k holds the tokens bounds[k] .. bounds[k + 1] - 1 of one long sequence; bounds[0] is 0.
# Row r gets the `length` tokens from starts[r] on as input and those from starts[r] + 1 on as
# target; what lies past the last token is filled with `input_fill` and `target_fill`.
# Needs length >= 1 and 0 <= starts[r] < bounds[num_shards]. Returns `rows`, or -1 - r if row r has a negative id.
cdef int64_t gather_rows(
    const token_t** shards,
    const int64_t* bounds,
    int64_t num_shards,
    const int64_t* starts,
    int64_t rows,
    int64_t length,
    int64_t* inputs,
    int64_t* targets,
    int64_t input_fill,
    int64_t target_fill,
) noexcept nogil
