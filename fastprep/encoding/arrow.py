"""Encoder of Apache Arrow columns of text into columns of token ids.

Any object with Arrow's PyCapsule interface is a column: an array or chunked array of pyarrow, a
Series of polars or pandas, a column of a Hugging Face dataset or of a DuckDB result. The text is read
in place. The result is an array of pyarrow, which all of these accept without a copy.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastprep.encoding.decoding import check_threads
from fastprep.errors import InvalidUtf8
from fastprep.system.arrow import Offsets, column_of, plain, pyarrow
from fastprep.system.threads import map_in_order

if TYPE_CHECKING:
    from fastprep.encoding.encoders import AnyEncoder
    from fastprep.vocabulary.recipe import Template

# Bytes of the rows that one thread encodes at a time: enough to outweigh the cost of a work item.
_PART_BYTES = 1 << 20


def encode_arrow(
    encoder: AnyEncoder, column: Any, *, num_threads: int = 8, template: Template = ((), ())
) -> Any:
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
    template
        ids to put before and after those of each text.

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
    source = _column(column, pa)
    check_threads(num_threads)
    if isinstance(source, pa.Array):
        return _encode_chunk(encoder, source, num_threads, template, pa)
    kind = _encode_chunk(encoder, pa.array([], source.type), 1, template, pa).type
    chunks = [_encode_chunk(encoder, chunk, num_threads, template, pa) for chunk in source.chunks]
    return pa.chunked_array(chunks, type=kind)


def _column(column: Any, pa: Any) -> Any:
    if isinstance(column, (pa.Array, pa.ChunkedArray)):
        return column
    if hasattr(column, "__arrow_c_stream__"):
        return pa.chunked_array(column)
    if hasattr(column, "__arrow_c_array__"):
        return pa.array(column)
    raise TypeError(
        f"a {type(column).__name__} is not an Arrow column; give a pyarrow array, a polars or pandas "
        "Series, or another object with __arrow_c_stream__"
    )


def _encode_chunk(
    encoder: AnyEncoder, chunk: Any, threads: int, template: Template, pa: Any
) -> Any:
    types = pa.types
    kind = chunk.type.value_type if types.is_dictionary(chunk.type) else chunk.type
    strings = (types.is_string, types.is_large_string, types.is_string_view, types.is_null)
    if not any(check(kind) for check in strings):
        raise TypeError(f"a column of {kind}, not of strings; select one column of text")
    chunk = plain(chunk)
    offset_type = np.dtype(np.int64 if types.is_large_string(chunk.type) else np.int32)
    text, starts, ends, _, _ = column_of(chunk)
    arrays, counts = _encode_rows(encoder, text, starts, ends, threads)
    ids = np.concatenate(arrays) if arrays else np.empty(0, np.uint32)
    if template != ((), ()):
        ids, counts = _framed(ids, counts, template, chunk)
    offsets = np.zeros(len(chunk) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    if offset_type.itemsize == 4 and offsets[-1] >> 31:
        raise OverflowError(f"{offsets[-1]} ids in one chunk; cast the column to large_string")
    values = pa.Array.from_buffers(pa.uint32(), len(ids), [None, pa.py_buffer(ids)])
    lists = pa.list_ if offset_type.itemsize == 4 else pa.large_list
    return pa.Array.from_buffers(
        lists(pa.uint32()),
        len(chunk),
        [_validity(chunk), pa.py_buffer(offsets.astype(offset_type, copy=False))],
        null_count=chunk.null_count,
        children=[values],
    )


def _framed(
    ids: npt.NDArray[np.uint32], counts: Offsets, template: Template, chunk: Any
) -> tuple[npt.NDArray[np.uint32], Offsets]:
    """Return the ids of rows with those of a template around each row that is not null."""
    before, after = (np.array(side, np.uint32) for side in template)
    rows = np.ones(len(counts), bool)
    if chunk.null_count:
        rows = chunk.is_valid().to_numpy(zero_copy_only=False)
    added = np.where(rows, len(before) + len(after), 0)
    ends = np.cumsum(counts + added)[rows]
    starts = ends - (counts + added)[rows]
    framed = np.empty(len(ids) + int(added.sum()), np.uint32)
    of_text = np.ones(len(framed), bool)
    for side, places in (before, starts), (after, ends - len(after)):
        for number, id in enumerate(side.tolist()):
            framed[places + number] = id
            of_text[places + number] = False
    framed[of_text] = ids
    return framed, counts + added


def _validity(chunk: Any) -> Any:
    return chunk.is_valid().buffers()[1] if chunk.null_count else None


def _encode_rows(
    encoder: AnyEncoder, text: memoryview, starts: Offsets, ends: Offsets, threads: int
) -> tuple[list[npt.NDArray[np.uint32]], Offsets]:
    """Return the ids of all rows in a few arrays, and the number of ids of each row."""

    def encode(part: tuple[int, int]) -> tuple[npt.NDArray[np.uint32], Offsets]:
        first, last = part
        row_ends = np.empty(last - first, np.uint64)
        try:
            ids = encoder.encode_rows(text, starts[first:last], ends[first:last], row_ends)
        except InvalidUtf8 as error:
            row = first + error.index
            raise InvalidUtf8(f"row {row} of a chunk: {error}", row, error.offset) from None
        counts = row_ends.astype(np.int64)
        counts[1:] -= counts[:-1].copy()
        return np.asarray(ids), counts

    sizes = np.cumsum(ends - starts)
    total = int(sizes[-1]) if len(sizes) else 0
    between = np.searchsorted(sizes, range(_PART_BYTES, total, _PART_BYTES), "right")
    cuts = np.unique([0, *between.tolist(), len(starts)]).tolist()
    found = list(map_in_order(encode, pairwise(cuts), threads))
    counts = [count for _, count in found]
    return [ids for ids, _ in found], np.concatenate([np.empty(0, np.int64), *counts])
