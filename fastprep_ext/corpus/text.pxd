"""Text to the documents between its separators."""


# A search that is under way. It stops where rows are full, and may then be resumed.
cdef struct Splitting:
    const uint8_t *text
    size_t n
    const uint8_t *separator   # NULL: the whole text is one document
    size_t gap                 # bytes of it
    size_t at                  # where the document begins that was not found to its end
    int64_t limit              # a document that begins here or later is not wanted
    bint continued                 # the first document continues one from before: it is always wanted
    bint final                 # the text ends here, and the last document with it
    bint ended                 # a document began at the limit or after it

# Appends the documents that end in the text, but for those that are empty or only ASCII whitespace:
# where each starts and stops. Returns how many rows are taken then; [capacity] are there.
cdef Py_ssize_t split_texts(
    Splitting *splitting, int64_t *starts, int64_t *stops, Py_ssize_t count, Py_ssize_t capacity
) noexcept nogil
