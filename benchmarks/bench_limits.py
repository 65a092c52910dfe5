"""How far is the limit: how fast are splitting alone and a plain copy of the text, next to encoding?

    python benchmarks/bench_limits.py --corpus prose.jsonl.zst

Nothing that uses pieces can be faster than finding them, and nothing that reads text faster than
copying it. "encoding" is the first pass of a new process from a text file to a file of ids, as in
bench_files.py. "splitting" counts the pieces of the same text, in memory, and keeps nothing. "copying"
is a copy of its bytes to memory that was written before. All on one thread, in turns.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import bench_files
import numpy as np
from _run import argument_parser, choose_documents, write_rows
from tqdm import tqdm

from fastprep_ext.bpe import PATTERNS, count_pieces

FAMILIES = {"r50k_base": "r50k", "cl100k_base": "cl100k", "o200k_base": "o200k"}


def timed(call: Callable[[], object]) -> float:
    """Return the seconds of a call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure(encoding: str, source: Path, target: Path, repeats: int) -> dict[str, Any]:
    """Return MB/s of the three for one encoding, and the ratios of the other two to encoding."""
    text = source.read_bytes()
    pattern = PATTERNS[FAMILIES[encoding]]
    taken = np.frombuffer(text, np.uint8)
    room = np.zeros_like(taken)
    pieces = count_pieces(text, pattern)
    seconds: dict[str, list[float]] = {"encoding": [], "splitting": [], "copying": []}
    for turn in range(repeats):
        for what in list(seconds)[:: -1 if turn % 2 else 1]:
            if what == "encoding":
                took = bench_files.measure("fastprep", encoding, 1, [source], target)["seconds"][0]
            elif what == "splitting":
                took = timed(lambda: count_pieces(text, pattern))
            else:
                took = timed(lambda: np.copyto(room, taken))
            seconds[what].append(took)
    return {
        "encoding": encoding,
        "pieces": pieces,
        "megabytes_per_second": {
            what: round(len(text) / 1e6 / median(times), 1) for what, times in seconds.items()
        },
        "times_faster_than_encoding": {
            what: round(
                median(a / b for a, b in zip(seconds["encoding"], seconds[what], strict=True)), 2
            )
            for what in ("splitting", "copying")
        },
    }


def main() -> None:
    """Measure, and print the result."""
    question = __doc__.splitlines()[0]
    arguments = argument_parser(question, megabytes=100, repeats=5).parse_args()
    documents = choose_documents(arguments.corpus, arguments.megabytes, arguments.seed)
    with tempfile.TemporaryDirectory() as directory:
        source, target = Path(directory, "text"), Path(directory, "ids")
        source.write_bytes("\n".join(documents).encode("utf-8", "replace"))
        rows = [
            measure(encoding, source, target, arguments.repeats)
            for encoding in tqdm(FAMILIES, unit="encoding", disable=None)
        ]
    write_rows(question, rows, documents, arguments)


if __name__ == "__main__":
    main()
