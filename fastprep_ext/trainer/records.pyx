"""Records of tables, sorted; any number of them merged; checked; and read into Python."""

cdef inline size_t varint_bytes(uint64_t number) noexcept nogil:
    return highest_bit(number | 1) // 7 + 1


cdef inline size_t put_varint(uint8_t *out, size_t at, uint64_t number) noexcept nogil:
    while number >= 0x80:
        out[at] = <uint8_t>(number | 0x80)
        number >>= 7
        at += 1
    out[at] = <uint8_t>number
    return at + 1


# Return where the number ends, 0 if it is damaged.
cdef inline size_t get_varint(const uint8_t *bytes, size_t at, size_t size, uint64_t *number) noexcept nogil:
    cdef int shift = 0
    number[0] = 0
    while at < size and shift < 63:
        number[0] |= <uint64_t>(bytes[at] & 0x7F) << shift
        at += 1
        if bytes[at - 1] < 0x80:
            return at
        shift += 7
    return 0


cdef size_t record_bytes(const Record *record) noexcept nogil:
    return varint_bytes(record.n) + varint_bytes(record.count) + record.n


cdef size_t record_read(const uint8_t *at_bytes, size_t at, size_t size, Record *record) noexcept nogil:
    cdef uint64_t n
    at = get_varint(at_bytes, at, size, &n)
    if at == 0:
        return 0
    at = get_varint(at_bytes, at, size, &record.count)
    if at == 0 or n == 0 or n > size - at or record.count == 0:
        return 0
    record.piece, record.n = at_bytes + at, n
    return at + n


cdef size_t record_write(uint8_t *out, size_t at, size_t room, const Record *record) noexcept nogil:
    if record_bytes(record) > room - at:
        return 0
    at = put_varint(out, at, record.n)
    at = put_varint(out, at, record.count)
    memcpy(out + at, record.piece, record.n)
    return at + record.n


cdef int piece_order(const Record *a, const Record *b) noexcept nogil:
    cdef int order = memcmp(a.piece, b.piece, min(a.n, b.n))
    if order:
        return order
    return (a.n > b.n) - (a.n < b.n)


# -- the order of a table ----------------------------------------------------------------------------

# A piece by its first eight bytes, as a number that has their order.
cdef struct Leading:
    uint64_t prefix
    size_t at              # its place in the table


cdef inline uint64_t prefix_of(const uint8_t *piece, size_t n) noexcept nogil:
    cdef uint64_t prefix = 0
    cdef size_t i
    for i in range(min(n, <size_t>8)):
        prefix |= <uint64_t>piece[i] << (56 - 8 * i)
    return prefix


cdef void leading_record(const PieceTable *table, const Leading *item, Record *record) noexcept nogil:
    cdef size_t at = item.at
    table_next(table, &at, record)


# Sort by radix, lowest byte first: 8 passes over 16 bytes per piece, fewer where all pieces have the same
# byte. Returns the array, of the two, that is sorted.
cdef Leading *sort_prefixes(Leading *items, Leading *spare, size_t count) noexcept nogil:
    cdef size_t starts[256]
    cdef size_t i, total, amount
    cdef int shift = 0
    cdef Leading *other
    while shift < 64:
        memset(starts, 0, sizeof(starts))
        for i in range(count):
            starts[items[i].prefix >> shift & 0xFF] += 1
        if count and starts[items[0].prefix >> shift & 0xFF] < count:
            total = 0
            for i in range(256):
                amount = starts[i]
                starts[i] = total
                total += amount
            for i in range(count):
                spare[starts[items[i].prefix >> shift & 0xFF]] = items[i]
                starts[items[i].prefix >> shift & 0xFF] += 1
            other = items
            items = spare
            spare = other
        shift += 8
    return items


# Sort a run of pieces with the same first eight bytes: by heap, so that no run is slow.
cdef void sort_run(const PieceTable *table, Leading *items, size_t count) noexcept nogil:
    cdef size_t i, end
    cdef Leading held
    i = count // 2
    while i > 0:
        i -= 1
        sift_run(table, items, i, count)
    end = count
    while end > 1:
        end -= 1
        held = items[0]
        items[0] = items[end]
        items[end] = held
        sift_run(table, items, 0, end)


cdef void sift_run(const PieceTable *table, Leading *items, size_t at, size_t count) noexcept nogil:
    cdef size_t child
    cdef Leading held = items[at]
    while True:
        child = 2 * at + 1
        if child >= count:
            break
        if child + 1 < count and leading_order(table, &items[child], &items[child + 1]) < 0:
            child += 1
        if leading_order(table, &held, &items[child]) >= 0:
            break
        items[at] = items[child]
        at = child
    items[at] = held


cdef int leading_order(const PieceTable *table, const Leading *a, const Leading *b) noexcept nogil:
    cdef Record one, other
    leading_record(table, a, &one)
    leading_record(table, b, &other)
    return piece_order(&one, &other)


