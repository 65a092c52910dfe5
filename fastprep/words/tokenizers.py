"""Word tokenizers: the notebook's vocabulary, ``SimpleTokenizerV1`` and ``SimpleTokenizerV2``.

A text is split at whitespace, at each of ``, . : ; ? _ ! " ( ) '`` and at ``--``; all but the
whitespace is kept. The results equal those of the notebook's regular expressions on every str:
whitespace is Python's own, ``---`` is ``--`` and then ``-``, and a lone surrogate is a character
like any other.
"""

from __future__ import annotations

from collections.abc import Iterable

from fastprep_ext.words import WordTable, join_words, unique_words
from fastprep_ext.words import split_words as _split_words

__all__ = ["SimpleTokenizerV1", "SimpleTokenizerV2", "build_vocab", "split_words"]


def split_words(text: str) -> list[str]:
    """Split `text` into words and punctuation, in order; whitespace is dropped.

    It is ``re.split(r'([,.:;?_!"()\\']|--|\\s)', text)``, stripped, without the empty strings.

    Raises
    ------
    TypeError
        `text` is not a str.

    Examples
    --------
    >>> split_words("Is this-- a test?")
    ['Is', 'this', '--', 'a', 'test', '?']
    """
    return _split_words(text)


def build_vocab(
    text_or_texts: str | Iterable[str],
    special_tokens: Iterable[str] = ("<|endoftext|>", "<|unk|>"),
) -> dict[str, int]:
    """Number the different words of one text or of many.

    The words come first, sorted by code point, then the special tokens, numbered from 0. A
    special token that is also a word of the texts keeps the word's place in the dict and has the
    special token's id, so that the word's own id is nobody's: this is what the notebook's dict
    comprehension does.

    The texts are read once, one after the other; what stays in memory is one copy of each
    different word.

    Raises
    ------
    TypeError
        a text is not a str, or `special_tokens` is one str instead of several.

    Examples
    --------
    >>> build_vocab("to be, or not to be")
    {',': 0, 'be': 1, 'not': 2, 'or': 3, 'to': 4, '<|endoftext|>': 5, '<|unk|>': 6}
    """
    if isinstance(special_tokens, str):
        raise TypeError(
            f"special_tokens must be several str, not one: ({special_tokens!r},) instead"
        )
    texts = (text_or_texts,) if isinstance(text_or_texts, str) else text_or_texts
    return numbered(sorted(unique_words(texts)), special_tokens)


def numbered(words: Iterable[str], special_tokens: Iterable[str]) -> dict[str, int]:
    """A vocabulary of some words, in this order, and then of the special tokens.

    >>> numbered(["be", "to"], ["<|unk|>"])
    {'be': 0, 'to': 1, '<|unk|>': 2}
    """
    return {word: number for number, word in enumerate([*words, *special_tokens])}


class _SimpleTokenizer:
    """What the two tokenizers share; they differ in the unknown word and in what decode closes up.

    The words are looked up in a compiled table, made when the vocabulary is given.
    """

    _unknown: str | None
    _closers: str

    int_to_str: dict[int, str]
    _table: WordTable

    def __init__(self, vocab: dict[str, int]) -> None:
        self.str_to_int = vocab
        self.int_to_str = {number: word for word, number in vocab.items()}

    @property
    def str_to_int(self) -> dict[str, int]:
        """The vocabulary, the caller's own dict.

        The tokenizer sees words that are added or removed later, since the dict's length shows
        them. A change that keeps the length (another id for a word, one word out and another in)
        shows after ``tokenizer.str_to_int = vocab`` only. ``int_to_str`` stays what it was when the
        tokenizer was made, as the notebook's does.
        """
        vocab: dict[str, int] = self._table.vocab
        return vocab

    @str_to_int.setter
    def str_to_int(self, vocab: dict[str, int]) -> None:
        self._table = WordTable(vocab, self._unknown)

    def encode(self, text: str) -> list[int]:
        """Text -> ids, one for each word or punctuation mark, in order.

        The GIL is released while the words of a long text are looked up.

        Raises
        ------
        KeyError
            a word that is not in the vocabulary, and that no other word stands for.
        TypeError
            `text` is not a str.
        """
        table = self._table
        if len(table) != len(table.vocab):
            self.str_to_int = table.vocab
            table = self._table
        return table.encode(text)

    def decode(self, ids: Iterable[int]) -> str:
        """Ids -> text: the words with one space between them, and none before punctuation.

        Raises
        ------
        KeyError
            an id that is not in ``int_to_str``.
        """
        return join_words(self.int_to_str, ids, self._closers)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self.str_to_int)} words>"


class SimpleTokenizerV1(_SimpleTokenizer):
    """The notebook's first tokenizer: a word that is not in the vocabulary is a KeyError.

    Parameters
    ----------
    vocab
        words -> ids, such as :func:`build_vocab` makes. Any int will do for an id: the very
        objects in `vocab` are what :meth:`encode` returns.

    Attributes
    ----------
    str_to_int
        `vocab` itself.
    int_to_str
        ids -> words; the last word wins where several have one id.

    Examples
    --------
    >>> tokenizer = SimpleTokenizerV1(build_vocab("It's the last he painted, you know."))
    >>> ids = tokenizer.encode("you painted the last.")
    >>> ids
    [10, 7, 9, 6, 2]
    >>> tokenizer.decode(ids)
    'you painted the last.'
    >>> tokenizer.encode("Hello")
    Traceback (most recent call last):
    ...
    KeyError: 'Hello'
    """

    _unknown = None
    _closers = ",.?!\"()'"


class SimpleTokenizerV2(_SimpleTokenizer):
    """The notebook's second tokenizer: a word that is not in the vocabulary is ``<|unk|>``.

    Parameters
    ----------
    vocab
        words -> ids, such as :func:`build_vocab` makes. Any int will do for an id: the very
        objects in `vocab` are what :meth:`encode` returns. Without ``<|unk|>`` in it an unknown
        word is ``KeyError('<|unk|>')``.

    Attributes
    ----------
    str_to_int
        `vocab` itself.
    int_to_str
        ids -> words; the last word wins where several have one id.

    Examples
    --------
    >>> tokenizer = SimpleTokenizerV2(build_vocab("do you like tea?"))
    >>> ids = tokenizer.encode("Hello, do you like tea?")
    >>> ids
    [6, 6, 1, 4, 2, 3, 0]
    >>> tokenizer.decode(ids)
    '<|unk|> <|unk|> do you like tea?'
    """

    _unknown = "<|unk|>"
    _closers = ",.:;?!\"()'"
