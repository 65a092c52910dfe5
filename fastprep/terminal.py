"""Text for terminals: characters that a terminal obeys, or that hide or reorder others, are escaped."""

from __future__ import annotations

import os

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

    @property
    def unescaped(self) -> TextIO:
        """The other stream, for text that is safe already."""
        return self._stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


#: Styles of text on a terminal that shows colours, as its codes.
BOLD, DIM, RED, GREEN, CYAN = "1", "2", "31", "32", "36"


def shows_colours(stream: TextIO) -> bool:
    """Return whether to write colours to a stream: NO_COLOR, FORCE_COLOR, then what the stream is.

    >>> import io
    >>> shows_colours(io.StringIO())
    False
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return os.environ.get("TERM", "dumb") != "dumb" and stream.isatty()


class Pen:
    r"""Writer of safe text in colours to one stream, without colours where it does not show them.

    Only what :meth:`__call__` returns may be given to :meth:`print`.

    >>> import sys
    >>> pen = Pen(sys.stdout)
    >>> pen.print(pen("two" + chr(7), BOLD), pen("words"))
    two\u0007 words
    """

    def __init__(self, stream: TextIO, colours: bool | None = None) -> None:
        self._stream: TextIO = getattr(stream, "unescaped", stream)
        self._encoding = self._stream.encoding or "utf-8"
        self.colours: bool = shows_colours(self._stream) if colours is None else colours

    def __call__(self, text: str, style: str = "") -> str:
        """Return escaped text in a style."""
        text = escaped(text, self._encoding)
        return f"\x1b[{style}m{text}\x1b[0m" if style and text and self.colours else text

    def print(self, *parts: str) -> None:
        """Print a line of parts, with spaces between them."""
        self._stream.write(" ".join(parts) + "\n")


def columns_of(stream: TextIO) -> int:
    """Return the width of a stream's lines now: that of the terminal, else COLUMNS, else 80.

    >>> import io
    >>> columns_of(io.StringIO()) > 0
    True
    """
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError, AttributeError):  # not a terminal, or no descriptor at all
        columns = 0
    given = os.environ.get("COLUMNS", "")
    return columns or (int(given) if given.isascii() and given.isdigit() else 0) or 80
