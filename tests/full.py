"""The checks at full size, once per release: ``python tests/full.py --cases 10000000``.

Prints one JSON object per check: what was compared, the numbers of cases and of differing ones, seed,
versions and commit; some checks add figures. Exits with 1 if anything differed.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import tiktoken
from checks import (
    Found,
    crashes,
    ids,
    interrupts,
    memory,
    memory_failures,
    merging,
    round_trips,
    sameness,
    shapes,
    small_stack,
    stores,
    training,
)

import fastprep
from fastprep_ext.base import simd

CHECKS: dict[str, Callable[[int, int], Iterator[Found]]] = {
    "random": ids.random_texts,
    "scalars": ids.scalar_values,
    "strings": ids.short_strings,
    "corpora": ids.corpora,
    "bytes": round_trips.round_trips,
    "merges": merging.merge_paths,
    "growth": shapes.growth,
    "stack": small_stack.small_stack,
    "crash": crashes.crashes,
    "stores": stores.hostile_stores,
    "memory": memory.memory,
    "sameness": sameness.sameness,
    "interrupts": interrupts.interrupts,
    "training": training.training,
    "memory-failures": memory_failures.memory_failures,
}


def commit() -> str:
    """Return the commit of the tree that has this file."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def main() -> int:
    """Run the checks that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checks", nargs="*", default=[*CHECKS], help=", ".join(CHECKS))
    parser.add_argument("--cases", type=int, default=100_000, help="size of the unbounded checks")
    parser.add_argument("--seed", type=int, default=20_479)
    options = parser.parse_args()
    if Path(fastprep.__file__).parents[1] != Path(__file__).resolve().parents[1]:
        parser.error(
            f"{fastprep.__file__} is in another tree, and the results would record the wrong commit"
        )
    failed = False
    ran = commit()  # of the code that is loaded: the tree may change before the last record
    for check in options.checks:
        start = time.perf_counter()
        for found in CHECKS[check](options.seed, options.cases):
            failed |= found.differing > 0
            record = {
                "check": found.what,
                "cases": found.cases,
                "differing": found.differing,
                **found.figures,
                "seconds": round(time.perf_counter() - start, 1),
                "seed": options.seed,
                "commit": ran,
                "fastprep": fastprep.__version__,
                "tiktoken": tiktoken.__version__,
                "python": platform.python_version(),
                "simd": simd,
            }
            print(json.dumps(record), flush=True)
            start = time.perf_counter()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
