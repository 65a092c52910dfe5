"""Memory of prepare: constant, also for a corpus ten times as large."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import zstandard
from texts import shared_file

from checks import Found

# Copies of the corpora that fill everything bounded (caches above all) on each of two threads.
FIRST = 4
TIMES = 10
LIMIT = 256
GROWTH = 1.05


def corpora(directory: Path, times: int) -> list[str]:
    """Unpack the real corpora, and return `times` names for each of them."""
    names = []
    for corpus in ("prose", "code", "multi"):
        unpacked = directory / f"{corpus}.jsonl"
        if not unpacked.exists():
            packed = shared_file(f"corpora/{corpus}.jsonl.zst").read_bytes()
            unpacked.write_bytes(zstandard.ZstdDecompressor().decompressobj().decompress(packed))
        for number in range(times):
            name = directory / f"{corpus}-{number}.jsonl"
            if not name.exists():
                name.symlink_to(unpacked)
            names.append(str(name))
    return names


def peak(command: list[str]) -> float:
    """Run a command, and return the peak of its resident memory in MiB."""
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    found = 0.0
    while running.poll() is None:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            status = Path(f"/proc/{running.pid}/status").read_text()
            for line in status.splitlines():
                if line.startswith("VmHWM"):
                    found = int(line.split()[1]) / 1024
        time.sleep(0.01)
    if running.returncode:
        raise RuntimeError(f"{command} ended with {running.returncode}")
    return round(found, 1)


def memory(seed: int, cases: int) -> Iterator[Found]:
    """Compare the peak memory of `fastprep prepare` on the real corpora and on ten times as much.

    Everything that is bounded, caches above all, reaches its full size in the first run.
    """
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        names = corpora(directory, FIRST)
        mebibytes = sum(Path(name).stat().st_size for name in names) >> 20
        for workers in (1, 2):
            for encoding in ("gpt2", "o200k_base"):
                found = []
                for times in (FIRST, FIRST * TIMES):
                    output = directory / "store"
                    command = [
                        sys.executable,
                        "-m",
                        "fastprep",
                        "prepare",
                        *corpora(directory, times),
                    ]
                    command += ["-o", str(output), "--overwrite", "--encoding", encoding]
                    # Shards so small that each thread meets all kinds of text.
                    command += ["--workers", str(workers), "--shard-bytes", str(16 << 20)]
                    found.append(peak(command))
                growth = found[1] / found[0]
                yield Found(
                    f"memory of prepare, {encoding}, {workers} workers, {mebibytes} MiB, {TIMES} times",
                    1,
                    int(found[1] > LIMIT or growth > GROWTH),
                    {
                        "mebibytes": found[0],
                        "mebibytes_of_ten_times_that": found[1],
                        "growth": round(growth, 3),
                    },
                )
