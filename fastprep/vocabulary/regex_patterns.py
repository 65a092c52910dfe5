"""Splitters for any pattern, slow ones: the package ``regex`` runs them.

A pattern of a ``tokenizer.json`` is run only if the caller allows it: a pattern may never end.
Character classes are those of the Unicode version of ``regex``, which may be newer than that of the
compiled splitters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fastprep.errors import BadVocabulary

# The tokenizers library uses Oniguruma. Syntax that Oniguruma reads differently from `regex`, or that
# `regex` lacks: a repeated interval that is not possessive, other escapes, an intersection of
# classes, callouts and conditions.
_DIFFERENT = re.compile(r"\{\d*,?\d*\}\+|\\[hHRXKGZyYOk]|&&|\(\?[~*(]|\(\*")
# Oniguruma has nested classes. `regex` has them in version 1 of its dialect, in which the syntax of
# _DIFFERENT_NESTED has other meanings, too.
_MEMBERS = r"(?:\\.|\[:\^?\w+:\]|[^\]\\\[])*"
_NESTED = re.compile(rf"(?:[^\\\[]|\\.|\[{_MEMBERS}\])*\[{_MEMBERS}\[", re.DOTALL)
_DIFFERENT_NESTED = re.compile(r"\|\||--|~~|\(\?[a-z-]*i")


def tiktoken_splitter(pattern: str) -> Callable[[str], list[str]]:
    """Return a splitter by a pattern as tiktoken reads it: pieces are the matches only.

    >>> tiktoken_splitter(r"[a-c]+|[^a-c ]")("abc, a")
    ['abc', ',', 'a']

    Raises BadVocabulary if it is not a pattern, ImportError without ``regex``.
    """
    find = _compiled(_with_ends_of_text(pattern)).finditer

    def split(text: str) -> list[str]:
        return [match.group() for match in find(text) if match.end() > match.start()]

    return split


def isolated_splitter(patterns: Sequence[str]) -> Callable[[str], list[str]]:
    """Return a splitter by one pattern after the other, as the tokenizers library reads them.

    Pieces are the matches and the text between them.

    >>> isolated_splitter([r"\\d{1,3}", r"[a-z]+"])("ab1234 c")
    ['ab', '123', '4', ' ', 'c']

    Raises BadVocabulary if one is not a pattern, or has syntax that Oniguruma and ``regex`` read
    differently; ImportError without ``regex``.
    """
    finders = []
    for pattern in patterns:
        nested = _NESTED.match(pattern)
        different = _DIFFERENT.search(pattern) or (nested and _DIFFERENT_NESTED.search(pattern))
        if different is not None:
            raise BadVocabulary(
                f"the pattern {pattern!r:.400} has {different.group()!r}, which the package regex does "
                "not read as the tokenizers library does; use that library for this file"
            )
        # In Oniguruma ^ and $ always match at lines, and the end of the text is \z.
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
            f"fastprep has no compiled splitter for the pattern {pattern!r:.400}, and the package "
            "regex, which can run it, is not installed: pip install 'fastprep[regex]'"
        ) from None
    try:
        return regex.compile(pattern)
    except regex.error as error:
        raise BadVocabulary(f"{pattern!r:.400} is not a regular expression: {error}") from None


def _with_ends_of_text(pattern: str) -> str:
    # In tiktoken's dialect `$` and `\z` match at the end of the text only; in Python's `$` also matches
    # before a newline there, and the end of the text is `\Z`.
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
