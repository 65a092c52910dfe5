"""Text -> ends of pieces, without a regex: 64 bytes per step, one splitter per pattern.

A block of text becomes one bit per byte for each character class (simd.h for ASCII, the Unicode
table for the rest). Shifts and ands of these masks give the bytes at which a piece starts; a
pattern is only that algebra.
"""

cdef extern from "split/simd.h" nogil:
    enum:
        TWO_BYTES
        NUMBERS
        PROPERTIES
        IS_LETTER
        IS_FIRST
        IS_SECOND
        IS_WHITE
        IS_APART
        RARE
        OF_APART
    const uint8_t *KIND_OF_CLASS
    ctypedef struct Kinds:
        uint8_t of[NUMBERS][64]
        bint has_apart
    ctypedef struct High:
        uint64_t *has "is"
        uint64_t tail
        uint64_t rare
        uint64_t malformed
        uint64_t next_tail
    void kinds_finish(Kinds *kinds)
    void high_add(High *high, int at, int length, uint8_t kind)
    # A pattern's view of one block. Bit i stands for byte i; a character of several bytes has its class
    # on each of its bytes. Bytes past the end of the text count as whitespace.
    ctypedef struct Block "Lanes":
        uint64_t letter
        uint64_t upper         # letters in upper and title case
        uint64_t lower         # letters in lower case; letters without case are in neither
        uint64_t mark
        uint64_t sign          # punctuation and symbols of several bytes
        uint64_t digit         # any \p{N}
        uint64_t space         # U+0020
        uint64_t white         # any \s
        uint64_t newline       # \r and \n
        uint64_t apostrophe
        uint64_t slash
        uint64_t high          # bytes of characters of several bytes
        uint64_t tail          # bytes that are not the first of their character
        uint64_t cjk           # what deepseek3 sets apart: Chinese characters and kana; what kimi does: \p{Han}
        uint64_t apart         # characters that an earlier pattern of the chain removes from the text
        uint64_t last_white    # start of the last character of a run of \s, if text follows the run
    ctypedef struct SimdPath:
        const char *name
        void (*lanes)(const uint8_t *bytes, Block *block) noexcept nogil
        size_t (*places)(uint64_t bits, size_t first, size_t *places) noexcept nogil
        void (*high)(const uint8_t *block, const Kinds *kinds, High *high) noexcept nogil

# The state of one text between two calls, with what the pattern remembers of the byte before the
# block.
cdef struct Split:
    const uint8_t *text
    size_t n
    size_t at              # first byte not processed yet
    bint done
    bint invalid           # no UTF-8 character starts at `at`
    const uint8_t *classes
    const SimdPath *path
    const Kinds *kinds
    uint64_t (*starts)(Split *self, const Block *block) noexcept nogil
    int group              # digits per group
    bint cuts_at_end       # whether whitespace at the end of the text is cut after its newlines
    int chain              # 0, or the pattern whose chain sets characters apart
    # All bits or none.
    uint64_t sets_apart    # whether a character set apart counts as the end of the text before it
    uint64_t marks_in_words
    uint64_t contractions
    High high              # of the last block, with what it leaves for the next one
    # Bit 0: properties of the byte before the block, as each pattern's file defines them.
    uint64_t letter
    uint64_t lower
    uint64_t both
    uint64_t digit
    uint64_t space
    uint64_t white
    uint64_t blank
    uint64_t newline
    uint64_t other
    uint64_t alone
    uint64_t taken
    uint64_t han
    # Starts that a contraction of the previous block adds to this one and removes from it.
    uint64_t added
    uint64_t removed
    size_t contracted      # where the last contraction ended
    int digits_in_group    # digits so far in the group that the previous block ended in
    # Only for r50k, and text without "\\r": whether a newline ends a text, so that each line is one.
    uint64_t lines
    uint64_t new_line      # bit 0: the byte before the block was a newline
    # Of a splitter that is given its rules (given.pxd); NULL: a splitter by masks.
    const void *rules
    size_t (*next)(Split *self, size_t *ends, size_t capacity) noexcept nogil
    uint32_t before         # of a chain of runs: the class of the character before `at`
    int failure             # SPLIT_..., 0: none
    size_t steps_left
    Level levels[MAX_PATTERNS]

cdef enum:
    PATTERN_R50K = 0
    PATTERN_CL100K = 1
    PATTERN_O200K = 2
    PATTERN_LLAMA3 = 3       # as cl100k, but the end of the text makes no difference for newlines
    PATTERN_QWEN2 = 4        # as llama3, but each digit is a piece
    PATTERN_QWEN35 = 5       # as qwen2, but marks are letters
    PATTERN_TEKKEN = 6       # as o200k, but each digit is a piece, and contractions are ordinary text
    PATTERN_STARCODER = 7    # each digit is a piece; the text between digits is split by r50k
    PATTERN_DEEPSEEK3 = 8
    PATTERN_NANOCHAT = 9     # as llama3, but groups of two digits
    PATTERN_KIMI = 10        # as o200k, but Chinese characters are pieces of their own, and slashes are others
    MIN_SPLIT_CAPACITY = 72  # the least capacity that split_next can work with

# The patterns: return the bytes of the block at which a piece starts.
cdef uint64_t starts_r50k(Split *self, const Block *block) noexcept nogil
cdef uint64_t starts_cl100k(Split *self, const Block *block) noexcept nogil
cdef uint64_t starts_o200k(Split *self, const Block *block) noexcept nogil
cdef uint64_t starts_kimi(Split *self, const Block *block) noexcept nogil
cdef uint64_t starts_deepseek3(Split *self, const Block *block) noexcept nogil

# Initialize `self` for a text of n bytes.
cdef void split_begin(Split *self, int pattern, const uint8_t *text, size_t n) noexcept nogil

# Write the ends of the next pieces, in bytes from the start of the text, and return how many, at most
# `capacity`. 0 at the end of the text, or if `self.invalid` or `self.failure`. Ends are increasing; the last is n.
cdef size_t split_next(Split *self, size_t *ends, size_t capacity) noexcept nogil

# Return the number of a pattern: one of PATTERNS, or of a program that its caller keeps alive. ValueError.
cdef int pattern_number(pattern) except -1

# Raise the error of a text, which is the one of this index, where the splitter stopped before its end.
cdef int check_split(const Split *split, Py_ssize_t index=*) except -1
