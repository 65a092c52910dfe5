"""Encoder of Apache Arrow columns of text into columns of token ids.

Any object with Arrow's PyCapsule interface is a column: an array or chunked array of pyarrow, a
Series of polars or pandas, a column of a Hugging Face dataset or of a DuckDB result. The text is read
in place. The result is an array of pyarrow, which all of these accept without a copy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastprep.encoding.batches import encode_rows
from fastprep.encoding.decoding import check_threads
from fastprep.system.arrow import arrow_column, column_of, pyarrow, strings
from fastprep_ext.base import Rows

if TYPE_CHECKING:
    from fastprep.encoding.encoders import AnyEncoder


def encode_arrow(encoder: AnyEncoder, column: Any, *, num_threads: int = 8) -> Any:
    """Encode a column of strings as ordinary text.

    Parameters
    ----------
    encoder
        that of an encoding.
    column
        an object with ``__arrow_c_array__`` or ``__arrow_c_stream__``, of type string,
        large_string, string_view, or a dictionary of these.
    num_threads
        the number of threads; they release the GIL.

    Returns
    -------
    pyarrow.Array or pyarrow.ChunkedArray
        ``list<uint32>``, or ``large_list<uint32>`` if the text has 64-bit offsets. Nulls and chunks
        are kept.

    >>> import pyarrow as pa
    >>> from fastprep import get_encoding
    >>> encode_arrow(get_encoding("gpt2")._encoder, pa.array(["hello world", None, ""])).to_pylist()
    [[31373, 995], None, []]

    Raises TypeError for anything but a column of strings, :class:`~fastprep.errors.InvalidUtf8` for
    bytes that are not UTF-8, and ModuleNotFoundError if pyarrow is not installed.
    """
    pa = pyarrow("encode_arrow")
    source = arrow_column(column)
    check_threads(num_threads)
    if isinstance(source, pa.Array):
        return _encode_chunk(encoder, source, num_threads, pa)
    kind = _encode_chunk(encoder, pa.array([], source.type), 1, pa).type
    chunks = [_encode_chunk(encoder, chunk, num_threads, pa) for chunk in source.chunks]
    return pa.chunked_array(chunks, type=kind)


def _encode_chunk(encoder: AnyEncoder, chunk: Any, threads: int, pa: Any) -> Any:
    chunk = strings(chunk)
    is_large = pa.types.is_large_string(chunk.type)
    text, starts, stops, _, _ = column_of(chunk)
    ids, offsets = encode_rows(encoder, Rows(text, starts, stops), threads)
    if not is_large and offsets[-1] >> 31:
        raise OverflowError(f"{offsets[-1]} ids in one chunk; cast the column to large_string")
    values = pa.Array.from_buffers(pa.uint32(), len(ids), [None, pa.py_buffer(ids)])
    lists = pa.large_list if is_large else pa.list_
    return pa.Array.from_buffers(
        lists(pa.uint32()),
        len(chunk),
        [_validity(chunk), pa.py_buffer(offsets if is_large else offsets.astype(np.int32))],
        null_count=chunk.null_count,
        children=[values],
    )


def _validity(chunk: Any) -> Any:
    return chunk.is_valid().buffers()[1] if chunk.null_count else None
