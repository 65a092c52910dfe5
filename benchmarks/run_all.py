"""Run all benchmarks, each in a process, and write the page of their results (`make bench`).

    python benchmarks/run_all.py --corpus prose.jsonl.zst code.jsonl.zst --output bench

A benchmark that fails (for example because ids differ) is named at the end; the others still run.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from _run import STANDARD_LIBRARY
from results_of import ENCODINGS

HERE = Path(__file__).parent
#: Benchmarks of each corpus: scripts and their questions.
OF_A_CORPUS = {
    "files": "a text file to a file of ids, next to gigatoken",
    "growth": "throughput as the text grows",
    "limits": "splitting alone, and a plain copy",
    "peers": "documents to ids, all tokenizers",
    "prepare": "a corpus to a token store",
    "train": "a vocabulary, next to other trainers",
    "words": "word tokenizers, next to the notebook's",
}
#: Benchmarks without a corpus.
PLAIN = {
    "load": "how long until a new process has an encoding",
    "calls": "one call on a prompt, and a million ids decoded",
    "loader": "batches, next to other loaders",
    "scale": "stores of trillions of tokens: open, start, plan, resume",
    "cold": "batches of a store that is not in memory, next to other readers",
}


LANGUAGES = "many languages: first, unseen and repeated text, next to gigatoken"


@dataclass
class Step:
    """A process to run."""

    title: str
    script: str
    result: str
    arguments: list[str]


def name_of(corpus: Path) -> str:
    """Return the name of results on a corpus."""
    return "standard-library" if corpus == STANDARD_LIBRARY else corpus.name.split(".")[0]


def steps_of(options: argparse.Namespace) -> list[Step]:
    """Yield all steps to run, in order."""
    repeats = ["--repeats", str(options.repeats)] if options.repeats else []
    size = ["--megabytes", str(options.megabytes)] if options.megabytes else []
    steps = []
    for corpus in options.corpus:
        name = name_of(corpus)
        on_it = ["--corpus", str(corpus), *size, *repeats]
        for what, title in OF_A_CORPUS.items():
            steps.append(Step(f"{name}: {title}", f"bench_{what}", f"{what}-{name}", on_it))
        for encoding in ENCODINGS:
            title = f"{name}: {encoding}, documents one by one and in batches, beside tiktoken"
            also = ["--encoding", encoding]
            steps.append(Step(title, "bench_encode", f"encode-{encoding}-{name}", on_it + also))
    if options.languages:
        of_them = ["--corpus", str(options.languages), *repeats]
        steps.append(Step(LANGUAGES, "bench_languages", "languages", of_them))
    for what, title in PLAIN.items():
        if what == "cold" and not hasattr(os, "posix_fadvise"):
            continue
        if what not in ("loader", "scale", "cold") or importlib.util.find_spec("torch"):
            steps.append(Step(title, f"bench_{what}", what, repeats))
    return [step for step in steps if not options.only or step.script[6:] in options.only]


def main() -> int:
    """Run all, draw, and print where the results are; return 1 if a step failed."""
    every = [*OF_A_CORPUS, "encode", "languages", *PLAIN]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--corpus",
        type=Path,
        nargs="+",
        default=[STANDARD_LIBRARY],
        help="FILE.jsonl, FILE.jsonl.zst, FILE.txt or a folder of .py files (default: Python's own "
        "standard library)",
    )
    parser.add_argument(
        "--languages", type=Path, help="FILE.jsonl.zst whose texts name their `language`"
    )
    parser.add_argument("--output", type=Path, default=Path("bench"), help="(default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=every, help="of the benchmarks")
    parser.add_argument("--megabytes", type=float, help="of each corpus (default: each its own)")
    parser.add_argument("--repeats", type=int, help="rounds that are timed (default: each its own)")
    options = parser.parse_args()
    names = [name_of(corpus) for corpus in options.corpus]
    if len(set(names)) < len(names):
        parser.error(f"corpora of one name would have one result: {', '.join(names)}")
    for corpus in options.corpus:
        if not corpus.exists():
            parser.error(f"there is no {corpus}")
    options.output.mkdir(parents=True, exist_ok=True)
    steps = steps_of(options)
    failed = []
    begin = time.monotonic()
    for number, step in enumerate(steps, 1):
        minutes = (time.monotonic() - begin) / 60
        print(f"[{number}/{len(steps)}, {minutes:.0f} min] {step.title}", flush=True)
        output = options.output / f"{step.result}.json"
        command = [sys.executable, HERE / f"{step.script}.py", *step.arguments, "--output", output]
        if subprocess.run(command, check=False).returncode:
            failed.append(step.title)
    page = [sys.executable, HERE / "report.py", "--results", options.output]
    subprocess.run(page, check=True)
    print(f"Tables: {options.output / 'figures.md'}")
    print(f"Pictures: {options.output / 'pictures'}")
    found = ", ".join(path.name for path in sorted(options.output.glob("*.json")))
    print(f"JSON: {options.output} ({found})")
    for title in failed:
        print(f"failed: {title}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
