"""TokenStore reads what was prepared, in place, and costs little to open or to send."""

from __future__ import annotations

import pickle
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from fastprep.errors import IdOutOfRange, InvalidStore
from fastprep.jobs.prepare import prepare
from fastprep.store.reader import TokenStore

TEXTS = [f"Document number {number}, " * (number % 7 + 1) for number in range(40)]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "forty.txt"
    path.write_text("<|endoftext|>".join(TEXTS))
    return path


@pytest.fixture(scope="module")
def single(corpus: Path) -> TokenStore:
    return prepare(corpus, corpus.parent / "single")


@pytest.fixture(scope="module")
def sharded(corpus: Path) -> TokenStore:
    """About thirty shards, some without a token."""
    store = prepare(corpus, corpus.parent / "sharded", shard_bytes=100, workers=1)
    assert any(len(shard) == 0 for shard in store.shards)
    return store


def test_ids_and_ends_do_not_depend_on_the_shards(single: TokenStore, sharded: TokenStore) -> None:
    assert len(single.shards) == 1
    assert len(sharded.shards) > 20
    assert len(single) == len(sharded) == single.num_tokens == sum(map(len, sharded.shards))
    np.testing.assert_array_equal(single[:], sharded[:])
    np.testing.assert_array_equal(single.document_ends, sharded.document_ends)
    assert sharded.document_ends.dtype == np.uint64


def test_documents_are_cut_where_the_ends_say(single: TokenStore, sharded: TokenStore) -> None:
    ends = [0, *single.document_ends.tolist()]
    for store in (single, sharded):
        for number, (start, stop) in enumerate(pairwise(ends)):
            expected = single[start:stop].tolist()
            assert store.document(number).tolist() == expected
            assert store.document(number - store.num_documents).tolist() == expected
            assert expected[-1] == store.eot_token == 50256
        for number in (store.num_documents, -store.num_documents - 1):
            with pytest.raises(IdOutOfRange, match="which has 40 documents"):
                store.document(number)


def test_indexing_means_what_it_means_for_a_list(sharded: TokenStore) -> None:
    ids = sharded[:].tolist()
    rng = random.Random(1)
    for _ in range(500):
        start, stop = (rng.choice([None, rng.randint(-400, 400)]) for _ in range(2))
        step = rng.choice([None, 1, 2, 7, -1, -3])
        found = sharded[start:stop:step]
        assert found.dtype == sharded.dtype
        assert found.tolist() == ids[start:stop:step]
    assert [sharded[index] for index in range(-len(ids), len(ids))] == ids * 2
    assert sharded[np.int64(3)] == ids[3]
    for index in (len(ids), -len(ids) - 1):
        with pytest.raises(IndexError):
            sharded[index]
    with pytest.raises(TypeError):
        sharded["1"]  # type: ignore[call-overload]


def test_a_slice_within_a_shard_is_a_view_that_nobody_can_write(single: TokenStore) -> None:
    part = single[3:9]
    assert np.shares_memory(part, single.shards[0])
    for array in (part, single.document(2), single.document_ends, *single.shards):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_arrays_of_a_sharded_store_are_read_only_too(sharded: TokenStore) -> None:
    for array in (sharded.document_ends, *sharded.shards):
        assert not array.flags.writeable


def test_a_pickled_store_is_its_path(
    sharded: TokenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(sharded.document_ends)
    content = pickle.dumps(sharded)
    assert len(content) < 400
    assert pickle.loads(content)[:].tolist() == sharded[:].tolist()
    monkeypatch.chdir(sharded.path.parent)
    content = pickle.dumps(TokenStore(sharded.path.name))
    monkeypatch.chdir(tmp_path)
    assert len(pickle.loads(content)) == len(sharded)


def test_attributes_and_repr_say_what_is_held(single: TokenStore) -> None:
    assert single.encoding_name == "gpt2"
    assert single.dtype == np.uint16
    assert single.vocab_size == 50257
    assert isinstance(single.path, Path)
    assert repr(single) == (
        f"TokenStore({str(single.path)!r}: {len(single)} tokens, 40 documents, gpt2, uint16)"
    )


def test_opening_maps_no_shard(sharded: TokenStore) -> None:
    store = TokenStore(sharded.path)
    assert store._tokens == store._ends == [None] * len(store.manifest.shards)
    assert len(store.document(3))
    assert sum(ids is not None for ids in store._tokens) == 1


def test_the_shards_are_plain_arrays_for_any_reader(single: TokenStore) -> None:
    ids = np.fromfile(single.path / "shard-00000.bin", "<u2")
    ends = np.fromfile(single.path / "shard-00000.ends", "<u8")
    assert ids.tolist() == single[:].tolist()
    assert ends.tolist() == single.document_ends.tolist()


def test_a_missing_directory_and_a_file_are_no_store(tmp_path: Path) -> None:
    with pytest.raises(InvalidStore, match="no such directory; make a store with"):
        TokenStore(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(InvalidStore, match="not a directory"):
        TokenStore(tmp_path / "file")
    with pytest.raises(InvalidStore, match=r"no manifest\.json; this is not a token store"):
        TokenStore(tmp_path)


def test_shards_without_a_manifest_are_unfinished_work(tmp_path: Path) -> None:
    (tmp_path / "shard-00000.bin.tmp").touch()
    with pytest.raises(InvalidStore, match="unfinished work; run the same `fastprep prepare`"):
        TokenStore(tmp_path)
