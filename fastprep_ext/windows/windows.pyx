"""Token ids -> inputs and targets of windows.

Ids are uint8, uint16, uint32, int32 or int64, in one array or in several (the shards of a token
store), in memory or in files; :class:`TokenShards` holds them. The kernels copy any range of them,
widened, into rows of the caller.
"""

cdef extern from "<unistd.h>" nogil:
    ssize_t pread(int file, void *buffer, size_t count, long long offset)

cdef extern from "windows/mask.h" nogil:
    void mask_row(const void *mask, int64_t count, void *targets, int64_t value, int64_t itemsize)

cdef extern from "windows/open_files.h" nogil:
    int acquire_file(int64_t number, const char *path, int64_t inode)
    void release_file(int64_t number, int file)
    void close_files(int64_t first, int64_t end)

cdef extern from "windows/disk.h" nogil:
    void request_file(int file, int64_t offset, int64_t count)
    void request_map(const char *at, int64_t count)
    bint is_on_network(const char *path)
    int64_t read_ahead_of(const char *path)

cdef extern from *:
    """
    #define publish(place, value) __atomic_store_n(place, value, __ATOMIC_RELEASE)
    """
    void publish(const char **place, const char *value) nogil
    void store_release "publish"(int64_t *place, int64_t value) nogil

cdef enum:
    CACHE_LINE = 64        # bytes; on processors with longer lines some are requested twice
    PREFETCHED = 1024      # bytes of a window; after them the hardware prefetcher follows
    LONG = 256 << 10       # bytes of a range that is left to other threads


# Return the shard that holds the token at `position`; empty shards hold none.
cdef inline int64_t shard_of(
    const int64_t *bounds, int64_t num_shards, int64_t position
) noexcept nogil:
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


# In a shuffled order the start of each window is a cache miss: for uint16 and length 256, prefetching
# gains 1.2 times the speed in 8 MB of tokens and 1.7 times in 400 MB.
cdef void prefetch_tokens(const Tokens *tokens, int64_t start, int64_t count) noexcept nogil:
    cdef int64_t shard = shard_of(tokens.bounds, tokens.num_shards, start)
    cdef const char *place = tokens.places[shard]
    cdef int64_t ahead, at
    if place == NULL:
        return
    place += (start - tokens.bounds[shard]) * tokens.itemsize
    ahead = min(count, tokens.bounds[shard + 1] - start) * tokens.itemsize
    ahead = min(<int64_t>PREFETCHED, ahead)
    at = 0
    while at < ahead:
        prefetch(place + at)
        at += CACHE_LINE


# Request tokens of one shard from the disk.
cdef void request_part(
    const Tokens *tokens, int64_t shard, int64_t first, int64_t count
) noexcept nogil:
    cdef int file
    cdef const File *source = &tokens.files[shard]
    if source.path != NULL:
        file = acquire_file(tokens.first_file + shard, source.path, source.inode)
        if file >= 0:
            request_file(
                file, source.offset + first * tokens.itemsize, count * tokens.itemsize
            )
            release_file(tokens.first_file + shard, file)
    elif tokens.places[shard] != NULL and tokens.in_files:
        request_map(tokens.places[shard] + first * tokens.itemsize, count * tokens.itemsize)


cdef void end_requests(Requested *asked) noexcept nogil:
    cdef int64_t shard, take, first
    if asked.start >= asked.end:
        return
    shard = shard_of(asked.tokens.bounds, asked.tokens.num_shards, asked.start)
    while asked.start < asked.end and shard < asked.tokens.num_shards:
        take = min(asked.end, asked.tokens.bounds[shard + 1]) - asked.start
        if take > 0:
            first = asked.start - asked.tokens.bounds[shard]
            if (
                asked.readers == NULL or take * asked.tokens.itemsize < LONG
                or not add_stretch(asked.readers, asked.tokens, shard, first, take)
            ):
                request_part(asked.tokens, shard, first, take)
            asked.start += take
        shard += 1
    asked.end = asked.start


cdef void no_requests(Requested *asked, Readers *readers) noexcept nogil:
    cdef int k
    for k in range(2):
        asked[k].tokens = NULL
        asked[k].readers = readers
        asked[k].start = asked[k].end = 0


cdef void end_both(Requested *asked) noexcept nogil:
    end_requests(&asked[0])
    end_requests(&asked[1])


cdef void request(
    Requested *asked, const Tokens *tokens, int64_t start, int64_t count
) noexcept nogil:
    if asked.tokens != tokens or not asked.start <= start <= asked.end:
        end_requests(asked)
        asked.tokens = tokens
        asked.start = asked.end = start
    asked.end = max(asked.end, start + count)


cdef bint are_open(const Tokens *tokens, int64_t start, int64_t count) noexcept nogil:
    cdef int64_t shard = shard_of(tokens.bounds, tokens.num_shards, start)
    while shard < tokens.num_shards and tokens.bounds[shard] < start + count:
        if (
            tokens.bounds[shard] < tokens.bounds[shard + 1]
            and tokens.places[shard] == NULL and tokens.files[shard].path == NULL
        ):
            return False
        shard += 1
    return True


