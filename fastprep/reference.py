"""The oracle: each step of the main job in plain Python, slow and readable.

Nothing imports this but tests. How text is split stands in :mod:`fastprep.reference_splits`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable

from fastprep.reference_splits import split_cl100k, split_o200k, split_r50k

__all__ = [
    "SimpleTokenizerV1",
    "SimpleTokenizerV2",
    "build_vocab",
    "encode",
    "encode_piece",
    "merge",
    "split_cl100k",
    "split_o200k",
    "split_r50k",
    "split_words",
]

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
