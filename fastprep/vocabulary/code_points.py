"""Sets of code points: Unicode properties as tiktoken and the tokenizers library see them.

A set is a tuple of ranges ``(first, last)``, ascending and apart. Surrogates are in no set. The
properties are those of Unicode 16, in ``unicode_sets.txt``; ``tests/unicode_sets.py`` makes that file.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

Points: TypeAlias = tuple[tuple[int, int], ...]

EMPTY: Points = ()
EVERY: Points = ((0, 0xD7FF), (0xE000, 0x10FFFF))
_LAST = 0x10FFFF

_ASCII = {
    "alnum": "09AZaz",
    "alpha": "AZaz",
    "ascii": "\0\x7f",
    "blank": "\t\t  ",
    "cntrl": "\0\x1f\x7f\x7f",
    "digit": "09",
    "graph": "!~",
    "lower": "az",
    "print": " ~",
    "punct": "!/:@[`{~",
    "space": "\t\r  ",
    "upper": "AZ",
    "word": "09AZ__az",
    "xdigit": "09AFaf",
}
# Names of categories of several others, in the long form in which regular expressions may name them.
_GROUPS = {
    "l": "lu ll lt lm lo",
    "lc": "lu ll lt",
    "m": "mn mc me",
    "n": "nd nl no",
    "p": "pc pd ps pe pi pf po",
    "s": "sm sc sk so",
    "z": "zs zl zp",
}
_LONG_NAMES = {
    "letter": "l",
    "casedletter": "lc",
    "mark": "m",
    "number": "n",
    "punctuation": "p",
    "symbol": "s",
    "separator": "z",
    "other": "c",
    "uppercaseletter": "lu",
    "lowercaseletter": "ll",
    "titlecaseletter": "lt",
    "modifierletter": "lm",
    "otherletter": "lo",
    "nonspacingmark": "mn",
    "spacingmark": "mc",
    "enclosingmark": "me",
    "decimalnumber": "nd",
    "letternumber": "nl",
    "othernumber": "no",
    "control": "cc",
    "format": "cf",
    "unassigned": "cn",
    "privateuse": "co",
}

_PRIVATE = ("folds", "tiktokenword", "tokenizersword")

_lines: dict[str, str] = {}
_sets: dict[str, Points] = {}
_folds: dict[int, tuple[int, ...]] = {}


def united(sets: Iterable[Points]) -> Points:
    """Return the union of sets.

    >>> united([((1, 3), (7, 9)), ((2, 6),)])
    ((1, 9),)
    """
    runs: list[tuple[int, int]] = []
    for first, last in sorted(run for points in sets for run in points):
        if runs and first <= runs[-1][1] + 1:
            runs[-1] = runs[-1][0], max(runs[-1][1], last)
        else:
            runs.append((first, last))
    return tuple(runs)


def inverted(points: Points) -> Points:
    """Return all other code points.

    >>> inverted(EVERY), inverted(((0, 0x10FFFE),))
    ((), ((1114111, 1114111),))
    """
    runs = []
    first = 0
    for start, end in united([points, ((0xD800, 0xDFFF),)]):
        if start > first:
            runs.append((first, start - 1))
        first = end + 1
    if first <= _LAST:
        runs.append((first, _LAST))
    return tuple(runs)


def common(one: Points, other: Points) -> Points:
    """Return the intersection of two sets.

    >>> common(((1, 5), (7, 9)), ((4, 8),))
    ((4, 5), (7, 8))
    """
    return inverted(united([inverted(one), inverted(other)]))


def folded(points: Points) -> Points:
    """Return a set with all characters that differ from its own by case only.

    >>> folded(((0x6B, 0x6B),))  # k, K and the Kelvin sign
    ((75, 75), (107, 107), (8490, 8490))
    """
    if not _folds:
        for orbit in _line("folds").split():
            members = tuple(int(point, 16) for point in orbit.split("="))
            _folds.update(dict.fromkeys(members, members))
    more = {
        other
        for point, others in _folds.items()
        if any(first <= point <= last for first, last in points)
        for other in others
    }
    return united([points, tuple((point, point) for point in more)])


def named(name: str) -> Points | None:
    """Return the set of a property's name, as it is in ``\\p{name}``; None for one not known.

    >>> len(named("Lu")) == len(named("uppercase_letter")) > 600
    True
    """
    key = name.lower().translate({ord(mark): None for mark in "_- "})
    if key in _PRIVATE:
        return None
    for prefix in ("gc=", "generalcategory=", "sc=", "script=", "is"):
        if key.startswith(prefix) and key != "is":
            key = key[len(prefix) :]
            break
    return _named(_LONG_NAMES.get(key, key))


def _named(key: str) -> Points | None:
    if key not in _sets:
        if key in ("any", "ascii", "assigned", "c", "cn"):
            known = {"any": EVERY, "ascii": ((0, 0x7F),)}
            assigned = [_listed(part) for part in " ".join(_GROUPS.values()).split()]
            assigned += [_listed(part) for part in ("cc", "cf", "co")]
            outside = inverted(united(assigned)) if key not in known else EMPTY
            known["cn"], known["assigned"] = outside, inverted(outside)
            known["c"] = united([outside, *assigned[-3:]])
            _sets[key] = known[key]
        elif key in _GROUPS:
            _sets[key] = united(_listed(part) for part in _GROUPS[key].split())
        elif _line(key):
            _sets[key] = _listed(key)
        else:
            return None
    return _sets[key]


def posix(name: str, *, ascii_only: bool) -> Points | None:
    """Return the set of ``[:name:]``, of ASCII or of Unicode; None for one not known.

    >>> posix("digit", ascii_only=True)
    ((48, 57),)
    """
    if ascii_only:
        ends = _ASCII.get(name, "")
        pairs = zip(ends[::2], ends[1::2], strict=True)
        return tuple((ord(first), ord(last)) for first, last in pairs) or None
    names = {
        "alpha": ["alphabetic"],
        "alnum": ["alphabetic", "nd"],
        "cntrl": ["cc"],
        "digit": ["nd"],
        "lower": ["lowercase"],
        "punct": ["p", "s"],
        "space": ["whitespace"],
        "upper": ["uppercase"],
    }.get(name)
    if name == "word":
        return word("tokenizers", in_class=True)
    if name in ("ascii", "xdigit"):
        return posix(name, ascii_only=True)
    return united(_named(part) or EMPTY for part in names) if names else None


def word(library: str, *, in_class: bool = False) -> Points:
    """Return the characters of ``\\w`` in "tiktoken" or "tokenizers", which differ within a class.

    >>> common(word("tiktoken"), ((0x30, 0x5F),))
    ((48, 57), (65, 90), (95, 95))
    """
    if library == "tokenizers" and in_class:
        return common(_listed("tiktokenword"), inverted(((0x200C, 0x200D),)))
    return _listed(f"{library}word")


def _listed(key: str) -> Points:
    return tuple(
        (int(first, 16), int(last or first, 16))
        for first, _, last in (run.partition("-") for run in _line(key).split())
    )


def _line(key: str) -> str:
    if not _lines:
        for line in Path(__file__).with_name("unicode_sets.txt").read_text("ascii").splitlines():
            name, _, runs = line.partition(" ")
            _lines[name.lower().replace("_", "")] = runs
    return _lines.get(key, "")
