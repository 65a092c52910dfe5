"""Datasets of windows: samples, batches, what they take, what they refuse, how they travel."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from torch.utils.data import DataLoader, Subset, default_collate  # noqa: E402

from fastprep.errors import InvalidInput, InvalidStore, InvalidWindow, TextTooShort  # noqa: E402
from fastprep.jobs.prepare import prepare  # noqa: E402
from fastprep.store.reader import TokenStore  # noqa: E402
from fastprep.training.batch import WindowBatch  # noqa: E402
from fastprep.training.dataset import WindowDataset  # noqa: E402
from fastprep.training.notebook import GPTDatasetV1  # noqa: E402

sizes = st.integers(1, 9)


class Store:
    """A store of several shards in one file, which pickles as its path, as TokenStore does."""

    def __init__(self, path: Path, counts: tuple[int, ...]) -> None:
        self.path, self.counts = path, counts
        ids = np.memmap(path, np.uint16, "r")
        self.shards = tuple(np.split(ids, np.cumsum(counts)[:-1]))
        self.num_tokens = len(ids)

    def __reduce__(self) -> Any:
        return Store, (self.path, self.counts)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    """A real store of several shards, some of them empty."""
    folder = tmp_path_factory.mktemp("prepared")
    texts = [folder / f"{name}.txt" for name in "abc"]
    for path in texts:
        path.write_text(f"This is the text of {path.name}. " * 40, encoding="utf-8")
    return prepare(texts, folder / "store", workers=1, shard_bytes=1000, progress=False)


@pytest.fixture
def mapped(tmp_path: Path) -> np.memmap:
    """Two thousand ids in a mapped file."""
    path = tmp_path / "ids.bin"
    np.random.default_rng(3).integers(0, 50257, 2000).astype(np.uint16).tofile(path)
    return np.memmap(path, np.uint16, "r")


def samples(dataset: Any) -> list[tuple[list[int], list[int]]]:
    return [(x.tolist(), y.tolist()) for x, y in dataset]


def expected_samples(ids: list[int], max_length: int, stride: int) -> Any:
    return [
        (ids[i : i + max_length], ids[i + 1 : i + max_length + 1])
        for i in range(0, len(ids) - max_length, stride)
    ]


@given(st.lists(st.integers(0, 2**40), min_size=2, max_size=40), sizes, sizes)
def test_samples_are_those_of_the_notebook(ids: list[int], max_length: int, stride: int) -> None:
    max_length = min(max_length, len(ids) - 1)
    dataset = WindowDataset(ids, max_length, stride)
    assert samples(dataset) == expected_samples(ids, max_length, stride)
    assert len(dataset) == len(expected_samples(ids, max_length, stride))


def plain_chunks(ids: list[int], max_length: int, stride: int, pad: int) -> Any:
    """The chunks of the notebook's prose, until every id except the first is a target once."""
    chunks, start, predicted = [], 0, 0
    while predicted < len(ids) - 1 and start < len(ids) - 1:
        inputs, targets = ids[start : start + max_length], ids[start + 1 : start + max_length + 1]
        predicted = start + len(targets)
        chunks.append(
            (
                inputs + [pad] * (max_length - len(inputs)),
                targets + [-100] * (max_length - len(targets)),
            )
        )
        start += stride
    return chunks


@given(st.integers(2, 60), sizes, sizes)
def test_pad_last_gives_the_chunks_of_the_prose(n: int, max_length: int, stride: int) -> None:
    stride = min(stride, max_length)
    ids = list(range(100, 100 + n))
    dataset = WindowDataset(ids, max_length, stride, pad_last=True, pad_token=7)
    assert samples(dataset) == plain_chunks(ids, max_length, stride, 7)


