"""Generate fastprep/vocabulary/unicode_sets.txt: properties of code points, as tiktoken sees them.

    python tests/unicode_sets.py > fastprep/vocabulary/unicode_sets.txt

The oracle is tiktoken (see fastprep_ext/base/generate_unicode_class.py); tokenizers agrees with it
on all of these sets but ``\\w``, which is generated from it.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterable

import tiktoken
from tokenizers import Regex, pre_tokenizers

CATEGORIES = [
    "Lu",
    "Ll",
    "Lt",
    "Lm",
    "Lo",
    "Mn",
    "Mc",
    "Me",
    "Nd",
    "Nl",
    "No",
    "Pc",
    "Pd",
    "Ps",
    "Pe",
    "Pi",
    "Pf",
    "Po",
    "Sm",
    "Sc",
    "Sk",
    "So",
    "Zs",
    "Zl",
    "Zp",
    "Cc",
    "Cf",
    "Co",
]
SCRIPTS = [
    "Arabic",
    "Armenian",
    "Bengali",
    "Bopomofo",
    "Braille",
    "Cherokee",
    "Common",
    "Cyrillic",
    "Devanagari",
    "Ethiopic",
    "Georgian",
    "Greek",
    "Gujarati",
    "Gurmukhi",
    "Han",
    "Hangul",
    "Hebrew",
    "Hiragana",
    "Inherited",
    "Kannada",
    "Katakana",
    "Khmer",
    "Lao",
    "Latin",
    "Malayalam",
    "Mongolian",
    "Myanmar",
    "Oriya",
    "Sinhala",
    "Syriac",
    "Tamil",
    "Telugu",
    "Thaana",
    "Thai",
    "Tibetan",
]
PROPERTIES = [
    "Alphabetic",
    "Lowercase",
    "Uppercase",
    "Ideographic",
    "Emoji",
    "Extended_Pictographic",
]
SCALARS = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
STEP = 50_000


def by_tiktoken(pattern: str) -> list[int]:
    """List the code points that a pattern for one character matches."""
    single_bytes = tiktoken.Encoding(
        "single bytes",
        pat_str=pattern,
        mergeable_ranks={bytes([i]): i for i in range(256)},
        special_tokens={},
    )
    return [
        ord(character)
        for at in range(0, len(SCALARS), STEP)
        for character in single_bytes.decode(
            single_bytes.encode_ordinary("".join(SCALARS[at : at + STEP]))
        )
    ]


def by_tokenizers(pattern: str) -> list[int]:
    """List the code points that a pattern of the tokenizers library matches."""
    split = pre_tokenizers.Split(Regex(pattern), "removed")
    left = {
        character
        for at in range(0, len(SCALARS), STEP)
        for piece, _ in split.pre_tokenize_str("".join(SCALARS[at : at + STEP]))
        for character in piece
    }
    return [ord(character) for character in SCALARS if character not in left]


def ranges(points: Iterable[int]) -> str:
    """Return runs of code points as text: ``41-5a 61-7a``."""
    runs: list[list[int]] = []
    for point in points:
        if runs and runs[-1][1] == point - 1:
            runs[-1][1] = point
        else:
            runs.append([point, point])
    return " ".join(f"{a:x}" if a == b else f"{a:x}-{b:x}" for a, b in runs)


def orbits() -> list[list[int]]:
    """List the sets of characters that are equal if case is ignored, by simple case folding."""
    known: dict[str, set[str]] = {}
    for character in SCALARS:
        for other in (
            character.lower(),
            character.upper(),
            character.casefold(),
            character.title(),
        ):
            if len(other) == 1 and other != character:
                joined = known.get(character, {character}) | known.get(other, {other})
                for member in joined:
                    known[member] = joined
    # Python's Unicode version may be older or newer, and not all of its mappings are foldings.
    cased = set(map(chr, by_tiktoken(r"[\p{Lu}\p{Ll}\p{Lt}]")))
    known |= {new: cased for new in cased if unicodedata.category(new) == "Cn"}
    found = set()
    for character, joined in known.items():
        candidates = "".join(sorted(joined))
        single_bytes = tiktoken.Encoding(
            "single bytes",
            pat_str=rf"(?i)\x{{{ord(character):x}}}",
            mergeable_ranks={bytes([i]): i for i in range(256)},
            special_tokens={},
        )
        orbit = single_bytes.decode(single_bytes.encode_ordinary(candidates))
        if len(orbit) > 1:
            found.add(tuple(sorted(map(ord, orbit))))
    return sorted(map(list, found))


def main() -> None:
    """Print the file."""
    for name in CATEGORIES:
        print(name, ranges(by_tiktoken(rf"\p{{{name}}}")))
    for name in SCRIPTS + PROPERTIES:
        print(name, ranges(by_tiktoken(rf"\p{{{name}}}")))
    print("tiktoken_word", ranges(by_tiktoken(r"\w")))
    print("tokenizers_word", ranges(by_tokenizers(r"\w")))
    print("White_Space", ranges(by_tiktoken(r"\s")))
    print("folds", " ".join("=".join(f"{point:x}" for point in orbit) for orbit in orbits()))


if __name__ == "__main__":
    sys.exit(main())
