"""Other libraries to hold a store's ids against, from the very tables that made them.

Nothing is downloaded: an oracle is built from the encoding's own tokens and merges. So what is
compared is what is done with them.
"""

from __future__ import annotations

from collections.abc import Callable

from fastprep.encoding import Encoding
from fastprep.errors import FastprepError, InvalidInput, InvalidStore, UnknownEncoding
from fastprep.huggingface import HuggingFaceEncoding
from fastprep.registry import get_encoding
from fastprep.store import TokenStore
from fastprep.tokenizer_json_writer import to_tokenizer_json

#: Text to ids, what looks like special tokens taken for text.
Oracle = Callable[[str], list[int]]


def by_tiktoken(encoding: Encoding) -> Oracle:
    """tiktoken's encoder.

    >>> by_tiktoken(get_encoding("gpt2"))("hello world")
    [31373, 995]

    Raises :class:`~fastprep.errors.InvalidInput` for an encoding whose ids are not tiktoken's by
    definition, FastprepError where tiktoken is not installed.
    """
    if isinstance(encoding, HuggingFaceEncoding):
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
        pat_str=encoding._pat_str,
        mergeable_ranks=encoding._mergeable_ranks,
        special_tokens=encoding._special_tokens,
    ).encode_ordinary


def by_tokenizers(encoding: Encoding) -> Oracle:
    """The encoder of the tokenizers library of Hugging Face.

    >>> by_tokenizers(get_encoding("gpt2"))("hello world")
    [31373, 995]

    Raises :class:`~fastprep.errors.BadVocabulary` where no ``tokenizer.json`` can say what the
    encoding does, FastprepError where the library is not installed.
    """
    try:
        import tokenizers
    except ImportError:
        raise FastprepError(
            "tokenizers is not installed; run `pip install tokenizers` to compare with it"
        ) from None
    tokenizer = tokenizers.Tokenizer.from_str(to_tokenizer_json(encoding).decode())
    tokenizer.encode_special_tokens = True

    def encode(text: str) -> list[int]:
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    return encode


#: By name.
ORACLES: dict[str, Callable[[Encoding], Oracle]] = {
    "tiktoken": by_tiktoken,
    "tokenizers": by_tokenizers,
}


def published(store: TokenStore) -> Encoding:
    """The published encoding that a store says it was made with.

    Raises :class:`~fastprep.errors.InvalidInput` if it is none of them,
    :class:`~fastprep.errors.InvalidStore` if the store's tables are not those of that name.
    """
    record = store.manifest.encoding
    try:
        encoding = get_encoding(record.name)
    except UnknownEncoding:
        raise InvalidInput(
            f"{store.path}: made with the encoding {record.name!r}, which does not come with "
            "fastprep; pass it as encoding, or its file with --encoding-file"
        ) from None
    if encoding.rank_table_sha256 != record.rank_table_sha256:
        raise InvalidStore(
            f"{store.path}: made with another rank table under the name {record.name!r}: sha256 "
            f"{record.rank_table_sha256}, and the bundled one has {encoding.rank_table_sha256}"
        )
    return encoding


def check_made_with(store: TokenStore, encoding: Encoding) -> None:
    """Raise :class:`~fastprep.errors.InvalidInput` unless a store was made with an encoding.

    Names do not matter: what is compared is the manifest's hash of the tables, the pattern, and the
    special tokens.
    """
    record = store.manifest.encoding
    for what, theirs, ours in (
        ("tables of sha256", record.rank_table_sha256, encoding.rank_table_sha256),
        ("pattern", record.pattern, encoding._pat_str),
        ("special tokens", record.special_tokens, encoding._special_tokens),
    ):
        if theirs != ours:
            raise InvalidInput(
                f"{store.path}: made with another encoding ({record.name!r}) than this one "
                f"({encoding.name!r}): {what} {theirs!s:.200}, not {ours!s:.200}; pass the one that it "
                "was made with"
            )
