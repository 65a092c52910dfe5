"""Text -> words -> ids, by the rule of the notebook's word tokenizers."""

from cpython.ref cimport PyObject
from cpython.unicode cimport (
    PyUnicode_Check, PyUnicode_DATA, PyUnicode_FromKindAndData, PyUnicode_GET_LENGTH, PyUnicode_KIND,
    PyUnicode_Substring,
)
from libc.stdint cimport int64_t, intptr_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, qsort, realloc
from libc.string cimport memchr, memcpy, memset

from fastprep_ext.base cimport (
    ITEM_UINT16, ITEM_UINT32, ITEM_UINT64, ITEM_UINT8, Array, Memory, allocate, array_of, likely,
    lowest_bit, mul_fold, prefetch, unlikely, utf8_decode,
)

from fastprep.errors import InvalidUtf8
from fastprep_ext.base import simd

__all__ = ["WordEncoder", "WordTable", "join_words", "split_words", "unique_words"]

include "words/split.pyx"
include "words/table.pyx"
include "words/index.pyx"
include "words/tokenizers.pyx"
include "words/encoder.pyx"
