"""PieceCounter: texts in, counts of their pieces out; one per thread."""

cdef enum:
    WHOLE_TEXT = -1        # instead of a pattern: each text is one piece


cdef class PieceCounter:
    """The counts of the pieces of the texts that one thread is given.

    Parameters
    ----------
    pattern : int, Program or None
        One of `fastprep_ext.bpe.PATTERNS`, or a program; None: each text is one piece.
    lines : bool
        Whether each line, with its newline, is split as a text of its own.
    seeds : buffer of uint64, [2]
        Random numbers; counters that are added up need the same.
    max_bytes : int
        The memory of the table, roughly; 0 for no limit.

    >>> from array import array
    >>> counter = PieceCounter(0, False, array("Q", [1, 2]))
    >>> from fastprep_ext.base import Rows
    >>> rows = Rows()
    >>> rows.append(b"to be or not to be", 0)
    >>> counter.count(rows, None)
    >>> list_records(counter.records(), 0, 10)[0]
    [(b' be', 2), (b' not', 1), (b' or', 1), (b' to', 1), (b'to', 1)]
    """

    cdef PieceTable table
    cdef object splitter
    cdef int pattern
    cdef bint lines
    # The place in the texts that are being counted.
    cdef Py_ssize_t row
    cdef size_t line           # where the current text of the splitter starts in the row
    cdef bint open
    cdef Split split
    cdef size_t ends[PIECES_BATCH]
    cdef size_t pieces         # in `ends`, not counted yet
    cdef size_t begin

    def __cinit__(self, pattern, bint lines, seeds, size_t max_bytes=0):
        cdef Array numbers = array_of(seeds, ITEM_UINT64)
        if numbers.count != 2:
            raise ValueError(f"a table has 2 seeds, not {numbers.count}")
        self.splitter = pattern
        self.pattern = WHOLE_TEXT if pattern is None else pattern_number(pattern)
        self.lines = lines
        if table_begin(&self.table, <const uint64_t *>numbers.at, max_bytes) != TABLE_OK:
            raise MemoryError("no memory for a table of pieces")

    def __dealloc__(self):
        table_free(&self.table)

    def __len__(self):
        """Return the number of distinct pieces."""
        return self.table.used

    @property
    def memory(self) -> int:
        """The bytes of the table."""
        return self.table.capacity * sizeof(PieceLine) + self.table.room

    def count(self, Rows rows not None, spill) -> None:
        """Count the pieces of texts; `spill(records)` is called whenever the table is full.

        Releases the GIL. Raises InvalidUtf8 and BadVocabulary as the splitters do, naming the text.
        """
        cdef int status
        self.row, self.pieces, self.open = 0, 0, False
        while True:
            with nogil:
                status = count_rows(self, rows.bytes, rows.starts, rows.stops, rows.count)
            if status == TABLE_FULL:
                spill(self.records())
                continue
            if status == TABLE_NO_MEMORY:
                raise MemoryError(f"no memory for a table of more than {self.table.used} pieces")
            if self.open and (self.split.invalid or self.split.failure):
                self.split.at += self.line
                check_split(&self.split, self.row)
            return

    def add_items(self, items, spill) -> None:
        """Add counts, of pairs of a piece and its count, which must be checked."""
        cdef bytes piece
        cdef uint64_t count
        cdef int status
        for piece, count in items:
            status = table_reserve(&self.table, len(piece))
            if status == TABLE_FULL:
                spill(self.records())
                status = table_reserve(&self.table, len(piece))
            check_table(status, &self.table)
            check_table(
                table_add(&self.table, <const uint8_t *><const char *>piece, len(piece), count), &self.table
            )

    def add_part(self, counters, size_t part, size_t parts) -> None:
        """Add the counts of other counters with the same seeds, of one of `parts` parts of all hashes.

        Releases the GIL. The parts of different numbers share no piece. Raises OverflowError.
        """
        cdef PieceCounter other
        cdef int status
        cdef size_t most = 0
        for other in counters:
            most = max(most, other.table.used)
        # Growing step by step would take longer than the adding does.
        with nogil:
            status = table_reserve_pieces(&self.table, most // parts)
        check_table(status, &self.table)
        for other in counters:
            if self.table.seeds[0] != other.table.seeds[0] or self.table.seeds[1] != other.table.seeds[1]:
                raise ValueError("the counters have different seeds")
            with nogil:
                status = table_add_table(&self.table, &other.table, part, parts)
            check_table(status, &self.table)

    def records(self) -> object:
        """Return all counts as records, and forget them."""
        cdef Array out
        cdef bint done
        made = uninitialized(table_bytes(&self.table))
        out = array_of(made, ITEM_UINT8, True)
        with nogil:
            done = write_table(&self.table, <uint8_t *>out.at)
        if not done:
            raise MemoryError(f"no memory to sort {self.table.used} pieces")
        table_clear(&self.table)
        return made


cdef int check_table(int status, const PieceTable *table) except -1:
    if status == TABLE_NO_MEMORY or status == TABLE_FULL:
        raise MemoryError(f"no memory for a table of more than {table.used} pieces")
    if status == TABLE_OVERFLOW:
        raise OverflowError("the count of a piece is 2**63 or more")
    return 0


# Count from where the last call stopped. TABLE_OK also where the splitter stopped at an error.
cdef int count_rows(
    PieceCounter self, const uint8_t *bytes, const int64_t *starts, const int64_t *stops, Py_ssize_t rows
) noexcept nogil:
    cdef const uint8_t *text
    cdef size_t size, n
    cdef int status
    while self.row < rows:
        text, size = bytes + starts[self.row], stops[self.row] - starts[self.row]
        if not self.open:
            self.line = 0
            begin_line(self, text, size)
        while True:
            if self.pieces == 0:
                if self.pattern != WHOLE_TEXT:
                    self.pieces = split_next(&self.split, self.ends, PIECES_BATCH)
                elif not self.split.done:
                    self.ends[0], self.pieces, self.split.done = self.split.n, self.split.n > 0, True
            if self.pieces == 0:
                if self.split.invalid or self.split.failure:
                    return TABLE_OK
                self.line += self.split.n
                if self.line >= size:
                    break
                begin_line(self, text, size)
                continue
            n = self.ends[self.pieces - 1] - self.begin
            status = table_reserve(&self.table, n)
            if status != TABLE_OK:
                return status
            table_count(
                &self.table, text + self.line, size - self.line, self.begin, self.ends, self.pieces
            )
            self.begin += n
            self.pieces = 0
        self.open = False
        self.row += 1
    return TABLE_OK


# Start to split the text, or the line, that starts at byte `line` of a row.
cdef void begin_line(PieceCounter self, const uint8_t *text, size_t size) noexcept nogil:
    cdef const uint8_t *newline
    cdef size_t n = size - self.line
    # The splitter of r50k can end texts at newlines by itself (by lines counting takes 0.6 times the time).
    cdef bint at_once = self.pattern == PATTERN_R50K and memchr(text, c'\r', size) == NULL
    if self.lines and n and not at_once:
        newline = <const uint8_t *>memchr(text + self.line, c'\n', n)
        if newline != NULL:
            n = newline - (text + self.line) + 1
    self.begin = 0
    self.open = True
    if self.pattern == WHOLE_TEXT:
        self.split.n, self.split.done, self.split.invalid, self.split.failure = n, False, False, 0
    else:
        split_begin(&self.split, self.pattern, text + self.line, n)
        if self.lines and at_once:
            self.split.lines = ~<uint64_t>0


def records_of(counts) -> object:
    """Return the records of a mapping from pieces, as bytes, to counts of at least 1.

    >>> bytes(records_of({b"b": 1, b"a": 2}))
    b'\\x01\\x02a\\x01\\x01b'
    """
    counter = PieceCounter(None, False, array_module("Q", os.urandom(16)))
    counter.add_items(counts.items(), None)
    return counter.records()
