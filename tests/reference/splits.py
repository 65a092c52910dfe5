"""Reference of the splitters: each pattern in plain Python, slow and readable.

A function goes through a text from left to right and tries the alternatives of its pattern in order.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from collections.abc import Set as AbstractSet

from fastprep.vocabulary.code_points import Points
from fastprep_ext.base import unicode_class

CONTRACTIONS = ("'s", "'d", "'m", "'t", "'ll", "'ve", "'re")
# Unicode classes that patterns combine.
UPPER = {"LU", "LT", "LM", "LO", "M"}
LOWER = {"LL", "LM", "LO", "M"}
LETTERS = {"LU", "LT", "LL", "LM", "LO"}


def split_r50k(text: str) -> list[str]:
    r"""Split `text` by the pattern of gpt2.

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
    """Return the end of the contraction at `at`, or 0."""
    for contraction in CONTRACTIONS:
        if text.startswith(contraction, at):
            return at + len(contraction)
    return 0


def _run(text: str, at: int) -> int:
    """Return the end of a run of letters, digits or others, with a space before it, or 0."""
    first = at + 1 if text[at] == " " else at
    if first == len(text) or kind(text[first]) == "space":
        return 0
    end = first
    while end < len(text) and kind(text[end]) == kind(text[first]):
        end += 1
    return end


def _whitespace(text: str, at: int) -> int:
    """Return the end of the whitespace piece at `at`: its run, less one character if text follows."""
    end = at
    while end < len(text) and kind(text[end]) == "space":
        end += 1
    if end == len(text) or end == at + 1:
        return end
    return end - 1


def kind(character: str) -> str:
    """Return the class of a character in the pattern: letter, digit, space or other."""
    name = unicode_class(ord(character))
    if name in ("LU", "LT", "LL", "LM", "LO"):
        return "letter"
    return {"N": "digit", "SPACE": "space"}.get(name, "other")


def split_cl100k(text: str) -> list[str]:
    r"""Split `text` by the pattern of cl100k_base.

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


def split_o200k(
    text: str, *, digits: int = 3, contractions: bool = True, apart: Points = ()
) -> list[str]:
    r"""Split `text` by the pattern of o200k_base.

    Tekken's has one digit where this has three, and no C. In that of Kimi K2 a run of Chinese
    characters, those `apart`, is a piece if it starts one, and is in no word; and there is no slash.

    P?U*L+C?|P?U+L*C?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+  with

    P [^\r\n\p{L}\p{N}]   U [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]   L [\p{Ll}\p{Lm}\p{Lo}\p{M}]
    C (?i:'s|'t|'re|'ve|'m|'ll|'d)

    >>> split_o200k("HelloWorld it's\n\n  you")
    ['Hello', 'World', " it's", '\n\n', ' ', ' you']
    """

    def is_apart(at: int) -> bool:
        return at < len(text) and any(first <= ord(text[at]) <= last for first, last in apart)

    def run(first: int, classes: AbstractSet[str]) -> int:
        end = _while(text, first, classes)
        return next((at for at in range(first, end) if is_apart(at)), end)

    def piece(at: int) -> int:
        if is_apart(at):
            return next(end for end in range(at, len(text) + 1) if not is_apart(end))
        prefix = kind(text[at]) in ("space", "other") and text[at] not in "\r\n"
        for word in (lower_last, upper_first):
            for first in (at + 1, at) if prefix else (at,):
                end = word(first)
                if end:
                    return (contractions and _any_case_contraction(text, end)) or end
        return (
            _digits(text, at, digits)
            or _others(text, at, "\r\n" if apart else "\r\n/")
            or _newlines(text, at)
            or _whitespace(text, at)
        )

    def lower_last(first: int) -> int:
        # The run of U gives back characters one by one until an L follows it.
        for middle in range(run(first, UPPER), first - 1, -1):
            end = run(middle, LOWER)
            if end > middle:
                return end
        return 0

    def upper_first(first: int) -> int:
        end = run(first, UPPER)
        return run(end, LOWER) if end > first else 0

    return _pieces(text, piece)


def split_llama3(text: str, *, digits: int = 3, marks: bool = False) -> list[str]:
    r"""Split `text` by the pattern of Llama 3.

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
    """Split `text` into single digits, and the text between them by gpt2's pattern.

    >>> split_starcoder("in  2024 we")
    ['in', '  ', '2', '0', '2', '4', ' we']
    """
    return [
        piece
        for part in _set_apart(text, _is_digit, 1)
        for piece in ([part] if _is_digit(part[0]) else split_r50k(part))
    ]


def split_deepseek3(text: str) -> list[str]:
    r"""Split `text` by the three patterns of DeepSeek V3, one after the other.

    \p{N}{1,3}
    [一-龥぀-ゟ゠-ヿ]+
    S[A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+

    with an ASCII sign S. Text that the last one does not match forms separate pieces.

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
    """Split by the last pattern of DeepSeek V3: its matches and the text between them."""

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


def _set_apart(text: str, apart: Callable[[str], bool], max_size: int) -> list[str]:
    """Split into runs of `apart` characters, at most `max_size` in each, and the text between them."""
    parts: list[str] = []
    for is_apart, run in itertools.groupby(text, apart):
        part = "".join(run)
        size = max_size if is_apart else len(part)
        parts += [part[at : at + size] for at in range(0, len(part), size)]
    return parts


def _is_digit(character: str) -> bool:
    # Digits of Unicode 17 that the tokenizers library has only here.
    new = "\U00011de0" <= character <= "\U00011de9" or "\U00016ff4" <= character <= "\U00016ff6"
    return new or kind(character) == "digit"


def _is_cjk(character: str) -> bool:
    return "一" <= character <= "龥" or "\u3040" <= character <= "ヿ"


def _class(character: str) -> str:
    return unicode_class(ord(character))


def _pieces(text: str, piece: Callable[[int], int]) -> list[str]:
    """Return all pieces of `text`; `piece` returns the end of the piece that starts at an index."""
    pieces = []
    at = 0
    while at < len(text):
        end = piece(at)
        pieces.append(text[at:end])
        at = end
    return pieces


def _while(text: str, at: int, classes: AbstractSet[str]) -> int:
    """Return the end of the run of characters of these Unicode classes at `at`."""
    while at < len(text) and unicode_class(ord(text[at])) in classes:
        at += 1
    return at


def _any_case_contraction(text: str, at: int) -> int:
    """Return the end of the contraction at `at`, in any case, or 0. A long s folds to an s."""
    for size in (2, 3):
        if text[at : at + size].replace("\u017f", "s").lower() in CONTRACTIONS:
            return at + size
    return 0


def _digits(text: str, at: int, max_digits: int = 3) -> int:
    """Return the end of at most `max_digits` digits, or 0."""
    end = min(at + max_digits, _while(text, at, {"N"}))
    return end if end > at else 0


def _others(
    text: str, at: int, tail: str, classes: frozenset[str] = frozenset({"OTHER", "SIGN", "M"})
) -> int:
    """Return the end of a run of others, with a space before it and `tail` characters after it, or 0."""
    first = at + 1 if text[at] == " " else at
    end = _while(text, first, classes)
    if end == first:
        return 0
    while end < len(text) and text[end] in tail:
        end += 1
    return end


def _newlines(text: str, at: int) -> int:
    """Return the end of the last newline in the run of whitespace at `at`, or 0."""
    run = text[at : _while(text, at, {"SPACE"})]
    return at + max(run.rfind("\n"), run.rfind("\r")) + 1 if "\n" in run or "\r" in run else 0
