"""The table behind `unicode_classes`, filled once when the module is loaded, never changed."""

from libc.stdint cimport uint8_t
from libc.stdlib cimport malloc

cdef extern from "unicode_class.h" nogil:
    void unicode_fill(uint8_t *classes)

# Flat: one load a character, no stages. Only the lines of the scripts in use are ever touched.
cdef uint8_t *CLASSES = <uint8_t *>malloc(0x110000)
if CLASSES == NULL:
    raise MemoryError("no memory for the Unicode class table")
unicode_fill(CLASSES)


cdef const uint8_t *unicode_classes() noexcept nogil:
    return CLASSES
