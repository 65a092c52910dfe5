"""Types that type checkers show for public calls: `make check` runs mypy over it, nothing runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa  # type: ignore[import-untyped]
import tiktoken
import torch
from tokenizers import Tokenizer
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
    fastprep.prepare([Path("a"), "b"], Path("c"), encoding=Path("tokenizer.json"))
    fastprep.prepare(iter([{"text": "a"}]), "b", encoding=tiktoken.get_encoding("gpt2"))
    fastprep.prepare(pa.table({"text": ["a"]}), "b", encoding=Tokenizer.from_file("tokenizer.json"))
    assert_type(store[0], int)
    assert_type(store.num_tokens, int)
    assert_type(store.text(0), str)
    assert_type([*store.texts()[1:]], list[str])
    assert_type(store.fingerprint, str)
    assert_type(store.encoding, fastprep.Encoding | fastprep.WordEncoding)
    assert_type(store.encoding.encode("a"), list[int])
    assert_type(fastprep.verify(store), fastprep.Verified)
    assert_type(fastprep.get_encoding("gpt2").show("a"), fastprep.ShownTokens)
    assert_type(store.document_ends, npt.NDArray[np.uint64])


def windows(store: fastprep.TokenStore, ids: npt.NDArray[np.uint16]) -> None:
    assert_type(fastprep.sliding_windows(ids, 4, 2), npt.NDArray[np.uint16])
    assert_type(fastprep.sliding_windows([1, 2], 1, 1), IdArray)
    assert_type(fastprep.sliding_windows(store, 4, 2), IdArray)


def batches(store: fastprep.TokenStore) -> None:
    loader = fastprep.create_dataloader(store, batch_size=2, max_length=4, num_workers=1)
    assert_type(loader, fastprep.WindowLoader[list[torch.Tensor]])
    for inputs, targets in loader:
        assert_type((inputs, targets), tuple[torch.Tensor, torch.Tensor])
    for tokens in fastprep.create_dataloader(store, batch_size=2, max_length=4, outputs="tokens"):
        assert_type(tokens, torch.Tensor)
    for batch in fastprep.create_dataloader(store, batch_size=2, max_length=4, outputs="dict"):
        assert_type(batch, dict[str, Any])
    for batch in fastprep.create_dataloader(store, batch_size=2, max_length=4, cu_seqlens=True):
        assert_type(batch, dict[str, Any])
    dataset = fastprep.WindowDataset(store, 4)
    assert_type(dataset[0], tuple[torch.Tensor, torch.Tensor])
    assert_type(fastprep.WindowDataset(store, 4, outputs="tokens")[0], torch.Tensor)
    assert_type(fastprep.WindowDataset(store, 4, outputs="dict")[0], dict[str, torch.Tensor])
    assert_type(fastprep.WindowDataset(store, 4, document_ids=True)[0], dict[str, torch.Tensor])
    for pair in fastprep.create_dataloader(dataset, batch_size=2):
        assert_type(pair, list[torch.Tensor])
    for rows in fastprep.create_dataloader(
        fastprep.WindowDataset(store, 4, outputs="tokens"), batch_size=2
    ):
        assert_type(rows, torch.Tensor)


def wrong_names(store: fastprep.TokenStore) -> None:
    """Misspelled options are errors to type checkers: mypy reports comments that are not needed."""
    fastprep.prepare("a", "b", worker=2)  # type: ignore[call-overload] # pyright: ignore
    fastprep.create_dataloader(store, batch_size=2, maxlength=4)  # type: ignore[call-overload] # pyright: ignore
    fastprep.WindowDataset(store, 4, pad_lst=True)  # type: ignore[call-overload] # pyright: ignore
    fastprep.prepare(5, "b")  # type: ignore[call-overload] # pyright: ignore
    fastprep.prepare("a", "b", encoding=5)  # type: ignore[call-overload] # pyright: ignore
    fastprep.verify(store, samples=4)  # type: ignore[call-arg] # pyright: ignore
    fastprep.export_store(store, format="gguf")  # type: ignore[arg-type] # pyright: ignore


def training(tokens: fastprep.TokenStore, ids: torch.Tensor) -> None:
    dataset = fastprep.WindowDataset(tokens, 8)
    assert_type(dataset.max_length, int)
    assert_type(dataset.vocab_size, int)
    for embedding in (fastprep.TokenEmbedding(9, 4), fastprep.InputEmbedding(9, 4, 8)):
        assert_type(embedding(ids), torch.Tensor)
    assert_type(fastprep.InputEmbedding(9, 4, 8), fastprep.InputEmbedding)
    assert_type(fastprep.InputEmbedding(9, 4, 8).wte, fastprep.TokenEmbedding)
    assert_type(fastprep.SinusoidalEmbedding(8, 4)(2), torch.Tensor)