def test_25_tokens_make_the_chunks_that_the_prose_lists() -> None:
    t = np.arange(1, 26)
    three = WindowDataset(t, 10, 10, pad_last=True)
    assert [[i for i in x if i] for x, _ in samples(three)] == [
        list(range(1, 11)),
        list(range(11, 21)),
        list(range(21, 26)),
    ]
    assert three[2][1].tolist() == [22, 23, 24, 25] + [-100] * 6

    four = WindowDataset(t, 10, 5, pad_last=True)
    assert [(x[0], x[-1]) for x, _ in samples(four)] == [(1, 10), (6, 15), (11, 20), (16, 25)]
    assert four[3][1].tolist() == [*range(17, 26), -100]


def test_the_padding_adds_nothing_to_the_loss() -> None:
    inputs, targets = WindowDataset([1, 2, 3, 4, 5], 3, pad_last=True)[1]
    assert inputs.tolist() == [4, 5, 0]
    logits = torch.randn(3, 9)
    loss = torch.nn.functional.cross_entropy
    assert loss(logits, targets) == loss(logits[:1], torch.tensor([5]))


def test_a_stride_not_given_is_max_length() -> None:
    assert [x.tolist() for x, _ in WindowDataset(range(9), 4)] == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_samples_and_batches_are_contiguous_int64_and_fresh() -> None:
    ids = np.arange(10, dtype=np.uint16)
    dataset = WindowDataset(ids, 4, 1)
    batch = dataset.__getitems__([0, 3])
    for tensor in (*dataset[0], batch.inputs, batch.targets):
        assert tensor.dtype == torch.int64
        assert tensor.is_contiguous()
    batch.inputs += 1000
    assert batch.targets.max() < 1000
    assert dataset[0][0].tolist() == [0, 1, 2, 3]
    assert ids.max() < 1000


def test_indices_behave_as_those_of_a_list() -> None:
    dataset = WindowDataset(range(10), 2, 2)
    assert len(dataset) == 4
    assert dataset[-1][0].tolist() == dataset[3][0].tolist() == [6, 7]
    assert dataset[np.int64(1)][0].tolist() == dataset[torch.tensor(1)][0].tolist() == [2, 3]
    for bad in (4, -5):
        with pytest.raises(IndexError, match=f"window {bad} of a dataset that has 4"):
            dataset[bad]
        with pytest.raises(IndexError, match=f"window {bad} of"):
            dataset.__getitems__([0, bad])
    with pytest.raises(TypeError):
        dataset["1"]  # type: ignore[index]


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor, tuple])
def test_a_batch_takes_its_indices_from_any_sequence(kind: Any) -> None:
    batch = WindowDataset(range(10), 2, 2).__getitems__(kind([2, 0, -1]))
    assert batch.inputs.tolist() == [[4, 5], [0, 1], [6, 7]]


def test_an_index_past_a_padded_window_is_refused_also_where_tokens_are_left() -> None:
    dataset = WindowDataset(range(25), 10, 5, pad_last=True)
    assert len(dataset) == 4
    with pytest.raises(IndexError, match="window 4 of"):
        dataset.__getitems__([4])


def test_windows_are_a_sequence_of_samples() -> None:
    batch = WindowDataset(range(10), 2, 2).__getitems__([0, 1, 2])
    assert len(batch) == 3
    assert batch[-1][0].tolist() == [4, 5]
    assert [y.tolist() for _, y in batch] == [[1, 2], [3, 4], [5, 6]]
    assert isinstance(batch[1:], WindowBatch)
    assert batch[1:].targets.tolist() == [[3, 4], [5, 6]]
    assert repr(batch).startswith("WindowBatch(inputs=tensor([[0, 1]")
    with pytest.raises(IndexError):
        batch[3]


def test_default_collate_finds_the_samples_it_knows() -> None:
    dataset = WindowDataset(range(20), 3, 2)
    indices = [4, 0, 2]
    stacked = default_collate([dataset[i] for i in indices])
    collated = default_collate(dataset.__getitems__(indices))
    assert type(collated) is type(stacked) is list
    assert all(torch.equal(a, b) for a, b in zip(collated, stacked, strict=True))
    inputs, targets = next(iter(DataLoader(dataset, batch_size=2)))
    assert inputs.tolist() == [[0, 1, 2], [2, 3, 4]]
    assert targets.tolist() == [[1, 2, 3], [3, 4, 5]]


