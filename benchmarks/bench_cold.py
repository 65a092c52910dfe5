"""How fast are stores read that are not in memory, and how long does training wait for batches?

    python benchmarks/bench_cold.py --gigabytes 6 --repeats 5 --output benchmarks/results/cold.json

Writes a store of random ids to TMPDIR. Before each measurement all its files are evicted from the
page cache (posix_fadvise, which needs no root), and each is a process of its own that reads few
enough windows to find none of their pages twice. The bounds are reads of whole 8 MiB in order, and
64 reads of random windows in flight, measured in each round; if they differ by more than 20 per cent
within one length, others used the disk, which the result says. Megatron-LM's two readers are rebuilt
here in a few lines, from its documentation: a numpy.memmap, and a file that is opened for each read.
LitData and MosaicML Streaming are not here: each reads chunks of a format of its own, and they were
never run on a disk beside this. Their shuffles are simulated, also from their documentation.
Progress is printed to stderr.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from _run import plain_parser, write_result
from torch.utils.data import DataLoader, Dataset

import fastprep
from fastprep.jobs.job import encoding_record
from fastprep.store import manifest as manifests
from fastprep_ext.windows import Order

LENGTHS = (256, 1024, 4096)
BATCH = 64
MAX_SHARD_TOKENS = 1 << 27
STEPS = ((20, 200), (100, 50))  # milliseconds of a step, steps
FLIGHT = 64  # reads in flight, of the bound
DISTURBED = 0.2  # spread of a bound, as a part of its median
STARTED = time.perf_counter()
Batches = Iterator[Any]


# -- the store -------------------------------------------------------------------------------------


def write_store(folder: Path, gigabytes: float) -> None:
    """Write a token store of random uint16 ids."""
    folder.mkdir()
    tokens = int(gigabytes * 1e9 / 2)
    encoding = fastprep.get_encoding("gpt2")
    some = np.random.default_rng(1).integers(0, 50257, min(tokens, 1 << 25), np.uint16)
    records = []
    for index, first in enumerate(range(0, tokens, MAX_SHARD_TOKENS)):
        count = min(MAX_SHARD_TOKENS, tokens - first)
        with (folder / f"shard-{index:05d}.bin").open("wb") as file:
            for at in range(0, count, len(some)):
                np.roll(some, first + at)[: count - at].tofile(file)
            file.flush()
            os.fsync(file.fileno())
        ends = np.array([count], "<u8")
        ends.tofile(folder / f"shard-{index:05d}.ends")
        blocks = -(-2 * count // manifests.CHECKSUM_BYTES)
        records.append(
            manifests.ShardRecord(
                tokens=count,
                documents=1,
                max_id=50256,
                bin_crc32=[0] * blocks,
                ends_crc32=[0],
                inputs=[],
            )
        )
    manifest = manifests.Manifest(
        format="fastprep token store", version=1, dtype="uint16", n_vocab=50257,
        encoding=encoding_record(encoding), end_token=None, separator=None, field="text",
        unicode_version=manifests.UNICODE_VERSION, tokens=tokens, documents=len(records),
        shards=records,
    )  # fmt: skip
    (folder / manifests.MANIFEST).write_bytes(manifests.encode(manifest))


def evict(folder: Path) -> None:
    """Remove the files of a folder from the page cache."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def shards_of(folder: Path) -> list[Path]:
    """Return the files of ids of a store."""
    return sorted(folder.glob("*.bin"))


def bytes_read() -> int:
    """Return how many bytes this process had read from disks."""
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("read_bytes"))


def describe_disk(folder: Path) -> dict[str, Any]:
    """Return the device of a folder and how far its kernel reads ahead."""
    device = folder.stat().st_dev
    block = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve()
    queue = next((at / "queue" for at in (block, block.parent) if (at / "queue").is_dir()), None)
    if queue is None:
        return {"device": "none", "read_ahead_kb": None, "rotational": None}
    number = lambda name: int((queue / name).read_text(encoding="ascii"))  # noqa: E731
    return {
        "device": queue.parent.name,
        "read_ahead_kb": number("read_ahead_kb"),
        "rotational": number("rotational"),
    }


# -- the sides: batches from a folder --------------------------------------------------------------


