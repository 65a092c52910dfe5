"""Other spellings of the patterns that have a compiled splitter: equal as regular expressions.

Two patterns are known to be equal if their syntax trees are, with sets of characters as what they hold,
and each repetition that never gives back what it took as a possessive one.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence as SequenceOf

from fastprep.errors import BadVocabulary
from fastprep.vocabulary.code_points import common
from fastprep.vocabulary.patterns import HUGGING_FACE, OF_BYTES, TIKTOKEN
from fastprep.vocabulary.regex_parser import (
    Atomic,
    Choice,
    Dialect,
    Look,
    Node,
    Repeat,
    Sequence,
    Set,
    parse,
)
from fastprep.vocabulary.regex_program import start_of


def equal_family(patterns: SequenceOf[str], dialect: Dialect) -> str | None:
    r"""Return the family of a chain of patterns that is spelled in another way, or None.

    >>> equal_family([r"\p{L}+"], "tiktoken")
    >>> equal_family(
    ...     [r"'(?:[stmd]|ll|ve|re)| ?[\p{L}]+| ?\p{N}+| ?[^\p{N}\p{L}\s]+|\s++$|\s+(?!\S)|\s"],
    ...     "tiktoken",
    ... )
    'r50k'
    """
    if any(pattern.startswith(OF_BYTES) for pattern in patterns):
        return None
    try:
        return _known(dialect).get(tuple(canonical(parse(p, dialect)) for p in patterns))
    except BadVocabulary:  # refused by what compiles it
        return None


@functools.cache
def _known(dialect: Dialect) -> dict[tuple[Node, ...], str]:
    if dialect == "tiktoken":
        return {(canonical(parse(p, dialect)),): family for p, family in TIKTOKEN.items()}
    return {
        tuple(canonical(parse(p, dialect)) for p in chain): family
        for family, chains in HUGGING_FACE.items()
        for chain in chains
    }


def canonical(node: Node) -> Node:
    """Return a node in the form in which equal ones are compared."""
    return _possessive(node, None)


def _possessive(node: Node, then: Node | None) -> Node:
    """Return a node, which ends an alternative unless something follows, with possessive repetitions."""
    if isinstance(node, Choice):
        return Choice(tuple(_possessive(option, then) for option in node.options))
    if isinstance(node, Sequence):
        parts: list[Node] = []
        for part in reversed(node.parts):
            parts.insert(0, _possessive(part, then))
            then = parts[0] if len(parts) == 1 and then is None else Sequence(tuple(parts))
        return Sequence(tuple(parts))
    if isinstance(node, Repeat) and isinstance(node.node, Set):
        if node.mode == "greedy" and (then is None or _never_gives_back(node.node, then)):
            return node._replace(mode="possessive")
        return node
    if isinstance(node, Look | Atomic):
        return node._replace(node=_possessive(node.node, None))
    return node


def _never_gives_back(taken: Set, then: Node) -> bool:
    """Return whether what follows cannot start with a character of a repeated set."""
    start = start_of(then)
    return not start.nullable and not common(taken.points, start.points)
