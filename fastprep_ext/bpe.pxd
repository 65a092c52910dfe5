"""Contracts of the kernels from text to ids, in order of dependency."""

from cpython.ref cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from fastprep_ext.base cimport (
    NO_RANK, UC_N, UC_SPACE, Array, Memory, lowest_bit, mul_fold, pthread_cond_t, pthread_mutex_t,
    utf8_decode,
)

include "split/machine.pxd"
include "split/borders.pxd"
include "split/runs.pxd"
include "split/frame.pxd"
include "split/given.pxd"
include "split/algebra.pxd"
include "bpe/atoms.pxd"
include "bpe/ranks.pxd"
include "bpe/cuts.pxd"
include "bpe/merge.pxd"
include "bpe/halves.pxd"
include "bpe/last_merges.pxd"
include "bpe/cache.pxd"
include "bpe/parts.pxd"
include "bpe/changes.pxd"
include "bpe/specials.pxd"
include "bpe/engine.pxd"
include "bpe/texts.pxd"
include "bpe/chunks.pxd"
include "bpe/vocabulary.pxd"
