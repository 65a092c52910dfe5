"""Tokens as HTML: whatever bytes they are, what a reader sees is what there is.

Documents hold hostile text: tags, control characters, marks that turn the direction of writing. All
is escaped, and what has no shape of its own is shown by its code.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import NamedTuple

#: What is shown for these; other characters without a shape are shown by their code point.
_SIGNS = {"\n": "↵", "\t": "⇥"}


class Shown(NamedTuple):
    """Some tokens in a row that are shown as one: one, or several that share a character."""

    ids: tuple[int, ...]
    pieces: tuple[bytes, ...]

    @property
    def text(self) -> str | None:
        """The text of the bytes, or None if they are not UTF-8."""
        try:
            return b"".join(self.pieces).decode()
        except UnicodeDecodeError:
            return None


def visible(content: bytes | str) -> str:
    r"""Escaped HTML that shows bytes or text, bytes that are not UTF-8 in hexadecimal.

    Examples
    --------
    >>> visible(b"<b>\n"), visible(b"\xff"), visible("a\u202eb")
    ('&lt;b&gt;<i>↵</i>', '<i>ff</i>', 'a<i>U+202E</i>b')
    """
    try:
        text = content.decode() if isinstance(content, bytes) else content
    except UnicodeDecodeError as error:
        return f"<i>{error.object.hex(' ')}</i>"
    return "".join(map(_character, text))


def _character(character: str) -> str:
    if character in _SIGNS:
        return f"<i>{_SIGNS[character]}</i>"
    # Controls, marks of direction and the like, what no font has, and spaces that are not " ".
    kind = unicodedata.category(character)
    if kind[0] == "C" or (kind[0] == "Z" and character != " "):
        return f"<i>U+{ord(character):04X}</i>"
    return escape(character)


def grouped(ids: Sequence[int], bytes_of: Callable[[int], bytes]) -> Iterator[Shown]:
    r"""The tokens one by one, but together where only together they are characters.

    Examples
    --------
    >>> table = {0: b"a", 1: b"\xe6\x9d", 2: b"\xb1", 3: b"\xff"}
    >>> [shown.ids for shown in grouped([0, 1, 2, 3, 0], table.__getitem__)]
    [(0,), (1, 2), (3,), (0,)]
    """
    start = 0
    while start < len(ids):
        stop = start + 1
        # No character is longer than 4 bytes, so no more than 4 tokens share one; but the last of
        # them may begin another, and so on.
        shown = Shown((ids[start],), (bytes_of(ids[start]),))
        longer = shown
        while longer.text is None and stop < len(ids) and stop - start < 16:
            token = ids[stop]
            longer = Shown((*longer.ids, token), (*longer.pieces, bytes_of(token)))
            stop += 1
        if longer.text is not None:
            shown = longer
        yield shown
        start += len(shown.ids)


def spans(
    ids: Sequence[int], bytes_of: Callable[[int], bytes], special: frozenset[int], between: str = ""
) -> str:
    """Tokens as a row of ``<b>`` elements, each with its id for the style sheet to show on hover.

    Examples
    --------
    >>> spans([7, 9], {7: b"tea", 9: b"<|end|>"}.__getitem__, frozenset([9]))
    '<b data-t="7">tea</b><b class="s" data-t="9">&lt;|end|&gt;</b>'
    """
    parts = []
    for shown in grouped(ids, bytes_of):
        text = b"".join(shown.pieces)
        label = " + ".join(map(str, shown.ids))
        if len(shown.ids) > 1 or shown.text is None:
            label += ": " + " + ".join(piece.hex(" ") for piece in shown.pieces)
        kind = ' class="s"' if special.intersection(shown.ids) else ""
        # A line of the document is a line of the page.
        after = "\n" if text.endswith(b"\n") else ""
        parts.append(f'<b{kind} data-t="{label}">{visible(text)}</b>{after}')
    return between.join(parts)
