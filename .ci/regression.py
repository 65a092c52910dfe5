"""Ratios of a run of the benchmarks beside those of an earlier one; status 1 if one fell by too much.

    python .ci/regression.py BEFORE AFTER --bound 0.8

Both are directories that `make bench` wrote. Ratios alone are compared (how many times as fast as
another program in the same run), because speeds depend on the machine of the night.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# What tells rows of a result apart.
_NAMES = ("encoding", "input", "what", "trainer", "max_length", "threads")


def ratios(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, float]]:
    """Yield the ratios of a result by their places: the numbers below keys with "times".

    >>> [*ratios({"rows": [{"encoding": "gpt2", "times_faster": {"first": 2.0}}], "seconds": 3.0})]
    [('rows gpt2 times_faster first', 2.0)]
    """
    if isinstance(value, dict):
        name = [str(value[key]) for key in _NAMES if key in value]
        for key, item in value.items():
            yield from ratios(item, (*path, *name, key))
    elif isinstance(value, list):
        for item in value:
            yield from ratios(item, path)
    elif isinstance(value, (int, float)) and any("times" in key for key in path):
        yield " ".join(path), float(value)


def of_directory(directory: Path) -> dict[str, float]:
    """Return the ratios of all results in a directory, by file and place."""
    found = {}
    for path in sorted(directory.glob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        for place, ratio in ratios(result):
            name = f"{path.stem}: {place}"
            if name in found:
                sys.exit(f"{path} has two ratios of one name: {place}")
            found[name] = ratio
    return found


def main() -> None:
    """Compare two directories, print what fell, and exit with 1 if anything did."""
    parser = argparse.ArgumentParser(description="Compare the ratios of two runs.")
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument(
        "--bound", type=float, default=0.8, help="of the ratio before (default: 0.8)"
    )
    options = parser.parse_args()
    before, after = of_directory(options.before), of_directory(options.after)
    if not after:
        sys.exit(f"{options.after} has no ratios")
    if not before:
        print(f"{options.before} has no ratios: {len(after)} are compared from the next run on")
        return
    both = [place for place in before if place in after]
    fell = [place for place in both if after[place] < options.bound * before[place]]
    for place in fell:
        print(f"{place}: {after[place]:.2f}, it was {before[place]:.2f}")
    print(f"{len(both)} ratios compared, {len(fell)} below {options.bound} of what they were")
    gone = sorted({*before} - {*after})
    if gone:
        print(f"not measured this time: {', '.join(gone)}")
    sys.exit(1 if fell or gone else 0)


if __name__ == "__main__":
    main()
