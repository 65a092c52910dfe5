"""Does twice as much new text take twice as long?

    python benchmarks/bench_growth.py --corpus prose.jsonl.zst

Each measurement is a new process that makes a file of ids of the first bytes of the corpus, as in
bench_files.py, on one thread; sizes and sides take turns. Nothing is read twice, so all text is new. A
small file costs more per byte, because the caches are empty; after that the cost per byte should be
constant. "cost_a_byte" is relative to an eighth of the corpus: 1.00 at each of 2, 4 and 8 times is
linear.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import bench_files
from _run import argument_parser, choose_documents, write_rows
from tqdm import tqdm

ENCODINGS = ("r50k_base", "cl100k_base", "o200k_base")
PARTS = (64, 32, 16, 8, 4, 2, 1)  # divisors of the corpus size
UNIT = 8  # the part that others are relative to


def write_parts(documents: list[str], directory: Path) -> dict[int, Path]:
    """Write files of the first bytes of the corpus, cut before a character."""
    text = "\n".join(documents).encode("utf-8", "replace")
    paths = {}
    for part in PARTS:
        paths[part] = directory / f"text-{part}"
        size = len(text) // part
        while size < len(text) and text[size] & 0xC0 == 0x80:
            size -= 1
        paths[part].write_bytes(text[:size])
    return paths


def measure(
    side: str, seconds: dict[int, list[float]], sizes: dict[int, int]
) -> dict[str, dict[str, Any]]:
    """Return bytes, MB/s and cost per byte of one side at each size."""
    costs = {part: median(times) / sizes[part] for part, times in seconds.items()}
    return {
        side: {
            "bytes": [sizes[part] for part in PARTS],
            "megabytes_per_second": [round(1e-6 / costs[part], 1) for part in PARTS],
            "cost_a_byte": [round(costs[part] / costs[UNIT], 3) for part in PARTS],
        }
    }


def main() -> None:
    """Measure, and print the result."""
    question = __doc__.splitlines()[0]
    parser = argument_parser(question, megabytes=100, repeats=5)
    parser.add_argument("--encodings", nargs="*", default=list(ENCODINGS))
    arguments = parser.parse_args()
    sides = [side for side in bench_files.SIDES if importlib.util.find_spec(side)]
    for side in set(bench_files.SIDES) - set(sides):
        print(f"{side} is not installed and is left out", file=sys.stderr)
    documents = choose_documents(arguments.corpus, arguments.megabytes, arguments.seed)
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        paths = write_parts(documents, Path(directory))
        sizes = {part: path.stat().st_size for part, path in paths.items()}
        target = Path(directory, "ids")
        rounds = arguments.repeats * len(arguments.encodings)
        with tqdm(total=rounds, unit="round", disable=None) as progress:
            for encoding in arguments.encodings:
                runs: dict[str, dict[int, list[float]]] = {
                    side: {part: [] for part in PARTS} for side in sides
                }
                for turn in range(arguments.repeats):
                    for part in PARTS[:: -1 if turn % 2 else 1]:
                        for side in sides[:: -1 if turn % 2 else 1]:
                            run = bench_files.measure(side, encoding, 1, [paths[part]], target)
                            runs[side][part].append(run["seconds"][0])
                    progress.update()
                row: dict[str, Any] = {"encoding": encoding}
                for side in sides:
                    row |= measure(side, runs[side], sizes)
                rows.append(row)
    write_rows(question, rows, documents, arguments)


if __name__ == "__main__":
    main()
