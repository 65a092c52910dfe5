"""Text for terminals: characters that a terminal obeys, or that hide or reorder others, are escaped."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO

# Unprintable by Python's rule, but harmless: line feed, tabulator, spaces, and the joiners of Persian
# and of the scripts of India.
_HARMLESS = frozenset(
    "\n\t\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
    "\u200c\u200d"
)


def escaped(text: str, encoding: str = "utf-8") -> str:
    r"""Return `text` with ``\uXXXX`` for characters that are not safe to print.

    Those are control characters other than line feed and tabulator, marks of direction and other
    invisible characters, surrogates, unassigned characters, and those that `encoding` lacks. All other
    characters, of any script, stay as they are. The escapes are those of JSON, so that the result
    for a line of JSON is the same JSON.

    >>> print(escaped("\x1b[2J \u202etxt.exe \udcff \u4e2d\u6587"))
    \u001b[2J \u202etxt.exe \udcff 中文
    >>> print(escaped("\u4e2d\u6587", "ascii"))
    \u4e2d\u6587
    """
    if not text.isprintable():
        text = "".join(
            character if character.isprintable() or character in _HARMLESS else _escape(character)
            for character in text
        )
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = "".join(
            character if character.isascii() or _is_in(encoding, character) else _escape(character)
            for character in text
        )
    return text


def _is_in(encoding: str, character: str) -> bool:
    try:
        return bool(character.encode(encoding))
    except UnicodeEncodeError:
        return False


def _escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex("|", 2)
    return "".join(f"\\u{unit}" for unit in units.split("|"))


class EscapingStream:
    r"""A text stream that writes :func:`escaped` text to another one, which has all other methods.

    A carriage return at the start of a text stays: progress bars write it.

    >>> import sys
    >>> print("one" + chr(7), file=EscapingStream(sys.stdout))
    one\u0007
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text."""
        start = "\r" if text[:1] == "\r" else ""
        self._stream.write(start + escaped(text[len(start) :], self._stream.encoding or "utf-8"))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