# Copy tokens of one shard; 0, or READ_FAILED. Where a shard is mapped and in a file, a window that is not
# in the page cache takes 12 microseconds of a core by pread, and 16 by a fault of the map.
cdef int64_t read_part(
    const Tokens *tokens, int64_t shard, int64_t first, int64_t count, char *out, bint cold
) noexcept nogil:
    cdef int64_t at = first * tokens.itemsize
    cdef int64_t left = count * tokens.itemsize
    cdef ssize_t got = 1
    cdef int file = -1
    cdef const File *source = &tokens.files[shard]
    cdef const char *place = tokens.places[shard]
    if source.path != NULL and (cold or place == NULL):
        file = acquire_file(tokens.first_file + shard, source.path, source.inode)
    if file < 0:
        if place == NULL:
            return READ_FAILED
        memcpy(out, place + at, left)
        return 0
    at += source.offset
    while left > 0 and got > 0:
        got = pread(file, out, left, at)
        out += got
        at += got
        left -= got
    release_file(tokens.first_file + shard, file)
    return 0 if got > 0 else READ_FAILED


cdef const char *fetch(
    const Tokens *tokens, int64_t start, int64_t count, Scratch *scratch, bint cold
) noexcept nogil:
    cdef int64_t shard = shard_of(tokens.bounds, tokens.num_shards, start)
    cdef int64_t take, left
    cdef char *out = scratch.at
    if (
        start + count <= tokens.bounds[shard + 1]
        and tokens.places[shard] != NULL
        and not (cold and tokens.files[shard].path != NULL)
    ):
        return tokens.places[shard] + (start - tokens.bounds[shard]) * tokens.itemsize
    if scratch.tokens == tokens and scratch.start <= start and start + count <= scratch.end:
        return scratch.at + (start - scratch.start) * tokens.itemsize
    if count < scratch.ahead:  # not of the next shard, which may not be open
        count = max(count, min(scratch.ahead, tokens.bounds[shard + 1] - start))
    scratch.tokens = NULL
    scratch.start = start
    scratch.end = start + count
    left = count
    while left > 0:
        take = min(left, tokens.bounds[shard + 1] - start)
        if take > 0:
            if read_part(tokens, shard, start - tokens.bounds[shard], take, out, cold) != 0:
                return NULL
            start += take
            left -= take
            out += take * tokens.itemsize
        shard += 1
    scratch.tokens = tokens
    return scratch.at


cdef void fill(void *out, int64_t count, int64_t value, int64_t itemsize) noexcept nogil:
    cdef int64_t i
    if itemsize == 8:
        for i in range(count):
            (<int64_t *>out)[i] = value
    elif itemsize == 4:
        for i in range(count):
            (<int32_t *>out)[i] = <int32_t>value
    elif itemsize == 2:
        for i in range(count):
            (<uint16_t *>out)[i] = <uint16_t>value
    else:
        for i in range(count):
            (<uint8_t *>out)[i] = <uint8_t>value


cdef int64_t mask_targets(
    const Tokens *mask, const RowForm *row, int64_t start, int64_t count, void *targets
) noexcept nogil:
    cdef const char *place = fetch(mask, start, count, row.mask_scratch, row.cold)
    if place == NULL:
        return READ_FAILED
    mask_row(place, count, targets, row.target_fill, row.itemsize)
    return 0


cdef int64_t write_pairs(
    const Tokens *tokens,
    const RowForm *row,
    int64_t start,
    int64_t count,
    void *inputs,
    void *targets,
) noexcept nogil:
    cdef const char *place = fetch(tokens, start, count + 1, row.scratch, row.cold)
    if place == NULL:
        return READ_FAILED
    return BAD_ID if row.pairs(place, count, inputs, targets, row.last) < 0 else 0


cdef int64_t write_last(
    const Tokens *tokens, const RowForm *row, int64_t start, void *inputs, void *targets
) noexcept nogil:
    cdef int64_t pair[2]  # of the token twice, to be widened
    cdef const char *place = fetch(tokens, start, 1, row.scratch, row.cold)
    if place == NULL:
        return READ_FAILED
    memcpy(pair, place, tokens.itemsize)
    memcpy(<char *>pair + tokens.itemsize, place, tokens.itemsize)
    if row.pairs(pair, 1, inputs, targets, row.last) < 0:
        return BAD_ID
    fill(targets, 1, row.target_fill, row.itemsize)
    return 0


# Return the Kind of the items of a one-dimensional buffer.
cdef int kind_of(object view) except -1:
    cdef str form = view.format
    cdef Py_ssize_t size = view.itemsize
    # Another byte order has a prefix (">H"), so it matches none of these.
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
        f"found a buffer of format {form!r}, {size} bytes per item"
    )


# The number of the next file: each of the process has its own.
cdef int64_t next_file = 1


