"""Added tokens: strings that are looked for in a text before it is normalized and split.

The rules are those of the tokenizers library of Hugging Face, 0.23. Tokens that are not to be
normalized are looked for first, in the text as it is. What lies between them is normalized, each
part on its own, and the others, normalized as well, are looked for there. Of tokens that begin at
the same place the longest is taken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

# Unicode's whitespace, which str.strip() would take too far: it knows U+001C to U+001F as well.
_WHITE = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B)))
WHITESPACE = _WHITE + "\u2028\u2029\u202f\u205f\u3000"


@dataclass(frozen=True)
class AddedToken:
    """One added token.

    Attributes
    ----------
    content
        the string that is looked for.
    id
        its id.
    special
        whether it counts as a special token, which a text holds only where the caller allows it.
    normalized
        whether it is looked for in the normalized text.
    lstrip, rstrip
        whether it swallows the whitespace before it, or behind it.
    """

    content: str
    id: int
    special: bool = True
    normalized: bool = False
    lstrip: bool = False
    rstrip: bool = False


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
        """The text between added tokens, normalized, each with the id that follows it, if any.

        A special token that is not in `allowed` is text. Sections may be empty.
        """
        for section, id in self._early.cut(text, allowed):
            if self._normalize is not None:
                section = self._normalize(section)
            *between, (last, _) = self._late.cut(section, allowed)
            yield from between
            yield last, id


class _Finder:
    """Looks for some tokens in one pass; `tokens` has each under the string that is looked for."""

    def __init__(self, tokens: dict[str, AddedToken]) -> None:
        self._tokens = tokens

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        # Of the alternatives that match, a pattern takes the first: so the longest comes first.
        longest_first = sorted(self._tokens, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first)))

    def cut(self, text: str, allowed: Collection[str]) -> Iterator[tuple[str, int | None]]:
        # str.__contains__ is many times faster than a pattern, and most texts hold no token.
        if not any(string in text for string in self._tokens):
            yield text, None
            return
        begin = 0
        for match in self._pattern.finditer(text):
            token = self._tokens[match.group()]
            if token.special and token.content not in allowed:
                continue
            start, end = match.span()
            if token.lstrip:
                while start > begin and text[start - 1] in WHITESPACE:
                    start -= 1
                start = max(start, begin)
            if token.rstrip:
                while end < len(text) and text[end] in WHITESPACE:
                    end += 1
            # The token before may have swallowed this one, which is whitespace itself. It does not
            # count then. (The library drops it where both end together, and panics where not.) One
            # that is no lstrip token counts all the same, as it does there.
            if start >= end:
                continue
            yield text[begin:start], token.id
            begin = end
        yield text[begin:], None