def test_a_subset_makes_batches_too() -> None:
    subset = Subset(WindowDataset(range(20), 3, 2), [5, 1])
    assert isinstance(subset.__getitems__([0, 1]), WindowBatch)
    assert subset.__getitems__([0, 1]).inputs.tolist() == [[10, 11, 12], [2, 3, 4]]


# ---- input ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int32", "int64"])
def test_arrays_and_tensors_of_every_width_give_the_same_samples(dtype: str) -> None:
    ids = np.random.default_rng(1).integers(0, 200, 50).astype(dtype)
    expected = expected_samples(ids.tolist(), 6, 4)
    assert samples(WindowDataset(ids, 6, 4)) == expected
    assert samples(WindowDataset(torch.from_numpy(ids), 6, 4)) == expected


def test_a_dtype_may_state_the_byte_order_that_the_machine_has() -> None:
    order = "<" if sys.byteorder == "little" else ">"
    ids = np.arange(9, dtype=np.dtype("uint16").newbyteorder(order))
    assert samples(WindowDataset(ids, 3)) == expected_samples(list(range(9)), 3, 3)


def test_arrays_and_tensors_are_shared_not_copied() -> None:
    ids = np.arange(10)
    from_array, from_tensor = WindowDataset(ids, 3), WindowDataset(torch.from_numpy(ids), 3)
    ids[0] = 99
    assert from_array[0][0][0] == from_tensor[0][0][0] == 99


def test_every_other_id_of_an_array_makes_windows_too() -> None:
    assert samples(WindowDataset(np.arange(20)[::2], 3)) == expected_samples(
        list(range(0, 20, 2)), 3, 3
    )


def test_windows_run_across_the_shards_of_a_store(mapped: np.memmap) -> None:
    store = Store(Path(mapped.filename), (0, 700, 3, 0, 1297))
    assert samples(WindowDataset(store, 64, 50)) == expected_samples(mapped.tolist(), 64, 50)


def test_a_prepared_store_or_its_path_makes_a_dataset_that_travels_as_a_path(
    prepared: TokenStore,
) -> None:
    assert len(prepared.shards) > 2
    expected = expected_samples(prepared[:].tolist(), 50, 20)
    for tokens in (prepared, prepared.path, str(prepared.path)):
        dataset = WindowDataset(tokens, 50, 20)
        assert len(pickle.dumps(dataset)) <= 4096
        assert samples(dataset) == samples(travelled(dataset)) == expected


def test_path_without_a_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidStore):
        WindowDataset(tmp_path, 4)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (np.zeros(9), "float64"),
        (np.zeros(9, np.int16), "int16"),
        (np.zeros(9, np.uint64), "uint64"),
        (np.zeros(9, ">u2"), "byte order"),
        (np.zeros(9, bool), "bool"),
        (np.zeros((3, 3), np.int64), r"one-dimensional; found the shape \[3, 3\]"),
        (torch.zeros(9), "float32"),
        ([1, 2.5, 3], "float64"),
        ([1, 2**70, 3], "object"),
        ([[1, 2], [3]], "cannot be read"),
        (["a", "b"], "str"),
        (b"\x01\x02", "bytes"),
        (5, "one-dimensional"),
        (None, "one-dimensional"),
        ([4, 5, -6, 7], "position 2 is -6"),
        (np.array([4, -5, 6], np.int32), "position 1 is -5"),
    ],
)
def test_tokens_that_are_not_a_row_of_ids_are_refused(tokens: Any, message: str) -> None:
    with pytest.raises(InvalidWindow, match=message):
        WindowDataset(tokens, 2)


