"""Checks for equal stores with any workers and interruptions, and equal batches on any ranks."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from checks import Found
from checks.memory import corpora
from fastprep.store.reader import TokenStore
from fastprep.training.loader import create_dataloader

ENCODINGS = ("gpt2", "o200k_base")
WORKERS = (1, 2, 3, 4)
MAX_LENGTH = 1024
BATCH = 8


def sameness(seed: int, cases: int) -> Iterator[Found]:
    """Compare stores of the real corpora, and epochs of one of them."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        inputs = corpora(directory, 1)
        for encoding in ENCODINGS:
            output = directory / encoding
            command = [sys.executable, "-m", "fastprep", "prepare", *inputs, "--quiet"]
            command += ["--encoding", encoding, "--shard-bytes", str(8 << 20), "-o", str(output)]
            digests, kills = [], 0
            for workers in WORKERS:
                for interrupted in (False, True):
                    each = [*command, "--workers", str(workers)]
                    kills += _prepare(each, rng if interrupted else None)
                    digests.append(_digest(output))
                    size = sum(path.stat().st_size for path in output.iterdir())
                    if (workers, interrupted) != (WORKERS[-1], True) or encoding != ENCODINGS[0]:
                        _remove(output)
            yield Found(
                f"stores by {WORKERS} workers, killed or not, {encoding}",
                len(digests),
                sum(digest != digests[0] for digest in digests),
                {"kills": kills, "megabytes": round(size / 1e6, 1)},
            )
        yield _shuffled(directory, inputs, rng)
        yield _epochs(TokenStore(directory / ENCODINGS[0]), rng, max(2, min(cases, 12)))


def _shuffled(directory: Path, inputs: list[str], rng: random.Random) -> Found:
    """Compare shuffled stores by numbers of workers, killed or not."""
    output = directory / "shuffled"
    command = [sys.executable, "-m", "fastprep", "prepare", *inputs, "--quiet", "--shuffle", "7"]
    command += ["--shard-bytes", str(8 << 20), "-o", str(output)]
    digests, kills = [], 0
    for workers in WORKERS:
        for interrupted in (False, True):
            kills += _prepare([*command, "--workers", str(workers)], rng if interrupted else None)
            digests.append(_digest(output))
            _remove(output)
    return Found(
        f"shuffled stores by {WORKERS} workers, killed or not",
        len(digests),
        sum(digest != digests[0] for digest in digests),
        {"kills": kills},
    )


def _prepare(command: list[str], rng: random.Random | None) -> int:
    """Run a job, with `rng` after up to three kills at random moments; return their number."""
    kills = 0
    for _ in range(3 if rng is not None else 0):
        running = subprocess.Popen(command, start_new_session=True)
        time.sleep(0.2 + rng.random() if rng is not None else 0)
        if running.poll() is not None:
            return kills  # it was done
        os.killpg(running.pid, signal.SIGKILL)
        if running.wait() == 0:
            return kills
        kills += 1
    subprocess.run(command, check=True)
    return kills


def _digest(output: Path) -> str:
    sha = hashlib.sha256()
    for path in sorted(output.iterdir()):
        if path.suffix != ".lock":
            sha.update(path.name.encode() + b"\0" + path.read_bytes())
    return sha.hexdigest()


def _remove(output: Path) -> None:
    for path in output.iterdir():
        path.unlink()
    output.rmdir()


def _rows(loaders: list[Any], steps: int | None = None) -> list[int]:
    """Return checksums of the windows that all ranks yield, in the order of the whole epoch."""
    rows: list[int] = []
    for step, batches in enumerate(zip(*loaders, strict=True), 1):
        for inputs, _ in batches:
            rows += [zlib.crc32(row.tobytes()) for row in inputs.numpy()]
        if step == steps:
            break
    return rows


def _loaders(store: TokenStore, ranks: int, workers: int, seed: int) -> list[Any]:
    return [
        create_dataloader(
            store,
            batch_size=BATCH,
            max_length=MAX_LENGTH,
            seed=seed,
            rank=rank,
            world_size=ranks,
            num_workers=workers,
        )
        for rank in range(ranks)
    ]


def _epochs(store: TokenStore, rng: random.Random, cases: int) -> Found:
    """Compare epochs that are started on one number of ranks and finished on another."""
    seed = rng.randrange(1 << 30)
    expected = _rows(_loaders(store, 1, 0, seed))
    wrong = 0
    for number in range(cases):
        ranks, others = rng.choice((1, 2, 3, 4, 8)), rng.choice((1, 2, 3, 4, 8))
        loaders = _loaders(store, ranks, number % 2, seed)
        steps = rng.randrange(1, len(expected) // (BATCH * ranks))
        rows = _rows(loaders, steps)
        state = loaders[0].state_dict()
        resumed = _loaders(store, others, 0, seed)
        for loader in resumed:
            loader.load_state_dict(state)
        rows += _rows(resumed)
        # The last windows, too few for a batch on each rank, are dropped.
        wrong += rows != expected[: len(rows)] or len(expected) - len(rows) >= BATCH * others
    what = f"epochs of {len(expected)} windows, started and finished on 1 to 8 ranks"
    return Found(what, cases, wrong)
