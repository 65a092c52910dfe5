"""Conversion of Arrow arrays of text to what the compiled core reads: a buffer and row offsets."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from fastprep.errors import MissingExtra
from fastprep.system.arguments import MAX_ID, not_an_id

Offsets: TypeAlias = npt.NDArray[np.int64]


class Column(NamedTuple):
    """Column of text: row ``i`` is ``text[starts[i]:stops[i]]``; ``nulls`` are the null rows.

    ``wrong`` are rows that are no lists of ids, with the fault of each. They and null rows are empty.
    """

    text: Any
    starts: Offsets
    stops: Offsets
    nulls: Offsets
    wrong: tuple[tuple[int, str], ...] = ()


def pyarrow(what: str) -> Any:
    """Return the package pyarrow. Raises MissingExtra if it is not installed, as ``what`` needs it."""
    try:
        import pyarrow  # type: ignore[import-untyped, unused-ignore]
    except ModuleNotFoundError:
        raise MissingExtra(
            f"{what} needs pyarrow: pip install 'fastprep[arrow]'", name="pyarrow"
        ) from None
    return pyarrow


def is_text(kind: Any) -> bool:
    """Return whether an Arrow type holds texts: strings, bytes that should be UTF-8, or only nulls.

    >>> import pyarrow as pa
    >>> is_text(pa.dictionary(pa.int32(), pa.string_view())), is_text(pa.list_(pa.string()))
    (True, False)
    """
    types = pyarrow("a column of text").types
    if types.is_dictionary(kind):
        kind = kind.value_type
    return any(
        check(kind)
        for check in (
            types.is_string,
            types.is_large_string,
            types.is_string_view,
            types.is_binary,
            types.is_large_binary,
            types.is_binary_view,
            types.is_null,
        )
    )


def is_list(kind: Any) -> bool:
    """Return whether an Arrow type holds lists.

    >>> import pyarrow as pa
    >>> is_list(pa.large_list(pa.string())), is_list(pa.string())
    (True, False)
    """
    types = pyarrow("a column of lists").types
    checks = [types.is_list, types.is_large_list, types.is_fixed_size_list]
    checks += [getattr(types, name) for name in ("is_list_view",) if hasattr(types, name)]
    return any(check(kind) for check in checks)


def is_ids(kind: Any) -> bool:
    """Return whether an Arrow type holds lists of integers, as columns of token ids do.

    >>> import pyarrow as pa
    >>> is_ids(pa.list_(pa.int64())), is_ids(pa.list_(pa.string()))
    (True, False)
    """
    types = pyarrow("a column of ids").types
    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return bool(is_list and types.is_integer(kind.value_type))


def ids_of(chunk: Any) -> Column:
    """Return the column of an Arrow array that :func:`is_ids` accepts: rows of uint32 as bytes.

    >>> import pyarrow as pa
    >>> found = ids_of(pa.array([[1, 2], [], None, [3, -1]], pa.list_(pa.int64())))
    >>> found.stops - found.starts, found.wrong
    (array([8, 0, 0, 0]), ((3, '-1 is no token id; ids are 0 to 2**32 - 1'),))
    """
    pa = pyarrow("a column of ids")
    chunk = chunk.cast(pa.large_list(chunk.type.value_type))
    _, buffer = chunk.buffers()[:2]
    nulls = np.empty(0, np.int64)
    if not len(chunk):
        return Column(memoryview(b""), nulls, nulls, nulls)
    offsets = np.frombuffer(buffer, np.int64)[chunk.offset : chunk.offset + len(chunk) + 1]
    if offsets[0] < 0 or offsets[-1] > len(chunk.values) or (np.diff(offsets) < 0).any():
        raise ValueError("its offsets are out of range")
    first = int(offsets[0])
    values = chunk.values.slice(first, int(offsets[-1]) - first)
    if chunk.null_count:
        nulls = np.flatnonzero(~chunk.is_valid().to_numpy(zero_copy_only=False))
    faults = _faults(values, offsets - first)
    wrong = tuple((row, fault) for row, fault in faults.items() if row not in {*nulls.tolist()})
    numbers = values.fill_null(0) if values.null_count else values
    # Numbers that are no ids become others here; the rows that have them are left out.
    ids = np.ascontiguousarray(numbers.to_numpy().astype("<u4", copy=False))
    places = (offsets - first) * 4
    starts, stops = places[:-1], places[1:]
    if len(nulls) or wrong:
        starts = starts.copy()
        for rows in (nulls, [row for row, _ in wrong]):
            starts[rows] = stops[rows]
    return Column(memoryview(ids).cast("B"), starts, stops, nulls, wrong)


def _faults(values: Any, offsets: Offsets) -> dict[int, str]:
    """Return the fault of each row that has a null or a number that is no id, by row."""
    faults: dict[int, str] = {}
    numbers = (values.fill_null(0) if values.null_count else values).to_numpy()
    if len(numbers) and not (int(numbers.min()) >= 0 and int(numbers.max()) <= MAX_ID):
        bad = numbers < 0
        if numbers.itemsize > 4:  # others are too small for the limit
            bad |= numbers > MAX_ID
        for place in np.flatnonzero(bad):
            row = int(np.searchsorted(offsets, place, "right")) - 1
            faults.setdefault(row, not_an_id(int(numbers[place])))
    if values.null_count:
        absent = np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False))
        for row in np.unique(np.searchsorted(offsets, absent, "right") - 1):
            faults[int(row)] = "a null among the ids"
    return dict(sorted(faults.items()))


def plain(chunk: Any) -> Any:
    """Return an Arrow array of text as strings or bytes with offsets; their width is kept.

    >>> import pyarrow as pa
    >>> plain(pa.array(["one", "two"]).dictionary_encode()).type
    DataType(string)
    """
    pa = pyarrow("a column of text")
    types = pa.types
    if types.is_dictionary(chunk.type):
        chunk = without_views(chunk).dictionary_decode()
    if types.is_null(chunk.type):
        return chunk.cast(pa.string())
    # An array of views has several buffers, but the core reads one.
    if types.is_string_view(chunk.type):
        return chunk.cast(pa.large_string())
    return chunk.cast(pa.large_binary()) if types.is_binary_view(chunk.type) else chunk


def without_views(chunk: Any) -> Any:
    """Return an array with a dictionary of strings for one of views, which pyarrow cannot decode.

    >>> import pyarrow as pa
    >>> views = pa.DictionaryArray.from_arrays([0, 0], pa.array(["one"], pa.string_view()))
    >>> without_views(views).type.value_type
    DataType(large_string)
    """
    pa = pyarrow("a column of text")
    types = pa.types
    if not types.is_dictionary(chunk.type):
        return chunk
    kind = chunk.type.value_type
    if not (types.is_string_view(kind) or types.is_binary_view(kind)):
        return chunk
    plain_kind = pa.large_string() if types.is_string_view(kind) else pa.large_binary()
    return pa.DictionaryArray.from_arrays(chunk.indices, chunk.dictionary.cast(plain_kind))


def column_of(chunk: Any) -> Column:
    """Return the column of an Arrow array that :func:`is_text` accepts, if possible without a copy.

    >>> import pyarrow as pa
    >>> column_of(pa.array(["one", None, "two"])).nulls
    array([1])
    """
    chunk = plain(chunk)
    types = pyarrow("a column of text").types
    is_large = types.is_large_string(chunk.type) or types.is_large_binary(chunk.type)
    _, offsets, data = chunk.buffers()
    text = memoryview(b"" if data is None else data).cast("B")
    if not len(chunk):
        empty = np.empty(0, np.int64)
        return Column(text, empty, empty, empty)
    found = np.frombuffer(offsets, np.int64 if is_large else np.int32)
    places: Offsets = found[chunk.offset : chunk.offset + len(chunk) + 1].astype(np.int64)
    starts, stops = places[:-1], places[1:]
    nulls = np.empty(0, np.int64)
    if chunk.null_count:
        valid = chunk.is_valid().to_numpy(zero_copy_only=False)
        nulls = np.flatnonzero(~valid)
        # A null may have bytes, which are undefined.
        starts = starts.copy()
        starts[nulls] = stops[nulls]
    return Column(text, starts, stops, nulls)


def arrow_column(column: Any) -> Any:
    """Return an object with Arrow's PyCapsule interface as an array or chunked array of pyarrow.

    >>> import pyarrow as pa
    >>> arrow_column(pa.array(["one"])).type
    DataType(string)

    Raises TypeError for anything else.
    """
    pa = pyarrow("a column of text")
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


def strings(chunk: Any) -> Any:
    """Return an Arrow array of strings as one with offsets.

    >>> import pyarrow as pa
    >>> strings(pa.array(["one"], pa.string_view())).type
    DataType(large_string)

    Raises TypeError for an array of another type.
    """
    types = pyarrow("a column of text").types
    kind = chunk.type.value_type if types.is_dictionary(chunk.type) else chunk.type
    known = (types.is_string, types.is_large_string, types.is_string_view, types.is_null)
    if not any(check(kind) for check in known):
        raise TypeError(f"a column of {kind}, not of strings; select one column of text")
    return plain(chunk)


def text_columns(column: Any) -> list[Column]:
    """Return the chunks of a column of strings as buffers and the places of their rows.

    >>> import pyarrow as pa
    >>> [found] = text_columns(pa.array(["one", None, "two"]))
    >>> found.starts.tolist(), found.stops.tolist()
    ([0, 3, 3], [3, 3, 6])

    Raises TypeError for anything but a column of strings.
    """
    pa = pyarrow("a column of text")
    source = arrow_column(column)
    chunks = [source] if isinstance(source, pa.Array) else source.chunks
    return [column_of(strings(chunk)) for chunk in chunks]
