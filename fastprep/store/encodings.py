"""The protocol of encodings that a token store needs, and the encodings that implement it.

Byte pair encodings and word tokenizers do. Stores are made, verified and shown through it alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from msgspec import UNSET, UnsetType

from fastprep.errors import (
    BadVocabulary,
    InvalidArgument,
    InvalidInput,
    InvalidStore,
    UnknownEncoding,
    UnknownModel,
)
from fastprep.store.manifest import (
    HOW_TO_FIX,
    ConfigurationRecord,
    EncodingRecord,
    VocabularyRecord,
)
from fastprep.system.arguments import local_path
from fastprep.system.atomic import replacing

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from fastprep.encoding.encoding import Encoding
    from fastprep.store.reader import TokenStore
    from fastprep.vocabulary.ranks import RankTable
    from fastprep.vocabulary.recipe import Recipe
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


class TiktokenEncoding(Protocol):
    """An encoding of tiktoken."""

    _pat_str: str
    _mergeable_ranks: dict[bytes, int]
    _special_tokens: dict[str, int]


class TokenizersTokenizer(Protocol):
    """A ``tokenizers.Tokenizer``."""

    def to_str(self, pretty: bool = False) -> str:
        """Return the tokenizer as the content of a ``tokenizer.json``."""


class FastTokenizer(Protocol):
    """A fast tokenizer of transformers."""

    @property
    def backend_tokenizer(self) -> TokenizersTokenizer:
        """The ``tokenizers.Tokenizer`` that does the work."""


_OfOthers: TypeAlias = TiktokenEncoding | TokenizersTokenizer | FastTokenizer
#: What functions take as `encoding`; see :func:`as_encoding`.
EncodingLike: TypeAlias = "str | PathLike[str] | StoreEncoding | SimpleTokenizerV2 | _OfOthers"


def as_encoding(encoding: EncodingLike) -> StoreEncoding:
    """Return the encoding for what people have.

    That is the name of an encoding or of a model, the path of a vocabulary file, as
    :meth:`fastprep.Encoding.from_file` reads it, an encoding of fastprep or of tiktoken, a
    ``tokenizers.Tokenizer`` or a fast tokenizer of transformers, or a word tokenizer.

    >>> from fastprep import SimpleTokenizerV2, build_vocab
    >>> as_encoding("gpt2").n_vocab, as_encoding(SimpleTokenizerV2(build_vocab("a b"))).n_vocab
    (50257, 4)
    >>> as_encoding("gpt-4o")
    <Encoding 'o200k_base'>

    Raises UnknownEncoding for an unknown name, BadVocabulary for a file or tokenizer that cannot be
    used, and for a word tokenizer whose vocabulary a store cannot hold, InvalidArgument for anything
    else.
    """
    from fastprep.encoding.encoding import Encoding

    if isinstance(encoding, Encoding):
        return encoding._for_stores()
    if isinstance(encoding, PathLike):
        return _from_file(encoding)
    if isinstance(encoding, str):
        return _by_name(encoding)
    from fastprep.words.tokenizers import SimpleTokenizerV1, SimpleTokenizerV2

    if isinstance(encoding, (SimpleTokenizerV1, SimpleTokenizerV2)):
        from fastprep.words.encoding import WordEncoding

        return WordEncoding.of(encoding)
    # Not isinstance(): a class has these, too.
    if not isinstance(encoding, type):
        if hasattr(encoding, "encode_documents"):
            own: Any = encoding
            return own  # type: ignore[no-any-return]
        if hasattr(encoding, "_mergeable_ranks"):
            return Encoding.from_tiktoken(encoding)
        if hasattr(encoding, "to_str") or hasattr(encoding, "backend_tokenizer"):
            return Encoding.from_tokenizers(encoding)
    kind = type(encoding)
    raise InvalidArgument(
        f"encoding is a {kind.__module__}.{kind.__qualname__}; pass a name, as 'gpt2' or 'gpt-4o', the "
        "path of a vocabulary file, an encoding of fastprep or tiktoken, a tokenizers.Tokenizer, a "
        "fast tokenizer of transformers, or a SimpleTokenizerV2"
    )


def _by_name(name: str) -> Encoding:
    """Return the encoding of a name, of a model, or of a vocabulary file."""
    from fastprep.model import encoding_for_model, is_vocabulary_file
    from fastprep.registry import get_encoding

    if is_vocabulary_file(name):
        return _from_file(name)
    try:
        return get_encoding(name)
    except UnknownEncoding:
        try:
            return encoding_for_model(name)
        except UnknownModel:
            pass
        raise


def _from_file(path: str | PathLike[str]) -> Encoding:
    from fastprep.encoding.encoding import Encoding

    where = local_path(path, "a vocabulary file")
    try:
        return Encoding.from_file(where)
    except FileNotFoundError:
        raise UnknownEncoding(
            f"{where}: encoding is neither a name that is known nor a file that exists"
        ) from None


def encoding_of_store(store: TokenStore) -> Encoding | WordEncoding:
    """Return the encoding that made a store: a published one, or the one that the store holds.

    Raises InvalidInput if it is neither, InvalidStore if the tables of that name differ from those
    of the store, or if the vocabulary in the store is damaged.
    """
    record = store.head.encoding
    if record.kind == "words":
        return _word_encoding_in(store.directory, record.rank_table_sha256)
    if store.head.vocabulary:
        check_vocabulary(store)
        return _kept_encoding(store.vocabulary_file(), record, store.head.configuration)
    from fastprep.registry import get_encoding
    from fastprep.vocabulary.published import PUBLISHED
    from fastprep.vocabulary.ranks import SHA256, published_table

    # A store of a plugin's encoding holds its vocabulary: no manifest makes a plugin run.
    encoding = get_encoding(record.name) if record.name in PUBLISHED else None
    if encoding is not None and _is_of(record, encoding):
        return encoding
    for name, sha256 in SHA256.items():
        if sha256 == record.rank_table_sha256:
            return _with_ranks(published_table(name), record, store.head.configuration)
    if encoding is not None:
        raise InvalidStore(
            f"{store.path}: made with another rank table under the name {record.name!r}: sha256 "
            f"{record.rank_table_sha256}, and the bundled one has {encoding.rank_table_sha256}"
        )
    raise InvalidInput(
        f"{store.path}: made with the encoding {record.name!r}, which does not come with "
        "fastprep; pass it as encoding, or its file with --encoding-file"
    )


def _is_of(record: EncodingRecord, encoding: StoreEncoding) -> bool:
    """Return whether a manifest's record is that of an encoding, whatever its name."""
    return (
        record.rank_table_sha256 == encoding.rank_table_sha256
        and record.pattern == encoding.pat_str
        and record.special_tokens == encoding.special_tokens
    )


