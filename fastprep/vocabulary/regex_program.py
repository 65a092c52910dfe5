"""Compiler of parsed patterns to programs for the compiled splitter, ``fastprep_ext/split/machine.pyx``.

A program is a row of int32: instructions with their arguments. A set of characters is a table of two
stages, code point to block to bit, so that a test takes no search. Each pattern of a chain has the
entries of its alternatives, and for every byte the mask of those that can start with it, so that most
alternatives are never tried.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence as SequenceOf
from typing import NamedTuple

from fastprep.errors import BadVocabulary
from fastprep.vocabulary.byte_alphabet import ALPHABET
from fastprep.vocabulary.code_points import EMPTY, Points, united, word
from fastprep.vocabulary.patterns import OF_BYTES
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
from fastprep_ext.bpe import Program

# The instructions, as in machine.pxd.
MATCH, ONE, SPAN, SPLIT, JUMP, ATOMIC, LOOK_AHEAD, LOOK_BEHIND, ASSERT, IF = range(10)
_MODES = ("greedy", "possessive", "lazy")
_PLACES = (
    "start", "end", "line start", "line end", "last line end", "word edge", "no word edge"
)  # fmt: skip
_NO_LIMIT = (1 << 31) - 1
_MAX_CODE = 1 << 15
_MAX_SETS = 1 << 12
_MAX_OPTIONS = 32
_MAX_PATTERNS = 8
_BLOCK = 256  # code points


def compile_tiktoken(pattern: str) -> Program:
    """Return the program of a pattern as tiktoken reads it: pieces are the matches.

    >>> from fastprep_ext.bpe import split_pieces
    >>> split_pieces(b"abc, a", compile_tiktoken("[a-c]+|[^a-c]"))
    [3, 4, 5, 6]

    Raises BadVocabulary if it is not a pattern, or has constructs that are not supported.
    """
    return _compiled((pattern,), "tiktoken")


def compile_tokenizers(patterns: SequenceOf[str]) -> Program:
    r"""Return the program of a chain of patterns as the tokenizers library reads them.

    Pieces are the matches and the text between them; each pattern splits the pieces of the one before.

    >>> from fastprep_ext.bpe import split_pieces
    >>> split_pieces(b"ab1234 c", compile_tokenizers([r"\d{1,3}", r"[a-z]+"]))
    [2, 5, 6, 7, 8]

    Raises BadVocabulary as :func:`compile_tiktoken`.
    """
    if len(patterns) > _MAX_PATTERNS:
        raise BadVocabulary(
            f"a chain of {len(patterns)} patterns; at most {_MAX_PATTERNS} can be run"
        )
    return _compiled(patterns, "tokenizers")


def _compiled(patterns: SequenceOf[str], dialect: Dialect) -> Program:
    compiler = _Compiler(dialect)
    entries = array("i")
    firsts = array("I")
    of_bytes = _MAX_PATTERNS
    for number, pattern in enumerate(patterns):
        if dialect == "tokenizers" and pattern.startswith(OF_BYTES):
            of_bytes = min(of_bytes, number)
        starts, masks = compiler.add(pattern.removeprefix(OF_BYTES), number >= of_bytes)
        entries.append(len(starts))
        entries.extend(starts + [0] * (_MAX_OPTIONS - len(starts)))
        firsts.extend(masks)
    stages, blocks = compiler.tables()
    return Program(
        compiler.code,
        compiler.ascii_bits(),
        stages,
        blocks,
        entries,
        firsts,
        dialect == "tokenizers",
        of_bytes,
    )


class _Start(NamedTuple):
    """The characters that a node can start with, and whether it can match without a character."""

    points: Points
    nullable: bool


class _Compiler:
    def __init__(self, dialect: Dialect) -> None:
        self.code = array("i")
        self._dialect = dialect
        self._sets: dict[Points, int] = {}
        self._pattern = ""
        self._set(word(dialect))  # set 0, of assertions on words

    def add(self, pattern: str, of_bytes: bool = False) -> tuple[list[int], list[int]]:
        """Compile a pattern; return the entries of its alternatives, and for each byte their mask."""
        self._pattern = pattern
        node = parse(pattern, self._dialect)
        if of_bytes:
            node = self._of_bytes(node)
        options = node.options if isinstance(node, Choice) else (node,)
        if len(options) > _MAX_OPTIONS:
            options = (*options[: _MAX_OPTIONS - 1], Choice(options[_MAX_OPTIONS - 1 :]))
        entries = []
        masks = [0] * 256
        for number, option in enumerate(options):
            entries.append(len(self.code))
            self._emit(option, is_last=True)
            self.code.append(MATCH)
            for byte in _first_bytes(start_of(option), of_bytes):
                masks[byte] |= 1 << number
        if len(self.code) > _MAX_CODE:
            raise self._refused("is too long")
        return entries, masks

    def _of_bytes(self, node: Node) -> Node:
        """Return a node with the bytes that letters of the byte alphabet stand for in place of these."""
        if isinstance(node, Set):
            bytes = [byte for byte, letter in enumerate(ALPHABET) if _has(node.points, ord(letter))]
            return Set(united(((byte, byte),) for byte in bytes))
        if isinstance(node, Sequence):
            return Sequence(tuple(map(self._of_bytes, node.parts)))
        if isinstance(node, Choice):
            return Choice(tuple(map(self._of_bytes, node.options)))
        if isinstance(node, Repeat | Look | Atomic):
            return node._replace(node=self._of_bytes(node.node))
        if node.place in ("start", "end"):
            return node
        raise self._refused("has a condition on lines or words, after a ByteLevel")

    def _refused(self, why: str) -> BadVocabulary:
        return BadVocabulary(f"the pattern {self._pattern!r:.400} {why}; that is not supported")

    def _set(self, points: Points) -> int:
        if points not in self._sets:
            if len(self._sets) >= _MAX_SETS:
                raise self._refused("has too many sets of characters")
            self._sets[points] = len(self._sets)
        return self._sets[points]

    # -- code -------------------------------------------------------------------------------------

    def _emit(self, node: Node, *, is_last: bool = False) -> None:
        """Append the code of a node; `is_last`: the match ends after it."""
        if len(self.code) > _MAX_CODE:
            raise self._refused("is too long")
        if isinstance(node, Set):
            self.code.extend((ONE, self._set(node.points)))
        elif isinstance(node, Sequence):
            for number, part in enumerate(node.parts, 1):
                self._emit(part, is_last=is_last and number == len(node.parts))
        elif isinstance(node, Choice):
            self._emit_choice(node.options)
        elif isinstance(node, Repeat):
            self._emit_repeat(node, is_last=is_last)
        elif isinstance(node, Atomic):
            self._emit_block((ATOMIC,), node.node)
        elif isinstance(node, Look):
            self._emit_look(node)
        else:
            self.code.extend((ASSERT, _PLACES.index(node.place)))

    def _emit_choice(self, options: SequenceOf[Node]) -> None:
        jumps = []
        for option in options[:-1]:
            guard = self._guard(option)
            split = self._split()
            self._emit(option)
            jumps.append(self._jump())
            self.code[split + 2] = len(self.code)
            self._end_guard(guard)
        self._emit(options[-1])
        for jump in jumps:
            self.code[jump + 1] = len(self.code)

    def _guard(self, node: Node) -> int | None:
        """Append a jump to a place to be set if a node cannot match the next character."""
        start = start_of(node)
        if start.nullable:
            return None
        self.code.extend((IF, self._set(start.points), 0))
        return len(self.code) - 1

    def _end_guard(self, guard: int | None) -> None:
        if guard is not None:
            self.code[guard] = len(self.code)

    def _split(self) -> int:
        """Append SPLIT to the next instruction, then to a place to be set; return where it is."""
        at = len(self.code)
        self.code.extend((SPLIT, at + 3, 0))
        return at

    def _jump(self, to: int = 0) -> int:
        self.code.extend((JUMP, to))
        return len(self.code) - 2

    def _emit_block(self, head: tuple[int, ...], node: Node) -> None:
        """Append an instruction whose last argument is the end of a node, and that node."""
        self.code.extend((*head, 0))
        end = len(self.code) - 1
        self._emit(node, is_last=True)
        self.code.append(MATCH)
        self.code[end] = len(self.code)

    def _emit_look(self, node: Look) -> None:
        if node.ahead:
            self._emit_block((LOOK_AHEAD, node.negative), node.node)
            return
        options = node.node.options if isinstance(node.node, Choice) else (node.node,)
        widths = [_width(option) for option in options]
        if None in widths:
            raise self._refused("looks behind for text of any length")
        if node.negative:
            for option, width in zip(options, widths, strict=True):
                self._emit_block((LOOK_BEHIND, True, width or 0), option)
            return
        jumps = []
        for number, (option, width) in enumerate(zip(options, widths, strict=True), 1):
            split = self._split() if number < len(options) else None
            self._emit_block((LOOK_BEHIND, False, width or 0), option)
            if split is not None:
                jumps.append(self._jump())
                self.code[split + 2] = len(self.code)
        for jump in jumps:
            self.code[jump + 1] = len(self.code)

    def _emit_repeat(self, node: Repeat, *, is_last: bool) -> None:
        body = node.node
        if isinstance(body, Set):
            # What is matched last is never given back.
            mode = "possessive" if is_last and node.mode == "greedy" else node.mode
            most = _NO_LIMIT if node.most is None else node.most
            self.code.extend((SPAN, self._set(body.points), node.least, most, _MODES.index(mode)))
            return
        if node.mode == "possessive":
            self._emit(Atomic(node._replace(mode="greedy")))
            return
        if (node.most is None or node.most > 1) and start_of(body).nullable:
            raise self._refused("repeats what can be empty")
        for _ in range(node.least):
            self._emit(body)
        lazy = node.mode == "lazy"
        if node.most is None:
            first = len(self.code)
            guard = self._guard(body)
            split = self._optional(lazy)
            self._emit(body)
            self._jump(first)
            self._end_optional(split, lazy)
            self._end_guard(guard)
            return
        guards, splits = [], []
        for _ in range(node.most - node.least):
            guards.append(self._guard(body))
            splits.append(self._optional(lazy))
            self._emit(body)
        for split in splits:
            self._end_optional(split, lazy)
        for guard in guards:
            self._end_guard(guard)

    def _optional(self, lazy: bool) -> int:
        at = self._split()
        if lazy:
            self.code[at + 1], self.code[at + 2] = 0, at + 3
        return at

    def _end_optional(self, split: int, lazy: bool) -> None:
        self.code[split + (1 if lazy else 2)] = len(self.code)

    # -- tables -----------------------------------------------------------------------------------

    def ascii_bits(self) -> array[int]:
        """Return for each set two words of 64 bits: its ASCII characters."""
        bits = array("Q")
        for points in self._sets:
            members = sum(1 << point for point in range(128) if _has(points, point))
            bits.extend((members & (1 << 64) - 1, members >> 64))
        return bits

    def tables(self) -> tuple[array[int], bytes]:
        """Return for each set the number of the block of each 256 code points, and the blocks."""
        blocks = {bytes(_BLOCK // 8): 0, b"\xff" * (_BLOCK // 8): 1}
        stages = array("H")
        for points in self._sets:
            stage = [0] * (0x110000 // _BLOCK)
            partial: dict[int, int] = {}
            for first, last in points:
                low, high = first // _BLOCK, last // _BLOCK
                for block in range(low, high + 1):
                    a = max(first - block * _BLOCK, 0)
                    b = min(last - block * _BLOCK, _BLOCK - 1)
                    if b - a == _BLOCK - 1:
                        stage[block] = 1
                    else:
                        partial[block] = partial.get(block, 0) | (1 << b + 1) - (1 << a)
            for block, members in partial.items():
                content = members.to_bytes(_BLOCK // 8, "little")
                stage[block] = blocks.setdefault(content, len(blocks))
            stages.extend(stage)
        return stages, b"".join(blocks)


def _has(points: Points, point: int) -> bool:
    return any(first <= point <= last for first, last in points)


def start_of(node: Node) -> _Start:
    """Return what a node can start with; every character if that depends on a condition."""
    if isinstance(node, Set):
        return _Start(node.points, False)
    if isinstance(node, Choice):
        starts = [start_of(option) for option in node.options]
        return _Start(united(s.points for s in starts), any(s.nullable for s in starts))
    if isinstance(node, Sequence):
        points: list[Points] = []
        for part in node.parts:
            start = start_of(part)
            points.append(start.points)
            if not start.nullable:
                return _Start(united(points), False)
        return _Start(united(points), True)
    if isinstance(node, Repeat):
        start = start_of(node.node)
        return _Start(start.points, start.nullable or node.least == 0)
    if isinstance(node, Atomic):
        return start_of(node.node)
    return _Start(EMPTY, True)  # a condition


def _first_bytes(start: _Start, of_bytes: bool) -> set[int]:
    """Return the first bytes in UTF-8 of what a node can start with; all if it can be empty."""
    if start.nullable:
        return set(range(256))
    found: set[int] = set()
    if of_bytes:
        return {byte for first, last in start.points for byte in range(first, last + 1)}
    for first, last in start.points:
        found.update(range(first, min(last, 0x7F) + 1))
        for low, high, lead, shift in (
            (0x80, 0x7FF, 0xC0, 6), (0x800, 0xFFFF, 0xE0, 12), (0x10000, 0x10FFFF, 0xF0, 18),
        ):  # fmt: skip
            a, b = max(first, low), min(last, high)
            if a <= b:
                found.update(range(lead | a >> shift, (lead | b >> shift) + 1))
    return found


def _width(node: Node) -> int | None:
    """Return how many characters a node matches, or None if that is not always the same number."""
    if isinstance(node, Set):
        return 1
    if isinstance(node, Sequence):
        widths = [_width(part) for part in node.parts]
        return None if None in widths else sum(width or 0 for width in widths)
    if isinstance(node, Choice):
        widths = [_width(option) for option in node.options]
        return widths[0] if len(set(widths)) == 1 else None
    if isinstance(node, Repeat):
        width = _width(node.node)
        return None if width is None or node.least != node.most else width * node.least
    if isinstance(node, Atomic):
        return _width(node.node)
    return 0
