"""Oracles: encoders of other libraries, built from an encoding's own tables, to compare ids with.

Nothing is downloaded. As the tokens and merges are the same, the comparison tests what is done with
them.
"""

from __future__ import annotations

from collections.abc import Callable

from fastprep.encoding.encoding import Encoding
from fastprep.errors import FastprepError, InvalidInput
from fastprep.store.encodings import StoreEncoding
from fastprep.store.reader import TokenStore
from fastprep.vocabulary.published import ENDOFTEXT
from fastprep.vocabulary.tokenizer_json_writer import to_tokenizer_json

#: Function from text to ids, with special tokens as ordinary text.
Oracle = Callable[[str], list[int]]


def by_tiktoken(encoding: StoreEncoding) -> Oracle:
    """Return tiktoken's encoder.

    >>> from fastprep import get_encoding
    >>> by_tiktoken(get_encoding("gpt2"))("hello world")
    [31373, 995]

    Raises :class:`~fastprep.errors.InvalidInput` for an encoding whose ids are not by definition
    tiktoken's, FastprepError if tiktoken is not installed.
    """
    encoding = _bpe(encoding)
    if encoding.recipe.merge_list is not None:
        raise InvalidInput(
            f"the ids of {encoding.name!r} are by definition those of the tokenizers library; compare "
            "with that one: against='tokenizers' (--against tokenizers)"
        )
    try:
        import tiktoken
    except ImportError:
        raise FastprepError(
            "tiktoken is not installed; run `pip install tiktoken` to compare with it"
        ) from None
    return tiktoken.Encoding(
        encoding.name,
        pat_str=encoding.pat_str,
        mergeable_ranks=encoding.recipe.mergeable_ranks(),
        special_tokens=encoding.special_tokens,
    ).encode_ordinary


def by_tokenizers(encoding: StoreEncoding) -> Oracle:
    """Return the encoder of the tokenizers library of Hugging Face.

    >>> from fastprep import get_encoding
    >>> by_tokenizers(get_encoding("gpt2"))("hello world")
    [31373, 995]

    Raises :class:`~fastprep.errors.BadVocabulary` if no ``tokenizer.json`` can express the encoding,
    FastprepError if the library is not installed.
    """
    try:
        import tokenizers
    except ImportError:
        raise FastprepError(
            "tokenizers is not installed; run `pip install tokenizers` to compare with it"
        ) from None
    tokenizer = tokenizers.Tokenizer.from_str(to_tokenizer_json(_bpe(encoding).recipe).decode())
    tokenizer.encode_special_tokens = True

    def encode(text: str) -> list[int]:
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    return encode


def by_notebook(encoding: StoreEncoding) -> Oracle:
    """Return the encoder of the notebook's ``SimpleTokenizerV2``, in plain Python.

    >>> from fastprep.words.encoding import WordEncoding
    >>> by_notebook(WordEncoding.from_texts(["hello world"]))("hello, world")
    [0, 3, 1]

    Raises :class:`~fastprep.errors.InvalidInput` for anything but a word tokenizer.
    """
    from fastprep.checks.plain_words import SimpleTokenizerV2
    from fastprep.words.encoding import WordEncoding

    if not isinstance(encoding, WordEncoding):
        raise InvalidInput(
            f"{encoding.name!r} is not a word tokenizer; compare it with tiktoken or tokenizers"
        )
    # In a document the end token is an ordinary word that is not in the vocabulary.
    words = {word: number for word, number in encoding.vocab.items() if word != ENDOFTEXT}
    return SimpleTokenizerV2(words).encode


def _bpe(encoding: StoreEncoding) -> Encoding:
    if not isinstance(encoding, Encoding):
        raise InvalidInput(
            f"{encoding.name!r} is a word tokenizer; compare it with the notebook's class: "
            "against='notebook' (--against notebook)"
        )
    return encoding


#: The oracles by name.
ORACLES: dict[str, Callable[[StoreEncoding], Oracle]] = {
    "notebook": by_notebook,
    "tiktoken": by_tiktoken,
    "tokenizers": by_tokenizers,
}


def check_made_with(store: TokenStore, encoding: StoreEncoding) -> None:
    """Raise :class:`~fastprep.errors.InvalidInput` unless a store was made with an encoding.

    Names do not matter: the hash of the tables in the manifest, the pattern, and the special tokens
    are compared.
    """
    record = store.head.encoding
    for what, theirs, ours in (
        ("tables of sha256", record.rank_table_sha256, encoding.rank_table_sha256),
        ("pattern", record.pattern, encoding.pat_str),
        ("special tokens", record.special_tokens, encoding.special_tokens),
    ):
        if theirs != ours:
            raise InvalidInput(
                f"{store.path}: made with another encoding ({record.name!r}) than this one "
                f"({encoding.name!r}): {what} {theirs!s:.200}, not {ours!s:.200}; pass the one it "
                "was made with"
            )
