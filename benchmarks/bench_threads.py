"""How does prepare scale over threads?

    TMPDIR=/dev/shm python benchmarks/bench_threads.py --corpus prose.jsonl.zst

A corpus, repeated to the size asked for, is prepared by 1, 2, 4, ... threads in turns, each time to the
same bytes, which are compared first.
"""

from __future__ import annotations

import hashlib
import json
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from _run import argument_parser, choose_documents, utf8_size, write_rows

import fastprep
from fastprep.system.threads import available_cores


def write_corpus(folder: Path, documents: list[str], kind: str) -> Path:
    """Write the documents as one file of a kind."""
    path = folder / f"corpus{kind}"
    with path.open("w", encoding="utf-8", newline="") as file:
        for document in documents:
            if kind == ".txt":
                file.write(document + "<|endoftext|>")
            else:
                file.write(json.dumps({"text": document}, ensure_ascii=False) + "\n")
    return path


def digest(store: fastprep.TokenStore) -> str:
    """Return a hash of all files of a store."""
    found = hashlib.blake2b()
    for path in sorted(store.path.iterdir()):
        found.update(path.read_bytes())
    return found.hexdigest()


def measure(
    path: Path, threads: list[int], repeats: int, settings: dict[str, Any]
) -> list[dict[str, Any]]:
    """Return wall and CPU seconds of each number of threads, measured in turns."""
    output = path.with_name("store")
    digests = set()
    seconds: dict[int, list[tuple[float, float]]] = {count: [] for count in threads}
    for turn in range(repeats + 1):
        for count in threads[:: -1 if turn % 2 else 1]:
            before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
            store = fastprep.prepare(path, output, workers=count, progress=False, **settings)
            wall = time.perf_counter() - start
            after = resource.getrusage(resource.RUSAGE_SELF)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            if turn:
                seconds[count].append((wall, cpu))
            else:  # not timed: the first of a process
                digests.add(digest(store))
            shutil.rmtree(output)
    if len(digests) > 1:
        raise SystemExit("the bytes of the store depend on the number of threads")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    one = median(wall for wall, _ in seconds[threads[0]])
    return [
        {
            "threads": count,
            "seconds": round(median(wall for wall, _ in times), 3),
            "cpu_seconds": round(median(cpu for _, cpu in times), 3),
            "times_one_thread": round(one / median(wall for wall, _ in times), 2),
            "peak_mib_of_all_runs": peak,
        }
        for count, times in seconds.items()
    ]


def main() -> None:
    """Measure each kind of input on 1, 2, 4, ... threads."""
    parser = argument_parser(__doc__ or "", megabytes=200, repeats=3)
    parser.add_argument("--encoding", default="r50k_base")
    parser.add_argument("--kinds", nargs="*", default=[".jsonl", ".txt"])
    parser.add_argument("--threads", type=int, nargs="*", help="numbers of threads, 1 first")
    arguments = parser.parse_args()
    documents = choose_documents(arguments.corpus, arguments.megabytes, arguments.seed)
    documents *= max(1, round(arguments.megabytes * 1e6 / utf8_size(documents)))
    cores = available_cores()
    threads = arguments.threads or [1 << k for k in range(10) if 1 << k <= cores]
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for kind in arguments.kinds:
            path = write_corpus(Path(name), documents, kind)
            size = path.stat().st_size
            for row in measure(path, threads, arguments.repeats, {"encoding": arguments.encoding}):
                row["mb_per_second"] = round(size / 1e6 / row["seconds"], 1)
                print(kind, row, file=sys.stderr)
                rows.append({"input": kind, **row})
            path.unlink()
    write_rows("How does prepare scale over threads?", rows, documents, arguments)


if __name__ == "__main__":
    main()
