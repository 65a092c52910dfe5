"""Texts -> counts of pieces -> merges: the training of byte-pair vocabularies."""

import os
from array import array as array_module

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.math cimport log
from libc.stdint cimport UINT32_MAX, UINT64_MAX, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, qsort, realloc
from libc.string cimport memchr, memcmp, memcpy, memset

from fastprep_ext.base cimport (
    ITEM_INT64, ITEM_UINT16, ITEM_UINT32, ITEM_UINT64, ITEM_UINT8, Array, Memory, Rows, allocate, array_of,
    highest_bit, likely, load64, mul_fold, prefetch, unlikely,
)
from fastprep_ext.bpe cimport (
    PATTERN_R50K, Split, check_split, key_equal, key_short, pattern_number, split_begin, split_next,
)

from fastprep_ext.base import uninitialized

__all__ = [
    "MAX_COUNT", "MergeTrainer", "PieceCounter", "RecordMerge", "check_records", "list_records",
    "record_places", "records_of",
]

#: Counts, and the sums of all counts, are at most this.
MAX_COUNT = (1 << 63) - 1
cdef uint64_t COUNT_LIMIT = MAX_COUNT

include "trainer/pieces.pyx"
include "trainer/records.pyx"
include "trainer/counter.pyx"
include "trainer/pairs.pyx"
include "trainer/merging.pyx"
include "trainer/words.pyx"
include "trainer/trainer.pyx"
