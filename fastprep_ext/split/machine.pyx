"""The machine that runs programs, and the chains of patterns."""

cdef extern from "base/utf8_check.h" nogil:
    int is_utf8(const uint8_t *text, size_t n)

cdef enum:
    NO_MATCH = -1
    STACK = 64               # entries on the C stack; more are allocated
    # Characters and ways that may be tried for a text, and more for each of its bytes: patterns that
    # are in use need some ten per byte.
    MAX_STEPS = 10000000
    MAX_STEPS_PER_BYTE = 1000

# Where to continue if what follows does not match. A span gives back one character after the other
# until `floor`, or takes one more (`more` of them, lazily).
cdef struct Choice:
    int32_t pc
    int32_t more
    size_t at
    size_t floor

cdef struct Machine:
    const Code *code
    const uint8_t *text
    size_t start             # the text that conditions see
    size_t end
    Choice *stack
    size_t depth
    size_t capacity
    Choice *allocated
    size_t steps             # that are left
    bint of_bytes            # each byte is a character: the code point of its number
    int failure


# Return the length of the character at `at` if it is in the set, else 0.
cdef inline size_t in_set(const Machine *self, int32_t number, size_t at) noexcept nogil:
    cdef uint32_t point
    cdef size_t length
    cdef const uint8_t *text = self.text + at
    if at >= self.end:
        return 0
    point = text[0]
    if point < 0x80:
        return self.code.ascii[2 * number + (point >> 6)] >> (point & 63) & 1
    if unlikely(self.of_bytes):
        length = 1
    elif point < 0xE0:
        point = (point & 0x1F) << 6 | (text[1] & 0x3F)
        length = 2
    elif point < 0xF0:
        point = (point & 0x0F) << 12 | <uint32_t>(text[1] & 0x3F) << 6 | (text[2] & 0x3F)
        length = 3
    else:
        point = (point & 0x07) << 18 | <uint32_t>(text[1] & 0x3F) << 12 \
            | <uint32_t>(text[2] & 0x3F) << 6 | (text[3] & 0x3F)
        length = 4
    cdef size_t block = self.code.stages[<size_t>number * STAGE + (point >> 8)]
    return length if self.code.blocks[block * 32 + (point >> 3 & 31)] >> (point & 7) & 1 else 0


# Return the length of the characters from `at` on that are in a set, until `count` of them are `most`.
cdef inline size_t span(
    const Machine *self, int32_t number, int32_t most, size_t at, int32_t *count
) noexcept nogil:
    cdef const uint64_t *ascii = self.code.ascii + 2 * number
    cdef size_t first = at, length
    cdef uint8_t byte
    while count[0] < most and at < self.end:
        byte = self.text[at]
        length = ascii[byte >> 6] >> (byte & 63) & 1 if byte < 0x80 else in_set(self, number, at)
        if length == 0:
            break
        at += length
        count[0] += 1
    return at - first


# Return where the character before `at` starts.
cdef inline size_t one_back(const Machine *self, size_t at) noexcept nogil:
    at -= 1
    while self.text[at] & 0xC0 == 0x80 and not self.of_bytes:
        at -= 1
    return at


cdef inline bint in_word(const Machine *self, size_t at) noexcept nogil:
    return in_set(self, 0, at) != 0


cdef bint is_at(const Machine *self, int32_t place, size_t at) noexcept nogil:
    cdef bint before
    if place == AT_START:
        return at == self.start
    if place == AT_END:
        return at == self.end
    if place == AT_LINE_START:
        return at == self.start or self.text[at - 1] == 0x0A
    if place == AT_LINE_END:
        return at == self.end or self.text[at] == 0x0A
    if place == AT_LAST_LINE_END:
        return at == self.end or (at + 1 == self.end and self.text[at] == 0x0A)
    before = at > self.start and in_word(self, one_back(self, at))
    return (before != in_word(self, at)) == (place == AT_WORD_EDGE)


cdef bint push(Machine *self, int32_t pc, size_t at, size_t floor, int32_t more) noexcept nogil:
    cdef Choice *larger
    if self.depth == self.capacity:
        larger = <Choice *>realloc(self.allocated, 2 * self.capacity * sizeof(Choice))
        if larger == NULL:
            self.failure = SPLIT_NO_MEMORY
            return False
        if self.allocated == NULL:
            memcpy(larger, self.stack, self.depth * sizeof(Choice))
        self.allocated = self.stack = larger
        self.capacity *= 2
    self.stack[self.depth] = Choice(pc, more, at, floor)
    self.depth += 1
    return True


