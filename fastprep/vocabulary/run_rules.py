r"""Rules of splitters for chains of patterns whose pieces are runs of characters.

Such are the chains of BLOOM, DeepSeek Coder and Falcon. Each of their patterns is one of

==================  =======================================================================
``X``               a character of a set
``X+``              a run of such characters
``W? X+``           likewise, with a character of another set before it
GPT-2's             after a pattern that sets apostrophes apart, so that there are no contractions
==================  =======================================================================

Each pattern splits the pieces of the one before, and the text between matches is a piece as well. So a
text is cut between two neighbours if one of the patterns does so: ``X`` cuts at both sides of its
characters, ``X+`` where X starts or ends, ``W? X+`` likewise, but not after a W; instead it cuts before
a W that an X follows, in the same piece as far as patterns before have cut. In GPT-2's pattern X is
each of letters, digits and others, W is a space; other whitespace before an X is a piece of its own,
and a run of whitespace before an X has a cut before its last character. In all cases the characters
before, at and after a cut decide, by the sets they are in.
"""

from __future__ import annotations

import functools
from array import array
from collections.abc import Sequence as SequenceOf
from itertools import pairwise
from typing import NamedTuple

from fastprep.vocabulary.code_points import EMPTY, Points, common, inverted, named, united
from fastprep.vocabulary.patterns import BYTE_LEVEL_PATTERN, DIGIT_PATTERN, OF_BYTES
from fastprep.vocabulary.regex_parser import Node, Repeat, Sequence, Set, parse
from fastprep_ext.bpe import RunSplitter

_MAX_CLASSES = 31
_POINTS = 0x110000
_DIGIT_BYTES = (f"{OF_BYTES}{DIGIT_PATTERN}+", f"{OF_BYTES}[0-9][0-9][0-9]")
_LETTERS = "sdmtlvre"


class _Step(NamedTuple):
    """A pattern: runs of each set, or single characters, with one of `before` before them.

    Between a character of `apart` and one of `runs` there is a cut, also if the former is in `before`.
    """

    runs: tuple[Points, ...]
    single: bool = False
    before: Points = EMPTY
    apart: Points = EMPTY


@functools.lru_cache(maxsize=8)
def run_splitter(patterns: tuple[str, ...]) -> RunSplitter | None:
    r"""Return the splitter of a chain of patterns as the tokenizers library reads them, or None.

    >>> from fastprep_ext.bpe import split_pieces
    >>> split_pieces(b"ab  cd, e", run_splitter((r" ?[a-z]+",)))
    [2, 3, 6, 7, 9]
    >>> run_splitter((r"[a-z]+|\d",))
    """
    digit_bytes = patterns[-2:] == _DIGIT_BYTES
    chain = patterns[:-2] if digit_bytes else patterns
    if not chain or any(pattern.startswith(OF_BYTES) for pattern in chain):
        return None
    steps = []
    for pattern in chain:
        step = _gpt2() if pattern == BYTE_LEVEL_PATTERN else _step(parse(pattern, "tokenizers"))
        if step is None:
            return None
        steps.append(step)
    before = united([EMPTY, *(part for step in steps for part in (step.before, step.apart))])
    if any(common(before, run) for step in steps for run in step.runs if step.before):
        return None
    return _made(tuple(steps), digit_bytes)


def _step(node: Node) -> _Step | None:
    if isinstance(node, Set):
        return _Step((node.points,), single=True)
    if _is_run(node):
        return _Step((node.node.points,))  # type: ignore[union-attr]
    if isinstance(node, Sequence) and len(node.parts) == 2:
        first, second = node.parts
        if (
            isinstance(first, Repeat)
            and isinstance(first.node, Set)
            and (first.least, first.most) == (0, 1)
            and first.mode != "lazy"
            and _is_run(second)
        ):
            return _Step((second.node.points,), before=first.node.points)  # type: ignore[union-attr]
    return None


def _is_run(node: Node) -> bool:
    return (
        isinstance(node, Repeat)
        and isinstance(node.node, Set)
        and (node.least, node.most) == (1, None)
        and node.mode != "lazy"
    )


def _gpt2() -> _Step:
    white = parse(r"\s", "tokenizers")
    assert isinstance(white, Set)
    letters, digits = named("L") or EMPTY, named("N") or EMPTY
    others = inverted(united([letters, digits, white.points]))
    space = ((32, 32),)
    return _Step(
        (letters, digits, others), before=space, apart=common(white.points, inverted(space))
    )


def _made(steps: tuple[_Step, ...], digit_bytes: bool) -> RunSplitter | None:
    sets = [part for step in steps for part in (*step.runs, step.before, step.apart)]
    classes, members = _classes(sets)
    if len(members) > _MAX_CLASSES:
        return None
    at = 0
    rules = []
    for step in steps:
        runs = range(at, at + len(step.runs))
        rules.append((step, runs, at + len(step.runs), at + len(step.runs) + 1))
        at += len(step.runs) + 2
    cuts, takers = array("I"), array("I")
    apostrophe = members[classes[ord("'")]]
    letters = {members[classes[ord(letter)]] for letter in _LETTERS}
    for one in members:
        cut = take = 0
        for bit, other in enumerate(members):
            is_cut = False
            for step, runs, before, apart in rules:
                mine = [run in one for run in runs]
                theirs = [run in other for run in runs]
                if len(runs) > 1 and not is_cut and one == apostrophe and other in letters:
                    return None  # GPT-2's pattern has contractions then
                if not is_cut and any(theirs) and (before in one or apart in one):
                    take |= 1 << bit
                if step.single:
                    is_cut |= mine[0] or theirs[0]
                else:
                    is_cut |= mine != theirs and not (before in one and any(theirs))
            cut |= is_cut << bit
        cuts.append(cut)
        takers.append(take)
    return RunSplitter(classes, cuts, takers, digit_bytes)


def _classes(sets: SequenceOf[Points]) -> tuple[bytearray, list[frozenset[int]]]:
    """Return the class of each code point, and for each class the sets that its characters are in."""
    changes: dict[int, list[int]] = {0: [], _POINTS: []}
    for number, points in enumerate(sets):
        for first, last in points:
            changes.setdefault(first, []).append(number)
            changes.setdefault(last + 1, []).append(number)
    classes = bytearray(_POINTS)
    members: dict[frozenset[int], int] = {}
    current: set[int] = set()
    places = sorted(changes)
    for first, end in pairwise(places):
        current.symmetric_difference_update(changes[first])
        number = members.setdefault(frozenset(current), len(members))
        classes[first:end] = bytes([min(number, 255)]) * (end - first)
    return classes, list(members)
