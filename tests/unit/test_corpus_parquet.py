"""Parquet files: any ranges give the same texts of one column, and errors name the row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import bad_in, read, spans_of

from fastprep.corpus.documents import Format
from fastprep.corpus.reader import batches, can_split, documents, whole
from fastprep.errors import DamagedInput, InvalidInput

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

TEXT = st.text(alphabet=list("ab \n|é漢😀"), max_size=40)
KINDS = [
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.binary(),
    pa.large_binary(),
    pa.dictionary(pa.int32(), pa.string()),
]
Write = Callable[..., Path]


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Write:
    directory = tmp_path_factory.mktemp("parquet")

    def write(columns: dict[str, Any], name: str = "a.parquet", **options: Any) -> Path:
        pq.write_table(pa.table(columns), directory / name, **options)
        return directory / name

    return write


@settings(max_examples=150, deadline=None)
@given(
    texts=st.lists(TEXT, max_size=20),
    kind=st.sampled_from(KINDS),
    group=st.integers(1, 8),
    block_bytes=st.integers(1, 60),
    cuts=st.lists(st.integers(0, 5000), max_size=4),
    cut=st.booleans(),
)
def test_blocks_ranges_and_cuts_never_change_the_documents_of_a_parquet_file(
    write: Write,
    texts: list[str],
    kind: Any,
    group: int,
    block_bytes: int,
    cuts: list[int],
    cut: bool,
) -> None:
    column = pa.array([text.encode() for text in texts], pa.binary())
    column = pa.array(texts, pa.string()).cast(kind) if "binary" not in str(kind) else column
    path = write({"id": range(len(texts)), "text": column}, row_group_size=group)
    found = read(spans_of(path, cuts), Format(), block_bytes=block_bytes, cut=cut)
    assert found == [text.encode() for text in texts]


def test_one_file_is_split_into_its_row_groups(write: Write) -> None:
    path = write({"text": [f"text {i}" for i in range(100)]}, row_group_size=10)
    assert can_split(str(path), Format())
    parts = [list(documents([span], Format())) for span in spans_of(path, [*range(0, 4000, 50)])]
    assert sum(map(bool, parts)) == 10
    assert {len(part) for part in parts} == {0, 10}


def test_a_nested_column_is_named_by_a_path_and_is_null_where_anything_on_it_is(
    write: Write,
) -> None:
    rows = [{"b": {"c": "one"}}, {"b": None}, None, {"b": {"c": "two"}}]
    path = write({"a": rows, "a.b.c": ["x"] * 4})
    assert read([whole(path)], Format(field="a.b.c", on_error="skip")) == [b"one", b"two"]
    assert [bad.place for bad in bad_in([whole(path)], Format(field="a.b.c", on_error="skip"))] == [
        f"{path}, row {row} (of row group 0)" for row in (1, 2)
    ]
    assert read([whole(path)], Format(field=r"a\.b\.c")) == [b"x"] * 4


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("body", r"has no column 'body'; it has: text \(string\), id \(int64\)"),
        ("text.b", r"has no column 'text\.b'"),
        ("id", "holds int64, not text, in the column 'id'"),
    ],
)
def test_a_column_that_is_not_there_or_no_text_is_an_error_that_names_those_there_are(
    write: Write, field: str, message: str
) -> None:
    path = write({"text": ["one"] * 9, "id": range(9)}, row_group_size=3)
    with pytest.raises(InvalidInput, match=rf"a\.parquet: {message}"):
        read([whole(path)], Format(field=field))
    for on_error in ("skip", "replace"):
        form = Format(field=field, on_error=on_error)
        (bad,) = bad_in(spans_of(path, [100, 200, 300]), form)
        assert bad.place == str(path)
        assert read([whole(path)], form) == []


def test_a_null_is_named_by_its_row(write: Write) -> None:
    path = write({"text": ["one", "two", None, "", None, "three"]}, row_group_size=2)
    with pytest.raises(
        InvalidInput, match=r"a\.parquet, row 2 \(of row group 1\): 'text' is null; drop such"
    ):
        read([whole(path)], Format())
    for block_bytes in (1, 1 << 20):
        skipped, replaced = Format(on_error="skip"), Format(on_error="replace")
        assert read([whole(path)], skipped, block_bytes=block_bytes) == [
            *(b"one", b"two", b"", b"three")
        ]
        assert read([whole(path)], replaced, block_bytes=block_bytes) == [
            *(b"one", b"two", b"", b"", b"", b"three")
        ]
        for form in (skipped, replaced):
            found = [bad.place.split(", ")[1] for bad in bad_in([whole(path)], form)]
            assert found == ["row 2 (of row group 1)", "row 4 (of row group 2)"]


def test_a_row_is_named_at_any_position_in_its_batch(write: Write) -> None:
    path = write({"text": ["one", None, "two", "three"] * 3}, row_group_size=4)
    places = [
        batch.place(index, 1)[0]
        for batch in batches(whole(path), Format(on_error="skip"), block_bytes=4)
        for index in range(len(batch.texts))
    ]
    rows = [row for row in range(12) if row % 4 != 1]
    assert places == [
        f"{path}, row {row} (of row group {row // 4}), byte 1 of its text" for row in rows
    ]


def test_a_row_longer_than_a_block_comes_in_parts(write: Write) -> None:
    text = "word " * 5000
    path = write({"text": ["one", text, "two"]})
    found = list(batches(whole(path), Format(), block_bytes=1000))
    assert max(batch.size for batch in found) <= 1000
    assert read([whole(path)], Format(), block_bytes=1000, cut=True) == [
        *(b"one", text.encode(), b"two")
    ]
    at = next(i for i, batch in enumerate(found) if not batch.closed) + 1
    assert found[at].place(0, 2)[0].endswith(f"byte {found[at - 1].size + 2} of its text")


def test_an_empty_file_and_one_of_another_kind_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    for content in (b"", b"PAR1", b"text\n" * 100, b"PAR1" * 30):
        path.write_bytes(content)
        with pytest.raises(
            DamagedInput, match=r"a\.parquet: the file is damaged, or not a Parquet"
        ):
            read([whole(path)], Format())
        (bad,) = bad_in([whole(path)], Format(on_error="skip"))
        assert bad.place == str(path)


def test_a_table_without_rows_has_no_documents(write: Write) -> None:
    assert read([whole(write({"text": pa.array([], pa.string())}))], Format()) == []


def test_a_row_group_that_is_damaged_is_named_and_the_others_are_not_lost(write: Write) -> None:
    texts = [f"text {i}" * 50 for i in range(30)]
    path = write({"text": texts}, row_group_size=10, write_page_checksum=True)
    column = pq.ParquetFile(path).metadata.row_group(1).column(0)
    content = bytearray(path.read_bytes())
    end = column.dictionary_page_offset + column.total_compressed_size
    content[end - 3] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedInput, match=r"a\.parquet, row 10 \(of row group 1\): .*damaged"):
        read([whole(path)], Format())
    form = Format(on_error="skip")
    assert read([whole(path)], form) == [text.encode() for text in texts[:10] + texts[20:]]
    (bad,) = bad_in([whole(path)], form)
    assert bad.place.endswith("row 10 (of row group 1)")
    assert "the rest of the row group is skipped" in bad.reason


def test_memory_does_not_grow_with_a_row_group(write: Write, tmp_path: Path) -> None:
    text = "word " * 1000
    path = write({"text": [f"{i}{text}" for i in range(20_000)]}, row_group_size=20_000)
    sizes = [batch.size for batch in batches(whole(path), Format(), block_bytes=1 << 18)]
    assert sum(sizes) > 100_000_000
    assert max(sizes) <= 1 << 18
