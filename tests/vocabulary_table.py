"""The table of families in docs/vocabularies.md: `python tests/vocabulary_table.py`.

It is made of tests/vocabulary_families.json, which the tests on published files check.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "vocabularies.md"
BEGIN, END = "<!-- families:begin -->", "<!-- families:end -->"
FAMILIES: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("vocabulary_families.json").read_text(encoding="utf-8")
)


def published() -> dict[str, dict[str, Any]]:
    """Return what is known of each published file, by its name."""
    return {file["file"]: file for family in FAMILIES for file in family["published"]}


def tested(family: dict[str, Any]) -> str:
    """Return the cell that says which files of a family the tests load."""
    files = [
        f"{file['model']}'s own ({file['tokens']:,} tokens, {file['added']:,} added)"
        for file in family["published"]
    ]
    small = ["small file"] if family["styles"] else []
    bundled = ["the bundled tables"] if family["bundled"] else []
    return "; ".join([*bundled, *small, *files])


def updated(page: str) -> str:
    """Return the page with the table between its marks."""
    lines = ["| family | file | what it needs | tested |", "|---|---|---|---|"]
    for family in FAMILIES:
        cells = (family["family"], family["format"], family["needs"] or "-", tested(family))
        lines.append(f"| {' | '.join(cells)} |")
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
