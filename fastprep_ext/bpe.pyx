"""Text -> ids -> text: splitting, byte-pair merging, special tokens, decoding.

One unit, because the hot loop passes through all of it: within a unit the compiler inlines.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_CheckBuffer, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.list cimport PyList_New
from cpython.long cimport PyLong_Check
from cpython.number cimport PyNumber_Index
from cpython.ref cimport Py_DECREF, PyObject
from cpython.pythread cimport PyThread_get_thread_ident
from cpython.unicode cimport PyUnicode_Check, PyUnicode_DecodeUTF8
from libc.stdint cimport SIZE_MAX, int8_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memchr, memcmp, memcpy, memmove, memset

from fastprep_ext.base cimport (
    ITEM_INT32, ITEM_INT64, ITEM_UINT16, ITEM_UINT32, ITEM_UINT64, ITEM_UINT8, NO_RANK, UC_LL,
    UC_LM, UC_LO, UC_LT, UC_LU, UC_M, UC_N, UC_SIGN, UC_SPACE, Array, Documents, Ids, Memory, Rows,
    allocate, array_of, ids_view, load32, lowest_bit, new_ids, prefetch, pthread_cond_destroy,
    pthread_cond_init, pthread_cond_signal, pthread_cond_wait, pthread_mutex_destroy,
    pthread_mutex_init, pthread_mutex_lock, pthread_mutex_unlock, unicode_classes, unlikely,
    utf8_decode, utf8_of,
)

from fastprep.errors import BadVocabulary, InvalidUtf8, MissingByte
from fastprep_ext.base import simd

__all__ = [
    "END_OF_MERGE", "MERGE_METHODS", "NO_BYTE", "NO_LIMIT", "PATTERNS", "SPACE", "CharacterBorders",
    "Decoder", "Encoder", "Json", "Program", "RunSplitter", "Specials", "TextBatch", "TextChange", "TokenRows",
    "Vocabulary", "check_ids", "count_bytes", "count_pieces", "fill_from_lists", "find_spans", "list_spans",
    "list_with_spans", "missing_bytes", "parse_tiktoken", "split_pieces", "tokens_of_halves",
]

include "split/given.pyx"
include "split/machine.pyx"
include "split/borders.pyx"
include "split/runs.pyx"
include "split/r50k.pyx"
include "split/cl100k.pyx"
include "split/o200k.pyx"
include "split/kimi.pyx"
include "split/deepseek3.pyx"
include "split/frame.pyx"
include "split/splitters.pyx"
include "bpe/ranks.pyx"
include "bpe/cuts.pyx"
include "bpe/atoms.pyx"
include "bpe/merge.pyx"
include "bpe/last_merges.pyx"
include "bpe/cache.pyx"
include "bpe/parts.pyx"
include "bpe/engine.pyx"
include "bpe/specials.pyx"
include "bpe/changes.pyx"
include "bpe/texts.pyx"
include "bpe/vocabulary.pyx"
include "bpe/encode.pyx"
include "bpe/chunks.pyx"
include "bpe/decode.pyx"
include "bpe/spans.pyx"
include "bpe/tiktoken_file.pyx"
include "bpe/halves.pyx"
include "bpe/token_rows.pyx"
