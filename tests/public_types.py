"""Types that type checkers show for public calls: `make check` runs mypy over it, nothing runs it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from typing_extensions import assert_type

import fastprep
from fastprep.windows.tokens import IdArray


def encodings(out16: npt.NDArray[np.uint16], out32: npt.NDArray[np.uint32]) -> None:
    enc = fastprep.get_encoding("gpt2")
    assert_type(enc, fastprep.Encoding)
    assert_type(enc.encode("a"), list[int])
    assert_type(enc.encode_batch(["a"]), list[list[int]])
    assert_type(enc.encode_to_numpy("a"), npt.NDArray[np.uint32])
    assert_type(enc.encode_to_numpy("a", max_tokens=3, out=out16), npt.NDArray[np.uint16])
    assert_type(enc.encode_to_numpy("a", out=out32), npt.NDArray[np.uint32])
    assert_type(enc.encode_bytes(b"a"), npt.NDArray[np.uint32])
    assert_type(enc.decode(out16), str)
    assert_type(enc.name, str)
    assert_type(fastprep.__version__, str)


def stores(store: fastprep.TokenStore) -> None:
    assert_type(fastprep.prepare("a", "b"), fastprep.TokenStore)
    assert_type(fastprep.prepare("a", "b", task=(0, 2)), fastprep.TokenStore | None)
    assert_type(store[0], int)
    assert_type(store.num_tokens, int)
    assert_type(store.document_ends, npt.NDArray[np.uint64])


def windows(store: fastprep.TokenStore, ids: npt.NDArray[np.uint16]) -> None:
    assert_type(fastprep.sliding_windows(ids, 4, 2), npt.NDArray[np.uint16])
    assert_type(fastprep.sliding_windows([1, 2], 1, 1), IdArray)
    assert_type(fastprep.sliding_windows(store, 4, 2), IdArray)


def training(tokens: fastprep.TokenStore, ids: torch.Tensor) -> None:
    dataset = fastprep.WindowDataset(tokens, 8)
    assert_type(dataset.max_length, int)
    assert_type(dataset.vocab_size, int)
    for embedding in (fastprep.TokenEmbedding(9, 4), fastprep.InputEmbedding(9, 4, 8)):
        assert_type(embedding(ids), torch.Tensor)
    assert_type(fastprep.InputEmbedding(9, 4, 8), fastprep.InputEmbedding)
    assert_type(fastprep.InputEmbedding(9, 4, 8).wte, fastprep.TokenEmbedding)
    assert_type(fastprep.SinusoidalEmbedding(8, 4)(2), torch.Tensor)
