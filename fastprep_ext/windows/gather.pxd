"""Batches: window indices in, filled tensors out."""

cdef extern from "windows/fault_guard.h" nogil:
    const int64_t FAULTED

cdef enum:
    NO_MEMORY = -3
    BAD_INDEX = -4
    SLOW = -5

# The windows of one sequence of tokens. Row i starts at token i * stride; or, if row_first is not
# NULL, it consists of the stretches row_first[i] .. row_first[i + 1] - 1: sizes[k] pairs of
# neighbours from token starts[k] on; or, if the stretches are joined, sizes[k] tokens, of which the
# last one's target is the first token of the next stretch, and the row's last is a target only. If
# plans is not NULL, row block_rows[b] + i is row i of plan b; documents[k] is the document of a stretch.
# The rows of a block of a source, as in Source; `first` is NULL until they are planned. They may be freed
# once `first` was NULL while there were no `users`: rows that are being written.
cdef struct Plan:
    int64_t users
    int64_t used  # a count that is higher the later the plan was used
    const int64_t *first
    const int64_t *starts
    const int32_t *sizes
    const int64_t *documents

cdef struct Source:
    const Tokens *tokens
    const Tokens *mask  # NULL, or a byte per token: targets whose own byte is 0 are masked
    Ends *ends  # NULL: documents do not matter
    int64_t num_tokens
    int64_t num_rows
    int64_t stride
    const int64_t *row_first
    const int64_t *starts
    const int32_t *sizes
    bint joined
    const int64_t *documents
    const int64_t *block_rows
    int64_t num_blocks
    Plan *plans

# How the files of a maker are read. Cold: windows are requested from the disk before they are read, by
# pread, which is cheaper than a fault of a map; hot: they are read where they are mapped. A store is cold
# until the disk was not read for many windows, and then hot until a batch reads the disk, which is measured
# from time to time, and as soon as rows take longer than any that are in memory.
cdef struct Reads:
    bint counts            # whether there are files, and reads of them are counted
    bint cold
    int64_t idle           # windows since the disk was read
    int64_t unmeasured     # windows since reads were counted

cdef struct Maker:
    Source *sources
    int64_t *first_index   # of each source, and the end
    int64_t num_sources
    RowForm row
    bint mask              # whether targets in another document than their input are masked
    bint has_masks         # whether a source has a mask of its own
    Reads *reads
    bint in_order          # whether the windows of the batch follow each other
    bint timed             # whether to return SLOW once rows may have been read from the disk

# One batch to make: its windows are at `rows` positions of an order, from `first` on in steps of
# `step`, or, if order is NULL, `indices`.
cdef struct Batch:
    const OrderState *order
    int64_t first
    int64_t step
    int64_t rows
    int64_t *indices
    bint requested         # from the disk
    bint whole             # in stretches of which every page is used
    char *inputs
    char *targets
    Marks marks
    int64_t row            # the current row
    int64_t window         # its window, if status is not 0
    int64_t status         # 0, or the error in `row`

# Request windows of a batch from the disk. Return False if some are not planned, which are not requested.
# `asked` are two ranges: of tokens, and of masks.
cdef bint request_rows(
    const Maker *maker, const int64_t *indices, int64_t count, Requested *asked
) noexcept nogil

# Note that the disk was read, or not, when so many windows of an order were made or requested.
cdef void note_reads(
    Reads *reads, bint was_read, int64_t windows, const OrderState *order
) noexcept nogil

# Fill the rows of a batch from `row` on, and set its status.
cdef void make_batch(const Maker *maker, Batch *batch) noexcept nogil

cdef class GatheredRows:
    cdef Source source
    cdef TokenShards tokens, mask
    cdef DocumentEnds ends
    cdef object describe
    cdef Array row_first, starts, sizes, block_rows
    cdef object plan
    cdef dict planned   # block -> the arrays of its plan
    cdef list retired   # (block, arrays) of plans that rows may be read from
    cdef int64_t num_stretches, max_stretches
    cdef bint make_plan(self, int64_t block) except -1
    cdef drop_plans(self, int64_t more)
    cdef int64_t select(self, int64_t row) except -1

cdef class BatchMaker:
    cdef Maker maker
    cdef Reads reads
    cdef readonly tuple sources
    cdef int64_t vocab_size
    cdef set_places(self, Batch *batch, int64_t rows, places)
    cdef finish(self, Batch *batch)
    cdef bint open_shards(self, Batch *batch) except -1
    cdef list stretches(self, GatheredRows rows, int64_t row)
    cdef raise_error(self, Batch *batch)