# Return where the match of the instructions from `pc` on ends that starts at `at`, or NO_MATCH.
# Blocks of instructions call this again: as deep as the pattern is nested.
cdef Py_ssize_t run(Machine *self, int32_t pc, size_t at) noexcept nogil:
    cdef const int32_t *code = self.code.code
    cdef size_t base = self.depth, length, before, floor
    cdef Py_ssize_t found
    cdef int32_t op, count, k
    cdef bint fails
    cdef Choice *choice
    while True:
        op = code[pc]
        fails = False
        if op == OP_ONE:
            length = in_set(self, code[pc + 1], at)
            at += length
            pc += 2
            fails = length == 0
        elif op == OP_SPAN:
            count = 0
            at += span(self, code[pc + 1], code[pc + 2], at, &count)
            floor = at
            fails = count < code[pc + 2]
            if not fails and code[pc + 4] != LAZY:
                at += span(self, code[pc + 1], code[pc + 3], at, &count)
            if self.steps < <size_t>count:
                self.failure = SPLIT_TOO_MANY_STEPS
                fails = True
            self.steps -= count
            if not fails:
                if code[pc + 4] == GREEDY:
                    if at > floor and not push(self, pc + 5, at, floor, 0):
                        return NO_MATCH
                elif code[pc + 4] == LAZY and code[pc + 3] > count:
                    if not push(self, pc, at, 0, code[pc + 3] - count):
                        return NO_MATCH
                pc += 5
        elif op == OP_IF:
            pc = pc + 3 if in_set(self, code[pc + 1], at) else code[pc + 2]
        elif op == OP_SPLIT:
            if not push(self, code[pc + 2], at, at, 0):
                return NO_MATCH
            pc = code[pc + 1]
        elif op == OP_JUMP:
            pc = code[pc + 1]
        elif op == OP_MATCH:
            self.depth = base
            return at
        elif op == OP_ATOMIC:
            found = run(self, pc + 2, at)
            fails = found < 0
            if not fails:
                at = found
            pc = code[pc + 1]
        elif op == OP_LOOK_AHEAD:
            fails = (run(self, pc + 3, at) >= 0) == code[pc + 1]
            pc = code[pc + 2]
        elif op == OP_LOOK_BEHIND:
            before = at
            k = 0
            while k < code[pc + 2] and before > self.start:
                before = one_back(self, before)
                k += 1
            fails = (k == code[pc + 2] and run(self, pc + 4, before) >= 0) == code[pc + 1]
            pc = code[pc + 3]
        else:
            fails = not is_at(self, code[pc + 1], at)
            pc += 2
        if not fails:
            continue
        # The last choice with a way left.
        while True:
            if self.failure or self.depth == base:
                self.depth = base
                return NO_MATCH
            if self.steps == 0:
                self.failure = SPLIT_TOO_MANY_STEPS
                continue
            self.steps -= 1
            choice = &self.stack[self.depth - 1]
            at = choice.at
            pc = choice.pc
            if choice.more:
                length = in_set(self, code[pc + 1], at)
                if length == 0:
                    self.depth -= 1
                    continue
                at += length
                choice.at = at
                choice.more -= 1
                if choice.more == 0:
                    self.depth -= 1
                pc += 5
                break
            if at == choice.floor:
                self.depth -= 1
                break  # the second way of a split
            at = one_back(self, at)
            choice.at = at
            if at == choice.floor:
                self.depth -= 1
            break


# Return the end of the match of a pattern that starts at `at`, or NO_MATCH.
cdef inline Py_ssize_t match_at(Machine *self, int pattern, size_t at) noexcept nogil:
    cdef const int32_t *entries = self.code.entries + pattern * (MAX_OPTIONS + 1)
    cdef uint32_t options
    cdef Py_ssize_t end
    if at == self.end:
        options = <uint32_t>((<uint64_t>1 << entries[0]) - 1)
    else:
        options = self.code.firsts[pattern * 256 + self.text[at]]
    while options:
        end = run(self, entries[1 + lowest_bit(options)], at)
        if end >= 0:
            return end
        options &= options - 1
    return NO_MATCH


