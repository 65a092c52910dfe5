"""MergeTrainer: counts of pieces in, merges out."""

cdef enum:
    MAX_START = 1 << 24

# Copy a token to `at`; return where it ends.
cdef inline size_t copy_token(uint8_t *out, size_t at, const uint64_t *ends, size_t token) noexcept nogil:
    cdef size_t size = ends[token] - (ends[token - 1] if token else 0)
    memcpy(out + at, out + ends[token] - size, size)
    return at + size


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
    >>> trainer.run(10), [found.tolist() for found in trainer.pairs()]
    (True, [[97, 98, 256, 256], [5, 2]])
    """

    cdef Training training
    cdef uint16_t order[256]
    cdef double share
    cdef bint loaded
    cdef bint released

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
        cdef Memory held = allocate((len(counters) + 1) * sizeof(void *))
        cdef const PieceTable **tables = <const PieceTable **>held.at
        cdef PieceCounter counter
        cdef Source source
        memset(&source, 0, sizeof(Source))
        source.tables = tables
        for counter in counters:
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
        if not self.loaded or self.released:
            raise ValueError("the trainer has no words")
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

    def pairs(self) -> object:
        """Return the two tokens of each merge, counted from 0, as uint32 [2 * n], and the counts, uint64 [n]."""
        cdef size_t i, n = self.training.n_merges
        cdef Array out, out_counts
        cdef const Merge *merges = self.training.merges
        made, counts = array_module("I", zeros(8 * n)), array_module("Q", zeros(8 * n))
        out, out_counts = array_of(made, ITEM_UINT32, True), array_of(counts, ITEM_UINT64, True)
        for i in range(n):
            (<uint32_t *>out.at)[2 * i] = merges[i].left - 1
            (<uint32_t *>out.at)[2 * i + 1] = merges[i].right - 1
            (<uint64_t *>out_counts.at)[i] = merges[i].count
        return made, counts

    def tokens(self, bytes blob not None, ends) -> object:
        """Return the bytes of all tokens back to back and their ends, given those of the first ones.

        The third value is the length of the left token of each merge, None if one has more than 255.
        """
        cdef Training *training = &self.training
        cdef Array first = array_of(ends, ITEM_UINT64), held_ends
        cdef size_t i, at = len(blob), total = at, known = training.first_merge - 1, left, right, size
        cdef uint64_t *end
        cdef uint8_t *out
        cdef uint8_t *lefts
        cdef bint fits = True
        if <size_t>first.count != known or (<const uint64_t *>first.at)[known - 1] != at:
            raise ValueError(f"training starts from {known} tokens; their ends are {first.count}")
        made_ends = array_module("Q", zeros(8 * (training.n_tokens - 1)))
        held_ends = array_of(made_ends, ITEM_UINT64, True)
        end = <uint64_t *>held_ends.at
        memcpy(end, first.at, known * sizeof(uint64_t))
        made_lefts = PyBytes_FromStringAndSize(NULL, training.n_merges)
        lefts = <uint8_t *>PyBytes_AS_STRING(made_lefts)
        for i in range(training.n_merges):
            left, right = training.merges[i].left - 1, training.merges[i].right - 1
            size = end[left] - (end[left - 1] if left else 0)
            fits = fits and size <= 255
            lefts[i] = <uint8_t>size
            total += size + end[right] - (end[right - 1] if right else 0)
            end[known + i] = total
        made = PyBytes_FromStringAndSize(NULL, total)
        out = <uint8_t *>PyBytes_AS_STRING(made)
        memcpy(out, <const char *>blob, at)
        for i in range(training.n_merges):
            at = copy_token(out, at, end, training.merges[i].left - 1)
            at = copy_token(out, at, end, training.merges[i].right - 1)
        return made, made_ends, made_lefts if fits else None

    def release(self) -> None:
        """Return the memory of words and pairs; the merges remain, and no more can be made."""
        self.released = True
        words_free(&self.training)

    def unused(self) -> int:
        """Return how many of the merged tokens do not occur in the words as they are now merged."""
        cdef Training *training = &self.training
        cdef uint64_t *uses = <uint64_t *>calloc(training.n_tokens, sizeof(uint64_t))
        cdef size_t i, count = 0
        if uses == NULL:
            raise MemoryError("no memory to count tokens")
        if self.released:
            free(uses)
            raise ValueError("the trainer has no words")
        with nogil:
            if training.wide:
                count_uses(training, <uint32_t *>training.tokens, uses)
            else:
                count_uses(training, <uint16_t *>training.tokens, uses)
            for i in range(training.first_merge, training.n_tokens):
                count += uses[i - 1] == 0
            free(uses)
        return count
