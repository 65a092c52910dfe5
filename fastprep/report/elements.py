"""Elements of the pages: their head, cards, tables, and numbers.

A page is self-contained: a content security policy forbids scripts, fonts and other files.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from fastprep.encoding.token_html import visible

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = Path(__file__).with_name("report.css")

CLOSING = "</body>\n</html>\n"


def opening(title: str, name: str) -> str:
    """Return the start of a page; both arguments are HTML."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title} · fastprep</title>\n"
        f"<style>\n{_STYLE.read_text(encoding='utf-8')}</style>\n</head>\n<body>\n"
        f"<h1>{name}</h1>\n"
    )


def cards(facts: Iterable[tuple[str, str]]) -> str:
    """Return labels with their values as cards."""
    found = "".join(f"<div><dt>{label}</dt><dd>{value}</dd></div>\n" for label, value in facts)
    return f'<dl class="cards">\n{found}</dl>\n'


def table(
    head: tuple[str, ...],
    rows: Sequence[str],
    numbers: Iterable[int] = (),
    *,
    tall: bool = False,
) -> str:
    """Return a table of rows of HTML; the columns `numbers` are aligned as such."""
    cells = "".join(
        f'<th class="n">{label}</th>' if place in numbers else f"<th>{label}</th>"
        for place, label in enumerate(head)
    )
    top = f"<thead><tr>{cells}</tr></thead>\n" if head else ""
    kind = "wide tall" if tall else "wide"
    return f'<div class="{kind}"><table>\n{top}<tbody>\n{"".join(rows)}</tbody></table></div>\n'


def bar(share: float) -> str:
    """Return a cell with a bar; the widest one has the share 1."""
    return (
        '<td class="bar"><svg viewBox="0 0 100 1" preserveAspectRatio="none">'
        f'<rect width="{100 * share:.2f}" height="1"/></svg></td>'
    )


def code(text: str) -> str:
    """Return text as code."""
    return f"<code>{visible(text)}</code>"


def thousands(value: int) -> str:
    """Format a whole number.

    >>> thousands(1234)
    '1,234'
    """
    return f"{value:,}"


def binary_size(amount: int) -> str:
    """Format a number of bytes with a binary unit.

    >>> binary_size(700), binary_size(1536), binary_size(3 << 30)
    ('700 B', '1.5 KiB', '3.0 GiB')
    """
    shown = float(amount)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if shown < 1024 or unit == "TiB":
            break
        shown /= 1024
    return f"{amount} B" if unit == "B" else f"{shown:,.1f} {unit}"
