"""Corpus files -> the UTF-8 of documents."""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp

from fastprep_ext.base cimport ITEM_UINT8, Array, Rows, array_of

__all__ = [
    "LineReader", "is_value_stream", "load_files", "modified_times", "split_documents", "split_files",
    "values_to_lines",
]

include "corpus/lines.pyx"
include "corpus/values.pyx"
include "corpus/text.pyx"
include "corpus/files.pyx"
