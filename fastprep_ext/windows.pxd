"""Contracts of the kernels that make batches of windows."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from fastprep_ext.base cimport Array, pthread_cond_t, pthread_mutex_t, pthread_t

include "windows/windows.pxd"
include "windows/documents.pxd"
include "windows/order.pxd"
include "windows/gather.pxd"
include "windows/readers.pxd"
