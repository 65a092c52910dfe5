"""Word tokenizers: the notebook's vocabulary, ``SimpleTokenizerV1`` and ``SimpleTokenizerV2``.

A text is split at whitespace, which is dropped, at each of ``, . : ; ? _ ! " ( ) '`` and at ``--``,
which are kept. The results equal those of the notebook's regular expressions on every str: whitespace
is Python's own, ``---`` is ``--`` and then ``-``, and a lone surrogate is an ordinary character.
"""

from __future__ import annotations

from collections.abc import Iterable

from fastprep_ext.words import WordTable, join_words, unique_words
from fastprep_ext.words import split_words as _split_words

__all__ = ["SimpleTokenizerV1", "SimpleTokenizerV2", "build_vocab", "split_words"]


def split_words(text: str) -> list[str]:
    """Split `text` into words and punctuation, in order; whitespace is dropped.

    The result is ``re.split(r'([,.:;?_!"()\\']|--|\\s)', text)``, stripped, without the empty strings.

    Raises
    ------
    TypeError
        if `text` is not a str.

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
    """Number the distinct words of one text or of many.

    Ids start at 0 with the words, sorted by code point; the special tokens follow. A special token
    that is also a word of the texts keeps the word's place in the dict and has the special token's
    id, so that the id of the word is unused, as in the notebook's dict comprehension.

    The texts are read once, one after the other; one copy of each distinct word is kept in memory.

    Raises
    ------
    TypeError
        if a text is not a str, or if `special_tokens` is one str instead of several.

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
    """Number words, in the given order, and then the special tokens.

    >>> numbered(["be", "to"], ["<|unk|>"])
    {'be': 0, 'to': 1, '<|unk|>': 2}
    """
    return {word: number for number, word in enumerate([*words, *special_tokens])}


class _SimpleTokenizer:
    """Base class: the tokenizers differ in unknown words, and in punctuation without a space before it.

    Words are looked up in a compiled table, which is built when the vocabulary is set.
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

        Words that are added or removed later are noticed by the dict's length. A change that keeps
        the length (another id for a word, or one word replaced by another) takes effect only after
        ``tokenizer.str_to_int = vocab``. ``int_to_str`` is not updated, as in the notebook.
        """
        vocab: dict[str, int] = self._table.vocab
        return vocab

    @str_to_int.setter
    def str_to_int(self, vocab: dict[str, int]) -> None:
        self._table = WordTable(vocab, self._unknown)

    def encode(self, text: str) -> list[int]:
        """Encode text to ids, one per word or punctuation mark, in order.

        The GIL is released while the words of a long text are looked up.

        Raises
        ------
        KeyError
            for a word that is not in the vocabulary, if unknown words have no id.
        TypeError
            if `text` is not a str.
        """
        table = self._table
        if len(table) != len(table.vocab):
            self.str_to_int = table.vocab
            table = self._table
        return table.encode(text)

    def decode(self, ids: Iterable[int]) -> str:
        """Decode ids to text: words with one space between them, and none before punctuation.

        Raises
        ------
        KeyError
            for an id that is not in ``int_to_str``.
        """
        return join_words(self.int_to_str, ids, self._closers)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self.str_to_int)} words>"


class SimpleTokenizerV1(_SimpleTokenizer):
    """The notebook's first tokenizer: a word that is not in the vocabulary raises KeyError.

    Parameters
    ----------
    vocab
        words -> ids, as :func:`build_vocab` returns. An id may be any int: the very objects in
        `vocab` are what :meth:`encode` returns.

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
    """The notebook's second tokenizer: a word that is not in the vocabulary becomes ``<|unk|>``.

    The parameter and the attributes are those of :class:`SimpleTokenizerV1`. If the vocabulary has
    no ``<|unk|>``, an unknown word raises ``KeyError('<|unk|>')``.

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