# Write the records of a table, sorted, to `out`, which must have table_bytes of room. False without memory.
cdef bint write_table(const PieceTable *table, uint8_t *out) noexcept nogil:
    cdef Leading *memory = <Leading *>malloc(2 * (table.used + 1) * sizeof(Leading))
    cdef Leading *items
    cdef Record record
    cdef size_t i, j, count = 0, at = 0
    if memory == NULL:
        return False
    while table_next(table, &at, &record):
        memory[count].at = at - 1
        memory[count].prefix = prefix_of(record.piece, record.n)
        count += 1
    at = 0
    items = sort_prefixes(memory, memory + table.used, count)
    i = 0
    while i < count:
        j = i + 1
        while j < count and items[j].prefix == items[i].prefix:
            j += 1
        if j > i + 1:
            sort_run(table, items + i, j - i)
        i = j
    for i in range(count):
        leading_record(table, &items[i], &record)
        at = put_varint(out, at, record.n)
        at = put_varint(out, at, record.count)
        memcpy(out + at, record.piece, record.n)
        at += record.n
    free(memory)
    return True


cdef size_t table_bytes(const PieceTable *table) noexcept nogil:
    cdef Record record
    cdef size_t at = 0, total = 0
    while table_next(table, &at, &record):
        total += record_bytes(&record)
    return total


# -- many at once ------------------------------------------------------------------------------------

cdef struct Stream:
    const uint8_t *bytes
    size_t size
    size_t at              # where the record after `record` starts
    uint64_t weight
    Record record


cdef enum:
    MERGE_DAMAGED = -1
    MERGE_OVERFLOW = -2


cdef class RecordMerge:
    """The sum of several buffers of records, each times a weight, in records of its own.

    Parameters
    ----------
    sources : sequence of buffers
        Records, in order.
    weights : sequence of int
        By which the counts of each are multiplied, at least 1.

    >>> one = records_of({b"a": 2, b"b": 1})
    >>> merge = RecordMerge([one, one], [1, 3])
    >>> list_records(merge.next(100), 0, 10)
    ([(b'a', 8), (b'b', 4)], 6)
    >>> merge.next(100)
    b''
    """

    cdef list held
    cdef Stream *streams
    cdef size_t *heap          # numbers of streams, the one with the smallest piece first
    cdef size_t waiting
    cdef readonly object pieces
    cdef readonly object total
    cdef readonly object size  # bytes of all pieces

    def __cinit__(self, sources not None, weights not None):
        cdef Array array
        cdef Py_ssize_t i, count = len(sources)
        self.held = list(map(bytes_array, sources))
        self.streams = <Stream *>calloc(count + 1, sizeof(Stream))
        self.heap = <size_t *>calloc(count + 1, sizeof(size_t))
        if self.streams == NULL or self.heap == NULL:
            raise MemoryError(f"no memory to merge {count} counts")
        self.pieces = self.total = self.size = 0
        for i in range(count):
            array = self.held[i]
            self.streams[i].bytes, self.streams[i].size = <const uint8_t *>array.at, array.count
            self.streams[i].weight = weights[i]
            if array.count and not self.advance(i):
                raise ValueError(f"source {i}: byte 0 does not start a record")
            if array.count:
                self.heap[self.waiting] = i
                self.waiting += 1
        i = self.waiting // 2
        while i > 0:
            i -= 1
            self.sift(i)

    def __dealloc__(self):
        free(self.streams)
        free(self.heap)

    cdef bint advance(self, size_t number) noexcept nogil:
        cdef Stream *stream = &self.streams[number]
        stream.at = record_read(stream.bytes, stream.at, stream.size, &stream.record)
        return stream.at != 0

    cdef void sift(self, size_t at) noexcept nogil:
        cdef size_t child, held = self.heap[at]
        while True:
            child = 2 * at + 1
            if child >= self.waiting:
                break
            if child + 1 < self.waiting and piece_order(
                &self.streams[self.heap[child + 1]].record, &self.streams[self.heap[child]].record
            ) < 0:
                child += 1
            if piece_order(&self.streams[held].record, &self.streams[self.heap[child]].record) <= 0:
                break
            self.heap[at] = self.heap[child]
            at = child
        self.heap[at] = held

    # Add up the records of the smallest piece. 0, or a negative status.
    cdef int take(self, Record *sum) noexcept nogil:
        cdef Stream *stream
        cdef uint64_t more
        cdef size_t at
        sum.count = 0
        sum.piece = self.streams[self.heap[0]].record.piece
        sum.n = self.streams[self.heap[0]].record.n
        while self.waiting and piece_order(&self.streams[self.heap[0]].record, sum) == 0:
            stream = &self.streams[self.heap[0]]
            if stream.record.count > COUNT_LIMIT // stream.weight:
                return MERGE_OVERFLOW
            more = stream.record.count * stream.weight
            if more > COUNT_LIMIT - sum.count:
                return MERGE_OVERFLOW
            sum.count += more
            if stream.at == stream.size:
                self.waiting -= 1
                self.heap[0] = self.heap[self.waiting]
            else:
                at = stream.at
                if not self.advance(self.heap[0]):
                    stream.at = at
                    return MERGE_DAMAGED
                if piece_order(&stream.record, sum) <= 0:
                    stream.at = at
                    return MERGE_DAMAGED
            if self.waiting:
                self.sift(0)
        return 0

    def next(self, size_t room) -> object:
        """Return the next records, of about `room` bytes; empty at the end.

        Raises ValueError for records that are damaged or not in order, OverflowError for a count of
        2**63 or more.
        """
        cdef Record record
        cdef size_t at = 0, pieces = 0, size = 0
        cdef uint64_t total = 0
        cdef int status = 0
        cdef Array out
        if self.waiting == 0:
            return b""
        # A record is written whole: the next one is known before it is taken.
        room = max(room, self.streams[self.heap[0]].record.n + 32)
        made = uninitialized(room)
        out = array_of(made, ITEM_UINT8, True)
        with nogil:
            while self.waiting and self.streams[self.heap[0]].record.n + 32 <= room - at:
                status = self.take(&record)
                if status != 0:
                    break
                at = record_write(<uint8_t *>out.at, at, room, &record)
                pieces += 1
                size += record.n
                total += record.count
                if total >> 63:
                    status = MERGE_OVERFLOW
                    break
        if status == MERGE_DAMAGED:
            raise ValueError(
                f"source {self.heap[0]}: its records are damaged or out of order at byte "
                f"{self.streams[self.heap[0]].at}"
            )
        self.pieces += pieces
        self.total += total
        self.size += size
        if status == MERGE_OVERFLOW or self.total > COUNT_LIMIT:
            raise OverflowError("the counts together are 2**63 or more")
        return made[:at]


