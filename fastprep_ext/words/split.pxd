"""Text -> words and punctuation, by the notebook's rule, one window of code points at a time.

The rule is ``re.split(r'([,.:;?_!"()\\']|--|\\s)', text)`` without whitespace and empty strings: a
piece is one separator, or ``--``, or a run of anything else.
"""

cdef enum:
    WINDOW = 2048          # code points; 1 Ki and 4 Ki are as fast
    WINDOW_BLOCKS = WINDOW // 64 + 1
    LOAD = 16              # bytes that can be read from the start of any piece in `latin`

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

# The pieces that start in text[origin:origin + WINDOW], in order, ends exclusive.
cdef struct Window:
    int64_t origin
    int64_t count
    int64_t giant                     # not 0: the end of the only piece, which is too long for a window
    uint16_t starts[WINDOW + 1]       # relative to origin; the last element is scratch
    uint16_t ends[WINDOW + 1]
    bint has_wide
    uint64_t wide[WINDOW_BLOCKS + 1]  # bit i of block b: code point 64 b + i does not fit into `latin`
    WordMasks masks[WINDOW_BLOCKS]
    # The window in Latin-1, with LOAD readable bytes after the start of any piece: the text itself, or
    # the copy, which is followed by spaces: up to 64 to fill the last block, and LOAD.
    const uint8_t *latin
    uint8_t copy[WINDOW + 64 + LOAD]

# Split the window at `origin` (< text.length, not inside a piece) and return the start of the next
# one. A window of whitespace has no pieces.
cdef int64_t cut_window(const Text *text, int64_t origin, Window *window) noexcept nogil

cdef inline int64_t piece_start(const Window *window, int64_t i) noexcept nogil:
    return window.origin + window.starts[i]

cdef inline int64_t piece_end(const Window *window, int64_t i) noexcept nogil:
    return window.giant if window.giant else window.origin + window.ends[i]

# Copy the text to `out` (text.length units of its kind) without the whitespace right before a code
# point c < 64 whose bit is set in `closers`; return the number of units left.
cdef int64_t close_up(const Text *text, uint64_t closers, void *out) noexcept nogil