def own(folder: Path, length: int, **options: Any) -> Batches:
    """Yield the batches of fastprep."""
    options.setdefault("seed", time.time_ns() % 2**32)
    return iter(fastprep.create_dataloader(folder, batch_size=BATCH, max_length=length, **options))


def mapped_crops(folder: Path, length: int) -> Batches:
    """Yield batches as nanoGPT's get_batch does, of a random shard each: mapped for each batch."""
    files = shards_of(folder)
    while True:
        ids = np.memmap(random.choice(files), np.uint16, "r")
        places = torch.randint(len(ids) - length, (BATCH,)).tolist()
        rows = [torch.from_numpy(ids[at : at + length + 1].astype(np.int64)) for at in places]
        yield torch.stack([row[:-1] for row in rows]), torch.stack([row[1:] for row in rows])


class MegatronWindows(Dataset[Any]):
    """Windows at random places by one of Megatron-LM's two readers."""

    def __init__(self, folder: Path, length: int, mapped: bool) -> None:
        self._files = shards_of(folder)
        self._length = length
        self._maps = [np.memmap(path, mode="r", order="C") for path in self._files]
        self._mapped = mapped

    def __len__(self) -> int:
        return 1 << 30

    def __getitem__(self, index: int) -> Any:
        shard = random.randrange(len(self._files))
        size = len(self._maps[shard]) // 2
        at = 2 * random.randrange(size - self._length)
        if self._mapped:
            ids = np.frombuffer(self._maps[shard], np.uint16, self._length + 1, at)
        else:
            ids = np.empty(self._length + 1, np.uint16)
            with self._files[shard].open("rb", buffering=0) as file:
                file.seek(at)
                file.readinto(ids)  # type: ignore[attr-defined]
        row = torch.from_numpy(ids.astype(np.int64))
        return row[:-1].contiguous(), row[1:].contiguous()


def megatron(folder: Path, length: int, *, mapped: bool, workers: int = 0) -> Batches:
    """Yield batches of such windows from torch's DataLoader."""
    windows = MegatronWindows(folder, length, mapped)
    return iter(DataLoader(windows, batch_size=BATCH, num_workers=workers))


SIDES: dict[str, Callable[[Path, int], Batches]] = {
    "fastprep": own,
    "fastprep, mmap=False": lambda folder, length: own(folder, length, mmap=False),
    "fastprep, shuffle='blocks'": lambda folder, length: own(folder, length, shuffle="blocks"),
    "fastprep, in order": lambda folder, length: own(folder, length, shuffle=False),
    "numpy.memmap, as nanoGPT": mapped_crops,
    "Megatron's reader, mapped": lambda folder, length: megatron(folder, length, mapped=True),
    "Megatron's reader, files": lambda folder, length: megatron(folder, length, mapped=False),
}
WAITING: dict[str, Callable[[Path, int], Batches]] = {
    "fastprep": own,
    "fastprep, shuffle='blocks'": SIDES["fastprep, shuffle='blocks'"],
    "numpy.memmap, as nanoGPT": mapped_crops,
    "Megatron's reader, mapped, 2 workers": lambda folder, length: megatron(
        folder, length, mapped=True, workers=2
    ),
    "Megatron's reader, files, 2 workers": lambda folder, length: megatron(
        folder, length, mapped=False, workers=2
    ),
}


# -- one measurement, in a process of its own ------------------------------------------------------


def read_windows(batches: Batches, length: int, windows: int, seconds: float) -> dict[str, float]:
    """Return windows per second, and bytes read per byte of ids."""
    before, start, count = bytes_read(), time.perf_counter(), 0
    for batch in batches:
        count += len(batch[0])
        if count >= windows or time.perf_counter() - start > seconds:
            break
    took = time.perf_counter() - start
    return {
        "windows_per_second": count / took,
        "bytes_read_per_byte": (bytes_read() - before) / (2 * length * count),
    }


def wait_for_batches(batches: Batches, milliseconds: int, steps: int) -> dict[str, float]:
    """Return how many milliseconds a training loop waited for its batches, after the first."""
    next(batches)
    waits = []
    for _ in range(steps):
        time.sleep(milliseconds / 1000)
        start = time.perf_counter()
        next(batches)
        waits.append(1000 * (time.perf_counter() - start))
    return {
        "p50": float(np.percentile(waits, 50)),
        "p99": float(np.percentile(waits, 99)),
        "max": max(waits),
    }


