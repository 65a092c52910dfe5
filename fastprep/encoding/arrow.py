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
    import numpy.typing as npt

    from fastprep.encoding.encoders import AnyEncoder
    from fastprep.vocabulary.recipe import Template


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
    source = arrow_column(column)
    check_threads(num_threads)
    if isinstance(source, pa.Array):
        return _encode_chunk(encoder, source, num_threads, template, pa)
    kind = _encode_chunk(encoder, pa.array([], source.type), 1, template, pa).type
    chunks = [_encode_chunk(encoder, chunk, num_threads, template, pa) for chunk in source.chunks]
    return pa.chunked_array(chunks, type=kind)


def _encode_chunk(
    encoder: AnyEncoder, chunk: Any, threads: int, template: Template, pa: Any
) -> Any:
    chunk = strings(chunk)
    is_large = pa.types.is_large_string(chunk.type)
    text, starts, stops, _, _ = column_of(chunk)
    ids, offsets = encode_rows(encoder, Rows(text, starts, stops), threads)
    if template != ((), ()):
        ids, offsets = _framed(ids, offsets, template, chunk)
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


def _framed(
    ids: npt.NDArray[np.uint32], offsets: npt.NDArray[np.int64], template: Template, chunk: Any
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Return the ids of rows with those of a template around each row that is not null."""
    before, after = (np.array(side, np.uint32) for side in template)
    counts = np.diff(offsets)
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
    return framed, np.concatenate([[0], np.cumsum(counts + added)])


def _validity(chunk: Any) -> Any:
    return chunk.is_valid().buffers()[1] if chunk.null_count else None
