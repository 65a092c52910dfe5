"""How many tokens per second reach a GPU, and does a training step ever wait for them?

    python benchmarks/bench_device.py --output benchmarks/results/device.json

Without a GPU it reports that and measures nothing. The bound is the link's own rate for copies of
pinned memory of the same size.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from _run import write_result

import fastprep

LENGTH, SIZE, BATCHES = 1024, 16, 400
ROOT = Path(__file__).resolve().parents[1]


def rate(step: Callable[[], object], tokens: int, repeats: int) -> float:
    """Return the median of million tokens per second of steps, including the device's work."""
    rates = []
    for _ in range(repeats):
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(BATCHES):
            step()
        torch.cuda.synchronize()
        rates.append(BATCHES * tokens / (time.perf_counter() - start) / 1e6)
    return round(median(rates), 3)


def endless(loader: Any) -> Any:
    """Yield the batches of one epoch after another."""
    while True:
        yield from loader


def to_device(path: Path, dtype: Any, repeats: int) -> dict[str, Any]:
    """Measure tokens per second into int64 on the device, and the copy alone."""
    ids = np.memmap(path, np.uint16, "r")
    batches = endless(
        fastprep.create_dataloader(ids, batch_size=SIZE, max_length=LENGTH, dtype=dtype)
    )

    def load() -> None:
        for tensor in next(batches):
            tensor.to("cuda", non_blocking=True).long()

    inputs, targets = next(batches)

    def copy() -> None:
        for tensor in (inputs, targets):
            tensor.to("cuda", non_blocking=True).long()

    tokens = LENGTH * SIZE
    rates = {"loader": rate(load, tokens, repeats), "copy alone": rate(copy, tokens, repeats)}
    return {
        "dtype": str(inputs.dtype),
        "million_tokens_per_second": rates,
        "share_of_the_link": round(rates["loader"] / rates["copy alone"], 3),
    }


def training(path: Path, repeats: int) -> dict[str, Any]:
    """Measure a training step with the loader's batches, and with one batch on the device already."""
    sys.path.insert(0, str(ROOT / "examples"))
    from gpt import GPT

    model = GPT(50257, LENGTH, width=256, heads=4, blocks=4).cuda()
    optimizer = torch.optim.AdamW(model.parameters())
    ids = np.memmap(path, np.uint16, "r")
    batches = endless(fastprep.create_dataloader(ids, batch_size=SIZE, max_length=LENGTH))

    def step(batch: Any) -> None:
        inputs, targets = (tensor.to("cuda", non_blocking=True) for tensor in batch)
        with torch.autocast("cuda", torch.bfloat16):
            loss = model(inputs, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    one = next(batches)
    tokens = LENGTH * SIZE
    step(one)
    rates = {
        "loader": rate(lambda: step(next(batches)), tokens, repeats),
        "one batch again and again": rate(lambda: step(one), tokens, repeats),
    }
    waits = []
    for _ in range(BATCHES):
        start = time.perf_counter()
        batch = next(batches)
        waits.append(1000 * (time.perf_counter() - start))
        step(batch)
    found = {f"p{part}": round(float(np.percentile(waits, part)), 3) for part in (50, 99, 100)}
    return {"million_tokens_per_second": rates, "milliseconds_waited_per_step": found}


def main() -> None:
    """Measure and write, or report that there is no GPU."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--millions", type=int, default=100, help="of token ids")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        print(f"No GPU here: torch {torch.__version__} finds no CUDA device. Nothing was measured.")
        return
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "ids.bin"
        rng = np.random.default_rng(1)
        rng.integers(0, 50257, arguments.millions * 1_000_000, np.uint16).tofile(path)
        result = {
            "question": __doc__.splitlines()[0],
            "device": torch.cuda.get_device_name(),
            "torch": torch.__version__,
            "max_length": LENGTH,
            "batch_size": SIZE,
            "copies": [to_device(path, d, arguments.repeats) for d in (torch.int64, "store")],
            "training": training(path, arguments.repeats),
        }
    write_result(result, arguments.output)


if __name__ == "__main__":
    main()
