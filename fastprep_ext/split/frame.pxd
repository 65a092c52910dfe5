"""Text -> piece ends, without a regex: 64 bytes a step, one splitter a pattern.

A block of text becomes one bit a byte for each class (simd.h for ASCII, the Unicode table for the
rest). Shifts and ands of those masks give the bytes at which a piece starts; a pattern is nothing
but that algebra.
"""


cdef extern from "split/simd.h" nogil:
    ctypedef struct Lanes:
        uint64_t letter
        uint64_t digit
        uint64_t space
        uint64_t white
        uint64_t apostrophe
        uint64_t newline
        uint64_t upper
        uint64_t slash
        uint64_t high
    ctypedef struct SimdPath:
        const char *name
        void (*lanes)(const uint8_t *block, Lanes *lanes) noexcept nogil
        size_t (*places)(uint64_t bits, size_t first, size_t *places) noexcept nogil

# What a pattern's algebra sees of one block. Bit i is about byte i; a character of several bytes
# has its class on each of them. Bytes past the end of the text count as whitespace.
cdef struct Block:
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
    uint64_t cjk           # Chinese characters and kana, which deepseek3 takes out
    uint64_t apart         # characters that an earlier pattern of the chain takes out of the text
    uint64_t last_white    # where the last character of a run of \s begins, if text follows the run

# The state of one text between two calls; also what its pattern remembers of the byte before.
cdef struct Split:
    const uint8_t *text
    size_t n
    size_t at              # first byte not looked at yet
    bint done
    bint invalid           # no UTF-8 character begins at `at`
    const uint8_t *classes
    const SimdPath *path
    uint64_t (*starts)(Split *self, const Block *block) noexcept nogil
    int group              # digits in a group
    bint cuts_at_end       # whether whitespace at the end of the text is cut behind its newlines
    int chain              # 0, or the pattern whose chain sets characters apart
    # All bits or none.
    uint64_t sets_apart    # whether what is apart ends the text before it
    uint64_t marks_in_words
    uint64_t contractions
    # A character that crosses the block's edge: its bytes in the next block, and its class.
    int carried
    uint8_t carried_class
    # Bit 0: what the byte before the block is. The pattern's file says what it means by each.
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
    # Starts that a contraction of the block before adds to this one and takes from it.
    uint64_t added
    uint64_t removed
    size_t contracted      # where the last contraction ended
    int digits_in_group    # characters of the group of digits that the block before ended in

cdef enum:
    PATTERN_R50K = 0
    PATTERN_CL100K = 1
    PATTERN_O200K = 2
    PATTERN_LLAMA3 = 3     # as cl100k, but the end of the text changes nothing about newlines
    PATTERN_QWEN2 = 4      # as llama3, but each digit is a piece
    PATTERN_QWEN35 = 5     # as qwen2, but marks are letters
    PATTERN_TEKKEN = 6     # as o200k, but each digit is a piece, and contractions are nothing special
    PATTERN_STARCODER = 7  # each digit is a piece; what is between them goes by r50k
    PATTERN_DEEPSEEK3 = 8
    MIN_SPLIT_CAPACITY = 72        # the least capacity that split_next can work with

# Each pattern's algebra: the bytes of the block at which a piece starts.
cdef uint64_t starts_r50k(Split *self, const Block *block) noexcept nogil
cdef uint64_t starts_cl100k(Split *self, const Block *block) noexcept nogil
cdef uint64_t starts_o200k(Split *self, const Block *block) noexcept nogil
cdef uint64_t starts_deepseek3(Split *self, const Block *block) noexcept nogil

# Makes `self` ready for a text of n bytes.
cdef void split_begin(Split *self, int pattern, const uint8_t *text, size_t n) noexcept nogil

# Writes the ends of the next pieces, in bytes from the text's start, and returns how many there
# are, at limit `capacity`. 0: the text is done, or `self.invalid`. Ends are increasing; the last is n.
cdef size_t split_next(Split *self, size_t *ends, size_t capacity) noexcept nogil
