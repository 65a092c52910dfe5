"""A program as users write it: `make check` runs two type checkers over it, and a test runs it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

import fastprep
from fastprep import SimpleTokenizerV2, TokenStore, WindowDataset, build_vocab


def prepare(folder: Path) -> TokenStore:
    enc = fastprep.get_encoding("gpt2")
    ids: list[int] = enc.encode("Hello, do you like tea?")
    assert enc.decode(ids) == "Hello, do you like tea?"
    print(enc.show("tea"), enc.count("tea"), enc.encode_to_numpy("tea").dtype)
    store = fastprep.prepare([folder / "corpus.jsonl"], folder / "store", encoding=enc, workers=2)
    again = fastprep.prepare(folder / "corpus.jsonl", str(folder / "store"), encoding="gpt2")
    assert again == store
    vocab = build_vocab("One two three")
    words = fastprep.prepare(
        [{"text": "One two"}], folder / "words", encoding=SimpleTokenizerV2(vocab), progress=False
    )
    assert words.text(0) == "One two"
    path = folder / "corpus.jsonl"
    task: TokenStore | None = fastprep.prepare(path, folder / "store", task=(0, 1))
    assert task is None or task == store
    checked = fastprep.verify(store, progress=False)
    print(checked.tokens, [path.name for path in fastprep.export_store(store, format="megatron")])
    return store


def look(store: TokenStore) -> None:
    first: int = store[0]
    part = store[0:10]
    print(first, part.dtype, part.tolist(), store[[1, 2, 3]].sum())
    for document in store.documents()[:2]:
        print(len(document), document[0])
    texts: list[str] = [text.upper() for text in store.texts()]
    print(texts, store.text(-1), store.encoding.decode(store.document(0)), np.asarray(store).max())
    print(torch.as_tensor(store).long(), store.dtype, store.fingerprint, store.vocab_size)


def train(store: TokenStore, device: str) -> None:
    loader = fastprep.create_dataloader(store, batch_size=2, max_length=4, stride=2, seed=1)
    embed = fastprep.InputEmbedding(store.vocab_size, embedding_dim=8, max_length=4).to(device)
    for inputs, targets in loader:
        x, y = inputs.to(device), targets.to(device)
        loss = embed(x).sum() + y.float().mean()
        loss.backward()  # type: ignore[no-untyped-call]
    dataset = WindowDataset(store, 4)
    x, y = dataset[0]
    print(x.shape, y.tolist(), len(dataset), loader.state_dict()["epoch"])
    for batch in fastprep.create_dataloader(store, batch_size=2, max_length=4, outputs="dict"):
        print(batch["input_ids"].to(device), batch["labels"].shape)
    for tokens in fastprep.create_dataloader(store, batch_size=2, max_length=4, outputs="tokens"):
        print(tokens[:, :-1].to(device))
    mixture = fastprep.Mixture({store: 0.7, str(store.path): 0.3})
    for inputs, targets in fastprep.create_dataloader(mixture, batch_size=2, max_length=4):
        print(inputs.shape, targets.shape)
    for marked in fastprep.create_dataloader(
        store, batch_size=1, max_length=4, position_ids=True, layout="packed"
    ):
        print(marked["inputs"].shape, marked["position_ids"].to(device))


def main(folder: Path) -> None:
    text = '{"text": "One two three four five six seven"}\n{"text": "Eight nine"}\n'
    (folder / "corpus.jsonl").write_text(text * 5)
    store = prepare(folder)
    look(store)
    train(store, "cpu")
