"""Corpus files -> the UTF-8 of documents."""

from cpython.ref cimport Py_DECREF, PyObject
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp

from fastprep_ext.base cimport ITEM_UINT8, ITEM_UINT64, Array, Memory, Rows, allocate, array_of

__all__ = [
    "Folder", "LineReader", "borders_between", "is_value_stream", "load_files", "modified_times", "split_documents", "split_files",
    "values_to_lines",
]

include "corpus/lines.pyx"
include "corpus/values.pyx"
include "corpus/text.pyx"
include "corpus/files.pyx"
