"""Shared by all stages: SIMD choice, Unicode classes, buffers, passes over arrays, JSON outlines."""

import os

cimport cython
from cpython.buffer cimport (
    PyBUF_FORMAT, PyBUF_ND, PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer,
)
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.unicode cimport PyUnicode_Check
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memchr, memcpy, memmove, strchr

__all__ = [
    "Rows", "blake2b", "copy_bytes", "copy_pieces", "count_newlines", "crc32", "find_last_newline", "find_newline",
    "is_crc32_fast", "is_increasing", "json_commas", "json_outline", "largest", "map_file", "release_blocks",
    "occurs_exactly_at", "shift_ends", "simd", "uninitialized", "unicode_class", "unicode_version", "will_need",
]

include "base/simd.pyx"
include "base/utf8.pyx"
include "base/buffers.pyx"
include "base/file_map.pyx"
include "base/rows.pyx"
include "base/passes.pyx"
include "base/outline.pyx"
