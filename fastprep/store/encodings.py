"""The protocol of encodings that a token store needs, and the encodings that implement it.

Byte pair encodings and word tokenizers do. Stores are made, verified and shown through it alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from fastprep.errors import BadVocabulary, InvalidInput, InvalidStore, UnknownEncoding
from fastprep.store.manifest import HOW_TO_FIX

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from fastprep.store.reader import TokenStore
    from fastprep.words.encoding import WordEncoding
    from fastprep.words.tokenizers import SimpleTokenizerV2

_CHUNK_BYTES = 1 << 20


class StoreEncoding(Protocol):
    """Encoder of documents into arrays of ids, with the facts that a manifest records.

    :class:`fastprep.Encoding` and :class:`fastprep.words.encoding.WordEncoding` implement it.
    """

    @property
    def name(self) -> str:
        """The name of the encoding."""

    @property
    def kind(self) -> Literal["bpe", "words"]:
        """The kind of encoding."""

    @property
    def pat_str(self) -> str:
        """The pattern that splits text."""

    @property
    def special_tokens(self) -> dict[str, int]:
        """The ids of the special tokens."""

    @property
    def special_tokens_set(self) -> set[str]:
        """The special tokens."""

    @property
    def n_vocab(self) -> int:
        """The size of the vocabulary: every id is below it."""

    @property
    def rank_table_sha256(self) -> str:
        """The sha256 of the tables, or of the vocabulary's file."""

    @property
    def may_be_cut(self) -> bool:
        """Whether long documents may be encoded in parts; see :mod:`fastprep.encoding.cutting`."""

    def most_ids(self, size: int, texts: int) -> int:
        """Return an upper bound for the number of ids of `texts` texts of `size` bytes in total."""

    def encode_documents(
        self,
        texts: Sequence[str | bytes | memoryview],
        out: npt.NDArray[Any] | memoryview[int],
        ends: npt.NDArray[np.uint64] | memoryview[int],
        *,
        end_token: int | None = None,
        close_last: bool = True,
    ) -> int:
        """Encode documents back to back into `out`; return the number of ids."""

    def decode_single_token_bytes(self, token: int) -> bytes:
        """Return the bytes of one id. Raises KeyError for one that is not a token."""


def as_encoding(encoding: str | StoreEncoding | SimpleTokenizerV2) -> StoreEncoding:
    """Return the encoding for a name, an encoding, or a word tokenizer.

    >>> from fastprep import SimpleTokenizerV2, build_vocab
    >>> as_encoding("gpt2").n_vocab, as_encoding(SimpleTokenizerV2(build_vocab("a b"))).n_vocab
    (50257, 4)

    Raises UnknownEncoding for an unknown name, BadVocabulary for a word tokenizer whose vocabulary a
    store cannot hold, InvalidInput for anything else.
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
    """Return the encoding that made a store: a published one, or the word tokenizer in the store.

    Raises InvalidInput if it is neither, InvalidStore if the tables of that name differ from those
    of the store, or if the vocabulary in the store is damaged.
    """
    record = store.head.encoding
    if record.kind == "words":
        return _word_encoding_in(store.directory, record.rank_table_sha256)
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


def _word_encoding_in(directory: Path, sha256: str) -> WordEncoding:
    """Read the vocabulary in a store. Raises InvalidStore if it is missing or another one."""
    from fastprep.words.encoding import VOCABULARY, WordEncoding

    path = directory / VOCABULARY
    try:
        encoding = WordEncoding.from_file(path)
    except FileNotFoundError:
        raise InvalidStore(f"{path}: missing; {HOW_TO_FIX}") from None
    except BadVocabulary as error:
        raise InvalidStore(f"{error}; {HOW_TO_FIX}") from None
    if encoding.rank_table_sha256 != sha256:
        raise InvalidStore(
            f"{path}: its sha256 is {encoding.rank_table_sha256}, but the manifest says {sha256}; "
            f"{HOW_TO_FIX}"
        )
    return encoding


def check_vocabulary(store: TokenStore) -> None:
    """Raise InvalidStore if a word tokenizer's vocabulary in a store is not the one in the manifest.

    Its sha256 there is that of the file. A store of another kind has no vocabulary.
    """
    record = store.head.encoding
    if record.kind != "words":
        return
    import hashlib
    import stat

    from fastprep.words.encoding import VOCABULARY

    path = store.path / VOCABULARY
    digest = hashlib.sha256()
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe waits for a writer
            raise InvalidStore(f"{path}: not a regular file; {HOW_TO_FIX}")
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except FileNotFoundError:
        raise InvalidStore(f"{path}: missing; {HOW_TO_FIX}") from None
    if digest.hexdigest() != record.rank_table_sha256:
        raise InvalidStore(
            f"{path}: its sha256 is {digest.hexdigest()}, but the manifest says "
            f"{record.rank_table_sha256}; {HOW_TO_FIX}"
        )


def keep_vocabulary(encoding: StoreEncoding, directories: Iterable[Path]) -> None:
    """Write a word tokenizer's vocabulary into stores that are being made, unless it is there."""
    if encoding.kind == "words":
        from fastprep.words.encoding import VOCABULARY, WordEncoding

        for directory in directories:
            if isinstance(encoding, WordEncoding) and not (directory / VOCABULARY).exists():
                encoding.write_into(directory)
