"""Tables and streams in memory as inputs: the same documents from any library's table."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import bad_in, read

from fastprep import prepare
from fastprep.corpus.documents import Format, Span
from fastprep.corpus.inputs import find
from fastprep.errors import InvalidInput
from fastprep.store.reader import TokenStore

pa = pytest.importorskip("pyarrow")

TEXT = st.text(alphabet=list("ab \n|é漢😀"), max_size=20)
KINDS = [
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.binary(),
    pa.dictionary(pa.int32(), pa.string()),
]


def parts(span: Span, cuts: list[int]) -> list[Span]:
    edges = sorted({0, span.size, *(cut % (span.size + 1) for cut in cuts)})
    return [span.part(a, b) for a, b in pairwise(edges)]


@settings(max_examples=200, deadline=None)
@given(
    chunks=st.lists(st.lists(TEXT | st.none(), max_size=8), max_size=4),
    kind=st.sampled_from(KINDS),
    cuts=st.lists(st.integers(0, 500), max_size=5),
    block_bytes=st.integers(1, 40),
    offset=st.integers(0, 2),
    on_error=st.sampled_from(["skip", "replace"]),
)
def test_any_ranges_of_a_table_have_its_texts_in_order(
    chunks: list[list[str | None]],
    kind: Any,
    cuts: list[int],
    block_bytes: int,
    offset: int,
    on_error: Any,
) -> None:
    arrays = [
        pa.array([None if t is None else t.encode() for t in chunk], pa.binary())
        if pa.types.is_binary(kind)
        else pa.array(chunk, pa.string()).cast(kind)
        for chunk in chunks
    ]
    column = pa.chunked_array(arrays, kind).slice(offset)
    rows = [text for chunk in chunks for text in chunk][offset:]
    form = Format(on_error=on_error)
    (span,) = find(pa.table({"id": range(len(rows)), "text": column}), form)
    expected = [(text or "").encode() for text in rows if text is not None or on_error == "replace"]
    assert read(parts(span, cuts), form, block_bytes=block_bytes) == expected
    (stream,) = find(pa.table({"text": column}).to_reader(), form)
    assert read([stream], form, block_bytes=block_bytes) == expected
    nulls = [row for row, text in enumerate(rows) if text is None]
    assert [bad.place for bad in bad_in(parts(span, cuts), form, block_bytes=block_bytes)] == [
        f"<table 1>, row {row}" for row in nulls
    ]


def test_a_null_in_a_table_is_named_by_its_row() -> None:
    table = pa.table({"text": ["one", None]})
    with pytest.raises(InvalidInput, match=r"<table 1>, row 1: 'text' is null"):
        read(find(table), Format())
    with pytest.raises(InvalidInput, match=r"<stream 1>, row 1: 'text' is null"):
        read(find(table.to_reader()), Format())


def test_a_table_without_the_column_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    table = pa.table({"body": ["one"], "id": [1]})
    for form, message in (
        (Format(), r"<table 2>: has no column 'text'; it has: body \(string\), id \(int64\)"),
        (Format(field="id"), "<table 2>: holds int64, not text, in the column 'id'"),
    ):
        with pytest.raises(InvalidInput, match=message):
            find([pa.table({"text": ["one"], "id": ["x"]}), table], form)
    with pytest.raises(InvalidInput, match=r"<stream 1>: has no column 'text'"):
        prepare(table.to_reader(), tmp_path / "store", progress=False)


@pytest.mark.parametrize(
    "thing", [pa.chunked_array([["one"]]), pa.array([1]), 5, pa.array(["one"])], ids=str
)
def test_what_is_no_table_is_refused(thing: Any) -> None:
    with pytest.raises(InvalidInput, match=r"input \d(, a|.* is a)"):
        find([thing])


TEXTS = [f"This is text {i}, é and 漢." * (i % 7) for i in range(3000)]


def made_of(thing: Any, output: Path, **options: Any) -> TokenStore:
    return prepare(thing, output, progress=False, **options)


def test_a_table_makes_the_same_store_by_any_number_of_workers(tmp_path: Path) -> None:
    table = pa.table({"text": pa.chunked_array([TEXTS[:1000], TEXTS[1000:]])})
    stores = [
        made_of(table, tmp_path / str(workers), workers=workers, shard_bytes=20_000)
        for workers in (1, 3)
    ]
    assert len(stores[0].manifest.shards) > 5
    assert stores[0].num_documents == len(TEXTS)
    names = sorted(path.name for path in stores[0].path.iterdir())
    for name in names:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "3" / name).read_bytes()
    assert names == sorted(path.name for path in stores[1].path.iterdir())


def test_polars_pandas_and_duckdb_are_read_where_they_are(tmp_path: Path) -> None:
    expected = made_of(pa.table({"text": TEXTS}), tmp_path / "arrow")[:].tolist()
    for name in ("polars", "pandas"):
        frames = pytest.importorskip(name)
        store = made_of(frames.DataFrame({"text": TEXTS}), tmp_path / name, workers=2)
        assert store[:].tolist() == expected
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect() as connection:
        connection.register("texts", pa.table({"text": TEXTS}))
        query = connection.sql("select text as body from texts")
        store = made_of(query, tmp_path / "duckdb", field="body", workers=2)
    assert store[:].tolist() == expected


def test_a_data_set_of_hugging_face_is_read_as_it_is_even_shuffled(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = [{"text": text, "meta": {"id": i}} for i, text in enumerate(TEXTS)]
    whole = datasets.Dataset.from_list(rows)
    shuffled = whole.shuffle(seed=1)
    for name, thing, texts in (
        ("whole", whole, TEXTS),
        ("shuffled", shuffled, shuffled["text"]),
        ("stream", whole.to_iterable_dataset(), TEXTS),
    ):
        store = made_of(thing, tmp_path / name, workers=2)
        same = made_of(pa.table({"text": list(texts)}), tmp_path / f"{name}-again")
        assert store[:].tolist() == same[:].tolist()


def test_files_and_tables_stand_side_by_side_in_the_order_given(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    spans = find(
        [pa.table({"text": ["two"]}), tmp_path / "a.txt", pa.record_batch({"text": ["3"]})]
    )
    assert [span.path for span in spans] == ["<table 1>", f"{tmp_path}/a.txt", "<table 3>"]
    assert read(spans, Format()) == [b"two", b"one", b"3"]


def test_a_table_is_named_in_the_manifest_and_cannot_be_read_by_name(tmp_path: Path) -> None:
    store = made_of(pa.table({"text": ["one", "two"]}), tmp_path / "store")
    (span,) = TokenStore(store.path).manifest.shards[0].inputs
    assert span == Span("<table 1>", 0, 8, 8, in_memory=True)
    with pytest.raises(InvalidInput, match="no such file"):
        find(span.path)


def test_objects_that_are_not_inputs_are_refused_without_showing_them_in_full(
    tmp_path: Path,
) -> None:
    text = "This is a text, not a path. " * 100
    for texts in (
        text,
        [text],
        iter([text]),
        [text.replace(" ", "/")],
        ["Two\nlines."],
        ["* [a]\n"],
    ):
        with pytest.raises(
            InvalidInput, match="inputs are paths, so put texts into a table"
        ) as long:
            find(texts)
        assert len(str(long.value)) < 250
    for nothing in (None, 5, [None]):
        with pytest.raises(InvalidInput, match=r"input 1 is a (NoneType|int); pass a path"):
            find(nothing)
    datasets = pytest.importorskip("datasets")
    split = datasets.Dataset.from_dict({"text": ["One."]})
    with pytest.raises(InvalidInput, match=r"a DatasetDict, .*pass one of 'train', 'test'"):
        find(datasets.DatasetDict({"train": split, "test": split}))


@pytest.mark.parametrize("encoding", [5, None, type("Other", (), {})()])
def test_what_is_no_encoding_is_refused_by_its_type(tmp_path: Path, encoding: Any) -> None:
    (tmp_path / "a.txt").write_text("One.")
    with pytest.raises(InvalidInput, match=r"encoding is a .*(int|NoneType|Other); pass a name"):
        prepare(tmp_path / "a.txt", tmp_path / "store", encoding=encoding)
