"""Search for special and added tokens in a text: one pass, however many tokens there are."""

cdef extern from "bpe/starts.h" nogil:
    ctypedef struct ByteSet:
        pass
    ctypedef struct Starts:
        ByteSet first
        ByteSet second
        uint64_t pairs[1024]
        uint64_t short_pairs[1024]
        const uint64_t *fours
        int fours_shift
    ctypedef size_t (*StartsNext)(const Starts *starts, const uint8_t *text, size_t n, size_t at) noexcept nogil
    void set_add(ByteSet *set, uint8_t byte)
    StartsNext starts_path(const char *path)
    uint32_t four_bit(const Starts *starts, const uint8_t *text)
    int active_bytes(uint8_t byte)
    size_t skip_inert(const uint8_t *text, size_t n, size_t at)

# Bits of a token's sides: it takes the whitespace before it, or after it; it is found only where no
# character of a word is next to it.
cdef enum:
    SIDE_BEFORE = 1
    SIDE_AFTER = 2
    SIDE_WORD = 4
    MAX_RUN = 63           # the longest token that is found as a run

# The tokens, sorted by their bytes, so that those with a common prefix are neighbours.
cdef struct SpecialTable:
    size_t n
    const uint8_t *blob
    const uint64_t *ends        # [n]
    const uint64_t *values      # [n] the token's id; above any id: found, but left as text
    const uint32_t *priorities  # [n] priority: of tokens that start at one place the lowest wins
    const uint8_t *sides        # [n]
    bint passes_over            # a token that is left as text hides all that start within it
    const uint32_t *words       # [2 * n_words] ranges of the characters of words
    size_t n_words
    Starts starts
    uint32_t first_rows[257]    # the first row of each first byte
    # Whether all tokens are runs of one blank, without sides, and the longest wins; then, for each blank and
    # length of a run, 1 + the row of the longest token that fits, or 0.
    bint are_runs
    uint16_t run_rows[33][MAX_RUN + 1]

cdef struct Special:
    size_t begin
    size_t end
    size_t token               # its row in the table

# Progress in a text. All 0 at first.
cdef struct Cursor:
    size_t reached             # end of the last token that was found
    size_t at                  # where the search goes on

# Find the next token that is not left as text. False if there is none. Its begin may be before
# cursor.reached only where the token before it took whitespace that is a token, too.
cdef bint special_next(
    const SpecialTable *self, const uint8_t *text, size_t n, Cursor *cursor, Special *found
) noexcept nogil


cdef class TokenTable:
    cdef SpecialTable table
    cdef bytes blob
    cdef readonly list tokens
    cdef uint64_t *numbers     # ends, then values, then the filter of four bytes
    cdef uint32_t *priorities
    cdef uint8_t *sides
    cdef Array words
    cdef void find_runs(self) noexcept


# All that happens to a text before it is split.
cdef struct Cutter:
    const SpecialTable *early  # tokens to find in the text as it is; NULL: none
    const SpecialTable *late   # tokens to find in the changed text; NULL: none
    const Change *change       # NULL: none


cdef class Specials:
    cdef Cutter cutter
    cdef TokenTable early
    cdef TokenTable late
    cdef TextChange change
