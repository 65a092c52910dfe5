"""Columns of token ids as inputs: what another tokenizer has encoded becomes a store."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fastprep
from fastprep import errors, prepare

EOT = 50256
IDS = [[1, 2, 3], [], [EOT], [4, 5, EOT], list(range(400))]
CLOSED = [[1, 2, 3, EOT], [EOT], [EOT], [4, 5, EOT], [*range(400), EOT]]


def table(ids: Any, kind: Any = None) -> Any:
    return pa.table({"input_ids": pa.array(ids, kind or pa.list_(pa.int64()))})


def as_jsonl(ids: Any, folder: Path) -> Path:
    path = folder / "ids.jsonl"
    path.write_text("".join(json.dumps({"input_ids": each}) + "\n" for each in ids))
    return path


def as_parquet(ids: Any, folder: Path) -> Path:
    pq.write_table(table(ids, pa.list_(pa.int32())), folder / "ids.parquet", row_group_size=2)
    return folder / "ids.parquet"


def as_arrow(ids: Any, folder: Path) -> Path:
    found = table(ids, pa.large_list(pa.uint32()))
    with (
        pa.OSFile(str(folder / "ids.arrow"), "wb") as file,
        pa.ipc.new_file(file, found.schema) as out,
    ):
        out.write_table(found)
    return folder / "ids.arrow"


def as_table(ids: Any, folder: Path) -> Any:
    # Chunks that do not start at the buffer's start.
    return pa.concat_tables(
        [table([[7], *ids[:2]]).slice(1), table([*ids[2:], [8]]).slice(0, len(ids) - 2)]
    )


def as_stream(ids: Any, folder: Path) -> Any:
    return table(ids).to_reader(2)


def as_gzip(ids: Any, folder: Path) -> Path:
    import gzip

    path = as_jsonl(ids, folder)
    path.with_suffix(".jsonl.gz").write_bytes(gzip.compress(path.read_bytes()))
    return path.with_suffix(".jsonl.gz")


def as_dicts(ids: Any, folder: Path) -> Any:
    return iter([{"input_ids": each} for each in ids])


FORMS = [as_dicts, as_jsonl, as_gzip, as_parquet, as_arrow, as_table, as_stream]


def made(inputs: Any, folder: Path, **options: Any) -> fastprep.TokenStore:
    return prepare(inputs, folder / "store", field="input_ids", progress=False, **options)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shard_bytes", [20, None])
def test_lists_of_ids_become_documents(
    form: Callable[..., Any], shard_bytes: int | None, tmp_path: Path
) -> None:
    store = made(form(IDS, tmp_path), tmp_path, shard_bytes=shard_bytes, block_bytes=64)
    assert [ids.tolist() for ids in store.documents()] == CLOSED
    fastprep.verify(store)


def test_an_end_token_may_lead_or_be_left_out(tmp_path: Path) -> None:
    ids = [[1, 2], [EOT, 3], []]
    store = made(table(ids), tmp_path, eot="prepend")
    assert [found.tolist() for found in store.documents()] == [[EOT, 1, 2], [EOT, 3], [EOT]]
    fastprep.verify(store)
    store = made(table(ids), tmp_path / "none", eot="none")
    assert [found.tolist() for found in store.documents()] == ids


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([1, 50257], "id 1 is 50257, and 'gpt2' has 50257 ids"),
        ([1, EOT, 2], f"id 1 is the end token {EOT}, inside the document"),
        ([1, -1], "-1"),
    ],
)
def test_wrong_ids_are_named_with_their_place(
    form: Callable[..., Any], wrong: list[int], message: str, tmp_path: Path
) -> None:
    ids = [[1, 2], wrong, [3]]
    if form is as_arrow and -1 in wrong:
        pytest.skip("uint32")
    with pytest.raises(errors.InvalidInput, match=message) as raised:
        made(form(ids, tmp_path), tmp_path)
    place = {as_jsonl: "line 2", as_gzip: "line 2", as_dicts: "item 1"}.get(form, "row")
    assert place in str(raised.value)
    if -1 not in wrong:
        store = made(form(ids, tmp_path), tmp_path / "skipped", on_error="skip")
        assert [found.tolist() for found in store.documents()] == [[1, 2, EOT], [3, EOT]]
        assert store.manifest.shards[0].bad_documents == 1


@pytest.mark.parametrize("options", [{"shuffle": 3}, {"validation_documents": 2}, {"workers": 2}])
def test_ids_are_shuffled_and_divided_as_texts_are(options: Any, tmp_path: Path) -> None:
    ids = [[number] * (number % 7 + 1) for number in range(40)]
    store = made(as_parquet(ids, tmp_path), tmp_path, **options)
    found = [document.tolist()[:-1] for document in store.documents()]
    if "validation_documents" in options:
        other = fastprep.TokenStore(tmp_path / "store" / "validation")
        assert len(other.documents()) == 2
        found += [document.tolist()[:-1] for document in other.documents()]
    assert sorted(found) == sorted(ids)


def test_a_null_and_text_among_ids_are_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidInput, match="'input_ids' is null"):
        made(table([[1], None]), tmp_path)
    with pytest.raises(errors.InvalidInput, match="a null among the ids"):
        made(table([[1, None]]), tmp_path)
    with pytest.raises(errors.InvalidInput, match=r"line 2.*is text, unlike before it"):
        made(as_jsonl([[1], "one"], tmp_path), tmp_path)
    with pytest.raises(errors.InvalidInput, match=r"line 2.*is a list of ids, unlike before it"):
        made(as_jsonl(["one", [1]], tmp_path), tmp_path)
    with pytest.raises(errors.InvalidInput, match="not text, in the column"):
        made(table([["a"]], pa.list_(pa.string())), tmp_path)


NO_IDS = {"a null among the ids": [1, None], "-1 is no token id": [-1], "4294967296": [1 << 32]}


@pytest.mark.parametrize("fault", NO_IDS)
@pytest.mark.parametrize("form", [as_parquet, as_arrow, as_table, as_stream])
def test_a_list_that_is_no_list_of_ids_is_one_bad_document(
    fault: str, form: Callable[[Any, Path], Any], tmp_path: Path
) -> None:
    ids = [[1], NO_IDS[fault], [2, 3]]
    if form is as_arrow and fault != "a null among the ids":
        pytest.skip("its type has no such number")
    if form is as_parquet and fault == "4294967296":
        pytest.skip("its type has no such number")
    with pytest.raises(errors.InvalidInput, match=rf"row 1\b.*: 'input_ids': {fault}") as caught:
        made(form(ids, tmp_path), tmp_path)
    assert not isinstance(caught.value, errors.DamagedInput)
    store = made(form(ids, tmp_path), tmp_path, on_error="skip", overwrite=True)
    assert [document.tolist() for document in store.documents()] == [[1, EOT], [2, 3, EOT]]
    assert store.manifest.shards[0].bad_documents == 1
    store = made(form(ids, tmp_path), tmp_path, on_error="replace", overwrite=True)
    assert [document.tolist() for document in store.documents()] == [[1, EOT], [EOT], [2, 3, EOT]]


def test_null_lists_of_one_size_may_have_anything_in_them(tmp_path: Path) -> None:
    pairs = table([[1, 2], None, [3, 4]], pa.list_(pa.int16(), 2))
    store = made(pairs, tmp_path, on_error="skip")
    assert store[:].tolist() == [1, 2, EOT, 3, 4, EOT]


@pytest.mark.parametrize("wrong", ["[1.5]", "[[1]]", "[null]", '["1"]', "[true]"])
def test_a_list_of_other_things_is_named_in_the_error(wrong: str, tmp_path: Path) -> None:
    (tmp_path / "ids.jsonl").write_text(f'{{"input_ids": {wrong}}}\n')
    message = "line 1: `input_ids` is a list, but not of integers; .* a list of token ids, under"
    with pytest.raises(errors.InvalidInput, match=message):
        made(tmp_path / "ids.jsonl", tmp_path)


def test_there_is_no_text_to_compare_ids_with(tmp_path: Path) -> None:
    store = made(as_parquet(IDS, tmp_path), tmp_path)
    with pytest.raises(errors.InvalidInput, match="has token ids, so there is no text"):
        fastprep.verify(store, against="tiktoken")


def test_a_store_goes_to_arrow_and_back(tmp_path: Path) -> None:
    store = made(table(IDS), tmp_path)
    again = made(store.to_arrow(), tmp_path / "again")
    assert again == store
    np.testing.assert_array_equal(again[:], store[:])
