"""The table of worst cases in docs/performance.md, from the output of `tests/full.py growth`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tables import rate, table


def read_shapes(path: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the records by shape of text and encoding."""
    shapes: dict[str, dict[str, dict[str, Any]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        found = json.loads(line)
        shape, _, encoding = found["check"].rpartition(", ")
        shapes.setdefault(shape, {})[encoding] = found
    return shapes


def cell_of(found: dict[str, Any]) -> str:
    """Format the slowest rate, and the factor of time for twice the text."""
    slowest = rate(min(found["megabytes_per_second"]))
    on_average = found["doubling_takes_on_average"]
    return f"{slowest}; {on_average:.2f}, {found['doubling_takes_at_most']:.2f}"


def worst_lines(path: Path) -> list[str]:
    """Return one row per shape with a column per encoding; the last row is prose, for comparison."""
    shapes = read_shapes(path)
    encodings = list(next(iter(shapes.values())))
    rows = [
        [shape, *(cell_of(found[encoding]) for encoding in encodings)]
        for shape, found in shapes.items()
    ]
    some = next(iter(shapes.values()))
    for what, key in (("new prose", "new_prose"), ("prose seen before", "prose")):
        figures = [rate(some[encoding][f"{key}_megabytes_per_second"]) for encoding in encodings]
        rows.append([f"*{what}, for comparison*", *figures])
    return table(["", *encodings], rows)[:-1]
