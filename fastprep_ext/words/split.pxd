"""Text -> words and punctuation, by the notebook's rule, a window of code points at a time.

The rule is ``re.split(r'([,.:;?_!"()\\']|--|\\s)', text)`` without the whitespace and the empty
strings: a piece is one separator, or ``--``, or a run of anything else.
"""


cdef enum:
    WINDOW = 2048             # code points; 1 Ki and 4 Ki are as fast
    WINDOW_BLOCKS = WINDOW // 64 + 1
    LOAD = 16                 # bytes that can be read from any piece of a window's latin on

cdef extern from "words/masks.h" nogil:
    ctypedef struct WordMasks:
        uint64_t word
        uint64_t opens
        uint64_t closes
        uint64_t dash

# A str as CPython stores it: `length` units of `kind` (1, 2 or 4) bytes, one per code point.
cdef struct Text:
    const void *units
    int64_t length
    int kind

# The pieces that begin in text[origin:origin + WINDOW], in order, ends exclusive.
cdef struct Window:
    int64_t origin
    int64_t count
    int64_t giant             # not 0: one piece only, too long for a window; it ends there
    uint16_t starts[WINDOW + 1]   # from origin; the last element is scratch
    uint16_t ends[WINDOW + 1]
    bint has_wide
    uint64_t wide[WINDOW_BLOCKS + 1]  # bit i of block b: code point 64 b + i is not in latin
    WordMasks masks[WINDOW_BLOCKS]
    # Latin-1 of the window, and more: LOAD bytes can be read from any piece on. It is the text
    # itself, or the copy, which has spaces behind it: 64 to fill the last block, and LOAD.
    const uint8_t *latin
    uint8_t copy[WINDOW + 64 + LOAD]

# Cuts the window at `origin` (< text.length, and no piece is open there) and returns where the next
# one begins. Finds no piece in a window of whitespace.
cdef int64_t cut_window(const Text *text, int64_t origin, Window *window) noexcept nogil

cdef inline int64_t piece_start(const Window *window, int64_t i) noexcept nogil:
    return window.origin + window.starts[i]

cdef inline int64_t piece_end(const Window *window, int64_t i) noexcept nogil:
    return window.giant if window.giant else window.origin + window.ends[i]

# Copies the text to `out` (room for text.length units of its kind) without the whitespace that
# stands right before a code point c < 64 whose bit is set in `closers`; returns how many are left.
cdef int64_t close_up(const Text *text, uint64_t closers, void *out) noexcept nogil
