"""Token ids and window starts -> one widened batch.

Ids lie as uint8, uint16, uint32, int32 or int64 in one array or in several (the shards of a token
store); a model wants int64. :class:`TokenShards` holds the arrays; its :meth:`~TokenShards.gather`
copies any windows of them, widened, into buffers that the caller made.
"""

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t

from fastprep.errors import InvalidWindow

cdef extern from "bits.h" nogil:
    void prefetch(const void *p)

cdef enum:
    CACHE_LINE = 64  # bytes; a processor with longer lines is asked twice for some, no more
    PREFETCHED = 1024  # bytes of a window; by then the processor has seen where it leads


# ---- kernels ---------------------------------------------------------------------------------


cdef int64_t widen(const token_t* tokens, int64_t count, int64_t* out) noexcept nogil:
    cdef int64_t i
    cdef int64_t seen = 0
    if token_t is int32_t or token_t is int64_t:
        # All ids or-ed together are negative exactly if one of them is: no branch in the loop.
        for i in range(count):
            out[i] = tokens[i]
            seen |= out[i]
    else:
        for i in range(count):
            out[i] = tokens[i]
    return seen


cdef inline int64_t widen_row(
    const token_t* tokens, int64_t length, int64_t* inputs, int64_t* targets
) noexcept nogil:
    """As `widen`, for one window of `length` + 1 tokens that lie in one shard.

    Both rows in one loop have 1.2 times the speed of one after the other. Tried and dropped
    (uint16, length 256 and 1024): memcpy of the inputs, one place on, to the targets has 1.2 times
    the speed of this, but a sixth of it where the two buffers lie 16 bytes apart modulo 4096;
    loops for AVX2 have 1.15 times, too little to choose a CPU for.
    """
    cdef int64_t i
    cdef int64_t seen = tokens[length]
    if token_t is int32_t or token_t is int64_t:
        for i in range(length):
            inputs[i] = tokens[i]
            targets[i] = tokens[i + 1]
            seen |= inputs[i]
    else:
        for i in range(length):
            inputs[i] = tokens[i]
            targets[i] = tokens[i + 1]
    return seen


cdef inline int64_t shard_of(
    const int64_t* bounds, int64_t num_shards, int64_t position
) noexcept nogil:
    """The one shard that holds the token at `position`; empty shards hold none."""
    cdef int64_t low = 0
    cdef int64_t high = num_shards - 1
    cdef int64_t middle
    while low < high:
        middle = (low + high) // 2
        if bounds[middle + 1] > position:
            high = middle
        else:
            low = middle + 1
    return low


cdef inline void prefetch_window(
    const token_t** shards, const int64_t* bounds, int64_t num_shards, int64_t start, int64_t length
) noexcept nogil:
    """Ask for the begin of a window while another one is copied.

    In a shuffled order each window is a surprise to the processor: for uint16 and length 256 this
    gains 1.2 times in 8 MB of tokens and 1.7 times in 400 MB.
    """
    cdef int64_t shard = shard_of(bounds, num_shards, start)
    cdef const char* place = <const char*>(shards[shard] + (start - bounds[shard]))
    cdef int64_t count = min(length, bounds[shard + 1] - start)
    cdef int64_t ahead = min(<int64_t>PREFETCHED, count * <int64_t>sizeof(token_t))
    cdef int64_t at = 0
    while at < ahead:
        prefetch(place + at)
        at += CACHE_LINE


cdef inline int64_t widen_span(
    const token_t** shards,
    const int64_t* bounds,
    int64_t shard,
    int64_t first,
    int64_t count,
    int64_t* out,
) noexcept nogil:
    """As `widen`, for `count` tokens of the whole sequence, from `first` on.

    Needs `shard` to be that of `first` or one before it.
    """
    cdef int64_t seen = 0
    cdef int64_t take
    while count > 0:
        take = min(count, bounds[shard + 1] - first)
        if take > 0:
            seen |= widen(shards[shard] + (first - bounds[shard]), take, out)
            first += take
            out += take
            count -= take
        shard += 1
    return seen


