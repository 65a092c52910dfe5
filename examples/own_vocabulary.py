"""Train a vocabulary, prepare a store with it, and train a small GPT on that store.

    python examples/own_vocabulary.py corpus.jsonl --held-out other.jsonl --run runs/own

Of held-out files the bytes per token are printed, beside those of published vocabularies. The
folder of the run then has `tokenizer.json`, which tokenizers and transformers read,
`vocabulary.html` with plots, and the store.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import torch
from gpt import GPT

import fastprep

MAX_LENGTH, BATCH_SIZE = 64, 8


def main() -> None:
    """Train the vocabulary, prepare the store, train the model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", nargs="+", help=".txt or .jsonl files")
    parser.add_argument("--held-out", nargs="+", help="files that neither is trained on")
    parser.add_argument("--run", type=Path, required=True, help="folder of all results")
    parser.add_argument("--vocab-size", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=100)
    arguments = parser.parse_args()
    arguments.run.mkdir(parents=True, exist_ok=True)

    encoding = fastprep.train_bpe(
        arguments.corpus, arguments.vocab_size, held_out=arguments.held_out, progress=False
    )
    print(encoding.report)
    encoding.save(arguments.run / "tokenizer.json")
    fastprep.write_report(encoding, arguments.run / "vocabulary.html")

    store = fastprep.prepare(
        arguments.corpus, arguments.run / "store", encoding=encoding, progress=False
    )
    loader = fastprep.create_dataloader(store, batch_size=BATCH_SIZE, max_length=MAX_LENGTH, seed=1)
    if not len(loader):
        parser.error(f"the corpus has fewer than {BATCH_SIZE} windows of {MAX_LENGTH} tokens")
    torch.manual_seed(1)
    model = GPT(encoding.n_vocab, MAX_LENGTH, width=64, heads=4, blocks=2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    batches = itertools.chain.from_iterable(itertools.repeat(loader))
    for step, (inputs, targets) in enumerate(itertools.islice(batches, arguments.steps), 1):
        loss = model(inputs, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"step {step} loss {loss.item():.3f}")


if __name__ == "__main__":
    main()
