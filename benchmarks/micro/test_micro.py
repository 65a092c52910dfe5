"""Small operations timed by pytest-benchmark, to run before and after a change of a kernel.

    make micro

Every call is warm, unlike the first pass over a corpus, which bench_files.py measures. Each result is
checked. `--benchmark-autosave` and `--benchmark-compare` compare two runs.
"""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastprep
from fastprep_ext.bpe import PATTERNS, count_pieces, split_pieces

PROMPT = "Summarize the following article in two sentences, and keep all of its 3 numbers.\n\n"
DOCUMENT = inspect.getsource(argparse)  # about 100 kB, in every Python
ENCODINGS = ("r50k_base", "cl100k_base", "o200k_base")

Benchmark = Callable[..., Any]


@pytest.fixture(params=ENCODINGS)
def encoding(request: pytest.FixtureRequest) -> fastprep.Encoding:
    return fastprep.get_encoding(request.param)


@pytest.mark.parametrize("family", ["r50k", "cl100k", "o200k"])
def test_split_a_document(benchmark: Benchmark, family: str) -> None:
    text, pattern = DOCUMENT.encode(), PATTERNS[family]
    assert benchmark(count_pieces, text, pattern) == len(split_pieces(text, pattern))


def test_encode_a_prompt(benchmark: Benchmark, encoding: fastprep.Encoding) -> None:
    assert encoding.decode(benchmark(encoding.encode, PROMPT)) == PROMPT


def test_encode_a_document_to_a_list(benchmark: Benchmark, encoding: fastprep.Encoding) -> None:
    assert encoding.decode(benchmark(encoding.encode_ordinary, DOCUMENT)) == DOCUMENT


def test_encode_a_document_to_an_array(benchmark: Benchmark, encoding: fastprep.Encoding) -> None:
    ids = benchmark(encoding.encode_to_numpy, DOCUMENT, disallowed_special=())
    assert ids.tolist() == encoding.encode_ordinary(DOCUMENT)


def test_count_a_document(benchmark: Benchmark, encoding: fastprep.Encoding) -> None:
    assert benchmark(encoding.count, DOCUMENT) == len(encoding.encode_ordinary(DOCUMENT))


def test_decode_a_list(benchmark: Benchmark, encoding: fastprep.Encoding) -> None:
    assert benchmark(encoding.decode, encoding.encode_ordinary(DOCUMENT)) == DOCUMENT


def test_decode_an_array_to_bytes(benchmark: Benchmark, encoding: fastprep.Encoding) -> None:
    ids = encoding.encode_to_numpy(DOCUMENT, disallowed_special=())
    assert benchmark(encoding.decode_bytes, ids) == DOCUMENT.encode()


@pytest.mark.parametrize("length", [256, 1024])
def test_make_a_batch_of_windows(benchmark: Benchmark, length: int) -> None:
    pytest.importorskip("torch")
    ids = np.random.default_rng(1).integers(0, 50257, 4_000_000, dtype=np.uint16)
    dataset = fastprep.WindowDataset(ids, max_length=length)
    order = np.random.default_rng(2).permutation(len(dataset))[:32].tolist()
    batch = benchmark(dataset.__getitems__, order)
    first, target = batch[0]
    start = order[0] * length
    assert np.array_equal(first.numpy(), ids[start : start + length])
    assert np.array_equal(target.numpy(), ids[start + 1 : start + length + 1])
