"""How much faster than gigatoken is a text file encoded into a file of ids, in a new process?

    python benchmarks/bench_files.py --corpus prose.jsonl.zst

A corpus is tokenized once, so new processes are measured. "process" is all of one, from its start to
its end: import, load the encoding, read the file, encode it, write the ids (uint16 or uint32) to a
file. "first" is the same work alone, in a process that has encoded one letter, so that everything is
imported and loaded. Each measurement is a process of its own; the sides take turns, and both files of
ids are compared before anything is timed.
"later" is the second half of the corpus right after the first, in the same process: the caches have
seen similar text, but not the same. A peer that is not installed is reported as missing.

"shapes" are the same text for ``fastprep.prepare`` on one worker, as files of 1,800 bytes, as documents
of 40 bytes, and as one long document in a text file and in a line of JSON: the CPU time per file beside
that of the text in one file, documents per second of CPU time, and the memory beside that of an
encoding, as a multiple of the document's size.
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
SMALL_FILE_BYTES = 1800
TINY_DOCUMENT_BYTES = 40
PREPARE = """
import json, re, resource, sys
from pathlib import Path
import fastprep
def peak():  # ru_maxrss would start with the parent's
    return int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
encoding = fastprep.get_encoding("cl100k_base")
# A store of one letter first: the imports of a job are not per file or document.
letter = Path(sys.argv[2]).with_suffix(".letter.txt")
letter.write_text("a")
fastprep.prepare(letter, sys.argv[2], encoding=encoding, progress=False, overwrite=True)
before, held = resource.getrusage(resource.RUSAGE_SELF), peak()
store = fastprep.prepare(
    sys.argv[1], sys.argv[2], encoding=encoding, workers=1, progress=False, overwrite=True
)
after = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({
    "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
    "mebibytes": peak() - held,
    "documents": store.num_documents,
}))
"""


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


def prepare(source: Path, target: Path) -> dict[str, float]:
    """Make a store in a new process; return its CPU time, memory beside the encoding's, documents."""
    command = [sys.executable, "-c", PREPARE, source, target]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def pieces_of(text: bytes, size: int) -> list[bytes]:
    """Cut text into pieces of about a size, at the borders of characters, without blank ones."""
    found = (text[at : at + size].decode("utf-8", "ignore") for at in range(0, len(text), size))
    return [piece.encode() for piece in found if piece.strip()]


def measure_shapes(text: bytes, directory: Path, repeats: int) -> dict[str, object]:
    """Measure a text as many small files, as tiny documents, and as one long document."""
    files, store = pieces_of(text, SMALL_FILE_BYTES), directory / "store"
    for number, content in enumerate(files):
        path = directory / "small" / f"{number // 1000:04d}" / f"{number:07d}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    tiny = b"<|endoftext|>".join(pieces_of(text, TINY_DOCUMENT_BYTES))
    (directory / "one.txt").write_bytes(b"<|endoftext|>".join(files))
    (directory / "tiny.txt").write_bytes(tiny)
    (directory / "long.txt").write_bytes(text)
    line = json.dumps({"text": text.decode("utf-8", "replace")}, ensure_ascii=False)
    (directory / "long.jsonl").write_text(f"{line}\n", encoding="utf-8")
    names = ("small", "one.txt", "tiny.txt", "long.txt", "long.jsonl")
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for turn in range(repeats):
        for name in names[:: -1 if turn % 2 else 1]:
            runs[name].append(prepare(directory / name, store))

    def middle(name: str, what: str) -> float:
        return median(run[what] for run in runs[name])

    beside = median(
        a["cpu_seconds"] - b["cpu_seconds"]
        for a, b in zip(runs["small"], runs["one.txt"], strict=True)
    )
    megabytes = len(text) / (1 << 20)
    return {
        "small_files": len(files),
        "microseconds_per_small_file": round(beside / len(files) * 1e6, 1),
        "tiny_documents": runs["tiny.txt"][0]["documents"],
        "million_tiny_documents_per_cpu_second": round(
            runs["tiny.txt"][0]["documents"] / middle("tiny.txt", "cpu_seconds") / 1e6, 2
        ),
        "long_document_mebibytes": round(megabytes, 1),
        "long_document_times_its_size": {
            name: round(middle(name, "mebibytes") / megabytes, 2)
            for name in ("long.txt", "long.jsonl")
        },
    }


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
        shapes = measure_shapes(whole.read_bytes(), Path(directory), arguments.repeats)
    how = "the first pass of a new process that has encoded one letter"
    result = {"question": question, "how": how, "corpus": corpus, "repeats": arguments.repeats}
    write_result({**result, "rows": rows, "shapes": shapes}, arguments.output)


if __name__ == "__main__":
    main()