cdef zeros(size_t size):
    return b"\0" * size


cdef Array bytes_array(source):
    return array_of(source, ITEM_UINT8)


def list_records(source, size_t start, Py_ssize_t most) -> tuple:
    """Return the next records as a list of pieces with their counts, and where the one after starts.

    >>> list_records(records_of({b"b": 1, b"a": 2}), 0, 10)
    ([(b'a', 2), (b'b', 1)], 6)
    """
    cdef Array bytes = array_of(source, ITEM_UINT8)
    cdef Record record
    cdef size_t at = start
    found = []
    while at < <size_t>bytes.count and len(found) < most:
        start = record_read(<const uint8_t *>bytes.at, at, bytes.count, &record)
        if start == 0:
            raise ValueError(f"byte {at} does not start a record")
        at = start
        found.append(((<const char *>record.piece)[:record.n], record.count))
    return found, at


def record_places(source, size_t start, Py_ssize_t most, size_t most_bytes) -> tuple:
    """Return where the next pieces start and end, their counts, as arrays, and where the record after starts.

    At most `most` pieces, and of more than one piece about `most_bytes`.

    >>> [*map(list, record_places(records_of({b"b": 1, b"a": 2}), 0, 10, 100)[:3])]
    [[2, 5], [3, 6], [2, 1]]
    """
    cdef Array bytes = array_of(source, ITEM_UINT8)
    cdef Record record
    cdef size_t at = start, place, next
    cdef Py_ssize_t count = 0
    starts, stops = array_module("q", zeros(8 * most)), array_module("q", zeros(8 * most))
    counts = array_module("Q", zeros(8 * most))
    cdef Array held_starts = array_of(starts, ITEM_INT64, True), held_stops = array_of(stops, ITEM_INT64, True)
    cdef Array held_counts = array_of(counts, ITEM_UINT64, True)
    while at < <size_t>bytes.count and count < most and (at - start < most_bytes):
        next = record_read(<const uint8_t *>bytes.at, at, bytes.count, &record)
        if next == 0:
            raise ValueError(f"byte {at} does not start a record")
        place = record.piece - <const uint8_t *>bytes.at
        (<int64_t *>held_starts.at)[count] = place
        (<int64_t *>held_stops.at)[count] = place + record.n
        (<uint64_t *>held_counts.at)[count] = record.count
        at = next
        count += 1
    return memoryview(starts)[:count], memoryview(stops)[:count], memoryview(counts)[:count], at


def check_records(source) -> tuple:
    """Check records and their order; return the number of pieces, their bytes and the sum of the counts.

    Raises ValueError for a damaged record.

    >>> check_records(records_of({b"ab": 2, b"c": 1}))
    (2, 3, 3)
    """
    cdef Array bytes = array_of(source, ITEM_UINT8)
    cdef Record record, before
    cdef size_t at = 0, following, pieces = 0, size = 0
    cdef uint64_t total = 0
    cdef bint fine = True
    with nogil:
        while at < <size_t>bytes.count:
            following = record_read(<const uint8_t *>bytes.at, at, bytes.count, &record)
            fine = following != 0 and (pieces == 0 or piece_order(&before, &record) < 0)
            if not fine or record.count > COUNT_LIMIT - total:
                fine = False
                break
            before = record
            pieces += 1
            size += record.n
            total += record.count
            at = following
    if not fine:
        raise ValueError(f"the record at byte {at} is damaged or out of order")
    return pieces, size, total
