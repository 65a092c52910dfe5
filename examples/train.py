"""Train a small GPT on a token store, and resume after a kill with the same losses.

    python examples/train.py corpus.jsonl --steps 300 --run runs/first
    python examples/train.py corpus.jsonl --steps 300 --run runs/first   # resumes

The checkpoint has the model, the optimizer and the state of the loader, a few integers. It is replaced
atomically every `--save-every` steps. After a kill, the next start continues with the next window,
and prints the losses that an uninterrupted run would have printed.

Equal windows are not enough for that: float sums depend on their order, and the order on the number
of threads that share a sum (as for LayerNorm's gradients) and on the kernels that MKL selects. So both
are fixed here: `--threads`, by default 1, belongs to the run as the seed does.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")  # MKL reads it once, when torch is imported

import torch
from gpt import GPT

import fastprep

MAX_LENGTH, BATCH_SIZE = 64, 8


def main() -> None:
    """Prepare the store, then train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", nargs="+", help=".txt or .jsonl files")
    parser.add_argument("--run", type=Path, required=True, help="folder of store and checkpoint")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--save-every", type=int, default=50)
    parser.add_argument(
        "--threads", type=int, default=1, help="other numbers change the last digits"
    )
    parser.add_argument("--die-after", type=int, help="kill the process after this step")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.use_deterministic_algorithms(True)

    store = arguments.run / "store"
    if not (store / "manifest.json").exists():
        fastprep.prepare(arguments.corpus, store, progress=False)
    loader = fastprep.create_dataloader(store, batch_size=BATCH_SIZE, max_length=MAX_LENGTH, seed=1)
    if not len(loader):
        parser.error(f"the corpus has fewer than {BATCH_SIZE} windows of {MAX_LENGTH} tokens")
    torch.manual_seed(1)
    vocabulary = fastprep.TokenStore(store).vocab_size
    model = GPT(vocabulary, MAX_LENGTH, width=64, heads=4, blocks=2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    step = 0

    checkpoint = arguments.run / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        loader.load_state_dict(saved["loader"])
        step = saved["step"]
        print(f"# resumes after step {step}, epoch {loader.epoch}, position {loader.position}")

    start = time.perf_counter()
    while step < arguments.steps:  # one epoch per iteration
        for inputs, targets in loader:
            loss = model(inputs, targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            print(f"step {step} loss {loss.item():.9f}", flush=True)
            if step % arguments.save_every == 0 or step == arguments.steps:
                state = {
                    "model": model.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "loader": loader.state_dict(),
                    "step": step,
                }
                torch.save(state, checkpoint.with_suffix(".new"))
                checkpoint.with_suffix(".new").replace(checkpoint)
            if step == arguments.die_after:
                os.kill(os.getpid(), 9)
            if step == arguments.steps:
                break
    print(f"# {step} steps, the last ones in {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
