"""A token store as an array of numpy, torch and pyarrow, as a sequence, and as a key of a mixture."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastprep import Mixture, TokenStore, prepare
from fastprep.errors import IdOutOfRange, InvalidIndex, InvalidWindow


@pytest.fixture(scope="module", params=[1, 3])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    """Return a store of one shard, or of several, of which some are empty."""
    folder = tmp_path_factory.mktemp("protocols")
    for number in range(request.param):
        (folder / f"{number}.jsonl").write_text(f'{{"text": "Do you like tea {number}?"}}\n')
    size = None if request.param == 1 else 1
    found = prepare(sorted(folder.glob("*.jsonl")), folder / "s", shard_bytes=size, progress=False)
    assert (len(found.shards) > 1) == (request.param > 1)
    return found


@pytest.fixture
def ids(store: TokenStore) -> Any:
    return np.concatenate(store.shards)


def test_numpy(store: TokenStore, ids: Any) -> None:
    assert np.array_equal(np.asarray(store), ids)
    assert np.asarray(store).dtype == np.uint16
    assert np.asarray(store, np.int64).dtype == np.int64
    assert np.array(store).flags.writeable
    if len(store.shards) == 1:
        assert np.shares_memory(np.asarray(store), store[:])
        assert np.shares_memory(store.__array__(copy=False), store[:])
    else:
        with pytest.raises(ValueError, match="several shards"):
            store.__array__(copy=False)
    with pytest.raises(ValueError, match="of another dtype"):
        store.__array__(np.int64, copy=False)


def test_torch(store: TokenStore, ids: Any) -> None:
    torch = pytest.importorskip("torch")
    for make in (torch.tensor, torch.as_tensor, torch.from_dlpack):
        tensor = make(store)
        assert np.array_equal(tensor.numpy(), ids)
        tensor[0] = 7  # neither the file nor a fault
        assert store[0] == ids[0]


def test_arrow(store: TokenStore, ids: Any) -> None:
    pa = pytest.importorskip("pyarrow")
    assert pa.array(store).type == pa.uint16()
    assert pa.array(store).to_pylist() == ids.tolist()
    assert pa.array(store, type=pa.int64()).type == pa.int64()


def test_iteration(store: TokenStore, ids: Any) -> None:
    assert list(store) == ids.tolist()
    assert all(type(value) is int for value in store)
    assert list(reversed(store)) == ids.tolist()[::-1]
    assert 50256 in store


@pytest.mark.parametrize(
    "key",
    [
        [1, 2, 3],
        [-1, 0, -1],
        [],
        [[0, 1], [5, 4]],
        np.array([6, 0, 3]),
        np.array([2, 1], np.uint8),
        np.zeros((0, 2), np.int64),
        range(3),
        ...,
        np.int32(3),
    ],
    ids=repr,
)
def test_positions_select_as_in_numpy(store: TokenStore, ids: Any, key: Any) -> None:
    expected = ids[[*key]] if isinstance(key, range) else ids[key]
    assert np.array_equal(store[key], expected)
    assert np.shape(store[key]) == np.shape(expected)
    assert isinstance(store[key], int) or store[key].dtype == ids.dtype


def test_masks_select_as_in_numpy(store: TokenStore, ids: Any) -> None:
    for mask in (ids == 50256, ids > 60000, ids >= 0, (ids == 345).tolist()):
        assert np.array_equal(store[mask], ids[mask])


def test_positions_outside_are_named(store: TokenStore) -> None:
    size = len(store)
    for key in ([0, size], [-size - 1], np.array([1 << 63], np.uint64)):
        with pytest.raises(IdOutOfRange, match=rf"token {key[-1]} of .*, which has {size} tokens"):
            store[key]


@pytest.mark.parametrize(
    "key",
    [True, None, "1", 1.0, [1.5], (0, 1), [True], np.zeros((2, 2), bool), [[1], [2, 3]]],
    ids=repr,
)
def test_other_keys_say_what_to_write(store: TokenStore, key: Any) -> None:
    with pytest.raises(
        InvalidIndex, match="write an integer, a slice, a list or array of integers"
    ):
        store[key]


def test_equal_stores_are_one_key_and_as_pairs_several_sources(
    store: TokenStore, tmp_path: Path
) -> None:
    shutil.copytree(store.path, tmp_path / "copy")
    again, copy = TokenStore(store.path), TokenStore(tmp_path / "copy")
    assert hash(store) == hash(again) == hash(copy) == hash(pickle.loads(pickle.dumps(store)))
    other = prepare([{"text": "a"}], tmp_path / "other", progress=False)
    same_counts = prepare([{"text": "b"}], tmp_path / "same", progress=False)
    assert hash(other) == hash(same_counts)
    assert [*{store: 1, again: 2, copy: 3, other: 4, same_counts: 5}.values()] == [3, 4, 5]
    mixture = Mixture([(store, 0.5), (again, 0.25), (copy, 0.25)], schedule={9: (1, 1, 2)})
    assert [float(share) for share in mixture.shares] == [0.5, 0.25, 0.25]
    assert [float(share) for share in mixture.schedule[0][1]] == [0.25, 0.25, 0.5]
    with pytest.raises(InvalidWindow, match=r"at 9 .* two of the sources are equal"):
        Mixture([(store, 3), (copy, 1)], schedule={9: {store: 1, copy: 3}})
    later = Mixture({store: 3, other: 1}, schedule={9: {copy: 1, other: 1}})
    assert [float(share) for share in later.schedule[0][1]] == [0.5, 0.5]


def test_a_hash_reads_no_record_of_a_shard(
    store: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TokenStore, "fingerprint", property(lambda _: pytest.fail("read")))
    assert {store: 1}[store] == 1


@pytest.mark.parametrize("wrong", [None, "1", 1.5, [1], (0, 1)])
def test_what_is_no_number_of_a_document_is_an_error_of_fastprep(
    wrong: object, tmp_path: Path
) -> None:
    store = prepare([{"text": "a"}], tmp_path / "store", progress=False)
    for read in (store.document, store.text, store.documents().__getitem__):
        with pytest.raises(InvalidIndex, match="is no number of a document"):
            read(wrong)  # type: ignore[operator]
    with pytest.raises(InvalidIndex, match="does not select tokens"):
        store["a":]  # type: ignore[misc]
