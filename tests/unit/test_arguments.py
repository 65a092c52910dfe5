"""Whole numbers that the public functions take: of any integer type, never rounded or truncated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastprep
from fastprep.encoding.encoding import Encoding
from fastprep.errors import FastprepError, IdOutOfRange, InvalidInput, InvalidWindow
from fastprep.jobs.estimate import estimate
from fastprep.store.reader import TokenStore
from fastprep.system.arguments import MAX_WORKERS, whole_number
from fastprep.words.encoding import WordEncoding

NOT_WHOLE: list[Any] = [True, False, 1.0, 1.5, np.float64(2), "2", "auto", b"2", [1], (2,), 2j]
#: Integers of every kind that mean 2.
TWO: list[Any] = [2, np.int64(2), np.uint8(2), np.array(2)]


class Fixture:
    """A store of two documents, an encoding, and a folder for what the calls write."""

    def __init__(self, folder: Path, gpt2: Encoding) -> None:
        self.folder = folder
        self.gpt2 = gpt2
        self.text = folder / "two.txt"
        self.text.write_text("hello world<|endoftext|>more<|endoftext|>last")
        self.store: TokenStore = fastprep.prepare(self.text, folder / "store", progress=False)
        self.words = WordEncoding({"a": 0, "<|unk|>": 1, "<|endoftext|>": 2})
        self._count = 0

    def path(self) -> Path:
        self._count += 1
        return self.folder / f"out{self._count}"

    def prepare(self, **options: Any) -> TokenStore | None:
        return fastprep.prepare(self.text, self.path(), progress=False, **options)

    def documents(self, encoding: Any, end_token: Any) -> int:
        out, ends = np.empty(99, np.uint32), np.empty(1, np.uint64)
        count: int = encoding.encode_documents(["a"], out, ends, end_token=end_token)
        return count

    def export(self, to: str, **options: Any) -> list[Path]:
        return fastprep.export_store(self.store, format=to, output=self.path(), **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def fixture(tmp_path_factory: pytest.TempPathFactory) -> Fixture:
    return Fixture(tmp_path_factory.mktemp("numbers"), fastprep.get_encoding("gpt2"))


class Number:
    """A call with a number, the smallest and largest value that it takes, and the type of its error."""

    def __init__(
        self,
        call: Callable[[Fixture, Any], object],
        least: int = 1,
        most: int | None = None,
        error: type[FastprepError] = InvalidInput,
    ) -> None:
        self.call, self.least, self.most, self.error = call, least, most, error


NUMBERS = {
    "encode": Number(lambda f, n: f.gpt2.encode("a b c", max_tokens=n), 0),
    "encode_ordinary": Number(lambda f, n: f.gpt2.encode_ordinary("a b c", max_tokens=n), 0),
    "encode_to_numpy": Number(lambda f, n: f.gpt2.encode_to_numpy("a b c", max_tokens=n).size, 0),
    "encode_batch": Number(lambda f, n: f.gpt2.encode_batch(["a"], num_threads=n)),
    "encode_ordinary_batch": Number(
        lambda f, n: f.gpt2.encode_ordinary_batch(["a"], num_threads=n)
    ),
    "decode_batch": Number(lambda f, n: f.gpt2.decode_batch([[1]], num_threads=n)),
    "decode_bytes_batch": Number(lambda f, n: f.gpt2.decode_bytes_batch([[1]], num_threads=n)),
    "encode_file": Number(
        lambda f, n: f.gpt2.encode_file(f.text, f.path(), workers=n), 1, MAX_WORKERS
    ),
    "encode_documents": Number(lambda f, n: f.documents(f.gpt2, n), 0),
    "encode_documents of words": Number(lambda f, n: f.documents(f.words, n), 0),
    "most_ids, size": Number(lambda f, n: f.gpt2.most_ids(n, 2) and None, 0),
    "most_ids, texts": Number(lambda f, n: f.gpt2.most_ids(2, n) and None, 0),
    "workers": Number(lambda f, n: f.prepare(workers=n) and None, 1, MAX_WORKERS),
    "block_bytes": Number(lambda f, n: f.prepare(block_bytes=n) and None),
    "shard_bytes": Number(lambda f, n: f.prepare(shard_bytes=n) and None),
    "task": Number(lambda f, n: f.prepare(task=(n, 3)), 0, 2),
    "tasks": Number(lambda f, n: f.prepare(task=(0, n)) and None),
    "estimate": Number(lambda f, n: estimate(f.text, shard_bytes=n)),
    "sample": Number(lambda f, n: fastprep.verify(f.store, against="tiktoken", sample=n), 0),
    "validation": Number(lambda f, n: f.export("nanogpt", validation=n) and None, 1, 2),
    "shard_tokens": Number(lambda f, n: f.export("llmc", shard_tokens=n) and None, 1, 2**31 - 1),
    "token_start": Number(lambda f, n: f.store.token_start(n), 0, 3, IdOutOfRange),
}
NAMES = pytest.mark.parametrize("name", NUMBERS)


@NAMES
def test_what_is_not_a_whole_number_is_an_error_that_shows_it(name, fixture):
    number = NUMBERS[name]
    for value in NOT_WHOLE:
        if name == "validation" and isinstance(value, str):
            continue  # the path of a store
        if name in ("block_bytes", "shard_bytes", "estimate") and value == "2":
            continue  # a size as people write it
        with pytest.raises(number.error) as caught:
            number.call(fixture, value)
        assert f"is {value!r}; " in str(caught.value)


@NAMES
def test_number_out_of_range_is_an_error_that_shows_it(name, fixture):
    number = NUMBERS[name]
    beyond = [] if number.most is None else [number.most + 1, 1 << 70]
    for value in [number.least - 1, -1, -(1 << 70), *beyond]:
        with pytest.raises(number.error) as caught:
            number.call(fixture, value)
        assert str(value) in str(caught.value)


@NAMES
def test_integers_of_every_type_mean_the_same(name, fixture):
    number = NUMBERS[name]
    results = [number.call(fixture, value) for value in TWO]
    assert results[1:] == results[:-1]


def test_limit_above_every_text_is_no_limit(fixture):
    for limit in (4, 1 << 62, 1 << 63, 1 << 64, 1 << 200):
        assert fixture.gpt2.encode("a b c", max_tokens=limit) == [64, 275, 269]
        assert fixture.gpt2.encode_to_numpy("a b c", max_tokens=limit).tolist() == [64, 275, 269]


def test_number_of_samples_in_a_report(fixture):
    pytest.importorskip("matplotlib")
    for value in [*NOT_WHOLE, -1]:
        with pytest.raises(InvalidInput, match="samples is "):
            fastprep.write_report(fixture.store, fixture.path(), samples=value)
    fastprep.write_report(fixture.store, fixture.path(), samples=np.int64(1))  # type: ignore[arg-type]


def test_number_of_threads_for_a_column(fixture):
    pa = pytest.importorskip("pyarrow")
    for value in [*NOT_WHOLE, -1, 0]:
        with pytest.raises(InvalidInput, match="num_threads is "):
            fixture.gpt2.encode_arrow(pa.array(["a"]), num_threads=value)


@pytest.mark.parametrize("task", [1, (1,), (0, 1, 2), "0/4", None.__class__])
def test_task_that_is_not_a_pair_is_an_error(fixture, task):
    with pytest.raises(InvalidInput, match="task"):
        fixture.prepare(task=task)


def test_whole_number_is_a_plain_int():
    for value in TWO:
        assert type(whole_number(value, "size")) is int
    with pytest.raises(InvalidWindow, match=r"^size is 9; it must be a whole number from 2 to 8$"):
        whole_number(9, "size", 2, 8, InvalidWindow)
    with pytest.raises(
        InvalidInput, match=r"^size is None; it must be a whole number of at least 1$"
    ):
        whole_number(None, "size")
