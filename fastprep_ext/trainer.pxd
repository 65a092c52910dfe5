"""Contracts of the kernels that train vocabularies, in order of dependency."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastprep_ext.bpe cimport KEY_BYTES, Key

include "trainer/pieces.pxd"
include "trainer/records.pxd"
include "trainer/pairs.pxd"
include "trainer/merging.pxd"
