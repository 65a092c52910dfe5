"""Contracts of the kernels that split text into words and look them up."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from fastprep_ext.base cimport likely, load64, mul_fold

include "words/split.pxd"
include "words/keys.pxd"
include "words/table.pxd"
include "words/index.pxd"
