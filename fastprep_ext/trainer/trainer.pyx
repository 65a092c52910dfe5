"""MergeTrainer: counts of pieces in, merges out."""

cdef class MergeTrainer:
    """The merges that byte-pair encoding learns from counts of pieces.

    Parameters
    ----------
    order : buffer of uint16, [256]
        The token of each byte, from 1 to 256: of two pairs with equal counts the smaller tokens merge.
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
        self, order, size_t max_merges, uint64_t least, size_t max_length, double floor_share,
        uint64_t seed,
    ):
        cdef Array numbers = array_of(order, ITEM_UINT16)
        cdef Training *training = &self.training
        cdef size_t i, tokens = BYTE_TOKENS + max_merges
        if numbers.count != 256:
            raise ValueError(f"the order has {numbers.count} bytes, not 256")
        for i in range(256):
            self.order[i] = (<uint16_t *>numbers.at)[i]
            if not 1 <= self.order[i] <= 256:
                raise ValueError(f"byte {i} has the token {self.order[i]}; tokens are 1 to 256")
        training.pairs.seed = seed
        training.least = max(least, <uint64_t>1)
        training.max_length = max_length
        training.max_tokens = tokens
        training.n_tokens = training.first_merge = BYTE_TOKENS
        training.wide = tokens > MAX_NARROW
        training.lengths = <uint32_t *>calloc(tokens, sizeof(uint32_t))
        training.merges = <Merge *>calloc(max_merges + 1, sizeof(Merge))
        training.lefts = <Delta *>calloc(tokens, sizeof(Delta))
        training.rights = <Delta *>calloc(tokens, sizeof(Delta))
        training.touched = <uint32_t *>calloc(2 * (tokens + 1), sizeof(uint32_t))
        if training.lengths == NULL or training.merges == NULL or training.lefts == NULL \
                or training.rights == NULL or training.touched == NULL:
            raise MemoryError(f"no memory for {max_merges} merges")
        for i in range(1, BYTE_TOKENS):
            training.lengths[i] = 1
        self.share = floor_share

    def __dealloc__(self):
        training_free(&self.training)

    def load(self, PieceCounter counter not None) -> None:
        """Take the words of a counter, which may be dropped afterwards. Call this, or the other, once."""
        cdef Source source
        memset(&source, 0, sizeof(Source))
        source.table = &counter.table
        self.take(source)

    def load_records(self, records) -> None:
        """Take the words of records. Raises ValueError for damaged ones."""
        cdef Array bytes = array_of(records, ITEM_UINT8)
        cdef Source source
        memset(&source, 0, sizeof(Source))
        source.bytes, source.size = <const uint8_t *>bytes.at, bytes.count
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
