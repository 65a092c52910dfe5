"""Windows: token ids in, rows of inputs and targets out."""

cdef extern from "windows/widen.h" nogil:
    ctypedef int64_t (*PairsFunction)(
        const void *tokens, int64_t count, void *inputs, void *targets, int64_t last
    )
    PairsFunction pairs_function(int kind, int out)

# In the order of the table in widen.h.
cdef enum Kind:
    UINT8
    UINT16
    UINT32
    INT32
    INT64

cdef enum Out:
    SAME
    OUT32
    OUT64

cdef enum:
    BAD_ID = -1
    READ_FAILED = -2

# A file that can be read by pread: the ids from byte `offset` on of the file with this inode.
cdef struct File:
    const char *path
    int64_t inode
    int64_t offset

# Shard k holds the tokens bounds[k] .. bounds[k + 1] - 1 of one long sequence; bounds[0] is 0. They
# are in memory at places[k], in files[k], or in both if the memory is a map of the file; if neither is
# set, the shard is not opened yet. Shard k is file number first_file + k of the process.
cdef struct Tokens:
    const char **places
    File *files
    int64_t *bounds
    int64_t num_shards
    int64_t itemsize
    int64_t first_file
    bint in_files          # whether memory, if any, is a map of a file
    bint on_network        # whether reads of the files are not counted as reads of a disk
    int64_t read_ahead     # bytes that the kernel reads ahead of reads in order; 0: not known

# Memory for tokens that are not contiguous in memory, or only in a file: it has the tokens `start` to `end`
# of a sequence, or none. Of a file, `ahead` tokens are read at once if fewer are needed.
cdef struct Scratch:
    char *at
    int64_t ahead
    const Tokens *tokens
    int64_t start
    int64_t end

# How rows are written. `last` is the largest id allowed.
cdef struct RowForm:
    PairsFunction pairs
    int64_t itemsize
    int64_t length
    int64_t input_fill
    int64_t target_fill
    int64_t last
    Scratch *scratch       # of length + 1 tokens or more
    Scratch *mask_scratch  # the same for a mask
    bint cold              # whether to read files also where they are mapped

cdef struct Readers

# A range of tokens to request from the disk; ranges that follow each other are joined. A long one is left to
# `readers`, if that is not NULL.
cdef struct Requested:
    const Tokens *tokens
    int64_t start
    int64_t end
    Readers *readers

# Add tokens to the range; what was in it is requested if they do not follow it.
cdef void request(
    Requested *asked, const Tokens *tokens, int64_t start, int64_t count
) noexcept nogil

# Request the range, and leave it empty.
cdef void end_requests(Requested *asked) noexcept nogil

# Prefetch the start of a window while others are copied.
cdef void prefetch_tokens(const Tokens *tokens, int64_t start, int64_t count) noexcept nogil

# Write `count` pairs of neighbours: the tokens from `start` on, and those one position later. 0,
# BAD_ID or READ_FAILED.
cdef int64_t write_pairs(
    const Tokens *tokens,
    const RowForm *row,
    int64_t start,
    int64_t count,
    void *inputs,
    void *targets,
) noexcept nogil

# Write one token as an input, with the fill as its target.
cdef int64_t write_last(
    const Tokens *tokens, const RowForm *row, int64_t start, void *inputs, void *targets
) noexcept nogil
cdef void fill(void *out, int64_t count, int64_t value, int64_t itemsize) noexcept nogil

# Fill the targets of which the byte of the mask is 0; they are `count` tokens from `start` on. 0, or
# READ_FAILED.
cdef int64_t mask_targets(
    const Tokens *mask, const RowForm *row, int64_t start, int64_t count, void *targets
) noexcept nogil

# Leave two ranges to request empty.
cdef void no_requests(Requested *asked, Readers *readers) noexcept nogil
cdef void end_both(Requested *asked) noexcept nogil

# Return whether all shards of `count` tokens from `start` on are open.
cdef bint are_open(const Tokens *tokens, int64_t start, int64_t count) noexcept nogil

# Return the address of `count` consecutive tokens, in place or in the scratch memory, until its next use;
# NULL if they cannot be read, or are in a shard that is not opened.
cdef const char *fetch(
    const Tokens *tokens, int64_t start, int64_t count, Scratch *scratch, bint cold
) noexcept nogil

cdef class TokenShards:
    cdef Tokens tokens
    cdef readonly int64_t num_tokens
    cdef Kind kind
    cdef object open  # None if all shards are open
    cdef list kept  # buffers and paths: keeps `places` and the paths of `files` valid
    cdef bint open_shards(self, int64_t start, int64_t count) except -1
    cdef open_shard(self, int64_t k)
    cdef keep(self, Py_ssize_t k, view)