READER = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
static int count, files[4096];
static long size, windows;
static int64_t sizes[4096];
static void *work(void *seed) {
    struct drand48_data state;
    char *out = malloc(size);
    long k, file, at;
    srand48_r((long)seed, &state);
    for (k = 0; k < windows; k++) {
        lrand48_r(&state, &file);
        lrand48_r(&state, &at);
        file %= count;
        if (pread(files[file], out, size, at * 2 % (sizes[file] - size)) != size) exit(1);
    }
    return 0;
}
int main(int n, char **arguments) { /* seed, bytes, windows per thread, files */
    pthread_t threads[64];
    struct stat found;
    size = atol(arguments[2]);
    windows = atol(arguments[3]);
    for (count = 0; count < n - 4; count++) {
        files[count] = open(arguments[4 + count], O_RDONLY);
        fstat(files[count], &found);
        sizes[count] = found.st_size;
        posix_fadvise(files[count], 0, 0, POSIX_FADV_RANDOM);
    }
    for (n = 0; n < 64; n++) pthread_create(&threads[n], 0, work, (void *)(atol(arguments[1]) + n));
    for (n = 0; n < 64; n++) pthread_join(threads[n], 0);
    return 0;
}
"""


def read_with_threads(folder: Path, length: int, windows: int) -> dict[str, float]:
    """Return the bound: windows per second of 64 threads of pread, in C if there is a compiler."""
    if (compiler := shutil.which("cc")) is None:
        return read_with_python(folder, length, windows)
    with tempfile.TemporaryDirectory() as name:
        reader = Path(name) / "reader"
        reader.with_suffix(".c").write_text(READER, encoding="ascii")
        source = str(reader.with_suffix(".c"))
        subprocess.run([compiler, "-O2", "-pthread", "-o", reader, source], check=True)
        before, each = bytes_read(), windows // FLIGHT
        numbers = map(str, (time.time_ns() % 2**31, 2 * length + 2, each))
        start = time.perf_counter()
        subprocess.run([reader, *numbers, *shards_of(folder)], check=True)
        took = time.perf_counter() - start
    return {
        "windows_per_second": each * FLIGHT / took,
        "bytes_read_per_byte": (bytes_read() - before) / (2 * length * each * FLIGHT),
    }


def read_with_python(folder: Path, length: int, windows: int) -> dict[str, float]:
    """Return the same of threads of 8 processes; one would measure Python's lock."""
    before = bytes_read()

    def read_some(files: list[int], rng: random.Random) -> None:
        for _ in range(windows // FLIGHT):
            file = rng.choice(files)
            at = 2 * rng.randrange(os.fstat(file).st_size // 2 - length)
            os.pread(file, 2 * length + 2, at)

    def work() -> None:
        files = [os.open(path, os.O_RDONLY) for path in shards_of(folder)]
        for file in files:
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_RANDOM)
        threads = [
            threading.Thread(target=read_some, args=(files, random.Random(time.time_ns() + k)))
            for k in range(FLIGHT // 8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    start = time.perf_counter()
    children = []
    for _ in range(8):
        child = os.fork()
        if child == 0:
            work()
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    took = time.perf_counter() - start
    # Of processes that have ended, their parent has the bytes.
    count = windows // FLIGHT * FLIGHT
    return {
        "windows_per_second": count / took,
        "bytes_read_per_byte": (bytes_read() - before) / (2 * length * count),
    }


def read_in_order(folder: Path, seconds: float) -> dict[str, float]:
    """Return MB per second of reads of 8 MiB, one after the other."""
    start, count = time.perf_counter(), 0
    buffer = bytearray(8 << 20)
    for path in shards_of(folder):
        with path.open("rb", buffering=0) as file:
            while time.perf_counter() - start < seconds:
                got = file.readinto(buffer)  # type: ignore[attr-defined]
                if not got:
                    break
                count += got
    return {"megabytes_per_second": count / 1e6 / (time.perf_counter() - start)}


def measure_here(job: dict[str, Any]) -> dict[str, float]:
    """Run one measurement in this process."""
    torch.set_num_threads(1)
    folder = Path(job["folder"])
    evict(folder)
    if job["what"] == "in order":
        return read_in_order(folder, job["seconds"])
    if job["what"] == "bound":
        return read_with_threads(folder, job["length"], job["windows"])
    sides = WAITING if job["what"] == "wait" else SIDES
    batches = sides[job["side"]](folder, job["length"])
    if job["what"] == "wait":
        return wait_for_batches(batches, job["milliseconds"], job["steps"])
    return read_windows(batches, job["length"], job["windows"], job["seconds"])


def run_job(**job: Any) -> dict[str, float]:
    """Run one measurement in a new process: a fork, so that nothing is imported again."""
    here, there = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(
        target=lambda: there.send(measure_here(job))
    )
    child.start()
    there.close()
    try:
        found: dict[str, float] = here.recv()
    except EOFError:
        raise SystemExit(f"the measurement failed: {job}") from None
    child.join()
    return found


def progress(text: str) -> None:
    """Print what was measured, with the time since the start."""
    print(f"{time.perf_counter() - STARTED:5.0f} s  {text}", file=sys.stderr, flush=True)


# -- all of them -----------------------------------------------------------------------------------


def windows_to_read(side: str, length: int, tokens: int) -> int:
    """Return how many windows a side reads: of random pages one in ten, in order half of the store."""
    if side.endswith(("blocks'", "in order")):
        return max(BATCH, tokens // 2 // length)
    pages = tokens // 2048
    return max(BATCH, min(40_000, pages // 10 // (1 + length // 2048)))


def measure(folder: Path, length: int, tokens: int, repeats: int, seconds: float) -> dict[str, Any]:
    """Return windows per second of all sides at one length, beside the bounds of the disk."""
    sides = [*SIDES]
    rates: dict[str, list[dict[str, float]]] = {name: [] for name in ["bound", "dd", *sides]}
    for turn in range(repeats):
        jobs = ["bound", "dd", *sides][:: -1 if turn % 2 else 1]
        for name in jobs:
            windows = windows_to_read(name, length, tokens)
            if name == "dd":
                found = run_job(what="in order", folder=str(folder), seconds=seconds)
                found["windows_per_second"] = found["megabytes_per_second"] * 1e6 / (2 * length)
            elif name == "bound":
                found = run_job(what="bound", folder=str(folder), length=length, windows=windows)
            else:
                found = run_job(
                    what="read", side=name, folder=str(folder), length=length,
                    windows=windows, seconds=seconds,
                )  # fmt: skip
            rates[name].append(found)
            progress(f"L={length} {name}: {found['windows_per_second']:,.0f} windows/s")
    spreads = {name: _spread(rates[name]) for name in ("bound", "dd")}
    disturbed = max(spreads.values()) > DISTURBED
    if disturbed:
        progress(f"L={length} DISTURBED: the bounds differ by {max(spreads.values()):.0%}")
    middle = lambda name, what: median(found[what] for found in rates[name])  # noqa: E731
    return {
        "max_length": length,
        "batch_size": BATCH,
        "disturbed": disturbed,
        "spread_of_bounds": {name: round(spread, 2) for name, spread in spreads.items()},
        "random_bound": {
            "windows_per_second": round(middle("bound", "windows_per_second")),
            "bytes_read_per_byte": round(middle("bound", "bytes_read_per_byte"), 2),
        },
        "in_order_megabytes_per_second": round(middle("dd", "megabytes_per_second")),
        "windows_per_second": {name: round(middle(name, "windows_per_second")) for name in sides},
        "bytes_read_per_byte": {
            name: round(middle(name, "bytes_read_per_byte"), 2) for name in sides
        },
        "of_the_disk": {name: round(_part(rates, name), 2) for name in sides},
    }


def measure_waits(folder: Path, side: str, step: int, steps: int) -> dict[str, float]:
    """Return how long a training loop waits for the batches of a side."""
    found = run_job(
        what="wait", side=side, folder=str(folder), length=1024, milliseconds=step, steps=steps
    )
    progress(f"{step} ms per step, {side}: waits {found['p99']:.1f} ms at the 99th percentile")
    return {what: round(value, 2) for what, value in found.items()}


def _spread(found: list[dict[str, float]]) -> float:
    """Return by how much the rounds of a bound differ, as a part of their median."""
    rates = [each["windows_per_second"] for each in found]
    return (max(rates) - min(rates)) / median(rates)


def _part(rates: dict[str, list[dict[str, float]]], name: str) -> float:
    """Return the median of a side's speed in each round, as a part of its bound in the same round.

    Of shuffled blocks it is the speed at which they are read, ahead of their use.
    """
    in_order = name.endswith(("blocks'", "in order"))
    parts = []
    for found, bound in zip(rates[name], rates["dd" if in_order else "bound"], strict=True):
        part = found["windows_per_second"] / bound["windows_per_second"]
        parts.append(part * found["bytes_read_per_byte"] if name.endswith("blocks'") else part)
    return median(parts)


# -- how well shuffles mix -------------------------------------------------------------------------


def buffered(order: np.ndarray[Any, Any], size: int, rng: random.Random) -> list[int]:
    """Return a stream through a buffer, of which each sample replaces one at random."""
    buffer = order[:size].tolist()
    found = []
    for sample in order[size:].tolist():
        at = rng.randrange(size)
        found.append(buffer[at])
        buffer[at] = sample
    rng.shuffle(buffer)
    return found + buffer


def mixing(windows: int = 1 << 20, length: int = 1024) -> dict[str, dict[str, float]]:
    """Return how far apart neighbours in the order are, and from how many stretches a batch comes."""
    rng, numbers = random.Random(1), np.random.default_rng(1)
    shard = (1 << 26) // (2 * length)  # windows in 64 MB
    shards = np.arange(windows).reshape(-1, shard)[numbers.permutation(windows // shard)]
    block, group = (1 << 22) // length, 64
    every = range(windows)
    spread = np.concatenate(
        [
            k * shard + numbers.uniform(-(1 << 17) + shard / 2, (1 << 17) + shard / 2, shard)
            for k in range(windows // shard)
        ]
    )
    orders = {
        "full shuffle": np.array(Order([windows], seed=1).take(every)),
        "shuffle='blocks'": np.array(
            Order([windows], seed=1, block=block, group=group).take(every)
        ),
        "MosaicML py1e, 2**18 samples": shards.ravel()[np.argsort(spread, kind="stable")],
        "MosaicML py2s": np.concatenate([numbers.permutation(row) for row in shards]),
        "WebDataset, 1,000 samples": np.array(buffered(shards.ravel(), 1000, rng)),
        "in order": np.arange(windows),
    }
    found = {}
    for name, order in orders.items():
        batches = order[: len(order) // BATCH * BATCH].reshape(-1, BATCH)[::16]
        stretches = [len(np.unique(batch * length >> 20)) for batch in batches]
        distance = np.abs(np.diff(order))
        found[name] = {
            "stretches_of_a_batch": round(float(np.mean(stretches)), 1),
            "median_distance_of_neighbours": round(float(np.median(distance)) / windows, 5),
            "neighbours_within_1000": round(float(np.mean(distance <= 1000)), 4),
        }
    return found


def main() -> None:
    """Measure, and write the result."""
    parser = plain_parser(__doc__.splitlines()[0], repeats=3)
    parser.add_argument("--gigabytes", type=float, default=0.25, help="of the store")
    parser.add_argument("--seconds", type=float, default=3, help="most time of one measurement")
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS)
    parser.add_argument("--steps", type=int, help="steps of training (default: 200 and 50)")
    arguments = parser.parse_args()
    if not hasattr(os, "posix_fadvise") or not Path("/proc/self/io").exists():
        raise SystemExit("this benchmark needs Linux: posix_fadvise and /proc/self/io")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "store"
        write_store(folder, arguments.gigabytes)
        tokens = fastprep.TokenStore(folder).num_tokens
        shapes = [
            measure(folder, length, tokens, arguments.repeats, arguments.seconds)
            for length in arguments.lengths
        ]
        waits = [
            {
                "step_milliseconds": step,
                "milliseconds": {
                    side: measure_waits(folder, side, step, arguments.steps or steps)
                    for side in WAITING
                },
            }
            for step, steps in STEPS
        ]
        result = {
            "question": __doc__.splitlines()[0],
            "gigabytes": arguments.gigabytes,
            "repeats": arguments.repeats,
            "torch": torch.__version__,
            "disk": describe_disk(folder),
            "disturbed": any(shape["disturbed"] for shape in shapes),
            "shapes": shapes,
            "waits": waits,
            "mixing": mixing(),
        }
    write_result(result, arguments.output)


if __name__ == "__main__":
    main()
