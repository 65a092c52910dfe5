"""The oracle of the splitters: each pattern in plain Python, slow and readable.

Nothing imports this but tests. A function goes through a text from left to right and tries one
alternative of its pattern after the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from collections.abc import Set as AbstractSet

from fastprep_ext.base import unicode_class

CONTRACTIONS = ("'s", "'d", "'m", "'t", "'ll", "'ve", "'re")
# Unicode classes that patterns name together.
UPPER = {"LU", "LT", "LM", "LO", "M"}
LOWER = {"LL", "LM", "LO", "M"}
LETTERS = {"LU", "LT", "LL", "LM", "LO"}


def split_r50k(text: str) -> list[str]:
    r"""The pieces of `text` by the pattern of gpt2, one alternative after the other.

    '(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s

    >>> split_r50k("I don't  know, 42\n")
    ['I', ' don', "'t", ' ', ' know', ',', ' 42', '\n']
    """
    pieces = []
    at = 0
    while at < len(text):
        end = _contraction(text, at) or _run(text, at) or _whitespace(text, at)
        pieces.append(text[at:end])
        at = end
    return pieces


def _contraction(text: str, at: int) -> int:
    """Where the contraction at `at` ends; 0 if there is none."""
    for contraction in CONTRACTIONS:
        if text.startswith(contraction, at):
            return at + len(contraction)
    return 0


def _run(text: str, at: int) -> int:
    """Where a run of letters, of digits or of others ends, a space before it included; 0: none."""
    first = at + 1 if text[at] == " " else at
    if first == len(text) or kind(text[first]) == "space":
        return 0
    end = first
    while end < len(text) and kind(text[end]) == kind(text[first]):
        end += 1
    return end


def _whitespace(text: str, at: int) -> int:
    """Where the piece of whitespace at `at` ends: its run, less one character if text follows."""
    end = at
    while end < len(text) and kind(text[end]) == "space":
        end += 1
    if end == len(text) or end == at + 1:
        return end
    return end - 1


def kind(character: str) -> str:
    """The class of a character that the pattern asks for: letter, digit, space or other."""
    name = unicode_class(ord(character))
    if name in ("LU", "LT", "LL", "LM", "LO"):
        return "letter"
    return {"N": "digit", "SPACE": "space"}.get(name, "other")


def split_cl100k(text: str) -> list[str]:
    r"""The pieces of `text` by the pattern of cl100k_base, one alternative after the other.

    '(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+
    |\s++$|\s*[\r\n]|\s+(?!\S)|\s

    >>> split_cl100k("I'm 12345,\n\n  \n you")
    ['I', "'m", ' ', '123', '45', ',\n\n', '  \n', ' you']
    """

    def piece(at: int) -> int:
        end = _any_case_contraction(text, at)
        if end:
            return end
        first = at + 1 if kind(text[at]) in ("space", "other") and text[at] not in "\r\n" else at
        end = _while(text, first, LETTERS)
        if end > first:
            return end
        return _digits(text, at) or _others(text, at, "\r\n") or blank(at)

    def blank(at: int) -> int:
        end = _while(text, at, {"SPACE"})
        return end if end == len(text) else _newlines(text, at) or _whitespace(text, at)

    return _pieces(text, piece)


def split_o200k(text: str, *, digits: int = 3, contractions: bool = True) -> list[str]:
    r"""The pieces of `text` by the pattern of o200k_base, one alternative after the other.

    Tekken's has one digit where this has three, and no C.

    P?U*L+C?|P?U+L*C?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+  with

    P [^\r\n\p{L}\p{N}]   U [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]   L [\p{Ll}\p{Lm}\p{Lo}\p{M}]
    C (?i:'s|'t|'re|'ve|'m|'ll|'d)

    >>> split_o200k("HelloWorld it's\n\n  you")
    ['Hello', 'World', " it's", '\n\n', ' ', ' you']
    """

    def piece(at: int) -> int:
        prefix = kind(text[at]) in ("space", "other") and text[at] not in "\r\n"
        for word in (lower_last, upper_first):
            for first in (at + 1, at) if prefix else (at,):
                end = word(first)
                if end:
                    return (contractions and _any_case_contraction(text, end)) or end
        return (
            _digits(text, at, digits)
            or _others(text, at, "\r\n/")
            or _newlines(text, at)
            or _whitespace(text, at)
        )

    def lower_last(first: int) -> int:
        # The run of U gives back one character after the other until an L stands behind it.
        for middle in range(_while(text, first, UPPER), first - 1, -1):
            end = _while(text, middle, LOWER)
            if end > middle:
                return end
        return 0

    def upper_first(first: int) -> int:
        end = _while(text, first, UPPER)
        return _while(text, end, LOWER) if end > first else 0

    return _pieces(text, piece)


def split_llama3(text: str, *, digits: int = 3, marks: bool = False) -> list[str]:
    r"""The pieces of `text` by the pattern of Llama 3.

    (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*
    |\s*[\r\n]+|\s+(?!\S)|\s+

    Qwen 2's has one digit where this has three; in Qwen 3.5's marks are letters, too.

    >>> split_llama3("I'm 12345,\n\n  \n you")
    ['I', "'m", ' ', '123', '45', ',\n\n', '  \n', ' you']
    """
    letters = LETTERS | {"M"} if marks else LETTERS
    others = frozenset({"OTHER", "SIGN"} if marks else {"OTHER", "SIGN", "M"})

    def piece(at: int) -> int:
        end = _any_case_contraction(text, at)
        if end:
            return end
        prefix = kind(text[at]) in ("space", "other") and text[at] not in "\r\n"
        for first in (at + 1, at) if prefix else (at,):
            end = _while(text, first, letters)
            if end > first:
                return end
        return (
            _digits(text, at, digits)
            or _others(text, at, "\r\n", others)
            or _newlines(text, at)
            or _whitespace(text, at)
        )

    return _pieces(text, piece)


def split_starcoder(text: str) -> list[str]:
    """The pieces of `text` where each digit is one, and what is between them goes by gpt2's pattern.

    >>> split_starcoder("in  2024 we")
    ['in', '  ', '2', '0', '2', '4', ' we']
    """
    return [
        piece
        for part in _set_apart(text, _is_digit, 1)
        for piece in ([part] if _is_digit(part[0]) else split_r50k(part))
    ]


def split_deepseek3(text: str) -> list[str]:
    r"""The pieces of `text` by the three patterns of DeepSeek V3, one after the other.

    \p{N}{1,3}
    [一-龥぀-ゟ゠-ヿ]+
    S[A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+

    with an ASCII sign S. What the last one does not match is kept in pieces of its own.

    >>> split_deepseek3("abc  1234中文.com!!!")
    ['abc', '  ', '123', '4', '中文', '.com', '!!!']
    """
    return [
        piece
        for section in _set_apart(text, lambda character: kind(character) == "digit", 3)
        for part in _set_apart(section, _is_cjk, len(section))
        for piece in ([part] if kind(part[0]) == "digit" else _split_section(part))
    ]


def _split_section(text: str) -> list[str]:
    """The pieces by the last pattern of DeepSeek V3, and what lies between them."""

    def match(at: int) -> int:
        first = _class(text[at])
        if first == "SIGN" and text[at] < "\x7f":
            end = at + 1
            while end < len(text) and text[end].isascii() and text[end].isalpha():
                end += 1
            if end > at + 1:
                return end
        is_prefix = first in ("OTHER", "N", "SPACE") and text[at] not in "\r\n"
        begin = at + 1 if is_prefix else at
        end = _while(text, begin, LETTERS | {"M"})
        if end > begin:
            return end
        return (
            _others(text, at, "\r\n", frozenset({"SIGN"}))
            or _newlines(text, at)
            or (_whitespace(text, at) if first == "SPACE" else 0)
        )

    pieces = []
    at = unmatched = 0
    while at < len(text):
        end = match(at)
        if not end:
            at += 1
            continue
        pieces += [text[unmatched:at], text[at:end]]
        at = unmatched = end
    return [piece for piece in [*pieces, text[unmatched:]] if piece]


def _set_apart(text: str, apart: Callable[[str], bool], most: int) -> list[str]:
    """Runs of characters that are to be set apart, at most so many in each, and what lies between."""
    parts: list[str] = []
    for is_apart, run in itertools.groupby(text, apart):
        part = "".join(run)
        size = most if is_apart else len(part)
        parts += [part[at : at + size] for at in range(0, len(part), size)]
    return parts


def _is_digit(character: str) -> bool:
    # Digits of Unicode 17 that the tokenizers library knows in this one place.
    new = "\U00011de0" <= character <= "\U00011de9" or "\U00016ff4" <= character <= "\U00016ff6"
    return new or kind(character) == "digit"


def _is_cjk(character: str) -> bool:
    return "一" <= character <= "龥" or "\u3040" <= character <= "ヿ"


def _class(character: str) -> str:
    return unicode_class(ord(character))


def _pieces(text: str, piece: Callable[[int], int]) -> list[str]:
    """All pieces, where `piece` says at which character the one that begins at another ends."""
    pieces = []
    at = 0
    while at < len(text):
        end = piece(at)
        pieces.append(text[at:end])
        at = end
    return pieces


def _while(text: str, at: int, classes: AbstractSet[str]) -> int:
    """Where the run of characters of these Unicode classes that begins at `at` ends."""
    while at < len(text) and unicode_class(ord(text[at])) in classes:
        at += 1
    return at


def _any_case_contraction(text: str, at: int) -> int:
    """Where the contraction at `at` ends, in any case; 0: none. A long s folds to an s."""
    for size in (2, 3):
        if text[at : at + size].replace("\u017f", "s").lower() in CONTRACTIONS:
            return at + size
    return 0


def _digits(text: str, at: int, most: int = 3) -> int:
    """Where up to so many digits end; 0: none."""
    end = min(at + most, _while(text, at, {"N"}))
    return end if end > at else 0


def _others(
    text: str, at: int, tail: str, classes: frozenset[str] = frozenset({"OTHER", "SIGN", "M"})
) -> int:
    """Where a run of others ends, a space before it and characters of `tail` behind it; 0: none."""
    first = at + 1 if text[at] == " " else at
    end = _while(text, first, classes)
    if end == first:
        return 0
    while end < len(text) and text[end] in tail:
        end += 1
    return end


def _newlines(text: str, at: int) -> int:
    """Where the last newline of the run of whitespace at `at` ends; 0: none."""
    run = text[at : _while(text, at, {"SPACE"})]
    return at + max(run.rfind("\n"), run.rfind("\r")) + 1 if "\n" in run or "\r" in run else 0
