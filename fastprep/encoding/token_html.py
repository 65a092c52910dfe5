"""Tokens as HTML in which every byte is visible, whatever the document contains.

Documents contain hostile text: tags, control characters, marks that change the writing direction. All
of it is escaped, and characters without a visible glyph are shown by their code point.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import NamedTuple

#: Signs for two characters without a glyph; the others are shown by their code point.
_SIGNS = {"\n": "↵", "\t": "⇥"}


class TokenGroup(NamedTuple):
    """Adjacent tokens that are shown as one: a single token, or several that share a character."""

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
    r"""Return escaped HTML for text or bytes; bytes that are not UTF-8 in hexadecimal.

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
    # Controls, direction marks and other format characters, unassigned ones, spaces except " ".
    kind = unicodedata.category(character)
    if kind[0] == "C" or (kind[0] == "Z" and character != " "):
        return f"<i>U+{ord(character):04X}</i>"
    return escape(character)


def grouped(ids: Sequence[int], bytes_of: Callable[[int], bytes]) -> Iterator[TokenGroup]:
    r"""Yield tokens one by one, except that tokens which share characters come as one group.

    >>> table = {0: b"a", 1: b"\xe6\x9d", 2: b"\xb1", 3: b"\xff"}
    >>> [group.ids for group in grouped([0, 1, 2, 3, 0], table.__getitem__)]
    [(0,), (1, 2), (3,), (0,)]
    """
    start = 0
    while start < len(ids):
        stop = start + 1
        # A character has at most 4 bytes, so at most 4 tokens share one; but the last of them may
        # start another one, and so on.
        single = TokenGroup((ids[start],), (bytes_of(ids[start]),))
        group = single
        while group.text is None and stop < len(ids) and stop - start < 16:
            token = ids[stop]
            group = TokenGroup((*group.ids, token), (*group.pieces, bytes_of(token)))
            stop += 1
        if group.text is None:
            group = single
        yield group
        start += len(group.ids)


def spans(
    ids: Sequence[int], bytes_of: Callable[[int], bytes], special: frozenset[int], between: str = ""
) -> str:
    """Return ``<b>`` elements, one per token group, with its ids for the style sheet to show on hover.

    >>> spans([7, 9], {7: b"tea", 9: b"<|end|>"}.__getitem__, frozenset([9]))
    '<b data-t="7">tea</b><b class="s" data-t="9">&lt;|end|&gt;</b>'
    """
    parts = []
    for group in grouped(ids, bytes_of):
        text = b"".join(group.pieces)
        label = " + ".join(map(str, group.ids))
        if len(group.ids) > 1 or group.text is None:
            label += ": " + " + ".join(piece.hex(" ") for piece in group.pieces)
        kind = ' class="s"' if special.intersection(group.ids) else ""
        # Each line of the document starts a line of the page.
        after = "\n" if text.endswith(b"\n") else ""
        parts.append(f'<b{kind} data-t="{label}">{visible(text)}</b>{after}')
    return between.join(parts)
