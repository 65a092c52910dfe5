"""How much faster than gigatoken is a text file encoded into a file of ids, in a new process?

    python benchmarks/bench_files.py --corpus prose.jsonl.zst

A corpus is tokenized once, so new processes are measured. "process" is all of one, from its start to
its end: import, load the encoding, read the file, encode it, write the ids (uint16 or uint32) to a
file. "first" is the same work alone, in a process that has encoded one letter, so that everything is
imported and loaded. Each measurement is a process of its own; the sides take turns, and both files of
ids are compared before anything is timed.
"later" is the second half of the corpus right after the first, in the same process: the caches have
seen similar text, but not the same. A peer that is not installed is reported as missing.
"""

from __future__ import annotations

import filecmp
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from _run import argument_parser, choose_documents, describe_corpus, write_result
from tqdm import tqdm

CHILD = Path(__file__).with_name("encode_child.py")
SIDES = ("gigatoken", "fastprep")


def measure(
    side: str, encoding: str, threads: int, sources: list[Path], target: Path, warm_up: bool = True
) -> dict[str, list[float]]:
    """Run one new process; add the seconds from its start to its end as "process"."""
    environment = {**os.environ, "RAYON_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, CHILD, *([] if warm_up else ["--cold"])]
    command += [side, encoding, str(threads), target, *sources]
    start = time.perf_counter()
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    seconds = time.perf_counter() - start
    result: dict[str, list[float]] = json.loads(done.stdout)
    return {**result, "process": [seconds]}


def main() -> None:
    """Compare the ids, measure, and print the result."""
    question = __doc__.splitlines()[0]
    parser = argument_parser(question, megabytes=100, repeats=5)
    parser.add_argument(
        "--encodings", nargs="*", default=["r50k_base", "cl100k_base", "o200k_base"]
    )
    arguments = parser.parse_args()
    sides = [side for side in SIDES if importlib.util.find_spec(side)]
    for side in set(SIDES) - set(sides):
        print(f"{side} is not installed and is left out", file=sys.stderr)
    documents = choose_documents(arguments.corpus, arguments.megabytes, arguments.seed)
    corpus = describe_corpus(arguments.corpus, documents, arguments.seed)
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        whole, first, second = (Path(directory, name) for name in ("whole", "first", "second"))
        half = len(documents) // 2
        for path, part in (
            (whole, documents),
            (first, documents[:half]),
            (second, documents[half:]),
        ):
            path.write_bytes("\n".join(part).encode("utf-8", "replace"))
        targets = {side: Path(directory, f"{side}.bin") for side in sides}
        cells = [
            (name, n) for name in arguments.encodings for n in sorted({1, os.cpu_count() or 1})
        ]
        for encoding, threads in tqdm(cells, unit="cell", disable=None):
            for side in sides:
                measure(side, encoding, threads, [whole], targets[side])
            if len(sides) == 2 and not filecmp.cmp(*targets.values(), shallow=False):
                raise SystemExit(f"{encoding}: the sides give other ids; nothing was timed")
            runs: dict[str, dict[str, list[float]]] = {
                side: {"process": [], "first": [], "later": [], "mebibytes": []} for side in sides
            }
            for turn in range(arguments.repeats):
                for side in sides[:: -1 if turn % 2 else 1]:
                    new = measure(side, encoding, threads, [whole], targets[side], warm_up=False)
                    cold = measure(side, encoding, threads, [whole], targets[side])
                    warm = measure(side, encoding, threads, [first, second], targets[side])
                    runs[side]["process"].append(whole.stat().st_size / 1e6 / new["process"][0])
                    runs[side]["first"].append(whole.stat().st_size / 1e6 / cold["seconds"][0])
                    runs[side]["later"].append(second.stat().st_size / 1e6 / warm["seconds"][1])
                    runs[side]["mebibytes"].append(float(cold["mebibytes"]))  # type: ignore[arg-type]
            row: dict[str, object] = {"encoding": encoding, "threads": threads}
            for side in sides:
                row[side] = {what: round(median(some), 1) for what, some in runs[side].items()}
            if len(sides) == 2:
                row["times_faster"] = {
                    what: round(
                        median(
                            a / b
                            for a, b in zip(
                                runs["fastprep"][what], runs["gigatoken"][what], strict=True
                            )
                        ),
                        2,
                    )
                    for what in ("process", "first", "later")
                }
            rows.append(row)
    how = "the first pass of a new process that has encoded one letter"
    result = {"question": question, "how": how, "corpus": corpus, "repeats": arguments.repeats}
    write_result({**result, "rows": rows}, arguments.output)


if __name__ == "__main__":
    main()
