r"""Parser of the regular expressions that split text, in the dialects of tiktoken and of tokenizers.

tiktoken's is that of the Rust crates fancy-regex and regex, the tokenizers library's that of
Oniguruma. They agree in most; where they do not, or where a construct has no use for splitting
(backreferences, subroutines, conditions), the pattern is refused with a reason: the two never mean
something else than what they mean there. Differences that are known to both sides of this parser:

=================  =========================  ==============================
                   tiktoken                   tokenizers
=================  =========================  ==============================
``$``, ``^``       of the text; of lines      of lines
                   with ``(?m)``
``x{1,3}+``        possessive                 a repetition of groups
``--``, ``~~``     operators in a class       refused
``[[:alpha:]]``    ASCII                      Unicode
``\w``             with joiners               with ``\p{N}``, but not
                                              in a class
``[]a]``           a class of ``]`` and a     refused
=================  =========================  ==============================
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from fastprep.errors import BadVocabulary
from fastprep.vocabulary.code_points import (
    EVERY,
    Points,
    common,
    folded,
    inverted,
    named,
    posix,
    united,
    word,
)

Dialect: TypeAlias = Literal["tiktoken", "tokenizers"]
Mode: TypeAlias = Literal["greedy", "lazy", "possessive"]
Place: TypeAlias = Literal[
    "start", "end", "line start", "line end", "last line end", "word edge", "no word edge"
]


class Set(NamedTuple):
    """One character of a set."""

    points: Points


class Sequence(NamedTuple):
    """Nodes one after the other."""

    parts: tuple[Node, ...]


class Choice(NamedTuple):
    """Alternatives, the first that leads to a match wins."""

    options: tuple[Node, ...]


class Repeat(NamedTuple):
    """A node from `least` to `most` times (None: without limit)."""

    node: Node
    least: int
    most: int | None
    mode: Mode


class Look(NamedTuple):
    """A condition on the text after or before this place."""

    node: Node
    ahead: bool
    negative: bool


class Atomic(NamedTuple):
    """A node that is not tried again once it has matched."""

    node: Node


class Assertion(NamedTuple):
    """A condition on a place."""

    place: Place


Node: TypeAlias = Set | Sequence | Choice | Repeat | Look | Atomic | Assertion

NEWLINE: Points = ((10, 10),)
_HEX_DIGITS: Points = ((0x30, 0x39), (0x41, 0x46), (0x61, 0x66))
_CONTROLS = {"n": 10, "r": 13, "t": 9, "f": 12, "v": 11, "a": 7, "e": 27}
_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ \n\r\t")
_MAX_PATTERN = 1 << 14
_MAX_REPEATS = 1000
_MAX_DEPTH = 100
# Pairs of characters that are equal to one in Oniguruma if case is ignored, and the characters
# outside of ASCII that are equal to one in it.
_FOLDED_PAIRS = ("ss", "ff", "fi", "fl", "st")
_FOLDED = (0x17F, 0x212A)
_LETTERS: Points = ((0x61, 0x7A),)


def parse(pattern: str, dialect: Dialect) -> Node:
    """Return the syntax tree of a pattern.

    Raises BadVocabulary, with the place and the reason, for a pattern that is not a regular expression
    and for one that uses a construct outside of the supported ones.

    >>> parse("a+", "tiktoken")
    Repeat(node=Set(points=((97, 97),)), least=1, most=None, mode='greedy')
    """
    if len(pattern) > _MAX_PATTERN:
        raise BadVocabulary(
            f"a pattern of {len(pattern)} characters is not supported; at most {_MAX_PATTERN} are"
        )
    parser = _Parser(pattern, dialect)
    node = parser.choice()
    if not parser.at_end:
        raise parser.refused("a ')' without a '('")
    return node


class _Parser:
    def __init__(self, pattern: str, dialect: Dialect) -> None:
        self._pattern = pattern
        self._at = 0
        self._dialect = dialect
        self._rust = dialect == "tiktoken"
        self._flags: frozenset[str] = frozenset()
        self._depth = 0

    @property
    def at_end(self) -> bool:
        return self._at == len(self._pattern)

    def refused(self, what: str) -> BadVocabulary:
        library = "tiktoken" if self._rust else "the tokenizers library"
        return BadVocabulary(
            f"the pattern {self._pattern!r:.400} has {what} at character {self._at}, which is not "
            f"supported or not a regular expression to {library}; if it is one, use that library"
        )

    def _has(self, text: str) -> bool:
        return self._pattern.startswith(text, self._at)

    def _take(self, text: str) -> bool:
        if self._has(text):
            self._at += len(text)
            return True
        return False

    def _next(self) -> str:
        if self.at_end:
            raise self.refused("its end")
        self._at += 1
        return self._pattern[self._at - 1]

    def _until(self, end: str) -> str:
        found = self._pattern.find(end, self._at)
        if found < 0:
            raise self.refused(f"no {end!r}")
        text = self._pattern[self._at : found]
        self._at = found + len(end)
        return text

    # -- alternatives, sequences, repetitions ------------------------------------------------------

    def choice(self) -> Node:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self.refused(f"more than {_MAX_DEPTH} nested groups")
        flags = self._flags
        options = [self._sequence()]
        while self._take("|"):
            options.append(self._sequence())
        self._flags = flags
        self._depth -= 1
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def _sequence(self) -> Node:
        parts: list[Node] = []
        while not self.at_end and not self._has("|") and not self._has(")"):
            node = self._atom(is_first=not parts)
            if node is None:
                continue
            if "i" in self._flags and not self._rust:
                self._check_folding(node, parts[-1] if parts else node)
            parts.append(self._repeated(node))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _check_folding(self, node: Node, before: Node) -> None:
        """Raise BadVocabulary where Oniguruma may ignore case between one character and two."""
        if not isinstance(node, Set):
            return
        if any(
            first > 0x7F and last < 0x10FFFF for first, last in node.points if first not in _FOLDED
        ):
            raise self.refused("letters outside of ASCII where case is ignored")
        if isinstance(before, Set) and before is not node:
            first, second = (common(one.points, _LETTERS) for one in (before, node))
            if any(
                common(first, _point(pair[0])) and common(second, _point(pair[1]))
                for pair in _FOLDED_PAIRS
            ):
                raise self.refused("letters that are equal to a ligature where case is ignored")

    def _repeated(self, node: Node) -> Node:
        while True:
            interval = False
            if self._take("*"):
                least, most = 0, None
            elif self._take("+"):
                least, most = 1, None
            elif self._take("?"):
                least, most = 0, 1
            elif self._has("{"):
                least, most = self._interval()
                interval = True
            else:
                return node
            if isinstance(node, Look | Assertion):
                raise self.refused("a repetition of a condition")
            if (most is not None and (most < least or most > _MAX_REPEATS)) or least > _MAX_REPEATS:
                raise self.refused(f"a repetition that is not of 0 to {_MAX_REPEATS} times")
            mode: Mode = "greedy"
            if self._has("?"):
                if interval and not self._rust and least == most:
                    raise self.refused("'?' after an exact number")
                self._at += 1
                mode = "lazy"
            elif self._has("+") and not (interval and not self._rust):
                self._at += 1
                mode = "possessive"
            node = Repeat(node, least, most, mode)
            if self._rust and (self._has("*") or self._has("+") or self._has("?")):
                raise self.refused("a repetition of a repetition")

    def _interval(self) -> tuple[int, int | None]:
        self._at += 1
        text = self._until("}")
        least, comma, most = text.partition(",")
        if not least.isdecimal() or not (most.isdecimal() or not most) or not text.isascii():
            raise self.refused(f"the repetition {{{text}}}")
        if not comma:
            return int(least), int(least)
        return int(least), int(most) if most else None

    # -- single nodes -------------------------------------------------------------------------------

    def _atom(self, *, is_first: bool) -> Node | None:
        if self._has("("):
            return self._group(is_first=is_first)
        if self._has("["):
            self._at += 1
            return Set(self._class())
        letter = self._next()
        if letter == ".":
            return Set(EVERY if "s" in self._flags else inverted(NEWLINE))
        if letter == "^":
            return Assertion("line start" if "m" in self._flags or not self._rust else "start")
        if letter == "$":
            return Assertion("line end" if "m" in self._flags or not self._rust else "end")
        if letter == "\\":
            return self._escape()
        if letter in "*+?{":
            self._at -= 1
            raise self.refused(f"{letter!r} with nothing to repeat")
        if letter in "}]" and not self._rust:
            self._at -= 1
            raise self.refused(f"a single {letter!r}")
        return Set(self._cased(((ord(letter), ord(letter)),)))

    def _cased(self, points: Points) -> Points:
        return folded(points) if "i" in self._flags else points

    def _group(self, *, is_first: bool) -> Node | None:
        self._at += 1
        if not self._take("?"):
            if self._has("*"):
                raise self.refused("a verb")
            return self._closed()
        for opening, ahead, negative in (
            ("=", True, False), ("!", True, True), ("<=", False, False), ("<!", False, True),
        ):  # fmt: skip
            if self._take(opening):
                return Look(self._closed(), ahead, negative)
        if self._take(":"):
            return self._closed()
        if self._take(">"):
            return Atomic(self._closed())
        if self._take("#"):
            self._until(")")
            return None
        if self._take("<") or (self._rust and self._take("P<")):
            self._until(">")
            return self._closed()
        return self._flag_group(is_first=is_first)

    def _closed(self) -> Node:
        node = self.choice()
        if not self._take(")"):
            raise self.refused("a '(' without a ')'")
        return node

    def _flag_group(self, *, is_first: bool) -> Node | None:
        known = "imsu" if self._rust else "i"
        on, off = set(self._flags), False
        while not self._has(":") and not self._has(")"):
            letter = self._next()
            if letter == "-" and not off:
                off = True
            elif letter not in known or (letter == "u" and off):
                self._at -= 1
                raise self.refused(f"a group that begins with (?{letter}")
            elif off:
                on.discard(letter)
            else:
                on.add(letter)
        if self._next() == ")":
            if not self._rust and not is_first:
                # Oniguruma reads a(?i)b|c as a(?i:b|c).
                raise self.refused("a flag within a group")
            self._flags = frozenset(on)
            return None
        outer, self._flags = self._flags, frozenset(on)
        node = self._closed()
        self._flags = outer
        return node

    # -- escapes ------------------------------------------------------------------------------------

    def _escape(self) -> Node:
        letter = self._next()
        place = {"A": "start", "z": "end", "b": "word edge", "B": "no word edge"}.get(letter)
        if letter == "Z":
            place = "last line end"
        if letter == "b" and self._has("{"):
            raise self.refused(r"\b{")
        if place is not None:
            return Assertion(place)  # type: ignore[arg-type]
        if letter == "R":
            pair = Sequence((Set(((13, 13),)), Set(NEWLINE)))
            return Atomic(Choice((pair, Set(((10, 13), (0x85, 0x85), (0x2028, 0x2029))))))
        if letter == "N":
            return Set(inverted(NEWLINE))
        if letter == "O":
            return Set(EVERY)
        self._at -= 1
        return Set(self._escaped_points())

    def _escaped_points(self) -> Points:
        """Return the points of an escape that may be in a class, too; the place is after ``\\``."""
        letter = self._next()
        if letter in "dDwWsShHpP":
            return self._escaped_set(letter)
        point = self._escaped_point(letter)
        return self._cased(((point, point),))

    def _escaped_set(self, letter: str, *, in_class: bool = False) -> Points:
        found: Points | None
        if letter in "pP":
            if not self._has("{") and not self._rust:
                raise self.refused(f"a \\{letter} without braces")
            name = self._until("}") if self._take("{") else self._next()
            negated = name.startswith("^")
            if "!=" in name:
                raise self.refused(f"the property {name!r}")
            found = named(name[negated:])
            if found is None or ("i" in self._flags and not self._rust):
                raise self.refused(f"the property {name!r}")
            found = self._cased(found)
            return found if negated == (letter == "P") else inverted(found)
        if letter in "hH":
            found = _HEX_DIGITS
        elif letter in "wW":
            found = word(self._dialect, in_class=in_class)
        else:
            found = named({"d": "Nd", "s": "White_Space"}[letter.lower()])
        assert found is not None
        return found if letter.islower() else inverted(found)

    def _escaped_point(self, letter: str) -> int:
        if letter in _CONTROLS:
            return _CONTROLS[letter]
        if letter in "xuU":
            if letter == "U" and not self._rust:
                raise self.refused(r"\U")
            size = {"x": 2, "u": 4, "U": 8}[letter]
            digits = self._until("}") if self._take("{") else self._digits(size)
            try:
                point = int(digits, 16) if digits.isalnum() else -1
            except ValueError:
                point = -1
            if not 0 <= point <= 0x10FFFF or 0xD800 <= point < 0xE000:
                raise self.refused(f"the code point {digits!r}")
            if (
                letter == "x"
                and point > 0x7F
                and not self._rust
                and self._pattern[self._at - 1] != "}"
            ):
                raise self.refused("a byte of a character")
            return point
        if letter in _PUNCTUATION or (not self._rust and letter > "\x7f"):
            return ord(letter)
        self._at -= 1
        raise self.refused(f"the escape \\{letter}")

    def _digits(self, size: int) -> str:
        self._at += size
        return self._pattern[self._at - size : self._at]

    # -- classes ------------------------------------------------------------------------------------

    def _class(self) -> Points:
        """Return the points of a class; the place is after its ``[``."""
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self.refused(f"more than {_MAX_DEPTH} nested classes")
        negated = self._take("^")
        value: Points | None = None  # of what is left of the last operator
        operator = ""
        items: list[Points] = []
        is_first = True
        while True:
            if self._has("]") and not (is_first and self._rust):
                break
            if self._has("]") and is_first:
                self._at += 1
                items.append(self._range(0x5D))
            elif self._is_operator():
                value = self._combined(value, operator, united(items))
                operator = self._pattern[self._at : self._at + 2]
                self._at += 2
                items = []
            else:
                items.append(self._item(is_first=is_first))
            is_first = False
        if is_first and not self._rust:
            raise self.refused("an empty class")
        self._at += 1
        self._depth -= 1
        points = self._combined(value, operator, united(items))
        return inverted(points) if negated else points

    def _is_operator(self) -> bool:
        return self._has("&&") or (self._rust and (self._has("--") or self._has("~~")))

    def _combined(self, value: Points | None, operator: str, other: Points) -> Points:
        if value is None:
            return other
        if operator == "&&":
            return common(value, other)
        if operator == "--":
            return common(value, inverted(other))
        return common(united([value, other]), inverted(common(value, other)))

    def _item(self, *, is_first: bool) -> Points:
        if self._take("[:"):
            negated = self._take("^")
            name = self._until(":]")
            found = posix(name, ascii_only=self._rust)
            if found is None:
                raise self.refused(f"[:{name}:]")
            found = self._cased(found)
            return inverted(found) if negated else found
        if self._take("["):
            return self._class()
        letter = self._next()
        if letter != "\\":
            if letter == "-" and not (is_first or self._has("]")):
                self._at -= 1
                raise self.refused("a '-' within a class that is not escaped")
            return self._range(ord(letter))
        if self._has("b"):
            raise self.refused(r"\b in a class")
        letter = self._next()
        if letter not in "dDwWsShHpP":
            return self._range(self._escaped_point(letter))
        points = self._escaped_set(letter, in_class=True)
        if self._has("-") and not self._has("-]") and not self._is_operator():
            raise self.refused("a '-' after a class")
        return points

    def _range(self, first: int) -> Points:
        last = first
        if self._has("-") and not self._has("-]") and not (self._rust and self._has("--")):
            self._at += 1
            letter = self._next()
            if letter == "[":
                raise self.refused("a range to a class")
            if letter == "\\":
                letter = self._next()
                if letter in "dDwWsShHpPb":
                    raise self.refused("a range to a class")
                last = self._escaped_point(letter)
            else:
                last = ord(letter)
            if last < first:
                raise self.refused("a range that ends before it starts")
        return self._cased(common(((first, last),), EVERY) if last > 0xD7FF else ((first, last),))


def _point(letter: str) -> Points:
    return ((ord(letter), ord(letter)),)