def _with_ranks(
    table: RankTable, record: EncodingRecord, configuration: ConfigurationRecord | UnsetType
) -> Encoding:
    """Return the encoding of a rank table, with the pattern and special tokens of a record."""
    from fastprep.encoding.encoding import Encoding
    from fastprep.vocabulary.recipe import Recipe

    specials = dict(record.special_tokens)
    recipe = Recipe(record.name, (record.pattern,), specials, ranks=table)
    return Encoding._from_recipe(_configured(recipe, configuration))


def _configured(recipe: Recipe, configuration: ConfigurationRecord | UnsetType) -> Recipe:
    """Return a recipe with what a manifest records of the files that were beside its vocabulary."""
    if configuration is UNSET:
        return recipe
    template = (tuple(configuration.before), tuple(configuration.after))
    return recipe.replaced(roles=configuration.roles, template=template)


def _kept_encoding(
    path: Path, record: EncodingRecord, configuration: ConfigurationRecord | UnsetType
) -> Encoding:
    """Read the encoding in a store. Raises InvalidStore if it is another one."""
    from fastprep.encoding.encoding import Encoding
    from fastprep.vocabulary import files
    from fastprep.vocabulary.ranks import parse

    try:
        if path.suffix in (".json", ".fastprep"):
            recipe = files.load(path, name=record.name)
            encoding = Encoding._from_recipe(_configured(recipe, configuration))
        else:
            table = parse(path.read_bytes(), str(path))
            encoding = _with_ranks(table, record, configuration)
    except BadVocabulary as error:
        raise InvalidStore(f"{error}; {HOW_TO_FIX}") from None
    if not _is_of(record, encoding):
        raise InvalidStore(f"{path}: another encoding than that of the manifest; {HOW_TO_FIX}")
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
    """Raise InvalidStore if the vocabulary in a store is not the one in the manifest.

    A word tokenizer's sha256 there is that of the file. Stores of bundled encodings have none.
    """
    record = store.head.encoding
    if record.kind == "words":
        from fastprep.words.encoding import VOCABULARY

        path, expected = store.path / VOCABULARY, record.rank_table_sha256
    elif store.head.vocabulary:
        path, expected = store.vocabulary_file(), store.head.vocabulary.sha256
    else:
        return
    found = _sha256_of(path)
    if found is None:
        raise InvalidStore(f"{path}: missing; {HOW_TO_FIX}")
    if found != expected:
        raise InvalidStore(
            f"{path}: its sha256 is {found}, but the manifest says {expected}; {HOW_TO_FIX}"
        )


