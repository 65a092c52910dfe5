"""Arrow columns give the ids that encode_ordinary gives row by row."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from texts import mixed_texts

from fastprep import Encoding
from fastprep.errors import InvalidUtf8

ROWS: list[str | None] = [None, "", *mixed_texts(seed=41, count=3_000), None, "", "x" * 3_000_000]
ROWS += [*mixed_texts(seed=42, count=500), None]


@pytest.fixture(scope="module")
def expected(gpt2: Encoding) -> list[list[int] | None]:
    return [None if row is None else gpt2.encode_ordinary(row) for row in ROWS]


class InterfaceOnly:
    """An object with the Arrow interface and nothing else."""

    def __init__(self, **methods: Any) -> None:
        self.methods = methods

    def __getattr__(self, name: str) -> Any:
        try:
            return self.methods[name]
        except KeyError:
            raise AttributeError(name) from None


@pytest.mark.parametrize("threads", [1, 2, 8])
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()], ids=str)
def test_rows_have_the_ids_of_encode_ordinary(gpt2, expected, kind, threads):
    found = gpt2.encode_arrow(pa.array(ROWS, kind), num_threads=threads)
    found.validate(full=True)
    assert found.type == (pa.list_ if kind == pa.string() else pa.large_list)(pa.uint32())
    assert found.null_count == 3
    assert found.to_pylist() == expected


@pytest.mark.parametrize(
    "kind", [pa.string_view(), pa.dictionary(pa.int32(), pa.string())], ids=str
)
def test_views_and_dictionaries_are_read_as_the_strings_they_are(gpt2, expected, kind):
    column = pa.array(ROWS, pa.large_string() if kind == pa.string_view() else pa.string())
    found = gpt2.encode_arrow(
        column.cast(kind) if kind == pa.string_view() else column.dictionary_encode()
    )
    found.validate(full=True)
    assert found.to_pylist() == expected


def test_a_slice_of_an_array_is_read_from_where_it_begins(gpt2, expected):
    array = pa.array(ROWS)
    for begin, end in ((0, 0), (1, 1), (3, 40), (7, 8), (2_990, 3_020), (3_500, len(ROWS))):
        found = gpt2.encode_arrow(array[begin:end])
        found.validate(full=True)
        assert found.to_pylist() == expected[begin:end]


def test_chunks_are_kept(gpt2, expected):
    array = pa.array(ROWS)
    column = pa.chunked_array([array[:5], array[5:5], array[5:2_000], array[2_000:]])
    found = gpt2.encode_arrow(column)
    found.validate(full=True)
    assert [len(chunk) for chunk in found.chunks] == [5, 0, 1_995, len(ROWS) - 2_000]
    assert found.to_pylist() == expected


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.null()], ids=str
)
def test_empty_column_gives_an_empty_array_of_the_right_type(gpt2, kind):
    lists = pa.list_ if kind in (pa.string(), pa.null()) else pa.large_list
    for column in (pa.array([], kind), pa.chunked_array([], kind)):
        found = gpt2.encode_arrow(column)
        found.validate(full=True)
        assert len(found) == 0
        assert found.type == lists(pa.uint32())
    if kind == pa.null():
        assert gpt2.encode_arrow(pa.nulls(3)).to_pylist() == [None, None, None]


def test_bytes_of_a_null_are_not_read(gpt2):
    array = pa.array(["tea", "\ud7ff", "tea"])
    _, offsets, _ = array.buffers()
    data = pa.py_buffer(b"tea\xff\xfe\xfdtea")
    hidden = pa.Array.from_buffers(pa.string(), 3, [pa.py_buffer(b"\x05"), offsets, data])
    assert gpt2.encode_arrow(hidden).to_pylist() == [[660, 64], None, [660, 64]]


def test_objects_with_only_the_interface_are_columns(gpt2, expected):
    array = pa.array(ROWS)
    stream = pa.chunked_array([array[:100], array[100:]])
    one = InterfaceOnly(__arrow_c_array__=array.__arrow_c_array__)
    many = InterfaceOnly(__arrow_c_stream__=stream.__arrow_c_stream__)
    assert gpt2.encode_arrow(one).to_pylist() == expected
    assert gpt2.encode_arrow(many).to_pylist() == expected


def test_polars_series_round_trip(gpt2, expected):
    polars = pytest.importorskip("polars")
    found = polars.Series(gpt2.encode_arrow(polars.Series(ROWS)))
    assert found.dtype == polars.List(polars.UInt32)
    assert found.to_list() == expected


def test_an_encoding_that_changes_its_text_gives_its_own_ids(gpt2, tmp_path):
    gpt2.save(tmp_path / "tokenizer.json")
    text = (tmp_path / "tokenizer.json").read_text()
    text = text.replace('"normalizer": null', '"normalizer": {"type": "NFC"}')
    (tmp_path / "tokenizer.json").write_text(text.replace('space": false', 'space": true'))
    changed = Encoding.from_file(tmp_path / "tokenizer.json")
    rows = ["e\u0301", None, "tea", "\u0344" * 3, *ROWS[5:200]]
    ids = [None if row is None else changed.encode_ordinary(row) for row in rows]
    assert changed.encode_arrow(pa.array(rows)).to_pylist() == ids
    assert ids[2] == gpt2.encode_ordinary(" tea")


def test_a_pattern_without_a_splitter_gives_its_own_ids():
    tokens = {bytes([i]): i for i in range(256)} | {b"ab": 256}
    own = Encoding("own", pat_str=r"\w+|\W", mergeable_ranks=tokens, special_tokens={})
    rows = ["ab ab", None, "", "über ab"]
    ids = [None if row is None else own.encode_ordinary(row) for row in rows]
    assert own.encode_arrow(pa.array(rows)).to_pylist() == ids


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, 2]),
        pa.array([b"bytes"]),
        pa.array([["a"], ["b"]]),
        pa.table({"text": ["a"]}),
        pa.record_batch({"text": ["a"]}),
        ["a list"],
        "a str",
        None,
        np.array(["a"]),
    ],
    ids=lambda column: type(column).__name__,
)
def test_other_types_than_columns_of_strings_are_type_errors(gpt2, column):
    with pytest.raises(TypeError, match="column"):
        gpt2.encode_arrow(column)


def test_invalid_utf8_is_named_by_row_and_byte(gpt2):
    rows = [b"tea"] * 900_000 + [b"ab\xffcd"] + [b"tea"] * 10
    column = pa.array(rows, pa.binary())
    column = pa.Array.from_buffers(pa.string(), len(rows), column.buffers())
    with pytest.raises(InvalidUtf8, match=r"row 900000 .*byte 2") as error:
        gpt2.encode_arrow(column)
    assert (error.value.index, error.value.offset) == (900_000, 2)


@pytest.mark.parametrize("offsets", [[0, 9, 3], [0, -1, 3], [0, 2**31 - 1, 3], [2, 1, 3]])
def test_invalid_offsets_expose_no_other_memory(gpt2, offsets):
    buffers = [None, pa.py_buffer(np.array(offsets, np.int32)), pa.py_buffer(b"tea")]
    with pytest.raises(ValueError, match="text 0 goes from"):
        gpt2.encode_arrow(pa.Array.from_buffers(pa.string(), 2, buffers))


def test_without_pyarrow_the_error_says_what_to_install(gpt2, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ModuleNotFoundError, match=r"fastprep\[arrow\]"):
        gpt2.encode_arrow(["a"])
