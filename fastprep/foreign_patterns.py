"""Patterns of ``tokenizer.json`` files that have no splitter of their own, run by the package ``regex``.

Only where the caller asks for it: a pattern can be made to take for ever. The tokenizers library runs
its patterns by Oniguruma, whose dialect differs; what the two do not mean alike is refused. Classes of
characters are those of the Unicode version that ``regex`` has, which may be newer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fastprep.errors import BadVocabulary

# Signs that Oniguruma reads otherwise, or alone: an interval that is repeated and not possessive,
# other escapes, an intersection of classes, callouts and conditions.
_OTHERWISE = re.compile(r"\{\d*,?\d*\}\+|\\[hHRXKGZyYOk]|&&|\(\?[~*(]|\(\*")


def isolated_splitter(patterns: Sequence[str]) -> Callable[[str], list[str]]:
    """A splitter by one pattern after the other: matches are pieces, and so is what lies between.

    >>> isolated_splitter([r"\\d{1,3}", r"[a-z]+"])("ab1234 c")
    ['ab', '123', '4', ' ', 'c']

    Raises :class:`~fastprep.errors.BadVocabulary` for a pattern that is none, or that the two dialects
    do not mean alike; ImportError where ``regex`` is not installed.
    """
    try:
        import regex
    except ImportError:
        raise ImportError(
            "patterns without a splitter need the package regex: pip install 'fastprep[regex]'"
        ) from None
    finders = []
    for pattern in patterns:
        otherwise = _OTHERWISE.search(pattern)
        if otherwise is not None:
            raise BadVocabulary(
                f"the pattern {pattern!r:.400} has {otherwise.group()!r}, which the package regex does "
                "not mean as the tokenizers library does; use that library for this file"
            )
        try:
            # There ^ and $ are always about lines, and the end of the text is \z.
            compiled = regex.compile(pattern.replace(r"\z", r"\Z"), regex.MULTILINE)
        except regex.error as error:
            raise BadVocabulary(f"{pattern!r:.400} is no regular expression: {error}") from None
        finders.append(compiled.finditer)

    def split(text: str) -> list[str]:
        pieces = [text]
        for find in finders:
            pieces = [part for piece in pieces for part in _isolated(piece, find(piece))]
        return pieces

    return split


def _isolated(text: str, matches: Iterable[Any]) -> list[str]:
    pieces = []
    at = 0
    for match in matches:
        start, end = match.span()
        pieces += [text[at:start], text[start:end]]
        at = end
    pieces.append(text[at:])
    return [piece for piece in pieces if piece]
