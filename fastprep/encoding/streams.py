"""Incremental decoding: text as far as the ids so far determine it."""

from __future__ import annotations

from codecs import utf_8_decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class DecodeStream:
    """Decoder of ids that arrive one by one, which never gives a part of a character.

    Made by :meth:`fastprep.Encoding.decode_stream`. What all calls return, put together, is what
    :meth:`fastprep.Encoding.decode` returns for all ids.
    """

    def __init__(
        self, spell: Callable[[int], bytes], errors: str, strips: bool, ends_words: bool
    ) -> None:
        self._spell = spell
        self._errors = errors
        self._strips = strips
        self._ends_words = ends_words
        self._plain = not strips and not ends_words
        self._held = b""
        self._at_start = True

    def push(self, token: int) -> str:
        """Return the text that an id adds; it may be empty, and include what earlier ids began.

        >>> from fastprep import get_encoding
        >>> enc = get_encoding("gpt2")
        >>> stream = enc.decode_stream()
        >>> [stream.push(token) for token in enc.encode("a 🙂!")]
        ['a', ' 🙂', '!']

        Raises what :meth:`fastprep.Encoding.decode_single_token_bytes` does.
        """
        data = self._spell(token)
        if self._held:
            data = self._held + data
            self._held = b""
        text, used = utf_8_decode(data, self._errors, False)
        if used < len(data):
            self._held = data[used:]
        return text if self._plain else self._shortened(text)

    def finish(self) -> str:
        """Return what is left, a character that is not complete, as `errors` says, and start again.

        >>> from fastprep import get_encoding
        >>> stream = get_encoding("gpt2").decode_stream()
        >>> stream.push(12520), stream.finish()
        (' ', '\ufffd')
        """
        held, self._held, self._at_start = self._held, b"", True
        return held.decode("utf-8", self._errors) if held != b" " or self._plain else ""

    def _shortened(self, text: str) -> str:
        """Return a text without a space at the start, or the one at the end, which is held back."""
        if self._strips and self._at_start and text:
            self._at_start = False
            return text.removeprefix(" ")
        if self._ends_words and text[-1:] == " " and not self._held:
            self._held = b" "
            return text[:-1]
        return text
