"""The pattern of a new vocabulary: by the name of an encoding or a family, or a regular expression."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from fastprep.errors import InvalidArgument
from fastprep.vocabulary.patterns import HUGGING_FACE, TIKTOKEN, family_of
from fastprep.vocabulary.published import PUBLISHED
from fastprep.vocabulary.regex_program import compile_tiktoken, compile_tokenizers
from fastprep_ext.bpe import PATTERNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastprep_ext.bpe import Program

_NAME = re.compile(r"[A-Za-z0-9_.-]+")


class Splitting(NamedTuple):
    """How texts are split into pieces.

    ``patterns`` are regular expressions, each applied to the pieces of the one before. ``by_ranks``
    says that they are one, as tiktoken reads it; otherwise they are those of a ``tokenizer.json``.
    ``splitter`` is the compiled form, ``may_be_cut`` whether long texts may be split in parts.
    """

    patterns: tuple[str, ...]
    by_ranks: bool
    splitter: int | Program
    may_be_cut: bool


def splitting_of(pattern: str) -> Splitting:
    r"""Return the splitting of an encoding, of a family of :mod:`fastprep.patterns`, or of a pattern.

    >>> splitting_of("gpt2") == splitting_of("r50k")
    True
    >>> splitting_of(r"\w+|\W").may_be_cut
    False

    Raises InvalidArgument for a name that is not known, BadVocabulary for what is no pattern.
    """
    if not isinstance(pattern, str) or not pattern:
        raise InvalidArgument(
            f"pattern is {pattern!r}; pass the name of an encoding or a family, or a regular expression"
        )
    if pattern in PUBLISHED:
        pattern = PUBLISHED[pattern].pattern
    elif pattern in PATTERNS:
        written = [text for text, family in TIKTOKEN.items() if family == pattern]
        if not written:
            return splitting_by(HUGGING_FACE[pattern][0], by_ranks=False)
        pattern = written[0]
    elif _NAME.fullmatch(pattern):
        # As a regular expression it would match only itself.
        names = ", ".join([*PUBLISHED, *PATTERNS])
        raise InvalidArgument(f"pattern {pattern!r} is not a known name; the names are {names}")
    return splitting_by((pattern,), by_ranks=True)


def splitting_by(patterns: Sequence[str], *, by_ranks: bool) -> Splitting:
    """Return the splitting of patterns as they are written."""
    chain = tuple(patterns)
    family = TIKTOKEN.get(chain[0]) if by_ranks else family_of(chain)
    if family is not None:
        return Splitting(chain, by_ranks, PATTERNS[family], True)
    program = compile_tiktoken(chain[0]) if by_ranks else compile_tokenizers(chain)
    return Splitting(chain, by_ranks, program, False)
