"""How fast do all known tokenizers make ids of a list of documents, cold and warm?

    python benchmarks/bench_peers.py --corpus prose.jsonl.zst

Each measurement is a process of its own, in which the library is imported, the encoding loaded and
one letter encoded, so that nothing is loaded later. Then the documents are encoded: "cold" is the
first time, "warm" the same documents again, which is the best case of every cache. The sides take turns.

Ids are compared before anything is timed, with tiktoken's if it is installed. A side with other ids is
reported and not timed. A side whose first run takes more than `--patience` seconds is not run again:
that run is its figure. Documents that contain a special token are skipped, because libraries differ
there by design.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from _run import argument_parser, choose_documents, describe_corpus, write_result
from peers import PACKAGES, SIDES, NotHere, digest, version_of
from tqdm import tqdm

import fastprep

ENCODINGS = ("r50k_base", "cl100k_base", "o200k_base")


def child(name: str, encoding: str, threads: int, file: Path, source: Path) -> dict[str, Any]:
    """Print the seconds of two passes, and the digest of the ids; the main function of a child."""
    side = SIDES[name]
    documents = json.loads(source.read_text(encoding="utf-8"))
    try:
        encode = side.load(encoding, threads, file)
    except NotHere as error:
        return {"left_out": str(error)}
    encode(["a"])
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        result = encode(documents)
        seconds.append(time.perf_counter() - start)
    return {"cold": seconds[0], "warm": seconds[1], "ids": digest(side.flat(result))}


def measure(name: str, encoding: str, threads: int, file: Path, source: Path) -> dict[str, Any]:
    """Run one new process, and return its result."""
    environment = {
        **os.environ,
        "RAYON_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "true" if threads > 1 else "false",
    }
    command = [sys.executable, __file__, "--child", name, encoding, str(threads)]
    command += [str(file), str(source)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        return {"left_out": f"ended with status {done.returncode}"}
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def plain_documents(documents: list[str], encodings: list[str]) -> list[str]:
    """Return the documents that every library reads alike: valid text without special tokens."""
    specials = {
        text for name in encodings for text in fastprep.get_encoding(name).special_tokens_set
    }
    documents = [text.encode("utf-8", "replace").decode() for text in documents]
    return [text for text in documents if not any(special in text for special in specials)]


def measure_cell(
    sides: list[str], megabytes: float, repeats: int, patience: float, what: tuple[Any, ...]
) -> dict[str, Any]:
    """Return MB/s of each side for an encoding and a number of threads, or why there is none."""
    runs: dict[str, list[dict[str, Any]]] = {}
    left_out = {}
    first = {name: measure(name, *what) for name in sides}
    expected = first.get("tiktoken", first["fastprep, arrays"])["ids"]
    for name, run in first.items():
        if run.get("ids", expected) != expected:
            run = {"left_out": "other ids"}
        if "left_out" not in run:
            runs[name] = [run] if run["cold"] + run["warm"] > patience else []
        elif SIDES[name].package == "fastprep":
            raise SystemExit(f"{name}: {run['left_out']}; nothing was timed")
        else:
            left_out[name] = run["left_out"]
    patient = [name for name in runs if not runs[name]]
    for turn in range(repeats):
        for name in patient[:: -1 if turn % 2 else 1]:
            runs[name].append(measure(name, *what))
    return {
        "encoding": what[0],
        "threads": what[1],
        "megabytes_per_second": {
            name: {
                when: round(megabytes / median(run[when] for run in some), 2)
                for when in ("cold", "warm")
            }
            for name, some in runs.items()
        },
        "runs": {name: len(some) for name, some in runs.items()},
        "left_out": left_out,
    }


def main() -> None:
    """Compare the ids, measure, and print the result."""
    question = __doc__.splitlines()[0]
    parser = argument_parser(question, megabytes=10, repeats=3)
    parser.add_argument("--encodings", nargs="*", default=list(ENCODINGS))
    parser.add_argument(
        "--patience",
        type=float,
        default=10,
        help="seconds; what takes longer is run once (default: %(default)s)",
    )
    arguments = parser.parse_args()
    versions = {package: version_of(package) for package in PACKAGES}
    for package in [package for package, version in versions.items() if version is None]:
        print(f"{package} is not installed and is left out", file=sys.stderr)
    sides = [name for name, side in SIDES.items() if versions[side.package] is not None]
    documents = choose_documents(arguments.corpus, arguments.megabytes, arguments.seed)
    documents = plain_documents(documents, arguments.encodings)
    corpus = describe_corpus(arguments.corpus, documents, arguments.seed)
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory, "documents.json")
        source.write_text(json.dumps(documents), encoding="utf-8")
        cells = [
            (name, n) for name in arguments.encodings for n in sorted({1, os.cpu_count() or 1})
        ]
        for encoding, threads in tqdm(cells, unit="cell", disable=None):
            file = Path(directory, f"{encoding}.json")
            if not file.exists():
                fastprep.get_encoding(encoding).save(file)
            rows.append(
                measure_cell(
                    sides,
                    corpus["bytes"] / 1e6,
                    arguments.repeats,
                    arguments.patience,
                    (encoding, threads, file, source),
                )
            )
    write_result(
        {
            "question": question,
            "corpus": corpus,
            "repeats": arguments.repeats,
            "versions": versions,
            "returns": {name: SIDES[name].returns for name in sides},
            "rows": rows,
        },
        arguments.output,
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        side_name, encoding_name, thread_count, *paths = sys.argv[2:]
        found = child(side_name, encoding_name, int(thread_count), *map(Path, paths))
        print(json.dumps(found))
    else:
        main()