def test_a_negative_id_in_a_file_is_refused_when_it_is_read(tmp_path: Path) -> None:
    ids = np.arange(20, dtype=np.int32)
    ids[13] = -1
    ids.tofile(tmp_path / "ids.bin")
    dataset = WindowDataset(np.memmap(tmp_path / "ids.bin", np.int32, "r"), 5)
    assert dataset[0][0].tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(InvalidWindow, match="position 13 is -1"):
        dataset[2]


@pytest.mark.parametrize("bad", [0, -3, 2.0, "4"])
def test_sizes_must_be_positive_integers(bad: Any) -> None:
    with pytest.raises(InvalidWindow, match="max_length is"):
        WindowDataset(range(9), bad)
    with pytest.raises(InvalidWindow, match="stride is"):
        WindowDataset(range(9), 2, bad)
    if bad != 0:
        with pytest.raises(InvalidWindow, match="pad_token is"):
            WindowDataset(range(9), 2, pad_last=True, pad_token=bad)


def test_too_few_tokens_are_an_error_that_counts_them() -> None:
    with pytest.raises(TextTooShort, match="4 tokens make no window of max_length 4"):
        WindowDataset(range(4), 4)
    assert len(WindowDataset(range(4), 4, pad_last=True)) == 1
    with pytest.raises(TextTooShort, match="1 tokens make no window"):
        WindowDataset([3], 4, pad_last=True)
    with pytest.raises(TextTooShort, match="0 tokens"):
        WindowDataset([], 1)


# ---- pickling --------------------------------------------------------------------------


def travelled(dataset: Any) -> Any:
    return pickle.loads(pickle.dumps(dataset))


def test_a_dataset_of_a_map_travels_as_a_path(mapped: np.memmap) -> None:
    dataset = WindowDataset(mapped, 32, 16)
    assert len(pickle.dumps(dataset)) <= 4096
    copy = travelled(travelled(dataset))
    assert samples(copy) == samples(dataset)
    assert len(pickle.dumps(copy)) <= 4096


def test_a_part_of_a_map_travels_as_that_part(mapped: np.memmap) -> None:
    path = Path(mapped.filename)
    with path.open("ab") as file:
        file.write(bytes(range(256)) * 8)  # so that an offset can pass a page, 4096 bytes
    parts = [
        mapped[300:900],
        np.asarray(mapped)[7:][300:900],
        np.memmap(path, np.uint16, "r", offset=4098)[1:],
        np.memmap(path, np.uint8, "c", offset=3)[5:2001],
    ]
    for part in parts:
        dataset = WindowDataset(part, 32, 16)
        assert len(pickle.dumps(dataset)) <= 4096
        assert samples(travelled(dataset)) == samples(dataset)


def test_a_dataset_of_a_store_travels_as_a_path(mapped: np.memmap) -> None:
    dataset = WindowDataset(Store(Path(mapped.filename), (700, 1300)), 32, 16, pad_last=True)
    assert len(pickle.dumps(dataset)) <= 4096
    assert samples(travelled(dataset)) == samples(dataset)


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor])
def test_ids_in_memory_travel_with_the_dataset(kind: Any) -> None:
    dataset = WindowDataset(kind(list(range(50))), 5, 3)
    assert samples(travelled(dataset)) == samples(dataset)


def test_map_with_a_step_is_pickled_by_value(mapped: np.memmap) -> None:
    dataset = WindowDataset(mapped[::2], 32)
    assert samples(travelled(dataset)) == samples(dataset)


def test_file_that_was_cut_or_removed_since_is_named(mapped: np.memmap) -> None:
    path = Path(mapped.filename)
    parcel = pickle.dumps(WindowDataset(mapped, 32))
    path.write_bytes(b"\0" * 100)
    with pytest.raises(InvalidInput, match=r"ids\.bin: 100 bytes.*byte 4000"):
        pickle.loads(parcel)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"ids\.bin"):
        pickle.loads(parcel)


# ---- the notebook's class --------------------------------------------------------------------


class Letters:
    """A tokenizer whose ids are code points; it has only the notebook's encode()."""

    def encode(self, text: str, allowed_special: set[str]) -> list[int]:
        assert allowed_special == {"<|endoftext|>"}
        return [ord(letter) for letter in text]


