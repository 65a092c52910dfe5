"""Changes of a text before it is split: normalization, and a space before it."""

# Where a space is put before text that is not empty.
cdef enum:
    SPACE_NEVER = 0
    SPACE_BEFORE_PARTS = 1     # before each part between added tokens, unless it starts with a space
    SPACE_BEFORE_FIRST = 2     # the same before the start of the whole text only
    SPACE_ALWAYS = 3           # before each section between the tokens found first, even if it has one
    SPACE_AFTER_PIECES = 4     # after each piece that is not whitespace, and none elsewhere

# Characters that normal form C may change or that interact with others: those that are *active*.
cdef struct NfcTables:
    const uint16_t *stages     # [0x4400] the block of each 64 code points
    const uint64_t *active     # [blocks] one bit per code point
    const uint64_t *composed   # [blocks] those that have a decomposition
    const uint32_t *ranks      # [blocks] active code points in the blocks before
    const uint8_t *classes     # [active] combining class
    const uint8_t *kinds       # [active] NFC_YES, NFC_MAYBE, NFC_NO
    const uint64_t *pairs      # open addressing: first << 21 | second, of two that compose
    uint64_t pair_mask

cdef enum:
    NFC_YES = 0
    NFC_MAYBE = 1
    NFC_NO = 2

cdef struct Change:
    bint nfc                   # normalize only what nfc_next finds; otherwise all text
    NfcTables tables
    PyObject *normalize        # str -> str, called with the GIL; NULL: none
    bint marks                 # U+2581 becomes a space
    int space
    int pieces                 # the pattern whose pieces get a space after them

# Memory for changed text.
cdef struct Changed:
    uint8_t *at
    size_t n
    size_t capacity

cdef class TextChange:
    cdef Change change
    cdef object function
    cdef object program
    cdef tuple arrays

# Return whether the text stays as it is.
cdef bint is_unchanged(const Change *self, const uint8_t *text, size_t n) noexcept nogil
# Write changed UTF-8 to `out`, but for the spaces before parts. 0, or -1 without memory.
cdef int change_text(
    const Change *self, const uint8_t *text, size_t n, Changed *out
) noexcept nogil
