"""Files -> the UTF-8 of documents."""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp

from fastprep_ext.base cimport Rows

__all__ = ["LineReader", "split_documents"]

include "corpus/lines.pyx"
include "corpus/text.pyx"
