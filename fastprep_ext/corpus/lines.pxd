"""Lines of JSON objects to the UTF-8 of one string in each."""


# Which string: the value of keys[0] in the outermost object, or of keys[1] in that, and so on.
cdef struct Wanted:
    const uint8_t **keys
    size_t *sizes
    size_t depth

# What was found so far, and where the reading is.
cdef struct Lines:
    const uint8_t *text
    size_t n
    size_t at                  # the beginning of a line
    uint8_t *out               # [>= written + n - at] the strings' UTF-8, back to back
    size_t written
    int64_t *starts            # [rows] where each string begins and ends in `out`,
    int64_t *stops
    int64_t *numbers           # and the number of its line
    size_t count
    size_t rows                # there is room for so many
    size_t line                # the number of the line at `at`

# Reads whole lines until one is not plainly good, and stops at its beginning. A line is plainly good
# where it is blank or one JSON object that holds the string once; but keys with escapes beside the
# wanted one, lone surrogates and more than 64 levels are left to a reader with more patience, as is
# all that is wrong. Stops, too, when all rows are taken.
cdef void read_lines(const Wanted *wanted, Lines *lines) noexcept nogil