cdef inline void fill(int64_t* out, int64_t count, int64_t value) noexcept nogil:
    cdef int64_t i
    for i in range(count):
        out[i] = value


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
) noexcept nogil:
    cdef int64_t total = bounds[num_shards]
    cdef int64_t row, start, shard, num_inputs, num_targets
    cdef int64_t seen
    for row in range(rows):
        if row + 1 < rows:
            prefetch_window(shards, bounds, num_shards, starts[row + 1], length)
        start = starts[row]
        shard = shard_of(bounds, num_shards, start)
        if start + length < bounds[shard + 1]:
            seen = widen_row(shards[shard] + (start - bounds[shard]), length, inputs, targets)
        else:
            num_inputs = min(length, total - start)
            num_targets = min(length, total - start - 1)
            seen = widen_span(shards, bounds, shard, start, num_inputs, inputs)
            seen |= widen_span(shards, bounds, shard, start + 1, num_targets, targets)
            fill(inputs + num_inputs, length - num_inputs, input_fill)
            fill(targets + num_targets, length - num_targets, target_fill)
        if seen < 0:
            return -1 - row
        inputs += length
        targets += length
    return rows


# ---- binding ---------------------------------------------------------------------------------


cdef enum Kind:
    NO_KIND
    UINT8
    UINT16
    UINT32
    INT32
    INT64


cdef Kind kind_of(object view) except NO_KIND:
    """How the ids of a one-dimensional buffer lie in memory."""
    cdef str form = view.format
    cdef Py_ssize_t size = view.itemsize
    # A foreign byte order shows as a prefix (">H"), so it is none of these.
    if form in ("B", "H", "I", "L", "Q"):
        if size == 1:
            return UINT8
        if size == 2:
            return UINT16
        if size == 4:
            return UINT32
    elif form in ("i", "l", "q"):
        if size == 4:
            return INT32
        if size == 8:
            return INT64
    raise InvalidWindow(
        f"token ids must be uint8, uint16, uint32, int32 or int64 in the machine's byte order; "
        f"found a buffer of format {form!r}, {size} bytes an item"
    )


