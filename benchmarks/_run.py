"""Shared parts of the benchmarks: the corpus, fair timing, and results that describe the machine.

A benchmark answers one question. It compares the results of the sides before it times them, times them
in turns, and prints JSON. Files are written to TMPDIR: a directory in memory excludes the disk.
"""

from __future__ import annotations

import argparse
import compileall
import io
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

import fastprep

if TYPE_CHECKING:
    import tiktoken

ROOT = Path(__file__).resolve().parents[1]
STANDARD_LIBRARY = Path(os.__file__).parent  # text that every Python carries


# -- arguments -------------------------------------------------------------------------------------


def plain_parser(question: str, *, repeats: int) -> argparse.ArgumentParser:
    """Return a parser with the arguments that every benchmark takes."""
    # As an installation does: new processes are timed, and if this Python is set to write no bytecode,
    # each of them would compile all modules that it imports.
    compileall.compile_dir(Path(fastprep.__file__).parent, quiet=1)
    parser = argparse.ArgumentParser(description=question)
    parser.add_argument(
        "--repeats", type=int, default=repeats, help="rounds that are timed (default: %(default)s)"
    )
    parser.add_argument("--output", type=Path, help="write the JSON to this file, not to stdout")
    return parser


def argument_parser(question: str, *, megabytes: float, repeats: int) -> argparse.ArgumentParser:
    """Return a parser with the arguments that every benchmark on a corpus takes."""
    parser = plain_parser(question, repeats=repeats)
    parser.add_argument(
        "--corpus",
        type=Path,
        default=STANDARD_LIBRARY,
        help="FILE.jsonl, FILE.jsonl.zst (field text), FILE.txt (one document) or a folder of .py files "
        "(default: Python's own standard library)",
    )
    parser.add_argument(
        "--megabytes", type=float, default=megabytes, help="of UTF-8 to use (default: %(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="of the choice of documents (default: %(default)s)"
    )
    return parser


# -- the corpus ------------------------------------------------------------------------------------


def read_documents(path: Path) -> Iterator[str]:
    """Read all documents of a corpus file, in its order."""
    if path.is_dir():
        for file in sorted(path.rglob("*.py")):
            if "site-packages" not in file.parts:
                yield file.read_bytes().decode("utf-8", "replace")
    elif path.suffix == ".txt":
        yield path.read_text(encoding="utf-8")
    else:
        yield from (row["text"] for row in read_rows(path))


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Read all objects of a corpus file of JSON lines, in its order."""
    if path.suffix == ".jsonl":
        with path.open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)
    elif path.suffixes[-2:] == [".jsonl", ".zst"]:
        import zstandard

        with path.open("rb") as file:
            reader = zstandard.ZstdDecompressor().stream_reader(file)
            yield from map(json.loads, io.TextIOWrapper(reader, encoding="utf-8"))
    else:
        raise SystemExit(f"{path}: a corpus ends in .jsonl, .jsonl.zst or .txt")


def choose_documents(path: Path, megabytes: float, seed: int) -> list[str]:
    """Return documents of a corpus file in random order, up to `megabytes` (10**6) of UTF-8."""
    documents = list(read_documents(path))
    random.Random(seed).shuffle(documents)
    chosen, size = [], 0
    for document in documents:
        if size >= megabytes * 1e6:
            break
        chosen.append(document)
        size += utf8_size([document])
    return chosen


def utf8_size(documents: Sequence[str]) -> int:
    """Return the size of the documents in bytes of UTF-8."""
    return sum(len(document.encode("utf-8", "surrogatepass")) for document in documents)


def tiktokens(encoding: fastprep.Encoding) -> tiktoken.Encoding:
    """Return tiktoken's encoding of the same table, pattern and special tokens."""
    import tiktoken

    return tiktoken.Encoding(
        encoding.name,
        pat_str=encoding._pat_str,
        mergeable_ranks=encoding._mergeable_ranks,
        special_tokens=encoding._special_tokens,
    )


# -- timing ----------------------------------------------------------------------------------------


def time_in_turns(
    sides: Mapping[str, Callable[[], object]], repeats: int
) -> dict[str, list[float]]:
    """Return the seconds of each side in each of `repeats` rounds, in which all sides take turns.

    So a change of the machine's speed affects all of them. Every other round is in reverse order, so
    that a side does not always run with the caches that the same other side has left.
    """
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(repeats):
        for name in list(sides)[:: -1 if turn % 2 else 1]:
            start = time.perf_counter()
            sides[name]()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def compare(
    sides: Mapping[str, Callable[[], object]], *, megabytes: float, repeats: int
) -> dict[str, Any]:
    """Time the sides in turns: median MB/s of each, and how many times faster than the first.

    A ratio is the median of the rounds' own ratios.
    """
    seconds = time_in_turns(sides, repeats)
    first = next(iter(seconds))
    return {
        "megabytes_per_second": {
            name: round(megabytes / median(times), 2) for name, times in seconds.items()
        },
        f"times_faster_than_{first}": {
            name: round(median(b / a for a, b in zip(times, seconds[first], strict=True)), 2)
            for name, times in seconds.items()
            if name != first
        },
    }


# -- the result ------------------------------------------------------------------------------------


def describe_machine() -> dict[str, Any]:
    """Return machine, versions and commit, which every figure depends on."""
    return {
        "machine": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_name(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "fastprep": fastprep.__version__,
        "commit": _commit(),
        "files_in": tempfile.gettempdir(),
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _commit() -> str | None:
    """Return the commit of the working tree, ``+changes`` if files differ from it; None without git."""
    git = ["git", "-C", str(ROOT)]
    try:
        head = subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip()
        changes = subprocess.check_output([*git, "status", "--porcelain", "-uno"], text=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+changes" if changes else "")


def describe_corpus(path: Path, documents: Sequence[str], seed: int) -> dict[str, Any]:
    """Describe the documents that were used."""
    return {
        "file": path.name,
        "documents": len(documents),
        "bytes": utf8_size(documents),
        "seed": seed,
    }


def write_rows(
    question: str, rows: list[dict[str, Any]], documents: list[str], arguments: argparse.Namespace
) -> None:
    """Write rows that were measured on documents, with the settings of the command line."""
    corpus = describe_corpus(arguments.corpus, documents, arguments.seed)
    result = {"question": question, "corpus": corpus, "repeats": arguments.repeats, "rows": rows}
    write_result(result, arguments.output)


def write_result(result: dict[str, Any], output: Path | None) -> None:
    """Write the result, with the machine's description, as JSON to a file or to stdout."""
    text = json.dumps({**result, "run": describe_machine()}, indent=2, ensure_ascii=False) + "\n"
    if output is None:
        sys.stdout.write(text)
    else:
        output.write_text(text, encoding="utf-8")
