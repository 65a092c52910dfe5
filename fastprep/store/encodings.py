"""What a token store asks of an encoding, and the encodings that give it.

Byte pair encodings and word tokenizers both do; a store is made, verified and shown by this alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from fastprep.errors import InvalidInput, InvalidStore, UnknownEncoding

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from fastprep.store.reader import TokenStore
    from fastprep.words.tokenizers import SimpleTokenizerV2


class StoreEncoding(Protocol):
    """Documents to ids in arrays, and what a manifest says about the ids.

    :class:`fastprep.Encoding` and :class:`fastprep.words.encoding.WordEncoding` are such.
    """

    _pat_str: str
    _special_tokens: dict[str, int]

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def kind(self) -> Literal["bpe", "words"]:
        """Which kind of encoding it is."""

    @property
    def n_vocab(self) -> int:
        """Every id is below it."""

    @property
    def rank_table_sha256(self) -> str:
        """The hash of its tables, or of its vocabulary's file."""

    @property
    def special_tokens_set(self) -> set[str]:
        """Its special tokens."""

    @property
    def may_be_cut(self) -> bool:
        """Whether long documents may come in parts; see :mod:`fastprep.encoding.cutting`."""

    def most_ids(self, size: int, texts: int) -> int:
        """The most ids that texts of so many bytes may have together."""

    def encode_documents(
        self,
        texts: Sequence[str | bytes | memoryview],
        out: npt.NDArray[Any] | memoryview[int],
        ends: npt.NDArray[np.uint64] | memoryview[int],
        *,
        end_token: int | None = None,
        close_last: bool = True,
    ) -> int:
        """Documents to ids, back to back."""

    def decode_single_token_bytes(self, token: int) -> bytes:
        """The bytes of one id; KeyError for one that means nothing."""


def as_encoding(encoding: str | StoreEncoding | SimpleTokenizerV2) -> StoreEncoding:
    """The encoding that is meant by a name, an encoding, or a word tokenizer.

    Raises
    ------
    UnknownEncoding
        for a name that is none.
    BadVocabulary
        for a word tokenizer whose vocabulary no store can hold.
    InvalidInput
        for anything else.

    Examples
    --------
    >>> from fastprep import SimpleTokenizerV2, build_vocab
    >>> as_encoding("gpt2").n_vocab, as_encoding(SimpleTokenizerV2(build_vocab("a b"))).n_vocab
    (50257, 4)
    """
    if isinstance(encoding, str):
        from fastprep.registry import get_encoding

        return get_encoding(encoding)
    from fastprep.encoding.encoding import Encoding

    if isinstance(encoding, Encoding):
        return encoding
    from fastprep.words.tokenizers import SimpleTokenizerV1, SimpleTokenizerV2

    if isinstance(encoding, (SimpleTokenizerV1, SimpleTokenizerV2)):
        from fastprep.words.encoding import WordEncoding

        return WordEncoding.of(encoding)
    if not hasattr(encoding, "encode_documents"):
        kind = type(encoding)
        raise InvalidInput(
            f"encoding is a {kind.__module__}.{kind.__qualname__}; pass a name, as 'gpt2', an "
            "Encoding of fastprep, or a SimpleTokenizerV2"
        )
    return encoding


def encoding_of_store(store: TokenStore) -> StoreEncoding:
    """The encoding that made a store: a published one, or the word tokenizer that it holds.

    Raises
    ------
    InvalidInput
        if it is neither.
    InvalidStore
        if the store's tables are not those of that name, or its vocabulary is damaged.
    """
    record = store.manifest.encoding
    if record.kind == "words":
        from fastprep.words.encoding import WordEncoding

        return WordEncoding.of_store(store.path, record.rank_table_sha256)
    from fastprep.registry import get_encoding

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


def keep_vocabulary(encoding: StoreEncoding, directories: Iterable[Path]) -> None:
    """Put a word tokenizer's vocabulary into stores that are being made, unless it is there."""
    if encoding.kind == "words":
        from fastprep.words.encoding import VOCABULARY, WordEncoding

        for directory in directories:
            if isinstance(encoding, WordEncoding) and not (directory / VOCABULARY).exists():
                encoding.write_into(directory)
