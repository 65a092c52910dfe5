"""The oracle: each step of the main job in plain Python, slow and readable.

Nothing imports this but tests and ``verify``.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable

from fastprep_ext.utf8 import unicode_class

# -- word tokenizers -------------------------------------------------------------------------------


def split_words(text: str) -> list[str]:
    """The words and the punctuation of `text`, without whitespace.

    >>> split_words("Is this-- a test?")
    ['Is', 'this', '--', 'a', 'test', '?']
    """
    pieces = re.split(r'([,.:;?_!"()\']|--|\s)', text)
    return [piece.strip() for piece in pieces if piece.strip()]


def build_vocab(
    texts: Iterable[str], special_tokens: Iterable[str] = ("<|endoftext|>", "<|unk|>")
) -> dict[str, int]:
    """The different words of all texts, sorted, then the special tokens, numbered from 0.

    >>> build_vocab(["to be", "or not to be"], ["<|unk|>"])
    {'be': 0, 'not': 1, 'or': 2, 'to': 3, '<|unk|>': 4}
    """
    words = sorted({word for text in texts for word in split_words(text)})
    words.extend(special_tokens)
    return {word: number for number, word in enumerate(words)}


class SimpleTokenizerV1:
    """The notebook's first tokenizer: a word that is not in the vocabulary is a KeyError.

    >>> SimpleTokenizerV1({"a": 0, "b": 1}).encode("b a")
    [1, 0]
    """

    def __init__(self, vocab: dict[str, int]) -> None:
        self.str_to_int = vocab
        self.int_to_str = {number: word for word, number in vocab.items()}

    def encode(self, text: str) -> list[int]:
        """Text -> ids."""
        return [self.str_to_int[word] for word in split_words(text)]

    def decode(self, ids: Iterable[int]) -> str:
        """Ids -> text, one space between words and none before punctuation."""
        text = " ".join([self.int_to_str[number] for number in ids])
        return re.sub(r'\s+([,.?!"()\'])', r"\1", text)


class SimpleTokenizerV2:
    """The notebook's second tokenizer: a word that is not in the vocabulary is ``<|unk|>``.

    >>> SimpleTokenizerV2({"a": 0, "<|unk|>": 1}).encode("b a")
    [1, 0]
    """

    def __init__(self, vocab: dict[str, int]) -> None:
        self.str_to_int = vocab
        self.int_to_str = {number: word for word, number in vocab.items()}

    def encode(self, text: str) -> list[int]:
        """Text -> ids."""
        words = split_words(text)
        words = [word if word in self.str_to_int else "<|unk|>" for word in words]
        return [self.str_to_int[word] for word in words]

    def decode(self, ids: Iterable[int]) -> str:
        """Ids -> text; unlike the first tokenizer's, it joins ``:`` and ``;`` too."""
        text = " ".join([self.int_to_str[number] for number in ids])
        return re.sub(r'\s+([,.:;?!"()\'])', r"\1", text)


# -- byte pair encoding ----------------------------------------------------------------------------


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


def split_o200k(text: str) -> list[str]:
    r"""The pieces of `text` by the pattern of o200k_base, one alternative after the other.

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
                    return _any_case_contraction(text, end) or end
        return (
            _digits(text, at)
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


def _pieces(text: str, piece: Callable[[int], int]) -> list[str]:
    """All pieces, where `piece` says at which character the one that begins at another ends."""
    pieces = []
    at = 0
    while at < len(text):
        end = piece(at)
        pieces.append(text[at:end])
        at = end
    return pieces


def _while(text: str, at: int, classes: set[str]) -> int:
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


def _digits(text: str, at: int) -> int:
    """Where up to three digits end; 0: none."""
    end = min(at + 3, _while(text, at, {"N"}))
    return end if end > at else 0


def _others(text: str, at: int, tail: str) -> int:
    """Where a run of others ends, a space before it and characters of `tail` behind it; 0: none."""
    first = at + 1 if text[at] == " " else at
    end = _while(text, first, {"OTHER", "M"})
    if end == first:
        return 0
    while end < len(text) and text[end] in tail:
        end += 1
    return end


def _newlines(text: str, at: int) -> int:
    """Where the last newline of the run of whitespace at `at` ends; 0: none."""
    run = text[at : _while(text, at, {"SPACE"})]
    return at + max(run.rfind("\n"), run.rfind("\r")) + 1 if "\n" in run or "\r" in run else 0


def encode_piece(piece: bytes, ranks: dict[bytes, int]) -> list[int]:
    """The ids of one piece: its own if it is a token, even one that no merge makes; else merged.

    >>> encode_piece(b"abc", {b"a": 0, b"b": 1, b"c": 2, b"abc": 3})
    [3]
    """
    return [ranks[piece]] if piece in ranks else merge(piece, ranks)


def merge(piece: bytes, ranks: dict[bytes, int]) -> list[int]:
    """The ids of one piece by merging: the pair of lowest rank first, of equal ones the leftmost.

    >>> ranks = {b"a": 0, b"b": 1, b"c": 2, b"bc": 3, b"ab": 4}
    >>> merge(b"abc", ranks)  # b and c before a and b
    [0, 3]
    """
    parts = [piece[i : i + 1] for i in range(len(piece))]
    while True:
        pairs = [a + b for a, b in itertools.pairwise(parts)]
        lowest = min((pair for pair in pairs if pair in ranks), key=ranks.__getitem__, default=None)
        if lowest is None:
            return [ranks[part] for part in parts]
        at = pairs.index(lowest)
        parts[at : at + 2] = [lowest]


def encode(
    text: str, ranks: dict[bytes, int], split: Callable[[str], list[str]] = split_r50k
) -> list[int]:
    """The ids of `text`, taken for ordinary text. Its time grows with the square of a piece.

    >>> encode("ab c", {b"a": 0, b"b": 1, b" ": 2, b"c": 3, b"ab": 4})
    [4, 2, 3]
    """
    return [i for piece in split(text) for i in encode_piece(piece.encode("utf-8"), ranks)]