# Return the end of the next piece of a level; 0 if there is none, or on a failure.
cdef size_t next_end(Machine *self, Level *levels, int number) noexcept nogil:
    cdef Level *level = &levels[number]
    cdef size_t at, end
    cdef Py_ssize_t found
    if level.at == level.end:
        if number == 0:
            return 0
        end = next_end(self, levels, number - 1)
        if end == 0:
            return 0
        level.start = level.at
        level.end = end
    if level.pending:
        level.at = level.pending
        level.pending = 0
        return level.at
    self.start = level.start
    self.end = level.end
    self.of_bytes = number >= self.code.of_bytes
    at = level.at
    while at < level.end:
        found = match_at(self, number, at)
        if self.failure:
            return 0
        if found > <Py_ssize_t>at:
            if at == level.at:
                level.at = found
            else:
                level.pending = found
                level.at = at
            return level.at
        if not self.code.isolated:
            self.failure = SPLIT_UNCOVERED
            return 0
        if found >= 0 and at > level.at:
            level.at = at
            return at
        at += 1
        while at < level.end and self.text[at] & 0xC0 == 0x80 and not self.of_bytes:
            at += 1
    level.at = level.end
    return level.at


# Set `invalid`, and `at` to the place, if the text is not UTF-8.
cdef void check_utf8(Split *self) noexcept nogil:
    cdef uint32_t point
    cdef int length
    if not is_utf8(self.text, self.n):
        while True:
            length = utf8_decode(self.text + self.at, self.n - self.at, &point)
            if length == 0:
                break
            self.at += length
        self.invalid = True


cdef void program_begin(Split *self) noexcept nogil:
    memset(self.levels, 0, sizeof(self.levels))
    self.levels[0].end = self.n
    self.steps_left = MAX_STEPS + MAX_STEPS_PER_BYTE * self.n
    check_utf8(self)


cdef size_t program_next(Split *self, size_t *ends, size_t capacity) noexcept nogil:
    cdef Choice stack[STACK]
    cdef Machine machine
    cdef size_t count = 0
    if self.invalid or self.done:
        return 0
    memset(&machine, 0, sizeof(machine))
    machine.code = <const Code *>self.rules
    machine.text = self.text
    machine.stack = stack
    machine.capacity = STACK
    machine.steps = self.steps_left
    while count < capacity:
        ends[count] = next_end(&machine, self.levels, machine.code.patterns - 1)
        if ends[count] == 0:
            break
        self.at = ends[count]
        count += 1
        if self.at == self.n:
            break
    self.done = self.at == self.n
    self.steps_left = machine.steps
    self.failure = machine.failure
    free(machine.allocated)
    return 0 if self.failure else count


cdef class Program(GivenSplitter):
    """A compiled chain of patterns; takes the place of a number of PATTERNS.

    Parameters
    ----------
    code, ascii, stages, blocks, entries, firsts
        the arrays of :mod:`fastprep.vocabulary.regex_program`, which must be right.
    isolated
        whether the text between matches is a piece; otherwise it is an error.
    of_bytes
        the number of the first pattern whose characters are single bytes; there may be none.
    """

    cdef Code held
    cdef tuple arrays

    def __cinit__(
        self, code, ascii, stages, bytes blocks not None, entries, firsts, bint isolated,
        int of_bytes=MAX_PATTERNS,
    ):
        cdef Array held_code = array_of(code, ITEM_INT32)
        cdef Array held_ascii = array_of(ascii, ITEM_UINT64), held_stages = array_of(stages, ITEM_UINT16)
        cdef Array held_entries = array_of(entries, ITEM_INT32)
        cdef Array held_firsts = array_of(firsts, ITEM_UINT32)
        self.arrays = (held_code, held_ascii, held_stages, blocks, held_entries, held_firsts)
        self.held.code = <const int32_t *>held_code.at
        self.held.ascii = <const uint64_t *>held_ascii.at
        self.held.stages = <const uint16_t *>held_stages.at
        self.held.blocks = <const uint8_t *><char *>blocks
        self.held.entries = <const int32_t *>held_entries.at
        self.held.firsts = <const uint32_t *>held_firsts.at
        self.held.patterns = <int>(held_firsts.count // 256)
        self.held.isolated = isolated
        self.held.of_bytes = of_bytes
        self.enter(&self.held, program_begin, program_next)
