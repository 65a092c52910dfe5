"""MergeTrainer: counts of pieces in, merges out."""

cdef enum:
    MAX_START = 1 << 24
    MAX_TABLES = 256

cdef class MergeTrainer:
    """The merges that byte-pair encoding learns from counts of pieces.

    Parameters
    ----------
    start : buffer of uint16, [256], or of uint32, [n]
        The token of each byte, from 1 to 256: of two pairs with equal counts the smaller tokens merge. Or
        the bytes of each token of the vocabulary that training starts from; then words are in its tokens.
    max_merges : int
        The largest number of merges.
    least : int
        The smallest count at which a pair is merged, at least 1.
    max_length : int
        A pair with a merged token is merged only if it has fewer bytes; 0 for no limit.
    floor_share : float
        Of the count that the last of the merges has if counts fall as in Zipf's law: pairs below it are
        listed only when all others are merged. It changes the speed, not the merges; negative for a
        floor higher than any count.
    seed : int
        A random number.

    >>> from array import array
    >>> trainer = MergeTrainer(array("H", range(1, 257)), 3, 1, 0, 0.05, 1)
    >>> trainer.load_records(records_of({b"abab": 2, b"ab": 1}))
    >>> trainer.run(10), trainer.merges().tolist()
    (True, [98, 99, 5, 257, 257, 2])
    """

    cdef Training training
    cdef uint16_t order[256]
    cdef double share
    cdef bint loaded

    def __cinit__(
        self, start, size_t max_merges, uint64_t least, size_t max_length, double floor_share,
        uint64_t seed,
    ):
        cdef Training *training = &self.training
        cdef size_t i, tokens
        training.first_merge = self.begin(start, max_merges)
        tokens = training.first_merge + max_merges
        training.pairs.seed = seed
        training.least = max(least, <uint64_t>1)
        training.max_length = max_length
        training.max_tokens = tokens
        training.n_tokens = training.first_merge
        training.wide = tokens > MAX_NARROW
        training.lengths = <uint32_t *>calloc(tokens, sizeof(uint32_t))
        training.merges = <Merge *>calloc(max_merges + 1, sizeof(Merge))
        training.lefts = <Delta *>calloc(tokens, sizeof(Delta))
        training.rights = <Delta *>calloc(tokens, sizeof(Delta))
        training.touched = <uint32_t *>calloc(2 * (tokens + 1), sizeof(uint32_t))
        if training.lengths == NULL or training.merges == NULL or training.lefts == NULL \
                or training.rights == NULL or training.touched == NULL:
            raise MemoryError(f"no memory for {max_merges} merges")
        for i in range(1, training.first_merge):
            training.lengths[i] = 1
        self.share = floor_share

    # Take the order of the bytes, or the sizes of the first tokens; return the number of the first merge.
    cdef size_t begin(self, start, size_t max_merges) except 0:
        cdef Array numbers
        cdef size_t i
        if memoryview(start).itemsize == 4:
            numbers = array_of(start, ITEM_UINT32)
            if not 0 < numbers.count < MAX_START:
                raise ValueError(f"training starts from 1 to {MAX_START - 1} tokens, not {numbers.count}")
            self.training.sizes = <uint32_t *>calloc(numbers.count + 1 + max_merges, sizeof(uint32_t))
            if self.training.sizes == NULL:
                raise MemoryError(f"no memory for {numbers.count} tokens")
            memcpy(self.training.sizes + 1, numbers.at, numbers.count * sizeof(uint32_t))
            return numbers.count + 1
        numbers = array_of(start, ITEM_UINT16)
        if numbers.count != 256:
            raise ValueError(f"the order has {numbers.count} bytes, not 256")
        for i in range(256):
            self.order[i] = (<uint16_t *>numbers.at)[i]
            if not 1 <= self.order[i] <= 256:
                raise ValueError(f"byte {i} has the token {self.order[i]}; tokens are 1 to 256")
        return BYTE_TOKENS

    def __dealloc__(self):
        training_free(&self.training)

    def load(self, counters) -> None:
        """Take the words of counters that share no piece; they may be dropped afterwards.

        Words are taken once, by this method or one of the next two.
        """
        cdef const PieceTable *tables[MAX_TABLES]
        cdef PieceCounter counter
        cdef Source source
        memset(&source, 0, sizeof(Source))
        source.tables = tables
        for counter in counters:
            if source.n_tables == MAX_TABLES:
                raise ValueError(f"more than {MAX_TABLES} counters")
            tables[source.n_tables] = &counter.table
            source.n_tables += 1
        self.take(source)

    def load_records(self, records) -> None:
        """Take the words of records. Raises ValueError for damaged ones."""
        cdef Array bytes = array_of(records, ITEM_UINT8)
        cdef Source source
        memset(&source, 0, sizeof(Source))
        source.bytes, source.size = <const uint8_t *>bytes.at, bytes.count
        self.take(source)

    def load_words(self, tokens, ends, counts) -> None:
        """Take words in tokens, which are counted from 0; back to back, with their ends and counts."""
        cdef Array held = array_of(tokens, ITEM_UINT32), words = array_of(ends, ITEM_UINT64)
        cdef Array weights = array_of(counts, ITEM_UINT64)
        cdef Source source
        cdef Py_ssize_t i
        memset(&source, 0, sizeof(Source))
        source.units, source.size = <const uint32_t *>held.at, words.count
        source.ends, source.counts = <const uint64_t *>words.at, <const uint64_t *>weights.at
        if self.training.sizes == NULL or weights.count != words.count:
            raise ValueError("words in tokens need their sizes, and a count each")
        for i in range(held.count):
            if source.units[i] >= self.training.first_merge - 1:
                raise ValueError(f"{source.units[i]} is not one of the first tokens")
        for i in range(words.count):
            if source.ends[i] < (source.ends[i - 1] if i else 0) or source.ends[i] > <uint64_t>held.count \
                    or source.counts[i] == 0:
                raise ValueError(f"word {i} has no end within the tokens, or no count")
        self.take(source)

    cdef int take(self, Source source) except -1:
        cdef int status
        cdef Training *training = &self.training
        cdef double floor
        if self.loaded:
            raise ValueError("a trainer takes words once")
        self.loaded = True
        with nogil:
            status = fill_words(training, source, self.order)
        self.check(status)
        floor = <double>training.total
        if self.share >= 0:
            floor *= self.share / (training.max_tokens * log(<double>training.max_tokens))
        training.floor = max(training.least, <uint64_t>floor)
        return 0

    def run(self, size_t most) -> bool:
        """Make up to `most` more merges; return whether that was the end. Releases the GIL."""
        cdef int status = TRAIN_OK
        cdef Training *training = &self.training
        if not self.loaded:
            raise ValueError("the trainer has no words yet")
        with nogil:
            if training.pairs.slots == NULL:
                status = collect(training)
            if status == TRAIN_OK:
                status = train(training, most)
        self.check(status)
        return status == TRAIN_DONE

    cdef int check(self, int status) except -1:
        if status == TRAIN_NO_MEMORY:
            raise MemoryError(f"no memory to merge pairs in {self.training.places} bytes of words")
        if status == TRAIN_TOO_LARGE:
            raise OverflowError("the distinct pieces have 2**32 bytes or more")
        if status == TRAIN_OVERFLOW:
            raise OverflowError("the counts of all pairs together are 2**63 or more")
        if status == TRAIN_DAMAGED:
            raise ValueError("the records are damaged")
        return 0

    def __len__(self):
        """Return the number of merges made so far."""
        return self.training.n_merges

    @property
    def places(self) -> int:
        """The bytes of all words, with one more per word."""
        return self.training.places

    @property
    def rescans(self) -> int:
        """The number of times that all words were scanned again, with a lower floor."""
        return self.training.rescans

    def merges(self) -> object:
        """Return left token, right token and count of each merge, as uint64."""
        cdef size_t i
        cdef Array out
        made = uninitialized(3 * sizeof(uint64_t) * self.training.n_merges).cast("Q")
        out = array_of(made, ITEM_UINT64, True)
        for i in range(self.training.n_merges):
            (<uint64_t *>out.at)[3 * i] = self.training.merges[i].left
            (<uint64_t *>out.at)[3 * i + 1] = self.training.merges[i].right
            (<uint64_t *>out.at)[3 * i + 2] = self.training.merges[i].count
        return made

    def uses(self) -> object:
        """Return how often each token occurs in the words as they are now merged, as uint64.

        Words of one byte, or of one of the first tokens, are not among the words of a trainer.
        """
        cdef Training *training = &self.training
        cdef Array out
        if not self.loaded:
            raise ValueError("the trainer has no words yet")
        made = uninitialized(sizeof(uint64_t) * (training.n_tokens - 1)).cast("Q")
        out = array_of(made, ITEM_UINT64, True)
        memset(out.at, 0, sizeof(uint64_t) * (training.n_tokens - 1))
        with nogil:
            if training.wide:
                count_uses(training, <uint32_t *>training.tokens, <uint64_t *>out.at)
            else:
                count_uses(training, <uint16_t *>training.tokens, <uint64_t *>out.at)
        return made
