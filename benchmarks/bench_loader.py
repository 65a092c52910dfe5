"""How many tokens per second do loaders yield, shuffled, as int64 inputs and targets?

    python benchmarks/bench_loader.py --output benchmarks/results/loader.json

One thread unless noted at a side. The ids are random, uint16, in a file in the page cache; sides take
turns in one process. LitData and MosaicML Streaming are measured if they are installed; both read
files that they wrote from the same ids.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import pickle
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from _run import time_in_turns, write_result
from torch.utils.data import DataLoader, Dataset

import fastprep

SHAPES = ((256, 32), (1024, 16))  # L, B


class NotebookDataset(Dataset[Any]):
    """The notebook's dataset: windows that are all cut in advance, two tensors each."""

    def __init__(self, ids: list[int], length: int) -> None:
        starts = range(0, len(ids) - length, length)
        self.input_ids = [torch.tensor(ids[i : i + length]) for i in starts]
        self.target_ids = [torch.tensor(ids[i + 1 : i + length + 1]) for i in starts]

    def __len__(self) -> int:
        return len(self.input_ids)

    def __getitem__(self, index: int) -> Any:
        return self.input_ids[index], self.target_ids[index]


def endless(loader: Any) -> Iterator[Any]:
    """Yield the batches of one epoch after another."""
    while True:
        yield from loader


