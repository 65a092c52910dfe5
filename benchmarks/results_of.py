"""The JSON results of a run of the benchmarks in a directory; some may be missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TITLES = {"multi": "multilingual"}
ORDER = ("prose", "code", "multi")
ENCODINGS = ("gpt2", "cl100k_base", "o200k_base")


class Results:
    """All results of a directory, by name."""

    def __init__(self, directory: Path) -> None:
        self.of = {
            path.stem: json.loads(path.read_text(encoding="utf-8"))
            for path in sorted(directory.glob("*.json"))
        }

    def get(self, name: str) -> dict[str, Any] | None:
        """Return one result, or None if it was not measured."""
        return self.of.get(name)

    def by_corpus(self, what: str) -> dict[str, dict[str, Any]]:
        """Return the results ``what-CORPUS`` by corpus: prose, code, multilingual, then others."""
        prefix = f"{what}-"
        names = [name.removeprefix(prefix) for name in self.of if name.startswith(prefix)]
        names.sort(key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))
        return {TITLES.get(name, name): self.of[prefix + name] for name in names}

    def run(self) -> dict[str, Any]:
        """Return machine, versions and commit of the first result."""
        return next((result["run"] for result in self.of.values() if "run" in result), {})


def rows_side_by_side(results: dict[str, dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return the rows of all corpora side by side; SystemExit if they do not match."""
    kinds = {
        name: [(row["encoding"], row.get("threads")) for row in result["rows"]]
        for name, result in results.items()
    }
    first = next(iter(kinds.values()))
    for name, kind in kinds.items():
        if kind != first:
            raise SystemExit(
                f"{name} was measured with other encodings or numbers of threads than "
                f"{next(iter(kinds))}; write the results of each run to a directory of its own"
            )
    return [list(cells) for cells in zip(*(r["rows"] for r in results.values()), strict=True)]
