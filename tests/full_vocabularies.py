"""Hostile vocabulary files at full size: ``python tests/full_vocabularies.py --cases 1000000``.

Prints one JSON object per check, with seed, versions and commit. A mutant of a good file must either be
read or raise BadVocabulary with the file's name; a file as large as the limits allow must be read
within limits of time and memory. Exits with 1 if any other outcome occurred.
"""

from __future__ import annotations

import argparse
import base64
import copy
import json
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from full import commit

sys.path.append(str(Path(__file__).parent / "hostile"))

from test_vocabulary_files import BYTE_LEVEL, GOOD, GOOD_FILES, mutants, read, write

import fastprep
from fastprep.errors import BadVocabulary
from fastprep.vocabulary.byte_alphabet import ALPHABET, to_bytes
from fastprep.vocabulary.patterns import HUGGING_FACE, R50K_PATTERN

TEXT = "abc a<s>é\u0301  zzz 2024中文"
LIMIT = (1 << 20) - 1  # tokens


def chain() -> bytes:
    """Return a good file with several steps in sequence, and merges as pairs."""
    document = copy.deepcopy(GOOD)
    steps: list[dict[str, Any]] = [
        {"type": "Split", "pattern": {"Regex": text}, "behavior": "Isolated", "invert": False}
        for text in HUGGING_FACE["deepseek3"][0]
    ]
    document["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [*steps, BYTE_LEVEL]}
    document["model"]["merges"] = [merge.split() for merge in document["model"]["merges"]]
    document["normalizer"] = None
    return json.dumps(document).encode()


def digits() -> bytes:
    """Return a good file with the Digits step."""
    steps = [{"type": "Digits", "individual_digits": True}, {**BYTE_LEVEL, "use_regex": True}]
    document = {**GOOD, "pre_tokenizer": {"type": "Sequence", "pretokenizers": steps}}
    return json.dumps(document).encode()


def mutated(seed: int, cases: int) -> Iterator[dict[str, Any]]:
    """Read mutants of six good files."""
    good = [*GOOD_FILES.items(), ("tokenizer.json", chain()), ("tokenizer.json", digits())]
    each = cases // len(good)
    with tempfile.TemporaryDirectory(dir=_memory()) as folder:
        for number, (name, data) in enumerate(good):
            began = peak()
            counts = {"read": 0, "refused": 0, "wrong": 0}
            slowest = 0.0
            for mutant in mutants(data, seed=seed + number, count=each):
                path = write(Path(folder), name, mutant)
                start = time.perf_counter()
                counts[outcome(path)] += 1
                slowest = max(slowest, time.perf_counter() - start)
            yield {
                "check": f"mutants of {name} {number}",
                "cases": each,
                **counts,
                "slowest_seconds": round(slowest, 3),
                "mebibytes": peak() - began,
            }


def outcome(path: Path) -> str:
    """Return the outcome of reading a file."""
    try:
        encoding = read(path)
        encoding.decode(encoding.encode(TEXT, allowed_special="all"))
    except BadVocabulary as error:
        return "refused" if path.stem in str(error) else "wrong"
    except Exception as error:
        print(f"{path.name}: {type(error).__name__}: {error!s:.300}", file=sys.stderr)
        return "wrong"
    return "read"


def largest(seed: int, cases: int) -> Iterator[dict[str, Any]]:
    """Read files at the limits, each in a process of its own."""
    with tempfile.TemporaryDirectory(dir=_memory()) as folder:
        for path in large_files(Path(folder), seed):
            command = [sys.executable, __file__, "--load", str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            found = json.loads(done.stdout) if done.returncode == 0 else {"wrong": 1}
            yield {"check": f"at the limits: {path.name}", "bytes": path.stat().st_size, **found}


def large_files(folder: Path, seed: int) -> Iterator[Path]:
    """Yield files of 2**20 - 1 tokens: with as many merges, with pairs, with long tokens, with none."""
    rnd = random.Random(seed)
    tokens, merges, known = list(ALPHABET), [], set(ALPHABET)
    while len(tokens) < LIMIT:
        left, right = rnd.choice(tokens[:4_000]), rnd.choice(tokens[:4_000])
        if len(left + right) <= 16 and left + right not in known:
            known.add(left + right)
            tokens.append(left + right)
            merges.append((left, right))
    long = [*ALPHABET, *(f"{i:05x}" + "x" * rnd.randrange(30) for i in range(LIMIT - 256))]
    for name, keys, listed in (
        ("merges.json", tokens, [f"{left} {right}" for left, right in merges]),
        ("pairs.json", tokens, merges),
        ("long.json", long, []),
    ):
        model = {**GOOD["model"], "vocab": {key: i for i, key in enumerate(keys)}, "merges": listed}
        document = {**GOOD, "added_tokens": [], "model": model}
        (folder / name).write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
        yield folder / name
    for name, keys in (("ranks.tiktoken", tokens), ("long.tiktoken", long)):
        lines = (base64.b64encode(to_bytes(key)) + b" %d\n" % i for i, key in enumerate(keys))
        (folder / name).write_bytes(b"".join(lines))
        yield folder / name


def load(path: Path) -> None:
    """Read one file, and print its time and memory."""
    pat_str = R50K_PATTERN if path.suffix == ".tiktoken" else None
    began, start = peak(), time.perf_counter()
    fastprep.Encoding.from_file(path, pat_str=pat_str)
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": round(seconds, 2), "mebibytes": peak() - began}))


def peak() -> int:
    """Return the peak memory of this process in MiB."""
    # Not getrusage: its peak includes the parent's.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) >> 10


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


CHECKS = {"limits": largest, "mutants": mutated}


def main() -> int:
    """Run the checks that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checks", nargs="*", default=[*CHECKS], help=", ".join(CHECKS))
    parser.add_argument("--cases", type=int, default=10_000, help="mutants (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=20_479)
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.load is not None:
        load(options.load)
        return 0
    failed = False
    for check in options.checks:
        for found in CHECKS[check](options.seed, options.cases):
            failed |= bool(found.get("wrong"))
            versions = {"fastprep": fastprep.__version__, "python": platform.python_version()}
            record = {**found, "seed": options.seed, "commit": commit(), **versions}
            print(json.dumps(record), flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
