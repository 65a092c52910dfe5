"""Declarations that other units cimport: bit operations, threads, UTF-8, buffers."""

from cpython.buffer cimport Py_buffer
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

include "base/bits.pxd"
include "base/threads.pxd"
include "base/utf8.pxd"
include "base/buffers.pxd"
include "base/rows.pxd"
