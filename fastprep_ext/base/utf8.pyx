"""The Unicode class table: filled once when the module is loaded, immutable after that."""

cdef extern from "base/unicode_class.h" nogil:
    void unicode_fill(uint8_t *classes)

# Flat: one load per character, no stages. Only the cache lines of the scripts in use are read.
cdef uint8_t *CLASSES = <uint8_t *>calloc(0x110000, 1)
if CLASSES == NULL:
    raise MemoryError("no memory for the Unicode class table")
unicode_fill(CLASSES)


cdef const uint8_t *unicode_classes() noexcept nogil:
    return CLASSES


unicode_version = UNICODE_VERSION.decode()


def unicode_class(size_t point):
    """Return the name of a code point's class, as in unicode_class.h: "LU", "M", "SPACE" and so on."""
    if point > 0x10FFFF:
        raise ValueError(f"{point:#x} is not a code point")
    return _NAMES[CLASSES[point]]


_NAMES = ("OTHER", "LU", "LT", "LL", "LM", "LO", "M", "N", "SPACE", "SIGN")