cdef class TokenShards:
    """One long sequence of token ids in one or several buffers or files.

    Parameters
    ----------
    shards
        one-dimensional contiguous buffers of one type: uint8, uint16, uint32, int32 or int64. They are
        held, not copied, and may be empty.
    counts, open
        for shards that are opened on demand: the number of ids of each shard, and a function of its
        number, which is called once before the shard's ids are read. It returns a buffer of them or None,
        and None or the ``(path, inode, offset)`` from where they can be read with pread: from byte `offset`
        of a file on. Then `shards` has one buffer, which may be empty, and gives the type of the ids.
    in_files
        whether the buffers are maps of files.
    on_network
        whether the files are on a network.
    read_ahead
        number of bytes that the kernel reads ahead of reads in order.

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

    def __cinit__(self, shards, counts=None, open=None, *, bint in_files=False, bint on_network=False,
                  int64_t read_ahead=0):
        global next_file
        cdef Py_ssize_t k, n
        cdef list views = list(map(memoryview, shards))
        self.kept = []
        self.open = open
        n = len(views) if open is None else len(counts)
        self.tokens.num_shards = n
        self.tokens.places = <const char **>calloc(n + 1, sizeof(char *))
        self.tokens.files = <File *>calloc(n + 1, sizeof(File))
        self.tokens.bounds = <int64_t *>calloc(n + 1, sizeof(int64_t))
        if self.tokens.places == NULL or self.tokens.files == NULL or self.tokens.bounds == NULL:
            raise MemoryError
        self.tokens.first_file = next_file
        next_file += n
        self.tokens.itemsize = 1
        self.tokens.in_files, self.tokens.on_network = in_files, on_network
        self.tokens.read_ahead = read_ahead
        for k, view in enumerate(views):
            if k == 0:
                self.kind = <Kind>kind_of(view)
                self.tokens.itemsize = view.itemsize
            if open is None:
                self.keep(k, view)
                self.tokens.bounds[k + 1] = self.tokens.bounds[k] + <int64_t>len(view)
        if open is not None:
            for k in range(n):
                self.tokens.bounds[k + 1] = self.tokens.bounds[k] + <int64_t>counts[k]
        self.num_tokens = self.tokens.bounds[n]

    def __dealloc__(self):
        if self.open is not None:
            close_files(self.tokens.first_file, self.tokens.first_file + self.tokens.num_shards)
        free(self.tokens.places)
        free(self.tokens.files)
        free(self.tokens.bounds)

    def open_all(self):
        """Open all shards that are not open yet."""
        self.open_shards(0, self.num_tokens)

    # Hold the buffer of a shard.
    cdef keep(self, Py_ssize_t k, view):
        cdef Array raw
        if view.ndim != 1 or not view.c_contiguous:
            raise InvalidWindow(
                f"token ids must be a contiguous row; shard {k} has the shape {view.shape} "
                f"and the strides {view.strides}"
            )
        if self.kind != kind_of(view):
            raise InvalidWindow(
                f"the shards of one sequence must have one type; shard {k} has format "
                f"{view.format!r}, another one than the first"
            )
        # Kept in addition to a map that another thread opened at the same time and may be reading.
        self.kept.append(view)
        if len(view):
            raw = array_of(view.cast("B"), ITEM_UINT8)
            publish(&self.tokens.places[k], <const char *>raw.at)

    # Open the shards of `count` tokens from `start` on; return whether any was not open.
    cdef bint open_shards(self, int64_t start, int64_t count) except -1:
        cdef int64_t k
        cdef bint found = False
        if self.open is None or count < 1:
            return False
        k = shard_of(self.tokens.bounds, self.tokens.num_shards, start)
        while k < self.tokens.num_shards and self.tokens.bounds[k] < start + count:
            if (
                self.tokens.bounds[k] < self.tokens.bounds[k + 1]
                and self.tokens.places[k] == NULL
                and self.tokens.files[k].path == NULL
            ):
                self.open_shard(k)
                found = True
            k += 1
        return found

    cdef open_shard(self, int64_t k):
        cdef bytes path
        cdef int file
        found, source = self.open(k)
        if found is not None:
            view = memoryview(found)
            if len(view) != self.tokens.bounds[k + 1] - self.tokens.bounds[k]:
                raise InvalidWindow(f"shard {k} has {len(view)} ids, not those that were announced")
            self.keep(k, view)
        if source is not None:
            path, inode, offset = source
            self.kept.append(path)
            self.tokens.files[k].inode, self.tokens.files[k].offset = inode, offset
            publish(&self.tokens.files[k].path, path)
        if source is not None and found is None:
            # Opened at once, so that up to OPEN_FILES files are still read after they are removed.
            file = acquire_file(self.tokens.first_file + k, path, inode)
            if file >= 0:
                release_file(self.tokens.first_file + k, file)


def on_network(path) -> bool:
    """Return True if the file system of a path is on another machine, as NFS, Lustre, SMB and FUSE are.

    >>> on_network(b"/proc")
    False
    """
    return is_on_network(path)


def read_ahead(path) -> int:
    """Return how many bytes the kernel reads ahead in the files of a directory; 0 if it is not known.

    >>> read_ahead(b"/proc")
    0
    """
    return read_ahead_of(path)
