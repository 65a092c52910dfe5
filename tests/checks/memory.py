"""What prepare holds in memory: no more for ten times the corpus."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import zstandard
from texts import shared_file

from checks import Found

# So many times the corpora fill all that is bounded, in each of two workers.
FIRST = 4
TIMES = 10
LIMIT = 256
GROWTH = 1.05


def corpora(directory: Path, times: int) -> list[str]:
    """The real corpora unpacked, and so many names for each of them."""
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
    """The largest process of `fastprep prepare`, on some of the real corpora and on ten times as much.

    All that is bounded, caches above all, is as large as it gets by the end of the former.
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
                    # So small shards that each process has all the kinds of text that there are.
                    command += ["--workers", str(workers), "--shard-bytes", str(16 << 20)]
                    found.append(peaks(command))
                growth = max(found[1]) / max(found[0])
                yield Found(
                    f"memory of prepare, {encoding}, {workers} workers, {mebibytes} MiB, {TIMES} times",
                    1,
                    int(max(found[1]) > LIMIT or growth > GROWTH),
                    {
                        "mebibytes": found[0],
                        "mebibytes_of_ten_times_that": found[1],
                        "growth": round(growth, 3),
                    },
                )
