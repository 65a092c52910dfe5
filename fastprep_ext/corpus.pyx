"""Corpus files -> the UTF-8 of documents."""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp

from fastprep_ext.base cimport ITEM_INT64, ITEM_UINT8, Array, array_of

__all__ = ["LineReader"]

include "corpus/lines.pyx"
