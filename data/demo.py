"""A demonstration of all steps on the samples in this directory: run it with ``make demo``.

text -> tokens -> memory-mapped token store -> sliding windows -> batches -> embeddings
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch.utils.data import DataLoader

import fastprep

HERE = Path(__file__).resolve().parent
NAMES = ("conversation.txt", "scripts.txt", "program.txt", "whitespace.jsonl")
INPUTS = [HERE / name for name in NAMES]
STORE = HERE.parent / "demo" / "store"
MAX_LENGTH, BATCH_SIZE, EMBEDDING_DIM = 8, 2, 128


def main() -> None:
    """Run each step, and print its result."""
    encoding = fastprep.get_encoding("gpt2")
    torch.manual_seed(0)

    print("1. Text")
    for path in INPUTS:
        print(f"   {path.relative_to(HERE.parent)}: {path.stat().st_size:,} bytes")

    print("2. Tokens, in a memory-mapped store")
    store = fastprep.prepare(INPUTS, STORE, encoding="gpt2", overwrite=True, progress=False)
    print(f"   {store.num_documents} documents, {store.num_tokens:,} tokens, {store.dtype}")
    print(f"   first tokens: {store[:8].tolist()} = {encoding.decode(store[:8])!r}")

    print("3. Windows")
    view = fastprep.sliding_windows(store, MAX_LENGTH, stride=MAX_LENGTH)
    print(f"   {len(view)} windows of {MAX_LENGTH} + 1 tokens, a view of the file: {view.shape}")

    print("4. Batches")
    dataset = fastprep.WindowDataset(store, MAX_LENGTH, stride=MAX_LENGTH)
    loader = DataLoader(dataset, BATCH_SIZE, collate_fn=fastprep.collate_windows)
    embed = fastprep.InputEmbedding(encoding.n_vocab, EMBEDDING_DIM, MAX_LENGTH)
    for number, (inputs, targets) in zip((1, 2), loader, strict=False):
        print(f"   batch {number}: inputs {list(inputs.shape)}, targets {list(targets.shape)}")
        for ids, shifted in zip(inputs, targets, strict=True):
            print(f"      {encoding.decode(ids.numpy())!r} -> {encoding.decode(shifted.numpy())!r}")
        vectors = embed(inputs)
        print(f"   embedded: {list(vectors.shape)}, {vectors.dtype}")
        print(
            f"      {vectors[0, 0].detach()[:4]} ... is {encoding.decode(inputs[0, :1].numpy())!r}"
        )

    print(f"The store is at {STORE}. Inspect it:")
    print("   .venv/bin/fastprep info demo/store")
    print("   .venv/bin/fastprep verify demo/store --against tiktoken")


if __name__ == "__main__":
    main()
