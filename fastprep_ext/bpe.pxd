"""Contracts of the kernels from text to ids, in the order in which they build on one another."""

from cpython.ref cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from fastprep_ext.base cimport (
    Array, NO_RANK, UC_N, UC_SPACE, lowest_bit, mul_fold, pthread_cond_t, pthread_mutex_t, utf8_decode,
)

include "split/frame.pxd"
include "split/algebra.pxd"
include "bpe/ranks.pxd"
include "bpe/cuts.pxd"
include "bpe/merge.pxd"
include "bpe/last_merges.pxd"
include "bpe/cache.pxd"
include "bpe/parts.pxd"
include "bpe/engine.pxd"
include "bpe/specials.pxd"
include "bpe/texts.pxd"
include "bpe/chunks.pxd"
include "bpe/vocabulary.pxd"
