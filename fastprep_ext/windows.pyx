"""Tokens of a store -> batches of windows."""

cimport cython
from libc.math cimport sqrt
from libc.signal cimport SIGBUS, SIGFPE, SIGILL, SIGSEGV
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy

from collections import deque

import numpy as np

from fastprep_ext.base cimport (
    ITEM_INT32, ITEM_INT64, ITEM_UINT64, ITEM_UINT8, Array, Memory, allocate, array_of,
    highest_bit, load_acquire, lowest_bit, mul_div, mul_fold, pause_core, prefetch, pthread_cond_init,
    pthread_cond_signal, pthread_cond_t, pthread_cond_wait, pthread_create, pthread_join,
    pthread_mutex_init, pthread_mutex_lock, pthread_mutex_t, pthread_mutex_unlock, pthread_t,
    scale_down,
)

from fastprep.errors import IdOutOfRange, InvalidStore, InvalidWindow

__all__ = [
    "BatchMaker", "DocumentEnds", "GatheredRows", "Order", "Prefetcher", "TokenShards", "best_fit",
    "fill_rows", "items_by_row", "on_network", "read_ahead", "read_tokens",
]

include "windows/windows.pyx"
include "windows/documents.pyx"
include "windows/order.pyx"
include "windows/packing.pyx"
include "windows/gather.pyx"
include "windows/readers.pyx"
include "windows/prefetch.pyx"
