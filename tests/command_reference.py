"""The reference of docs/command-line.md, from the help pages: `python tests/command_reference.py`."""

from __future__ import annotations

import io
from pathlib import Path

from fastprep.cli.commands import COMMANDS, parser_of
from fastprep.terminal import Pen

PAGE = Path(__file__).resolve().parents[1] / "docs" / "command-line.md"
BEGIN, END = "<!-- reference:begin -->", "<!-- reference:end -->"


def updated(page: str) -> str:
    """Return the page with the help pages of all commands between its marks."""
    parts = []
    for name in COMMANDS:
        lines = parser_of(name).page(Pen(io.StringIO(), colours=False), 80)
        parts.append(f"### fastprep {name}\n```text\n" + "\n".join(lines) + "\n```\n")
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n" + "\n".join(parts) + f"{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
