"""The notebook's word tokenizers in plain Python, with which `verify --against notebook` compares.

They are slow and readable; those of :mod:`fastprep.words.tokenizers` must give the same results.
"""

from __future__ import annotations

import re
from collections.abc import Iterable


def split_words(text: str) -> list[str]:
    """Split `text` into words and punctuation, without whitespace.

    >>> split_words("Is this-- a test?")
    ['Is', 'this', '--', 'a', 'test', '?']
    """
    pieces = re.split(r'([,.:;?_!"()\']|--|\s)', text)
    return [piece.strip() for piece in pieces if piece.strip()]


def build_vocab(
    texts: Iterable[str], special_tokens: Iterable[str] = ("<|endoftext|>", "<|unk|>")
) -> dict[str, int]:
    """Number the distinct words of all texts, sorted, then the special tokens, from 0.

    >>> build_vocab(["to be", "or not to be"], ["<|unk|>"])
    {'be': 0, 'not': 1, 'or': 2, 'to': 3, '<|unk|>': 4}
    """
    words = sorted({word for text in texts for word in split_words(text)})
    words.extend(special_tokens)
    return {word: number for number, word in enumerate(words)}


class SimpleTokenizerV1:
    """The notebook's first tokenizer: a word that is not in the vocabulary raises KeyError.

    >>> SimpleTokenizerV1({"a": 0, "b": 1}).encode("b a")
    [1, 0]
    """

    def __init__(self, vocab: dict[str, int]) -> None:
        self.str_to_int = vocab
        self.int_to_str: dict[int, str] = {number: word for word, number in vocab.items()}

    def encode(self, text: str) -> list[int]:
        """Encode text to ids."""
        return [self.str_to_int[word] for word in split_words(text)]

    def decode(self, ids: Iterable[int]) -> str:
        """Decode ids to text, with one space between words and none before punctuation."""
        text = " ".join([self.int_to_str[number] for number in ids])
        return re.sub(r'\s+([,.?!"()\'])', r"\1", text)


class SimpleTokenizerV2:
    """The notebook's second tokenizer: a word that is not in the vocabulary becomes ``<|unk|>``.

    >>> SimpleTokenizerV2({"a": 0, "<|unk|>": 1}).encode("b a")
    [1, 0]
    """

    def __init__(self, vocab: dict[str, int]) -> None:
        self.str_to_int = vocab
        self.int_to_str: dict[int, str] = {number: word for word, number in vocab.items()}

    def encode(self, text: str) -> list[int]:
        """Encode text to ids."""
        words = split_words(text)
        words = [word if word in self.str_to_int else "<|unk|>" for word in words]
        return [self.str_to_int[word] for word in words]

    def decode(self, ids: Iterable[int]) -> str:
        """Decode ids to text; unlike the first tokenizer, without a space before ``:`` and ``;``."""
        text = " ".join([self.int_to_str[number] for number in ids])
        return re.sub(r'\s+([,.:;?!"()\'])', r"\1", text)
