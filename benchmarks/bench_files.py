"""How much faster than gigatoken does a text file become a file of ids, in a new process?

    python benchmarks/bench_files.py --corpus prose.jsonl.zst

A corpus is tokenized once, so the first pass of a process that has just loaded the encoding is what
counts: read the file, encode it, write the ids (uint16 or uint32) to a file. Each measurement is a
process of its own, which has encoded one letter; the sides take turns, and both files of ids are
compared before anything is timed.
"later" is a second half of the corpus right after the first, in the same process: caches know the kind
of text, but not the text. A peer that is not installed is left out by name.
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
from collections.abc import Callable
from pathlib import Path
from statistics import median

from _run import argument_parser, choose_documents, describe_corpus, write_result
from tqdm import tqdm

VOCABULARIES = Path(__file__).resolve().parents[1] / "fastprep" / "vocabularies"
SIDES = ("gigatoken", "fastprep")


def encoder_of(side: str, encoding: str, threads: int) -> Callable[[Path, Path], object]:
    """What turns a text file into a file of ids; the encoding is loaded already."""
    if side == "fastprep":
        import fastprep

        ours = fastprep.get_encoding(encoding)
        return lambda source, target: ours.encode_file(source, target, workers=threads)
    import gigatoken
    import numpy as np

    theirs = gigatoken.Tokenizer.from_tiktoken(VOCABULARIES / f"{encoding}.tiktoken")
    dtype = np.uint16 if encoding == "r50k_base" else np.uint32

    def encode(source: Path, target: Path) -> None:
        documents = theirs.encode_files(gigatoken.TextFileSource([source]), parallel=threads > 1)
        np.asarray(documents[0]).astype(dtype).tofile(target)

    return encode


def child(side: str, encoding: str, threads: int, sources: list[Path], target: Path) -> None:
    """In a process of its own: the seconds that each file takes, and the most memory used."""
    encode = encoder_of(side, encoding, threads)
    # What a library imports at its first call (gigatoken: awkward, 0.3 s) is not encoding.
    letter = target.with_suffix(".letter")
    letter.write_bytes(b"a")
    encode(letter, target)
    seconds = []
    for source in sources:
        start = time.perf_counter()
        encode(source, target)
        seconds.append(time.perf_counter() - start)
    # Not getrusage: a child inherits its parent's mark there.
    status = Path("/proc/self/status").read_text() if sys.platform == "linux" else ""
    most = [int(line.split()[1]) / 1024 for line in status.splitlines() if "VmHWM" in line]
    print(json.dumps({"seconds": seconds, "mebibytes": most[0] if most else 0}))


def measure(
    side: str, encoding: str, threads: int, sources: list[Path], target: Path
) -> dict[str, list[float]]:
    """One new process."""
    environment = {**os.environ, "RAYON_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--child", side, encoding, str(threads), str(target)]
    done = subprocess.run(
        [*command, *map(str, sources)], env=environment, stdout=subprocess.PIPE, check=True
    )
    result: dict[str, list[float]] = json.loads(done.stdout)
    return result


def main() -> None:
    """Compare the ids, measure, print."""
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
                side: {"first": [], "later": [], "mebibytes": []} for side in sides
            }
            for turn in range(arguments.repeats):
                for side in sides[:: -1 if turn % 2 else 1]:
                    cold = measure(side, encoding, threads, [whole], targets[side])
                    warm = measure(side, encoding, threads, [first, second], targets[side])
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
                    for what in ("first", "later")
                }
            rows.append(row)
    how = "the first pass of a new process that has encoded one letter"
    result = {"question": question, "how": how, "corpus": corpus, "repeats": arguments.repeats}
    write_result({**result, "rows": rows}, arguments.output)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        side, encoding, threads, target, *sources = sys.argv[2:]
        child(side, encoding, int(threads), [Path(source) for source in sources], Path(target))
    else:
        main()
