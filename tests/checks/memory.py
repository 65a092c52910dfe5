"""What prepare holds in memory: no more for ten times the corpus."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from checks import Found

MEBIBYTES = 40
LIMIT = 256
GROWTH = 1.05
# A thread's cache of long pieces is a ring of 16 MiB that fills while the first 700 MB are encoded.
RING = 16


def corpus(path: Path, mebibytes: int, seed: int) -> None:
    """A .jsonl file of documents of made-up words, so many that caches fill."""
    rng = random.Random(seed)
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    words = ["".join(rng.choices(letters, k=rng.randint(1, 12))) for _ in range(200_000)]
    with path.open("w") as file:
        while file.tell() < mebibytes << 20:
            text = " ".join(rng.choices(words, k=rng.randint(10, 2000)))
            file.write(json.dumps({"text": text}) + "\n")


def peaks(command: list[str]) -> list[float]:
    """The most that each process of a command had resident, in MiB, the first one's first."""
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    most: dict[int, float] = {}
    while running.poll() is None:
        for process in _with_descendants(running.pid):
            try:
                status = Path(f"/proc/{process}/status").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            found = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
            if found:
                most[process] = int(found[0]) / 1024
        time.sleep(0.01)
    if running.returncode:
        raise RuntimeError(f"{command} ended with {running.returncode}")
    return [round(value, 1) for value in most.values()]


def _with_descendants(process: int) -> list[int]:
    found = [process]
    for each in found:
        try:
            children = Path(f"/proc/{each}/task/{each}/children").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        found += map(int, children.split())
    return found


def memory(seed: int, cases: int) -> Iterator[Found]:
    """The largest process of `fastprep prepare`, on a corpus and on one of ten times its size."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        corpus(directory / "corpus.jsonl", MEBIBYTES, seed)
        small = (directory / "corpus.jsonl").read_bytes()
        with (directory / "large.jsonl").open("wb") as file:
            for _ in range(10):
                file.write(small)
        for workers in (1, 2):
            for encoding in ("gpt2", "o200k_base"):
                found = {}
                for kind in ("corpus", "large"):
                    output = directory / f"{kind}-{workers}-{encoding}"
                    command = [sys.executable, "-m", "fastprep", "prepare"]
                    command += [str(directory / f"{kind}.jsonl"), "-o", str(output)]
                    command += ["--workers", str(workers), "--encoding", encoding]
                    # So that each process has all the kinds of text that there are.
                    command += ["--shard-bytes", str(MEBIBYTES << 19)]
                    found[kind] = peaks(command)
                growth = max(found["large"]) / max(found["corpus"])
                beyond = (max(found["large"]) - RING) / max(found["corpus"])
                yield Found(
                    f"memory of prepare, {encoding}, {workers} workers, {MEBIBYTES} MiB and 10 times",
                    1,
                    int(max(found["large"]) > LIMIT or beyond > GROWTH),
                    {
                        "mebibytes": found["corpus"],
                        "mebibytes_of_ten_times_that": found["large"],
                        "growth": round(growth, 3),
                    },
                )
