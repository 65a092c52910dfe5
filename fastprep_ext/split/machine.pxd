"""Splitter for any pattern: a backtracking machine that runs a compiled regular expression.

`fastprep.vocabulary.regex_program` makes the programs. Matches are those of Perl, fancy-regex and
Oniguruma: the first alternative that leads to a match wins.
"""

cdef enum:
    MAX_PATTERNS = 8         # of a chain
    MAX_OPTIONS = 32         # alternatives of a pattern that are chosen by their first byte
    STAGE = 0x1100           # blocks of 256 code points

cdef enum:
    OP_MATCH                 # the end of a pattern, or of the block of an instruction
    OP_ONE                   # set: one character of it
    OP_SPAN                  # set, least, most, mode: that many characters of it
    OP_SPLIT                 # first, second: two ways to go on, in this order
    OP_JUMP                  # to
    OP_ATOMIC                # end: the block between matches once
    OP_LOOK_AHEAD            # negative, end: whether the block matches here
    OP_LOOK_BEHIND           # negative, characters, end: whether it does, that many before
    OP_ASSERT                # place
    OP_IF                    # set, other: continue at `other` if the next character is not in the set

cdef enum:
    GREEDY
    POSSESSIVE
    LAZY

cdef enum:
    AT_START
    AT_END
    AT_LINE_START
    AT_LINE_END
    AT_LAST_LINE_END
    AT_WORD_EDGE
    AT_NO_WORD_EDGE

cdef enum:
    SPLIT_FINE
    SPLIT_UNCOVERED          # the pattern matches nothing at `at`, where text remains
    SPLIT_TOO_MANY_STEPS     # it was tried in too many ways at `at`
    SPLIT_NO_MEMORY

cdef struct Code:
    const int32_t *code
    const uint64_t *ascii    # two words per set
    const uint16_t *stages   # STAGE per set: the block of each 256 code points
    const uint8_t *blocks    # 32 bytes each
    const int32_t *entries   # per pattern: the number of alternatives, and MAX_OPTIONS entries
    const uint32_t *firsts   # per pattern and first byte: the mask of alternatives
    int patterns
    int of_bytes             # the first pattern whose characters are single bytes
    bint isolated            # text between matches is a piece; otherwise it is an error

# A pattern of a chain splits the pieces of the one before: now start to end.
cdef struct Level:
    size_t start
    size_t end
    size_t at
    size_t pending           # end of the match whose text before is a piece already; 0: none
