"""Pieces that are runs of characters: `fastprep.vocabulary.run_rules` makes the rules, and proves them."""


cdef void runs_begin(Split *self) noexcept nogil:
    self.before = MAX_RUN_CLASSES
    check_utf8(self)


# The cut before a character needs the class of the next one, so it is written one step later, and
# without a branch: a cut that is none is overwritten.
cdef size_t runs_next(Split *self, size_t *ends, size_t capacity) noexcept nogil:
    cdef const Runs *runs = <const Runs *>self.rules
    cdef const uint8_t *text = self.text
    cdef size_t at = self.at, n = self.n, next, length, count = 0
    cdef uint32_t point, before = self.before, here, after
    cdef bint cut
    if self.invalid or self.done:
        return 0
    next = at + character_at(text, at, &point)
    here = runs.classes[point]
    while next < n and capacity - count >= RUN_ENDS:
        length = character_at(text, next, &point)
        after = runs.classes[point]
        cut = (runs.cuts[before] >> here | runs.takers[here] >> after) & 1
        if runs.digit_bytes:
            cut |= cut_digit_bytes(self, at)
        ends[count] = at
        count += cut & (at > 0)
        if runs.digit_bytes and next - at > 1:
            count += cut_within(text, at, next, ends + count)
        at = next
        next += length
        before = here
        here = after
    self.at = at
    self.before = before
    if next < n:
        return count
    cut = runs.cuts[before] >> here & 1
    if runs.digit_bytes:
        cut |= cut_digit_bytes(self, at)
    ends[count] = at
    count += cut & (at > 0)
    if runs.digit_bytes and n - at > 1:
        count += cut_within(text, at, n, ends + count)
    ends[count] = n
    self.at = n
    self.done = True
    return count + 1


# Return whether the byte alphabet writes a byte as a digit: 0 to 9, and U+00B2 B3 B9 BC BD BE.
cdef inline bint is_digit_byte(uint8_t byte) noexcept nogil:
    return 0x30 <= byte <= 0x39 or (0xB2 <= byte <= 0xBE and 0x1C83 >> (byte - 0xB2) & 1)


cdef inline bint is_ascii_digit(uint8_t byte) noexcept nogil:
    return 0x30 <= byte <= 0x39


# Return whether text is cut before the first byte of the character at `at`.
cdef inline bint cut_digit_bytes(Split *self, size_t at) noexcept nogil:
    cdef const uint8_t *text = self.text + at
    cdef bint digit = is_ascii_digit(text[0]), cut
    cdef bint after_digit = at > 0 and is_digit_byte((text - 1)[0])
    if not digit:
        return after_digit
    if not after_digit:
        self.digits_in_group = 1
        return True
    if is_ascii_digit((text - 1)[0]):
        cut = self.digits_in_group == 3
        self.digits_in_group = 1 if cut else self.digits_in_group + 1
        return cut
    # Three digits are a piece also after another digit, fewer are not.
    self.digits_in_group = 1
    return at + 3 <= self.n and is_ascii_digit(text[1]) and is_ascii_digit(text[2])


# Write the cuts within a character of several bytes; return how many.
cdef inline size_t cut_within(
    const uint8_t *text, size_t at, size_t end, size_t *ends
) noexcept nogil:
    cdef size_t count = 0
    cdef bint last = is_digit_byte(text[at]), digit
    for at in range(at + 1, end):
        digit = is_digit_byte(text[at])
        ends[count] = at
        count += digit != last
        last = digit
    return count


cdef class RunSplitter(GivenSplitter):
    """Where text is cut between characters of some classes; takes the place of a number of PATTERNS.

    Parameters
    ----------
    classes : buffer of uint8, [0x110000]
        the class of each code point.
    cuts, takers : buffers of uint32, [classes]
        for each class the bits of those before which text is cut after it; for each class those that,
        after a character of it, cause a cut before that character.
    digit_bytes : bool
        whether text is also cut at bytes that the byte alphabet writes as digits.
    """

    cdef Runs held
    cdef Array classes

    def __cinit__(self, classes, cuts, takers, bint digit_bytes):
        cdef Array held_cuts = array_of(cuts, ITEM_UINT32), held_takers = array_of(takers, ITEM_UINT32)
        cdef Py_ssize_t i, count = held_cuts.count
        self.classes = array_of(classes, ITEM_UINT8)
        if self.classes.count != 0x110000 or count > MAX_RUN_CLASSES or held_takers.count != count:
            raise ValueError(f"{self.classes.count} code points, {count} and {held_takers.count} classes")
        self.held.classes = <const uint8_t *>self.classes.at
        for i in range(0x110000):
            if self.held.classes[i] >= count:
                raise ValueError(f"class {self.held.classes[i]} of {count}")
        for i in range(count):
            self.held.cuts[i] = (<const uint32_t *>held_cuts.at)[i]
            self.held.takers[i] = (<const uint32_t *>held_takers.at)[i]
        self.held.digit_bytes = digit_bytes
        self.enter(&self.held, runs_begin, runs_next)
