"""Patterns that have no splitter of their own: run by the package ``regex``, slowly.

One out of a ``tokenizer.json`` is run only where the caller asks for it: a pattern can be made to take
for ever. Classes of characters are those of the Unicode version that ``regex`` has, which may be newer
than that of the compiled splitters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fastprep.errors import BadVocabulary

# The tokenizers library runs its patterns by Oniguruma. Signs that Oniguruma reads otherwise than
# `regex`, or alone: an interval that is repeated and not possessive, other escapes, an intersection
# of classes, callouts and conditions.
_OTHERWISE = re.compile(r"\{\d*,?\d*\}\+|\\[hHRXKGZyYOk]|&&|\(\?[~*(]|\(\*")
# A class in a class is one to Oniguruma. To `regex` it is in version 1 of its dialect, in which these
# mean something else again.
_MEMBERS = r"(?:\\.|\[:\^?\w+:\]|[^\]\\\[])*"
_NESTED = re.compile(rf"(?:[^\\\[]|\\.|\[{_MEMBERS}\])*\[{_MEMBERS}\[", re.DOTALL)
_OTHERWISE_NESTED = re.compile(r"\|\||--|~~|\(\?[a-z-]*i")


def tiktoken_splitter(pattern: str) -> Callable[[str], list[str]]:
    """A splitter by a pattern as tiktoken reads it: what it does not match is in no piece.

    >>> tiktoken_splitter(r"[a-c]+|[^a-c ]")("abc, a")
    ['abc', ',', 'a']

    Raises :class:`~fastprep.errors.BadVocabulary` if the pattern is none, ImportError without ``regex``.
    """
    find = _compiled(_with_ends_of_text(pattern)).finditer

    def split(text: str) -> list[str]:
        return [match.group() for match in find(text) if match.end() > match.start()]

    return split


def isolated_splitter(patterns: Sequence[str]) -> Callable[[str], list[str]]:
    """A splitter by one pattern after the other, as the tokenizers library reads them.

    Matches are pieces, and so is what lies between.

    >>> isolated_splitter([r"\\d{1,3}", r"[a-z]+"])("ab1234 c")
    ['ab', '123', '4', ' ', 'c']

    Raises :class:`~fastprep.errors.BadVocabulary` for a pattern that is none, or that Oniguruma and
    ``regex`` do not mean alike; ImportError without ``regex``.
    """
    finders = []
    for pattern in patterns:
        nested = _NESTED.match(pattern)
        otherwise = _OTHERWISE.search(pattern) or (nested and _OTHERWISE_NESTED.search(pattern))
        if otherwise is not None:
            raise BadVocabulary(
                f"the pattern {pattern!r:.400} has {otherwise.group()!r}, which the package regex does "
                "not mean as the tokenizers library does; use that library for this file"
            )
        # There ^ and $ are always about lines, and the end of the text is \z.
        version = "(?V1m)" if nested else "(?m)"
        finders.append(_compiled(version + pattern.replace(r"\z", r"\Z")).finditer)

    def split(text: str) -> list[str]:
        pieces = [text]
        for find in finders:
            pieces = [part for piece in pieces for part in _isolated(piece, find(piece))]
        return pieces

    return split


def _compiled(pattern: str) -> Any:
    try:
        import regex
    except ImportError:
        raise ImportError(
            f"fastprep has no splitter of its own for the pattern {pattern!r:.400}, and the package "
            "that can run any is not there: pip install 'fastprep[regex]'"
        ) from None
    try:
        return regex.compile(pattern)
    except regex.error as error:
        raise BadVocabulary(f"{pattern!r:.400} is no regular expression: {error}") from None


def _with_ends_of_text(pattern: str) -> str:
    # In tiktoken's dialect `$` and `\z` are the end of the text alone; in Python's, `$` is also a
    # place before a newline there, and the end of the text is `\Z`.
    parts = re.findall(r"\\.|\[(?:\\.|\[:.*?:\]|[^\]\\])+\]|.", pattern, re.DOTALL)
    return "".join(r"\Z" if part in ("$", r"\z") else part for part in parts)


def _isolated(text: str, matches: Iterable[Any]) -> list[str]:
    pieces = []
    at = 0
    for match in matches:
        start, end = match.span()
        pieces += [text[at:start], text[start:end]]
        at = end
    pieces.append(text[at:])
    return [piece for piece in pieces if piece]