def fancy_indexing(ids: Any, length: int, size: int) -> Iterator[Any]:
    """Yield batches by a matrix of positions as an index, widened: numpy's own way."""
    order = np.random.default_rng(0).permutation((len(ids) - 1) // length) * length
    columns = np.arange(length)
    while True:
        for first in range(0, len(order) - size, size):
            places = order[first : first + size, None] + columns
            inputs, targets = ids[places].astype(np.int64), ids[places + 1].astype(np.int64)
            yield torch.from_numpy(inputs), torch.from_numpy(targets)


def random_crops(path: Path, length: int, size: int) -> Iterator[Any]:
    """Yield batches as nanoGPT's get_batch does: remap the file, stack windows at random positions."""
    while True:
        ids = np.memmap(path, np.uint16, "r")
        places = torch.randint(len(ids) - length, (size,))
        yield (
            torch.stack([torch.from_numpy(ids[p : p + length].astype(np.int64)) for p in places]),
            torch.stack(
                [torch.from_numpy(ids[p + 1 : p + 1 + length].astype(np.int64)) for p in places]
            ),
        )


def widening_copy(ids: Any, length: int, size: int) -> Iterator[Any]:
    """Yield the bound: as many consecutive tokens, widened into the same two arrays."""
    inputs, targets = np.empty((2, size, length), np.int64)
    while True:
        for first in range(0, len(ids) - size * length - 1, size * length):
            part = ids[first : first + size * length + 1]
            np.copyto(inputs, part[:-1].reshape(size, length))
            np.copyto(targets, part[1:].reshape(size, length))
            yield inputs, targets


def litdata_loader(folder: Path, length: int, size: int) -> Any:
    """Yield the batches of LitData's token loader over ids that it wrote itself."""
    from litdata import StreamingDataLoader, StreamingDataset, TokensLoader

    dataset = StreamingDataset(
        str(folder), item_loader=TokensLoader(block_size=length + 1), shuffle=True, drop_last=True
    )
    loader = StreamingDataLoader(dataset, batch_size=size, num_workers=0)
    for rows in endless(loader):
        rows = rows.long()
        yield rows[:, :-1].contiguous(), rows[:, 1:].contiguous()


def _litdata_item(job: tuple[str, int, int]) -> Iterator[Any]:
    path, first, count = job
    ids = np.fromfile(path, np.uint16, count, offset=2 * first)
    yield torch.from_numpy(ids.astype(np.int32)).to(torch.uint16)


def write_litdata(path: Path, count: int, folder: Path, length: int) -> None:
    """Write the first ids as LitData's chunks, of a size that all block sizes here divide."""
    from litdata import TokensLoader, optimize

    part = count // 8
    optimize(
        fn=_litdata_item,
        inputs=[(str(path), k * part, part) for k in range(8)],
        output_dir=str(folder),
        chunk_size=(length + 1) * (part // (length + 1)),
        item_loader=TokensLoader(),
        num_workers=1,
    )


def mosaic_loader(folder: Path, length: int, size: int) -> Any:
    """Yield the batches of MosaicML Streaming over rows of ids that it wrote itself."""
    from streaming import StreamingDataset

    dataset = StreamingDataset(local=str(folder), shuffle=True, batch_size=size)

    def collate(samples: Any) -> Any:
        rows = torch.from_numpy(np.stack([s["tokens"] for s in samples]).astype(np.int64))
        return rows[:, :-1].contiguous(), rows[:, 1:].contiguous()

    return endless(DataLoader(dataset, batch_size=size, collate_fn=collate, drop_last=True))


def write_mosaic(path: Path, count: int, folder: Path, length: int) -> None:
    """Write the first ids as MDS rows of length + 1."""
    from streaming import MDSWriter

    ids = np.fromfile(path, np.uint16, count)
    with MDSWriter(out=str(folder), columns={"tokens": f"ndarray:uint16:{length + 1}"}) as out:
        for first in range(0, len(ids) - length - 1, length):
            out.write({"tokens": np.ascontiguousarray(ids[first : first + length + 1])})


def measure(
    ids: Any, path: Path, length: int, size: int, scratch: Path, repeats: int
) -> dict[str, Any]:
    """Return Mtok/s of every side at one shape."""
    make = lambda **options: endless(  # noqa: E731
        fastprep.create_dataloader(ids, batch_size=size, max_length=length, **options)
    )
    sides: dict[str, Iterator[Any]] = {
        "fastprep, one thread": make(prefetch=0),
        "fastprep, prefetch=2": make(),
        "fastprep, dtype='store'": make(prefetch=0, dtype="store"),
        "fastprep, views": make(shuffle=False, dtype="store"),
        "notebook": endless(
            DataLoader(
                NotebookDataset(ids[:4_000_000].tolist(), length),
                batch_size=size, shuffle=True, drop_last=True,
            )
        ),
        "numpy fancy indexing": fancy_indexing(ids, length, size),
        "nanoGPT's get_batch": random_crops(path, length, size),
        "plain widening copy": widening_copy(ids, length, size),
    }  # fmt: skip
    missing = []
    for name, package, writer, reader in (
        ("LitData", "litdata", write_litdata, litdata_loader),
        ("MosaicML Streaming", "streaming", write_mosaic, mosaic_loader),
    ):
        if importlib.util.find_spec(package) is None:
            missing.append(name)
            continue
        folder = scratch / f"{package}-{length}"
        writer(path, 8_000_000, folder, length)
        sides[name] = reader(folder, length, size)
    tokens = length * size
    counts = {name: _warm(batches) for name, batches in sides.items()}
    runs: dict[str, Callable[[], object]] = {
        name: lambda batches=batches, count=counts[name]: _take(batches, count)  # type: ignore[misc]
        for name, batches in sides.items()
    }
    seconds = time_in_turns(runs, repeats)
    rates = {
        name: [counts[name] * tokens / t / 1e6 for t in times] for name, times in seconds.items()
    }
    own = rates["fastprep, one thread"]
    return {
        "max_length": length,
        "batch_size": size,
        "million_tokens_per_second": {name: round(median(r), 1) for name, r in rates.items()},
        "fastprep_one_thread_times": {
            name: round(median(a / b for a, b in zip(own, rate, strict=True)), 2)
            for name, rate in rates.items()
            if not name.startswith("fastprep")
        },
        "not_installed": missing,
    }


def _take(batches: Iterator[Any], count: int) -> None:
    for _ in itertools.islice(batches, count):
        pass


def _warm(batches: Iterator[Any], seconds: float = 0.15) -> int:
    """Return how many batches take about this long, after the first ones."""
    _take(batches, 20)
    start = time.perf_counter()
    _take(batches, 20)
    return max(10, int(20 * seconds / (time.perf_counter() - start)))


def first_batch(directory: Path) -> dict[str, Any]:
    """Measure seconds and memory until the first batch of 20 billion windows, in a new process."""
    path = directory / "sparse.bin"
    with path.open("wb") as file:
        file.truncate(2 * (20 * 10**9 + 1024))
    code = Path(__file__).name
    done = subprocess.run(
        [sys.executable, code, "--first-batch", str(path)],
        cwd=Path(__file__).parent, capture_output=True, text=True, check=True,
    )  # fmt: skip
    path.unlink()
    seconds, mebibytes, pickled = map(float, done.stdout.split())
    return {
        "windows": 20 * 10**9,
        "seconds_to_first_batch": round(seconds, 4),
        "mebibytes_it_took": round(mebibytes, 1),
        "pickled_dataset_bytes": int(pickled),
    }


def _resident() -> float:
    """Return the resident memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def _first_batch_here(path: str) -> None:
    import fastprep.training.loader  # before the timing, which excludes the import of torch

    before = _resident()
    start = time.perf_counter()
    ids = np.memmap(path, np.uint16, "r")
    loader = fastprep.create_dataloader(ids, batch_size=32, max_length=1024, stride=1)
    next(iter(loader))
    seconds = time.perf_counter() - start
    print(seconds, _resident() - before, len(pickle.dumps(loader.dataset)))


def main() -> None:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--millions", type=int, default=50, help="of token ids")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--first-batch", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.first_batch:
        _first_batch_here(arguments.first_batch)
        return
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        path = scratch / "ids.bin"
        rng = np.random.default_rng(1)
        rng.integers(0, 50257, arguments.millions * 1_000_000, np.uint16).tofile(path)
        ids = np.memmap(path, np.uint16, "r")
        ids.sum()
        shapes = [
            measure(ids, path, length, size, scratch, arguments.repeats) for length, size in SHAPES
        ]
        result = {
            "question": __doc__.splitlines()[0],
            "token_ids": len(ids),
            "torch": torch.__version__,
            "shapes": shapes,
            "start": first_batch(scratch),
        }
    write_result(result, arguments.output)


if __name__ == "__main__":
    main()
