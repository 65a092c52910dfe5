"""Contracts of the kernels that read a corpus."""

from libc.stdint cimport int64_t, uint8_t

include "corpus/lines.pxd"
include "corpus/text.pxd"
