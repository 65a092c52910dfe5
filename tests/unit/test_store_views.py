"""A store shows what it holds: its encoding, documents, texts, arrays and tables."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import fastprep
from fastprep import Encoding, TokenStore, errors, prepare
from fastprep.vocabulary.ranks import published_table

TEXTS = ["One tea.", "", "Two  cups\n", "日本 <|endoftext|> 4", "x" * 50]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.jsonl"
    import json

    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    return path


def made(corpus: Path, name: str = "store", **options: Any) -> TokenStore:
    return prepare(corpus, corpus.parent / name, progress=False, **options)


def own_encoding(kind: str, folder: Path) -> Encoding:
    gpt2 = fastprep.get_encoding("gpt2")
    ranks = {token: rank for token, rank in gpt2._mergeable_ranks.items() if rank < 3000}
    if kind == "ranks":
        return Encoding(
            "mine",
            pat_str=r"\p{L}+|\P{L}+",
            mergeable_ranks=ranks,
            special_tokens={"<|end|>": 3000},
        )
    if kind == "bundled ranks, more special tokens":
        return Encoding(
            "gpt2",
            pat_str=gpt2.pat_str,
            mergeable_ranks=published_table("r50k_base").mergeable_ranks(),
            special_tokens={"<|end|>": 60000},
        )
    small = Encoding(
        "s", pat_str=gpt2.pat_str, mergeable_ranks=ranks, special_tokens={"<|end|>": 3000}
    )
    small.save(folder / "own.json")
    return Encoding.from_file(folder / "own.json")


KINDS = ["ranks", "bundled ranks, more special tokens", "merges"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("parts", [False, True])
def test_a_store_holds_the_encoding_that_made_it(
    kind: str, parts: bool, corpus: Path, tmp_path: Path
) -> None:
    encoding = own_encoding(kind, tmp_path)
    options: dict[str, Any] = {"validation_documents": 2} if parts else {}
    store = made(corpus, encoding=encoding, eot_token="<|end|>", **options)
    if kind == "merges":
        (tmp_path / "own.json").unlink()
    for each in [store, *([TokenStore(tmp_path / "store" / "validation")] if parts else [])]:
        found = TokenStore(each.path).encoding
        assert found.name == encoding.name
        assert found.rank_table_sha256 == encoding.rank_table_sha256
        assert found.special_tokens == encoding.special_tokens
        assert found.pat_str == encoding.pat_str
        assert set(each.texts()) <= set(TEXTS)
    fastprep.verify(store)
    fastprep.verify(store, against="tiktoken" if kind != "merges" else "tokenizers")
    assert store == made(corpus, encoding=encoding, eot_token="<|end|>", **options)


def test_a_bundled_encoding_takes_no_place_in_a_store(corpus: Path) -> None:
    store = made(corpus)
    assert store.encoding is fastprep.get_encoding("gpt2")
    assert sorted(path.name for path in store.path.iterdir()) == [
        "manifest.json",
        "shard-00000.bin",
        "shard-00000.ends",
    ]
    with pytest.raises(errors.InvalidInput, match="no file of a vocabulary"):
        store.vocabulary_file()


@pytest.mark.parametrize("kind", ["ranks", "merges"])
@pytest.mark.parametrize("fault", ["missing", "damaged", "another", "pipe"])
def test_a_damaged_vocabulary_is_an_error(
    kind: str, fault: str, corpus: Path, tmp_path: Path
) -> None:
    import os

    store = made(corpus, encoding=own_encoding(kind, tmp_path), eot_token="<|end|>")
    path = store.vocabulary_file()
    content = path.read_bytes()
    path.unlink()
    if fault == "damaged":
        path.write_bytes(content[:-9])
    elif fault == "another":
        path.write_bytes(content.replace(b"ZQ== 68", b"Z0== 68").replace(b"3000", b"3001"))
    elif fault == "pipe":
        os.mkfifo(path)
    with pytest.raises(errors.InvalidStore, match=path.name):
        fastprep.verify(store.path)
    with pytest.raises(errors.InvalidStore, match=path.name):
        _ = TokenStore(store.path).encoding


def test_an_append_and_an_overwrite_keep_the_vocabulary_of_their_encoding(
    corpus: Path, tmp_path: Path
) -> None:
    one, other = (own_encoding(kind, tmp_path) for kind in ("ranks", "merges"))
    made(corpus, encoding=one, eot_token="<|end|>")
    more = tmp_path / "more.txt"
    more.write_text("More.")
    store = prepare(
        more, tmp_path / "store", encoding=one, eot_token="<|end|>", append=True, progress=False
    )
    assert list(store.texts()) == [*TEXTS, "More."]
    store = made(corpus, encoding=other, eot_token="<|end|>", overwrite=True)
    assert sorted(path.name for path in store.path.glob("*[yr].*")) == ["tokenizer.json"]
    assert list(store.texts()) == TEXTS
    store = made(corpus, overwrite=True)
    assert not list(store.path.glob("*[yr].json"))


@pytest.mark.parametrize("eot", ["append", "prepend", "none"])
@pytest.mark.parametrize("shard_bytes", [30, "1MiB"])
def test_texts_and_documents_are_sequences(eot: Any, shard_bytes: Any, corpus: Path) -> None:
    store = made(corpus, eot=eot, shard_bytes=shard_bytes)
    texts, documents = store.texts(), store.documents()
    assert len(texts) == len(documents) == 5
    assert list(texts) == TEXTS == [store.text(number) for number in range(5)]
    assert list(texts[3:0:-2]) == TEXTS[3:0:-2]
    assert texts[1:][-1] == TEXTS[-1]
    assert "x" * 50 in texts
    assert texts.index("Two  cups\n") == 2
    for number, document in enumerate(documents):
        np.testing.assert_array_equal(document, store.document(number))
    with pytest.raises(errors.IdOutOfRange, match="document 5 of 5"):
        texts[5]
    with pytest.raises(errors.IdOutOfRange, match="document 2 of 2"):
        texts[:2][2]
    with pytest.raises(errors.InvalidIndex, match="no number of a document"):
        texts["a"]  # type: ignore[call-overload]
    assert repr(texts).startswith("<5 documents of TokenStore(")


def test_stores_are_equal_by_what_they_hold(corpus: Path, tmp_path: Path) -> None:
    store = made(corpus)
    same = made(corpus, "same")
    assert store == same
    assert {store: 1}[same] == 1
    assert store.fingerprint == same.fingerprint == pickle.loads(pickle.dumps(store)).fingerprint
    for other in (
        made(corpus, "cl100k", encoding="cl100k_base"),
        made(corpus, "prepend", eot="prepend"),
        made(corpus, "order", shuffle=1),
    ):
        assert other != store
    assert store != str(store.path)
    # Without a document in one place: the ends differ, not the ids.
    joined = tmp_path / "joined.txt"
    joined.write_text("a<|endoftext|>b")
    one = prepare(joined, tmp_path / "a", eot="none", progress=False)
    other = prepare(joined, tmp_path / "b", eot="none", separator="b", progress=False)
    assert one != other


def test_a_store_is_an_array_without_a_copy_if_one_shard_has_all_ids(corpus: Path) -> None:
    store = made(corpus)
    ids = np.asarray(store)
    assert np.shares_memory(ids, store.shard_ids(0))
    assert np.asarray(store, copy=False) is not None
    copied = np.array(store)
    assert copied.flags.writeable
    assert not np.shares_memory(copied, ids)
    wide = np.asarray(store, np.int64)
    assert wide.dtype == np.int64
    np.testing.assert_array_equal(wide, ids)
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(store, np.int64, copy=False)
    sharded = made(corpus, "sharded", shard_bytes=30)
    assert len(sharded.shards) > 1
    for dtype in (None, np.uint16, np.float32):
        np.testing.assert_array_equal(np.asarray(sharded, dtype), ids)
    with pytest.raises(ValueError, match="several shards"):
        np.asarray(sharded, copy=False)


def test_torch_takes_a_store_without_a_warning(corpus: Path) -> None:
    torch = pytest.importorskip("torch")
    for options in ({}, {"shard_bytes": 30}):
        store = made(corpus, "store" + "".join(options), **options)
        for tensor in (torch.as_tensor(store), torch.from_dlpack(store)):
            assert tensor.tolist() == store[:].tolist()
            tensor[0] = 0  # its own memory
        assert store[0] != 0


@pytest.mark.parametrize("shard_bytes", [30, "1MiB"])
def test_arrow_has_a_list_per_document_in_place(shard_bytes: Any, corpus: Path) -> None:
    store = made(corpus, shard_bytes=shard_bytes)
    before = pa.total_allocated_bytes()
    table = store.to_arrow("ids")
    assert pa.total_allocated_bytes() - before < 64 * (len(store.shards) + 1)
    column = table["ids"]
    assert column.num_chunks == len(store.shards)
    assert column.to_pylist() == [ids.tolist() for ids in store.documents()]
    for chunk, ids in zip(column.chunks, store.shards, strict=True):
        assert chunk.values.buffers()[1].address == ids.ctypes.data
    table.validate(full=True)


def test_a_data_set_of_hugging_face_has_the_documents(corpus: Path) -> None:
    pytest.importorskip("datasets")
    store = made(corpus, shard_bytes=30)
    data = store.to_dataset()
    assert data["input_ids"][:] == [ids.tolist() for ids in store.documents()]
    assert data._fingerprint == store.to_dataset()._fingerprint
    assert data._fingerprint != store.to_dataset("ids")._fingerprint


def test_without_datasets_the_error_names_it(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(errors.MissingExtra, match="pip install datasets"):
        made(corpus).to_dataset()


def test_a_word_store_has_texts(corpus: Path, tmp_path: Path) -> None:
    vocab = fastprep.build_vocab(TEXTS)
    store = made(corpus, encoding=fastprep.SimpleTokenizerV2(vocab))
    assert store.text(0) == "One tea."
    assert TokenStore(store.path).encoding.rank_table_sha256 == store.encoding.rank_table_sha256