def _sha256_of(path: Path) -> str | None:
    """Return the sha256 of a vocabulary's file, or None if it is missing."""
    import hashlib
    import stat

    digest = hashlib.sha256()
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe waits for a writer
            raise InvalidStore(f"{path}: not a regular file; {HOW_TO_FIX}")
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except FileNotFoundError:
        return None
    return digest.hexdigest()


def keep_vocabulary(encoding: StoreEncoding, directories: Iterable[Path]) -> None:
    """Write an encoding's vocabulary into stores that are being made, unless fastprep bundles it."""
    kept = _kept_file(encoding)
    if kept is None:
        return
    name, content = kept
    data = None
    for directory in directories:
        if not (directory / name).exists():
            data = content() if data is None else data
            with replacing(directory / name, replace_link=False) as file:
                file.write(data)


def _kept_file(encoding: StoreEncoding) -> tuple[str, Callable[[], bytes]] | None:
    """Return the name of a vocabulary's file in stores, and its content; None if there is none."""
    from fastprep.encoding.encoding import Encoding
    from fastprep.vocabulary.ranks import SHA256, to_tiktoken
    from fastprep.words.encoding import VOCABULARY, WordEncoding

    if isinstance(encoding, WordEncoding):
        return VOCABULARY, encoding.to_json
    if not isinstance(encoding, Encoding) or encoding.rank_table_sha256 in SHA256.values():
        return None
    recipe = encoding.recipe
    if recipe.merge_list is None and recipe.empty is None:
        return "vocabulary.tiktoken", partial(to_tiktoken, recipe.table)
    from fastprep.vocabulary.recipe_file import to_recipe_file
    from fastprep.vocabulary.tokenizer_json_writer import to_tokenizer_json

    try:
        content = to_tokenizer_json(recipe)
    except BadVocabulary:  # as for vocabularies of characters: a file for fastprep alone
        return "vocabulary.fastprep", partial(to_recipe_file, recipe)
    return "tokenizer.json", lambda: content


def vocabulary_record(directory: Path) -> VocabularyRecord | UnsetType:
    """Return the record of the vocabulary that :func:`keep_vocabulary` wrote, for a manifest."""
    names: tuple[Literal["vocabulary.tiktoken", "tokenizer.json", "vocabulary.fastprep"], ...] = (
        "vocabulary.tiktoken",
        "tokenizer.json",
        "vocabulary.fastprep",
    )
    for name in names:
        found = _sha256_of(directory / name)
        if found is not None:
            return VocabularyRecord(name, found)
    return UNSET