cdef class TokenShards:
    """One long sequence of token ids that lies in one buffer or in several.

    Parameters
    ----------
    shards
        one-dimensional contiguous buffers, all of one type: uint8, uint16, uint32, int32 or int64.
        They are held, not copied, and may be empty.

    Raises
    ------
    InvalidWindow
        for a buffer of another type or shape, or for buffers of different types.

    Examples
    --------
    >>> from array import array
    >>> tokens = TokenShards([array("H", [10, 11, 12]), array("H", [13, 14])])
    >>> tokens.num_tokens
    5
    """

    cdef tuple views  # keeps the buffers exported, so that nobody moves what the pointers point at
    cdef const void** pointers
    cdef int64_t* bounds
    cdef int64_t num_shards
    cdef Kind kind

    def __cinit__(self, shards):
        cdef Py_ssize_t k
        cdef const uint8_t[::1] raw
        self.views = tuple([memoryview(shard) for shard in shards])
        self.num_shards = len(self.views)
        self.pointers = <const void**>PyMem_Malloc((self.num_shards + 1) * sizeof(void*))
        self.bounds = <int64_t*>PyMem_Malloc((self.num_shards + 1) * sizeof(int64_t))
        if self.pointers == NULL or self.bounds == NULL:
            raise MemoryError
        self.bounds[0] = 0
        self.kind = NO_KIND
        for k, view in enumerate(self.views):
            if view.ndim != 1 or not view.c_contiguous:
                raise InvalidWindow(
                    f"token ids must be a contiguous row; shard {k} has the shape {view.shape} "
                    f"and the strides {view.strides}"
                )
            if self.kind == NO_KIND:
                self.kind = kind_of(view)
            elif self.kind != kind_of(view):
                raise InvalidWindow(
                    f"the shards of one sequence must have one type; shard {k} has format "
                    f"{view.format!r}, the one before it {self.views[k - 1].format!r}"
                )
            self.bounds[k + 1] = self.bounds[k] + <int64_t>len(view)
            self.pointers[k] = NULL
            if len(view):
                raw = view.cast("B")
                self.pointers[k] = &raw[0]

    def __dealloc__(self):
        PyMem_Free(self.pointers)
        PyMem_Free(self.bounds)

    @property
    def num_tokens(self):
        """How many ids there are in all shards together."""
        return self.bounds[self.num_shards]

    def gather(
        self,
        const int64_t[::1] starts,
        int64_t[:, ::1] inputs,
        int64_t[:, ::1] targets,
        input_fill=None,
        int64_t target_fill=-100,
    ):
        """Copy the windows that begin at `starts` into a batch.

        Row r of `inputs` becomes the ids from ``starts[r]`` on, row r of `targets` those from
        ``starts[r] + 1`` on. Windows run across the borders of shards. The GIL is released.

        Parameters
        ----------
        starts
            int64 [B], positions in the whole sequence.
        inputs, targets
            int64 [B, L], contiguous and writable; every item is written.
        input_fill
            None: a window must lie in the sequence with all its L + 1 ids. An id: a window may
            run past the end; its inputs there are this id and its targets `target_fill`.
        target_fill
            what stands where there is nothing to predict.

        Raises
        ------
        InvalidWindow
            if the shapes differ, a window leaves the sequence, or an id is negative.

        Examples
        --------
        >>> import numpy as np
        >>> tokens = TokenShards([np.arange(10, 15, dtype=np.uint16)])
        >>> inputs, targets = np.empty((2, 3), np.int64), np.empty((2, 3), np.int64)
        >>> tokens.gather(np.array([0, 1]), inputs, targets)
        >>> inputs.tolist(), targets.tolist()
        ([[10, 11, 12], [11, 12, 13]], [[11, 12, 13], [12, 13, 14]])
        """
        cdef int64_t rows = starts.shape[0]
        cdef int64_t length = inputs.shape[1]
        cdef int64_t total = self.bounds[self.num_shards]
        cdef int64_t fill = 0 if input_fill is None else input_fill
        cdef int64_t last
        cdef int64_t row, status
        if inputs.shape[0] != rows or targets.shape[0] != rows or targets.shape[1] != length:
            raise InvalidWindow(
                f"{rows} starts need inputs and targets of shape [{rows}, L]; found "
                f"[{inputs.shape[0]}, {length}] and [{targets.shape[0]}, {targets.shape[1]}]"
            )
        if rows == 0 or length == 0:
            return
        last = total - 1 - (length if input_fill is None else 0)
        for row in range(rows):
            if not 0 <= starts[row] <= last:
                raise InvalidWindow(
                    f"window {row} of the batch, {length} + 1 ids from position {starts[row]} on, "
                    f"does not lie within the {total} ids there are"
                )
        with nogil:
            status = self.gather_any(starts, length, inputs, targets, fill, target_fill)
        if status < 0:
            row = -1 - status
            raise negative_id(starts[row], inputs[row], targets[row])

    cdef int64_t gather_any(
        self,
        const int64_t[::1] starts,
        int64_t length,
        int64_t[:, ::1] inputs,
        int64_t[:, ::1] targets,
        int64_t input_fill,
        int64_t target_fill,
    ) noexcept nogil:
        """The kernel that fits the type of the ids."""
        if self.kind == UINT8:
            return gather_rows(
                <const uint8_t**>self.pointers, self.bounds, self.num_shards, &starts[0],
                starts.shape[0], length, &inputs[0, 0], &targets[0, 0], input_fill, target_fill)
        if self.kind == UINT16:
            return gather_rows(
                <const uint16_t**>self.pointers, self.bounds, self.num_shards, &starts[0],
                starts.shape[0], length, &inputs[0, 0], &targets[0, 0], input_fill, target_fill)
        if self.kind == UINT32:
            return gather_rows(
                <const uint32_t**>self.pointers, self.bounds, self.num_shards, &starts[0],
                starts.shape[0], length, &inputs[0, 0], &targets[0, 0], input_fill, target_fill)
        if self.kind == INT32:
            return gather_rows(
                <const int32_t**>self.pointers, self.bounds, self.num_shards, &starts[0],
                starts.shape[0], length, &inputs[0, 0], &targets[0, 0], input_fill, target_fill)
        return gather_rows(
            <const int64_t**>self.pointers, self.bounds, self.num_shards, &starts[0],
            starts.shape[0], length, &inputs[0, 0], &targets[0, 0], input_fill, target_fill)


cdef object negative_id(int64_t start, const int64_t[::1] inputs, const int64_t[::1] targets):
    """The error for the first negative id of a gathered window."""
    cdef int64_t length = inputs.shape[0]
    cdef int64_t at = 0
    while at < length and inputs[at] >= 0:
        at += 1
    return InvalidWindow(
        f"the id at position {start + at} is {inputs[at] if at < length else targets[length - 1]}; "
        f"ids are never negative; were unsigned ids read as signed ones?"
    )
