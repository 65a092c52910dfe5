"""Lines of JSON objects -> the UTF-8 of one string of each."""

# The path of the string: the value of keys[0] in the outermost object, of keys[1] in that, and so on.
cdef struct Wanted:
    const uint8_t **keys
    size_t *sizes
    size_t depth

# The position of the reader and its output.
cdef struct Lines:
    const uint8_t *text
    size_t n
    size_t at              # start of a line
    uint8_t *out           # [>= written + n - at] the strings' UTF-8, back to back
    size_t written
    int64_t *starts        # [rows] start and stop of each string in `out`,
    int64_t *stops
    int64_t *numbers       # and the number of its line
    size_t count
    size_t rows            # the length of these arrays
    size_t line            # the number of the line at `at`

# Read lines until one is not simple, and stop at its start. A line is simple if it is blank or one
# JSON object with exactly one occurrence of the string; keys with escapes next to the wanted one,
# lone surrogates and more than 64 levels are left to a more general reader, as are all errors. Stops
# also when all rows are filled.
cdef void read_lines(const Wanted *wanted, Lines *lines) noexcept nogil
