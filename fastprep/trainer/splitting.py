"""The pattern of a new vocabulary: by the name of an encoding or a family, or a regular expression."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from fastprep.errors import InvalidArgument
from fastprep.vocabulary.patterns import HUGGING_FACE, TIKTOKEN, family_of
from fastprep.vocabulary.published import PUBLISHED
from fastprep_ext.bpe import PATTERNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastprep.vocabulary.recipe import Recipe
    from fastprep_ext.bpe import Program

#: The pattern of texts that are not split, in both dialects.
WHOLE = r"[\s\S]+"
_NAME = re.compile(r"[A-Za-z0-9_.-]+")


class Splitting(NamedTuple):
    """How texts are split into pieces.

    ``patterns`` are regular expressions, each applied to the pieces of the one before. ``by_ranks``
    says that they are one, as tiktoken reads it; otherwise they are those of a ``tokenizer.json``.
    ``splitter`` is the compiled form, None if each text is a piece; ``may_be_cut`` says whether
    long texts may be split in parts.
    """

    patterns: tuple[str, ...]
    by_ranks: bool
    splitter: int | Program | None
    may_be_cut: bool


def splitting_of(pattern: str | None) -> Splitting:
    r"""Return the splitting of an encoding, of a family of :mod:`fastprep.patterns`, or of a pattern.

    >>> splitting_of("gpt2") == splitting_of("r50k")
    True
    >>> splitting_of(r"\w+|\W").may_be_cut
    False

    With None, texts are not split. Raises InvalidArgument for a name that is not known,
    BadVocabulary for what is no pattern.
    """
    if pattern is None:
        return splitting_by((WHOLE,), by_ranks=False)
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
    if chain == (WHOLE,):
        return Splitting(chain, by_ranks, None, False)
    family = TIKTOKEN.get(chain[0]) if by_ranks else family_of(chain)
    if family is not None:
        return Splitting(chain, by_ranks, PATTERNS[family], True)
    from fastprep.vocabulary.regex_program import compile_tiktoken, compile_tokenizers

    program = compile_tiktoken(chain[0]) if by_ranks else compile_tokenizers(chain)
    return Splitting(chain, by_ranks, program, False)


def splitting_of_base(pattern: str | None, base: Recipe | None) -> Splitting:
    """Return the splitting of a vocabulary that continues from a base, or from bytes without one.

    The pattern ``"default"`` is that of the base, or of gpt2. Raises InvalidArgument for None without a
    base, and as :func:`splitting_in` and :func:`splitting_of`.
    """
    if pattern == "default":
        if base is None:
            return splitting_of("gpt2")
        return splitting_by(base.patterns, by_ranks=base.merge_list is None)
    if pattern is None and base is None:
        raise InvalidArgument(
            "pattern is None, so that tokens span words, and there is no base; train a vocabulary "
            "with a pattern first, and pass it as base"
        )
    splitting = splitting_of(pattern)
    return splitting if base is None else splitting_in(splitting, base)


def splitting_in(splitting: Splitting, base: Recipe) -> Splitting:
    """Return a splitting in the dialect of a base: one that lists merges has no pattern of tiktoken.

    Raises InvalidArgument for a pattern that is not known in both dialects.
    """
    if base.merge_list is None or not splitting.by_ranks:
        return splitting
    family = TIKTOKEN.get(splitting.patterns[0])
    if family is None:
        raise InvalidArgument(
            f"the pattern {splitting.patterns[0]!r:.200} is not known in the dialect of the base "
            f"{base.name!r}, which lists its merges; pass the name of a family, or no pattern"
        )
    return splitting_by(HUGGING_FACE[family][0], by_ranks=False)
