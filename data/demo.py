"""A demonstration of all steps on the samples in this directory: run it with ``make demo``.

text -> tokens -> memory-mapped token store -> sliding windows -> batches -> embeddings

Then the speed beside tiktoken's, ids compared, and a page about the store.
"""

from __future__ import annotations

import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

import tiktoken
import torch
from torch.utils.data import DataLoader

import fastprep

HERE = Path(__file__).resolve().parent
NAMES = ("conversation.txt", "scripts.txt", "program.txt", "whitespace.jsonl")
INPUTS = [HERE / name for name in NAMES]
STORE = HERE.parent / "demo" / "store"
REPORT = STORE.with_name("report.html")
MAX_LENGTH, BATCH_SIZE, EMBEDDING_DIM = 8, 2, 128
SPEED_BYTES = 4_000_000  # one second of tiktoken


def main() -> None:
    """Run each step, and print its result."""
    encoding = fastprep.get_encoding("gpt2")
    torch.manual_seed(0)

    print("1. Text")
    for path in INPUTS:
        print(f"   {path.relative_to(HERE.parent)}: {path.stat().st_size:,} bytes")

    print("2. Tokens, in a memory-mapped store")
    store = fastprep.prepare(INPUTS, STORE, encoding="gpt2", progress=False)
    print(f"   {store.num_documents} documents, {store.num_tokens:,} tokens, {store.dtype}")
    print(f"   first tokens: {store[:8].tolist()} = {encoding.decode(store[:8])!r}")

    print("3. Windows")
    view = fastprep.sliding_windows(store, MAX_LENGTH, stride=MAX_LENGTH)
    print(f"   {len(view)} windows of {MAX_LENGTH} + 1 tokens, a view of the file: {view.shape}")

    print("4. Batches")
    dataset = fastprep.WindowDataset(store, MAX_LENGTH, stride=MAX_LENGTH)
    loader = DataLoader(dataset, BATCH_SIZE, collate_fn=fastprep.collate_windows)
    embed = fastprep.InputEmbedding(store.vocab_size, EMBEDDING_DIM, MAX_LENGTH)
    for number, (inputs, targets) in zip((1, 2), loader, strict=False):
        print(f"   batch {number}: inputs {list(inputs.shape)}, targets {list(targets.shape)}")
        for ids, shifted in zip(inputs, targets, strict=True):
            print(f"      {encoding.decode(ids.numpy())!r} -> {encoding.decode(shifted.numpy())!r}")
        vectors = embed(inputs)
        print(f"   embedded: {list(vectors.shape)}, {vectors.dtype}")
        print(
            f"      {vectors[0, 0].detach()[:4]} ... is {encoding.decode(inputs[0, :1].numpy())!r}"
        )

    print("5. Speed, documents to lists of ids on one thread, each library's first pass")
    compare_speed()

    print("6. A page about the store: document lengths, frequent tokens, coloured documents")
    fastprep.write_report(store, REPORT)
    print(f"   open {REPORT}")

    print("The store is at demo/store. Inspect it:")
    print("   .venv/bin/fastprep info demo/store")
    print("   .venv/bin/fastprep show demo/store 0 --tokens")
    print("   .venv/bin/fastprep verify demo/store --against tiktoken")


def compare_speed() -> None:
    """Encode the same documents with tiktoken and fastprep, compare the ids, print MB/s."""
    documents = texts_of_this_python(SPEED_BYTES)
    size = sum(len(text.encode("utf-8")) for text in documents)
    ours = fastprep.get_encoding("cl100k_base")
    # From fastprep's table: tiktoken would download its own.
    theirs = tiktoken.Encoding(
        ours.name,
        pat_str=ours.pat_str,
        mergeable_ranks=ours._mergeable_ranks,
        special_tokens=ours.special_tokens,
    )
    print(f"   {len(documents)} Python files, {size / 1e6:.1f} MB, {ours.name}")
    expected, slow = timed(theirs.encode_ordinary, documents)
    ids, fast = timed(ours.encode_ordinary, documents)
    for name, seconds in (("tiktoken", slow), ("fastprep", fast)):
        bar = "#" * max(1, round(50 * fast / seconds))
        print(f"   {name:8} {size / 1e6 / seconds:6.1f} MB/s  {bar}")
    count = sum(map(len, ids))
    if ids != expected:
        raise SystemExit("the ids differ: this is a bug of fastprep, please report it")
    print(f"   fastprep is {slow / fast:.1f} times as fast, and all {count:,} ids are equal")


def texts_of_this_python(size: int) -> list[str]:
    """Return about `size` bytes of text that every installation has: Python's own library."""
    texts: list[str] = []
    left = size
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("**/*.py")):
        if left <= 0:
            break
        if "site-packages" not in path.parts:
            texts.append(path.read_text(encoding="utf-8", errors="replace"))
            left -= path.stat().st_size
    return texts


def timed(
    encode: Callable[[str], list[int]], documents: list[str]
) -> tuple[list[list[int]], float]:
    """Return the ids of all documents, and the seconds after one letter was encoded."""
    encode("a")
    start = time.perf_counter()
    ids = [encode(text) for text in documents]
    return ids, time.perf_counter() - start


if __name__ == "__main__":
    main()
