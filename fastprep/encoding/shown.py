"""Objects as people see them: coloured tokens, and tables of facts, as HTML or for a terminal.

Jupyter shows the result of ``_repr_html_``, a terminal that of ``repr()``. Text of anybody is escaped
in both.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from html import escape

from fastprep.encoding.token_html import grouped, spans, visible

# Half transparent, so that they suit light and dark pages.
_STYLE = """<style>
.fastprep { font: 13px/1.5 system-ui, sans-serif; } .fastprep table { border-collapse: collapse;
margin: .3em 0; } .fastprep th, .fastprep td { text-align: left; padding: .15em .8em .15em 0;
vertical-align: top; border: 0; } .fastprep th { font-weight: 400; opacity: .65; white-space:
nowrap; } .fastprep td { overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.fastprep-tokens { font: 13px/1.9 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap:
anywhere; } .fastprep-tokens i { font-style: normal; opacity: .6; font-size: .85em; }
.fastprep-tokens b { position: relative; font-weight: 400; border-radius: 3px; padding: .12em 0;
  unicode-bidi: isolate; background: rgba(66, 133, 244, .25); }
.fastprep-tokens b:nth-of-type(5n+2) { background: rgba(244, 180, 0, .3); }
.fastprep-tokens b:nth-of-type(5n+3) { background: rgba(52, 168, 83, .28); }
.fastprep-tokens b:nth-of-type(5n+4) { background: rgba(214, 80, 180, .24); }
.fastprep-tokens b:nth-of-type(5n+5) { background: rgba(120, 100, 230, .28); }
.fastprep-tokens b.s { background: rgba(234, 67, 53, .4); }
.fastprep-tokens b:hover::after { content: attr(data-t); position: absolute; z-index: 1; left: 0;
  bottom: calc(100% + 3px); padding: .1em .5em; border-radius: 4px; background: #24262b; color: #fff;
  white-space: pre; font-size: 12px; pointer-events: none; }
</style>"""
# 256-colour backgrounds with black text, in the order of the page's colours; the last is for special
# tokens.
_BACKGROUNDS = (153, 222, 157, 218, 183)
_SPECIAL = 210
_SIGNS = {"\n": "↵\n", "\t": "⇥", "\r": "␍"}


class ShownTokens:
    """The tokens of a text, to look at: coloured in a notebook and in a terminal.

    :meth:`fastprep.Encoding.show` returns it. In a notebook each token has its id as a tooltip. A
    terminal that shows colours gets them from ``repr()`` and ``print()``, unless ``NO_COLOR`` is set;
    without colours ``|`` separates the tokens. Characters without a glyph are shown by their code
    point, and bytes that are no whole character in hexadecimal.

    Attributes
    ----------
    ids
        the ids of the tokens.
    pieces
        the bytes of each token.
    """

    def __init__(
        self, ids: Sequence[int], bytes_of: Callable[[int], bytes], special: frozenset[int]
    ) -> None:
        self.ids: list[int] = list(ids)
        self.pieces: list[bytes] = [bytes_of(number) for number in self.ids]
        self._special = special

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return self.ansi() if _has_colours() else self.plain()

    def __str__(self) -> str:
        return repr(self)

    def plain(self) -> str:
        """Return the tokens with ``|`` between them."""
        return "|".join(text for text, _ in self._groups())

    def ansi(self) -> str:
        """Return the tokens with a coloured background each, by escape sequences of 256 colours."""
        parts = []
        for place, (text, is_special) in enumerate(self._groups()):
            colour = _SPECIAL if is_special else _BACKGROUNDS[place % len(_BACKGROUNDS)]
            # The colour must end before a line does, or a terminal fills the rest of the line.
            lines = (
                f"\x1b[48;5;{colour};38;5;16m{line}\x1b[0m" for line in text.split("\n") if line
            )
            parts.append("\n".join(lines) + ("\n" if text.endswith("\n") else ""))
        return "".join(parts)

    def _groups(self) -> Iterable[tuple[str, bool]]:
        """Yield the visible text of each group of tokens, and whether it is a special token."""
        table = dict(zip(self.ids, self.pieces, strict=True))
        for group in grouped(self.ids, table.__getitem__):
            content = b"".join(group.pieces)
            text = f"<{content.hex(' ')}>" if group.text is None else _printable(group.text)
            yield text, bool(self._special.intersection(group.ids))

    def _repr_html_(self) -> str:
        table = dict(zip(self.ids, self.pieces, strict=True))
        shown = spans(self.ids, table.__getitem__, self._special)
        count = f"{len(self.ids):,} token{'' if len(self.ids) == 1 else 's'}"
        return (
            f'{_STYLE}<div class="fastprep">{count}<div class="fastprep-tokens">{shown}</div></div>'
        )


def _has_colours() -> bool:
    stream = sys.stdout
    return (
        stream is not None
        and stream.isatty()
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM") != "dumb"
    )


def _printable(text: str) -> str:
    """Return text for a terminal, with signs or code points for what has no glyph.

    >>> _printable("a\\u202eb\\x1b[2J\\n")
    'a<U+202E>b<U+001B>[2J↵\\n'
    """
    return "".join(
        _SIGNS.get(character)
        or (character if character.isprintable() else f"<U+{ord(character):04X}>")
        for character in text
    )


def facts_html(title: str, facts: Iterable[tuple[str, object]], more: str = "") -> str:
    """Return a title and a table of facts as HTML; `more` is HTML that follows.

    >>> facts_html("<b>", [("tokens", 1234)])[-81:]
    '<code>&lt;b&gt;</code><table><tr><th>tokens</th><td>1,234</td></tr></table></div>'
    """
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>"
        f"{f'{value:,}' if type(value) is int else visible(str(value))}</td></tr>"
        for name, value in facts
    )
    heading = f"<code>{visible(title)}</code>"
    return f'{_STYLE}<div class="fastprep">{heading}<table>{rows}</table>{more}</div>'


def tokens_html(
    ids: Sequence[int], bytes_of: Callable[[int], bytes], special: Iterable[int], between: str = ""
) -> str:
    """Return coloured tokens as HTML, for :func:`facts_html`."""
    return f'<div class="fastprep-tokens">{spans(ids, bytes_of, frozenset(special), between)}</div>'