class ArrayLetters(Letters):
    """A tokenizer that also makes arrays, and refuses lone surrogates there, as tiktoken does."""

    def encode(self, text: str, allowed_special: set[str]) -> list[int]:
        return super().encode(text.replace("\ud800", "\ufffd"), allowed_special)

    def encode_to_numpy(self, text: str, allowed_special: set[str]) -> Any:
        text.encode()
        return np.array(self.encode(text, allowed_special), np.uint32)


class Shouting(ArrayLetters):
    """A subclass that changes encode() alone."""

    def encode(self, text: str, allowed_special: set[str]) -> list[int]:
        return super().encode(text.upper(), allowed_special)


def text_of(dataset: GPTDatasetV1) -> str:
    return "".join(chr(i) for x in dataset.input_ids for i in x.tolist())


def test_any_tokenizer_with_the_notebooks_encode_works() -> None:
    assert text_of(GPTDatasetV1("hello world!", Letters(), 4, 4)) == "hello wo"
    assert text_of(GPTDatasetV1("hello world!", ArrayLetters(), 4, 4)) == "hello wo"


def test_encode_overridden_by_a_subclass_or_an_object_is_used() -> None:
    assert text_of(GPTDatasetV1("hello world!", Shouting(), 4, 4)) == "HELLO WO"
    changed: Any = ArrayLetters()
    changed.encode = Shouting().encode
    assert text_of(GPTDatasetV1("hello world!", changed, 4, 4)) == "HELLO WO"


def test_a_lone_surrogate_is_repaired_as_encode_does() -> None:
    assert text_of(GPTDatasetV1("a\ud800bcde", ArrayLetters(), 4, 4)) == "a\ufffdbc"


def test_ids_made_already_need_no_tokenizer(mapped: np.memmap) -> None:
    for ids in (mapped.tolist(), mapped, torch.from_numpy(mapped.astype(np.int64))):
        dataset = GPTDatasetV1(ids, None, 16, 5)
        assert samples(dataset) == expected_samples(mapped.tolist(), 16, 5)
    with pytest.raises(InvalidWindow, match="pass a tokenizer"):
        GPTDatasetV1("text", None, 4, 4)


def test_columns_behave_as_the_lists_they_were() -> None:
    dataset = GPTDatasetV1(range(30), None, 4, 3)
    inputs = [torch.arange(i, i + 4) for i in range(0, 26, 3)]
    for column, expected in (
        (dataset.input_ids, inputs),
        (dataset.target_ids, [x + 1 for x in inputs]),
    ):
        assert len(column) == len(expected)
        for got, want in (
            (list(column), expected),
            (column[2:7:2], expected[2:7:2]),
            (column[::-1], expected[::-1]),
            (column[5:2], []),
            ([column[-1]], expected[-1:]),
            (list(reversed(column)), expected[::-1]),
        ):
            assert [x.tolist() for x in got] == [x.tolist() for x in want]
            assert all(x.dtype == torch.int64 for x in got)
        with pytest.raises(IndexError):
            column[len(expected)]
    assert isinstance(dataset.input_ids[1:3], list)


@pytest.mark.parametrize("n", [0, 3, 4])
def test_a_short_text_fails_with_the_notebooks_words(n: int) -> None:
    with pytest.raises(AssertionError) as failure:
        GPTDatasetV1("x" * n, Letters(), 4, 1)
    assert isinstance(failure.value, TextTooShort)
    assert str(failure.value) == "Number of tokenized inputs must at least be equal to max_length+1"


def test_the_notebooks_dataset_is_torchs_and_travels() -> None:
    dataset = GPTDatasetV1("hello world!", Letters(), 4, 2)
    assert isinstance(dataset, torch.utils.data.Dataset)
    assert samples(travelled(dataset)) == samples(dataset)
    assert repr(dataset) == "GPTDatasetV1(12 tokens, 4 windows, max_length=4, stride=2)"
