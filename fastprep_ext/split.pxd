"""Text -> piece ends, without a regex: 64 bytes a step, one splitter a pattern.

A block of text becomes one bit a byte for each class (simd.h for ASCII, the Unicode table for the
rest). Shifts and ands of those masks give the bytes at which a piece starts; a pattern is nothing
but that algebra.
"""

from libc.stdint cimport uint8_t, uint64_t

cdef extern from "simd.h" nogil:
    ctypedef struct Lanes:
        uint64_t letter
        uint64_t digit
        uint64_t space
        uint64_t white
        uint64_t apostrophe
        uint64_t high
    ctypedef void (*LanesFunction)(const uint8_t *block, Lanes *lanes) noexcept nogil

# What a pattern's algebra sees of one block. Bit i is about byte i; a character of several bytes
# has its class on each of them. Bytes past the end of the text count as whitespace.
cdef struct Block:
    uint64_t letter
    uint64_t digit         # any \p{N}
    uint64_t space         # U+0020
    uint64_t white         # any \s
    uint64_t apostrophe
    uint64_t last_white    # where the last character of a run of \s begins, if text follows the run

# The state of one text between two calls; also what its pattern remembers of the byte before.
cdef struct Split:
    const uint8_t *text
    size_t n
    size_t at              # first byte not looked at yet
    bint done
    bint invalid           # no UTF-8 character begins at `at`
    LanesFunction lanes
    uint64_t (*starts)(Split *self, const Block *block) noexcept nogil
    # A character that crosses the block's edge: its bytes in the next block, and its class.
    int carried
    uint8_t carried_class
    # Bit 0: the class of the byte before the block.
    uint64_t letter
    uint64_t digit
    uint64_t space
    uint64_t white
    uint64_t other
    # Starts that a contraction of the block before adds to this one and takes from it.
    uint64_t added
    uint64_t removed

cdef enum:
    PATTERN_R50K = 0
    SPLIT_ROOM = 72        # the least room that split_next can work with

# Makes `self` ready for a text of n bytes.
cdef void split_begin(Split *self, int pattern, const uint8_t *text, size_t n) noexcept nogil

# Writes the ends of the next pieces, in bytes from the text's start, and returns how many there
# are, at most `room`. 0: the text is done, or `self.invalid`. Ends are increasing; the last is n.
cdef size_t split_next(Split *self, size_t *ends, size_t room) noexcept nogil
