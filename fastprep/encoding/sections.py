"""Added tokens, and an encoder for text that is cut at them or normalized before it is split.

The rules are those of the tokenizers library of Hugging Face, 0.23. Added tokens that are not to be
normalized are searched for first, in the text as it is. Each part between them is normalized, and
the other added tokens, normalized as well, are searched for in it. Of tokens that match at the same
position the longest wins.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cached_property
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from fastprep.encoding.python_encoder import GeneralEncoder, text_of
from fastprep.errors import TextIsChanged
from fastprep.vocabulary.recipe import AddedToken
from fastprep_ext.bpe import Encoder, Specials

# Unicode's whitespace. str.strip() would strip more: U+001C to U+001F.
_ASCII_AND_LATIN = "\t\n\v\f\r \x85\xa0\u1680"
WHITESPACE = (
    _ASCII_AND_LATIN + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
)


class AddedTokens:
    """All added tokens of a vocabulary, and how a text is cut at them.

    >>> tokens = AddedTokens([AddedToken("<s>", 7), AddedToken("<sep>", 8, special=False)])
    >>> list(tokens.sections("one<s>two<sep>three", {"<s>"}))
    [('one', 7), ('two', 8), ('three', None)]
    >>> list(tokens.sections("one<s>two<sep>three", ()))
    [('one<s>two', 8), ('three', None)]
    """

    def __init__(
        self, tokens: Sequence[AddedToken], normalize: Callable[[str], str] | None = None
    ) -> None:
        self._normalize = normalize
        self._early = _Finder({token.content: token for token in tokens if not token.normalized})
        self._late = _Finder(
            {
                token.content if normalize is None else normalize(token.content): token
                for token in tokens
                if token.normalized
            }
        )

    def sections(self, text: str, allowed: Collection[str]) -> Iterator[tuple[str, int | None]]:
        """Yield the normalized text between added tokens, each with the id after it, if any.

        A special token that is not in `allowed` is text. Sections may be empty.
        """
        for section, id in self._early.cut(text, allowed):
            if self._normalize is not None:
                section = self._normalize(section)
            *between, (last, _) = self._late.cut(section, allowed)
            yield from between
            yield last, id


class _Finder:
    """Search for tokens in one pass. `tokens` is keyed by the string that is searched for."""

    def __init__(self, tokens: dict[str, AddedToken]) -> None:
        self._tokens = tokens

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        # A pattern takes the first alternative that matches: put the longest first.
        longest_first = sorted(self._tokens, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first)))

    def cut(self, text: str, allowed: Collection[str]) -> Iterator[tuple[str, int | None]]:
        # str.__contains__ is many times faster than a pattern, and most texts have no token.
        if not any(string in text for string in self._tokens):
            yield text, None
            return
        reached = 0
        for match in self._pattern.finditer(text):
            token = self._tokens[match.group()]
            if token.special and token.content not in allowed:
                continue
            start, end = match.span()
            if token.lstrip:
                while start > reached and text[start - 1] in WHITESPACE:
                    start -= 1
                start = max(start, reached)
            if token.rstrip:
                while end < len(text) and text[end] in WHITESPACE:
                    end += 1
            # A token that is whitespace may be part of the whitespace of the token before it; then
            # it does not count. (The library drops it where both have the same end, and panics
            # elsewhere.) A token without lstrip counts even so, as it does there.
            if start >= end:
                continue
            yield text[reached:start], token.id
            reached = end
        yield text[reached:], None


class SectionEncoder(GeneralEncoder):
    """Encoder with the interface of :class:`fastprep_ext.bpe.Encoder`, one section at a time.

    Parameters
    ----------
    encoder
        splits and merges the sections.
    added
        cuts the text at added tokens, and normalizes the parts between them.
    space_before
        whether a space is put before a section that does not start with one.
    """

    def __init__(
        self, encoder: Encoder | GeneralEncoder, added: AddedTokens, space_before: bool
    ) -> None:
        super().__init__(encoder, lambda text: [text], {})
        self._added = added
        self._space_before = space_before

    def encode(
        self, text: str, specials: Specials | None = None, max_tokens: int | None = None
    ) -> Any:
        """Return the ids of `text`, at most `max_tokens`."""
        ids: list[int] = []
        for section, id in self._sections(text, specials):
            ids += self._encoder.encode(section)
            if id is not None:
                ids.append(id)
            if max_tokens is not None and len(ids) >= max_tokens:
                break
        return ids if max_tokens is None else ids[:max_tokens]

    def _encode_to_array(
        self, text: Any, specials: Specials | None, max_tokens: int | None
    ) -> npt.NDArray[np.uint32]:
        arrays = []
        for section, id in self._sections(text_of(text), specials):
            arrays.append(np.frombuffer(self._encoder.encode_to_buffer(section), np.uint32))
            if id is not None:
                arrays.append(np.array([id], np.uint32))
        return (arrays[0] if len(arrays) == 1 else np.concatenate(arrays))[:max_tokens]

    def last_piece(self, text: bytes) -> NoReturn:
        """Raise TextIsChanged: the pieces of text that is changed first are not parts of it."""
        raise TextIsChanged(
            "this encoding changes text before it splits it (normal form C, a space before it, or "
            "added tokens that are cut out), so more text may change any of its ids: there is no "
            "encode_with_unstable, and no ids for bytes that end within a character; encode whole "
            "texts"
        )

    def _sections(self, text: str, specials: Specials | None) -> Iterator[tuple[str, int | None]]:
        if not isinstance(text, str):
            raise TypeError(f"expected a str, got {type(text).__name__}")
        allowed = () if specials is None else {token.decode("utf-8") for token in specials.tokens}
        for section, id in self._added.sections(text, allowed):
            if self._space_before and section and section[0] != " ":
                yield " " + section, id
            else:
                yield section, id
