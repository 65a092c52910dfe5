"""The manifest of a token store: its fields, its file names, and the checks made when it is read.

A store is a directory of raw little-endian arrays and one ``manifest.json``, written last::

    shard-00000.bin      token ids: uint16 if the vocabulary has at most 65536 ids, else uint32
    shard-00000.ends     uint64: the end of each document, in tokens from the shard's start
    shard-00000.mask     only of conversations: a byte per token, 1 if the assistant wrote it, else 0
    manifest.json        everything else
    manifest-00000.index only of a manifest over 64 KiB: what a reader needs of it, in binary form
    vocabulary.json      only if a word tokenizer made the ids: words to ids, in the order of the ids
    vocabulary.tiktoken  only if an encoding made the ids whose rank table is not bundled: the table
    tokenizer.json       only if an encoding with a list of merges made them: all of the encoding
    vocabulary.fastprep  only if no tokenizer.json can be written for it: likewise

A shard may also have an index for Megatron-LM, ``shard-00000.idx``.

A job with a validation split makes two stores, ``train`` and ``validation``, in its directory. While a
store is made that will replace another one, it is in the directory ``replacement``.

No file records a time or a machine: the same inputs and settings give the same bytes.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from io import FileIO
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias, cast, get_args

import msgspec

from fastprep.corpus.documents import Bad, OnError, Span
from fastprep.corpus.passed_over import PassedOver
from fastprep.errors import InvalidStore
from fastprep.store.checksums import crc32

MANIFEST = "manifest.json"
FORMAT = "fastprep token store"
#: The versions that are written, without and with an index, and those that are read: the first has no
#: `shard_bytes`.
VERSION: Literal[2] = 2
INDEXED_VERSION: Literal[3] = 3
VERSIONS = (1, VERSION, INDEXED_VERSION)
#: The bit of a token in a draft of conversations that is its mask; see fastprep.store.drafts.
MASK_BIT = 31
#: The directory in the output of a job for a store that will replace the one there.
REPLACEMENT = "replacement"
UNICODE_VERSION = "16.0.0"
CHECKSUM_BYTES = 16 << 20
# A manifest has about 10 bytes per 16 MiB of ids and 200 per input: this is enough for a petabyte,
# and small enough to read any file of that name.
MAX_MANIFEST_BYTES = 1 << 30
# Items of a long list in a chunk of JSON, and what msgspec writes around them.
_CHUNK_ITEMS = 1024
_OPENING, _CLOSING = b'{\n  "": [', b"\n  ]\n}"
#: The names of the files of vocabularies.
VOCABULARIES = ("vocabulary.json", "vocabulary.tiktoken", "tokenizer.json", "vocabulary.fastprep")
_OUR_NAME = re.compile(
    r"(shard-[0-9]{5,12}\.(bin|ends|mask|idx|done|draft|index|ordered)|(manifest|job)\.json"
    rf"|{'|'.join(map(re.escape, VOCABULARIES))}|manifest-[0-9]{{5,12}}\.index)"
    r"(\.tmp|\.moved)?"
    r"|shard-[0-9]{5,12}\.lock|(job|run)\.lock",
    re.ASCII,
)

#: The end of messages about a damaged store.
HOW_TO_FIX = "restore it from a copy, or run `fastprep prepare` again with --overwrite"

Count = Annotated[int, msgspec.Meta(ge=0, le=(1 << 62))]
TokenId = Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
Checksum = Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
#: Largest seed of a shuffled store: msgspec's integers of 64 bits have it as their largest.
MAX_SEED = (1 << 64) - 1
Seed = Annotated[int, msgspec.Meta(ge=0)]
PartName: TypeAlias = Literal["train", "validation"]
#: The files of a shard; only conversations have a mask.
FileKind: TypeAlias = Literal["bin", "ends", "mask"]
#: Which end of each document the end token is at.
Eot: TypeAlias = Literal["append", "prepend", "none"]


class EncodingRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The encoding that made the ids; ``rank_table_sha256`` is that of its ``.tiktoken`` form.

    An encoding of kind ``"words"`` is a word tokenizer, and the hash is that of ``vocabulary.json``,
    which is then part of the store.
    """

    name: str
    rank_table_sha256: Sha256
    pattern: str
    special_tokens: dict[str, TokenId]
    kind: Literal["bpe", "words"] = "bpe"


class VocabularyRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file in the store that holds its vocabulary, if fastprep does not bundle it."""

    file: Literal["vocabulary.tiktoken", "tokenizer.json", "vocabulary.fastprep"]
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class ConfigurationRecord(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True
):
    """The ids of the tokens that begin, end and pad a text, and those that are added on request.

    See :class:`fastprep.vocabulary.recipe.Recipe`. A store that has no such file reads them here.
    """

    roles: dict[Literal["bos", "eos", "pad", "unk"], TokenId] = {}
    before: list[TokenId] = []
    after: list[TokenId] = []


class ShardRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One shard: its sizes, its largest id (None without tokens), and its inputs.

    The checksums are zlib's crc32 of each 16 MiB of the file; the last block may be shorter. They
    protect against accidents, not against an attacker. ``bad_documents`` counts the documents that were
    skipped or repaired; ``bad`` lists the place and the fault of the first thousand. ``passed_over`` is
    what was passed over in the archives among the inputs. A shard of conversations has the checksums of
    its mask, and the number of its tokens that the assistant wrote.
    """

    tokens: Count
    documents: Count
    max_id: TokenId | None
    bin_crc32: list[Checksum]
    ends_crc32: list[Checksum]
    inputs: list[Span]
    bad_documents: Count = 0
    bad: list[Bad] = []
    passed_over: list[PassedOver] | msgspec.UnsetType = msgspec.UNSET
    mask_crc32: list[Checksum] | msgspec.UnsetType = msgspec.UNSET
    mask_tokens: Count | msgspec.UnsetType = msgspec.UNSET

    def checksums(self, kind: FileKind) -> list[Checksum]:
        """Return the checksums of one file of the shard."""
        if kind == "mask":
            return self.mask_crc32 or []
        return self.bin_crc32 if kind == "bin" else self.ends_crc32


class InputSummary(msgspec.Struct, frozen=True, gc=False):
    """The path and size of an input; the rest of its :class:`Span` is not read."""

    path: str
    size: Count


class ShardSummary(msgspec.Struct, frozen=True, gc=False):
    """The counts of a :class:`ShardRecord` and its inputs; the rest is not read.

    For the sums over many shards, which take a fraction of the time that whole records take.
    """

    tokens: Count
    documents: Count
    max_id: TokenId | None
    inputs: list[InputSummary]
    bad_documents: Count = 0
    mask_tokens: Count | msgspec.UnsetType = msgspec.UNSET


class MessagesRecord(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True
):
    """How conversations became documents.

    ``template`` is the text of a Jinja template, or the name of a function of Python whose source has
    this ``sha256``. ``variables`` are what a template knows besides the messages, as ``bos_token``. With
    ``special_text`` the text of a message that spells a special token is that token.
    """

    template: str
    kind: Literal["jinja", "function"] = "jinja"
    sha256: Sha256
    variables: dict[str, Any] = {}
    special_text: bool = False


class InfillRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How documents were rearranged for fill-in-the-middle.

    ``rate`` is the fraction of the documents that were, ``spm_rate`` of these the fraction with the
    suffix first; ``tokens`` are the ids of the tokens before prefix, suffix and middle.
    """

    rate: Annotated[float, msgspec.Meta(gt=0, le=1)]
    spm_rate: Annotated[float, msgspec.Meta(ge=0, le=1)]
    seed: Seed
    tokens: tuple[TokenId, TokenId, TokenId]


class PartRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The part of a corpus that a store holds, and the fraction of the corpus for validation.

    If the number of documents for validation is exact, ``validation_documents`` is that number, and the
    fraction is 0.
    """

    name: PartName
    validation: Annotated[float, msgspec.Meta(ge=0, lt=1)]
    validation_documents: Annotated[int, msgspec.Meta(ge=1)] | msgspec.UnsetType = msgspec.UNSET


class Appended(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An append to a store: the number of its first shard, and the sha256 of the manifest before it.

    If that manifest had an index, ``digest`` is its sha256 without the record of the index.
    """

    first_shard: Annotated[int, msgspec.Meta(ge=1)]
    manifest_sha256: Sha256
    digest: Sha256 | msgspec.UnsetType = msgspec.UNSET


class IndexRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file of a manifest's index, its size in bytes, and its sha256."""

    file: Annotated[str, msgspec.Meta(pattern=r"^manifest-[0-9]{5,12}\.index$")]
    size: Count
    sha256: Sha256


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The facts about a store, except for the ids and document ends themselves.

    ``end_token`` is the id at the end of each document, or at its beginning if ``end_token_first``,
    or None; ``begin_token`` is one at the beginning, if each document has both. ``separator``,
    ``field``, ``on_error``, ``input_format`` and ``zstd_window`` are how the inputs were read;
    ``shard_bytes`` is how they were divided, which manifests of version 1 do not record. ``part``
    is None for a store of the whole corpus. ``unicode_version`` is that of the pattern's character
    classes. ``passed_over`` counts and names what folders and patterns among the inputs passed
    over. ``appended`` lists the appends to the store, if there were any. ``configuration`` is what
    the files beside the vocabulary say. ``vocabulary`` names the file of the vocabulary, where the
    store has one and a word tokenizer did not make it. ``files`` is the directory of the other
    files, for the moments in which a store is moved to the place of the one that it replaces.
    ``index`` is the record of the index of a long manifest (:mod:`fastprep.store.index`).
    ``messages`` says how conversations became documents, ``infill`` how documents were rearranged.
    ``shuffle`` is the seed that drew the order of the documents. In a store that has one, the
    documents of a shard come from the inputs of all shards; :mod:`fastprep.store.order` says which
    from where.
    """

    format: Literal["fastprep token store"]
    version: Literal[1, 2, 3]
    dtype: Literal["uint16", "uint32"]
    n_vocab: Annotated[int, msgspec.Meta(ge=1, le=1 << 32)]
    encoding: EncodingRecord
    end_token: TokenId | None
    end_token_first: bool = False
    begin_token: TokenId | msgspec.UnsetType = msgspec.UNSET
    separator: str | None
    field: str
    on_error: OnError = "raise"
    input_format: str | None = None
    zstd_window: int | None = None
    shard_bytes: Annotated[int, msgspec.Meta(ge=1)] | msgspec.UnsetType = msgspec.UNSET
    part: PartRecord | None = None
    shuffle: Seed | msgspec.UnsetType = msgspec.UNSET
    messages: MessagesRecord | msgspec.UnsetType = msgspec.UNSET
    infill: InfillRecord | msgspec.UnsetType = msgspec.UNSET
    unicode_version: str
    tokens: Count
    documents: Count
    appended: list[Appended] | msgspec.UnsetType = msgspec.UNSET
    configuration: ConfigurationRecord | msgspec.UnsetType = msgspec.UNSET
    vocabulary: VocabularyRecord | msgspec.UnsetType = msgspec.UNSET
    files: (
        Literal["replacement", "../replacement/train", "../replacement/validation"]
        | msgspec.UnsetType
    ) = msgspec.UNSET
    index: IndexRecord | msgspec.UnsetType = msgspec.UNSET
    shards: list[ShardRecord]
    passed_over: list[PassedOver] = []


class FileIdentity(NamedTuple):
    """The facts of a file's status that are others once the file is replaced or written."""

    inode: int
    size: int
    modified: int

    @classmethod
    def of(cls, status: os.stat_result) -> FileIdentity:
        """Return the identity of the file with this status."""
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)


class _Header(msgspec.Struct):
    format: str
    version: int


def kinds_of(manifest: Manifest) -> tuple[FileKind, ...]:
    """Return the kinds of files that each shard of a store has."""
    return ("bin", "ends", "mask") if manifest.messages else ("bin", "ends")


def shard_path(directory: Path, index: int, kind: FileKind) -> Path:
    """Return the path of one file of a shard.

    >>> shard_path(Path("store"), 7, "bin").as_posix()
    'store/shard-00007.bin'
    """
    return directory / f"shard-{index:05d}.{kind}"


def is_ours(name: str) -> bool:
    """Return whether a file name is one of a store or of unfinished work on one.

    See :mod:`fastprep.jobs.journal` for the files of unfinished work.

    >>> is_ours("shard-00000.bin.tmp"), is_ours("notes.txt")
    (True, False)
    """
    return _OUR_NAME.fullmatch(name) is not None


def part_directories(directory: Path) -> list[Path]:
    """Return the directories of the parts of a job with a validation split; they need not exist.

    >>> [path.as_posix() for path in part_directories(Path("store"))]
    ['store/train', 'store/validation']
    """
    return [directory / name for name in get_args(PartName)]


def dtype_for(n_vocab: int) -> Literal["uint16", "uint32"]:
    """Return the smaller of the two dtypes that holds every id of a vocabulary.

    >>> dtype_for(65536), dtype_for(65537)
    ('uint16', 'uint32')
    """
    return "uint16" if n_vocab <= 1 << 16 else "uint32"


def itemsize_of(dtype: Literal["uint16", "uint32"]) -> int:
    """Return the number of bytes of an id.

    >>> itemsize_of("uint16")
    2
    """
    return 2 if dtype == "uint16" else 4


def bytes_of(manifest: Manifest, tokens: int, documents: int) -> int:
    """Return the bytes that tokens and documents of a store take: ids, document ends and mask."""
    return tokens * (itemsize_of(manifest.dtype) + bool(manifest.messages)) + 8 * documents


class BlockChecksum:
    """The crc32 of each 16 MiB of a file, computed from chunks of any size.

    >>> checksum = BlockChecksum()
    >>> checksum.update(b"1234")
    >>> checksum.update(b"56789")
    >>> [f"{value:08x}" for value in checksum.values()]
    ['cbf43926']
    """

    def __init__(self) -> None:
        self._done: list[int] = []
        self._value = 0
        self._filled = 0

    def update(self, chunk: bytes | memoryview) -> None:
        """Add a chunk: bytes, or a contiguous buffer of bytes."""
        view = memoryview(chunk)
        while len(view):
            part = view[: CHECKSUM_BYTES - self._filled]
            self._value = crc32(part, self._value)
            self._filled += len(part)
            view = view[len(part) :]
            if self._filled == CHECKSUM_BYTES:
                self._done.append(self._value)
                self._value = self._filled = 0

    def values(self) -> list[int]:
        """Return the checksums so far, including that of the unfinished block."""
        return [*self._done, self._value] if self._filled else list(self._done)


def encode(manifest: Manifest) -> bytes:
    """Return a manifest as indented JSON with a newline at its end.

    >>> record = EncodingRecord(
    ...     name="gpt2", rank_table_sha256="0" * 64, pattern=".", special_tokens={}
    ... )
    >>> empty = Manifest(
    ...     format=FORMAT, version=1, dtype="uint16", n_vocab=50257, encoding=record,
    ...     end_token=50256, separator=None, field="text", unicode_version=UNICODE_VERSION,
    ...     tokens=0, documents=0, shards=[],
    ... )
    >>> encode(empty).splitlines()[:3]
    [b'{', b'  "format": "fastprep token store",', b'  "version": 1,']
    """
    return b"".join(chunks(manifest))


def chunks(manifest: Manifest) -> Iterator[bytes]:
    """Yield a manifest as :func:`encode` returns it, without all of it in memory."""
    return json_chunks(manifest, "shards")


def json_chunks(value: msgspec.Struct, field: str) -> Iterator[bytes]:
    """Yield a struct as indented JSON with a newline at its end, in which one field is a long list.

    The text is two to four times as large as the objects. So a chunk has about a thousand items of the
    list, or inputs of its items, and begins with a newline.

    >>> class Numbers(msgspec.Struct):
    ...     all: list[int]
    >>> [*json_chunks(Numbers([1, 2]), "all")]
    [b'{\\n  "all": [', b'\\n    1,\\n    2', b'\\n  ]\\n}\\n']
    """
    items: list[object] = getattr(value, field)
    empty = msgspec.structs.replace(value, **{field: []})
    # A string of JSON has no newlines, and fields of other structs are indented further.
    head, start, tail = (
        msgspec.json.format(msgspec.json.encode(empty), indent=2) + b"\n"
    ).partition(f'\n  "{field}": ['.encode())
    yield head + start
    group: list[object] = []
    weight, closing = 0, b""
    for number, item in enumerate(items, 1):
        group.append(item)
        weight += 1 + len(getattr(item, "inputs", ()))
        if weight >= _CHUNK_ITEMS or number == len(items):
            # Within a field, so that the items are indented as in the whole.
            text = msgspec.json.format(msgspec.json.encode({"": group}), indent=2)
            comma = b"" if number == len(items) else b","
            yield text[len(_OPENING) : -len(_CLOSING)] + comma
            group, weight, closing = [], 0, b"\n  "
    yield closing + tail


def digest(manifest: Manifest) -> str:
    """Return the sha256 of a manifest's file, without its records of an index and of `files`."""
    from hashlib import sha256

    plain = msgspec.structs.replace(manifest, files=msgspec.UNSET, index=msgspec.UNSET)
    found = sha256()
    for chunk in chunks(plain):
        found.update(chunk)
    return found.hexdigest()


def load(directory: Path) -> Manifest:
    """Read and check the manifest of a store; the shards are not read.

    Raises InvalidStore, with file and field, for a manifest that is missing, that this version cannot
    read, or that contradicts itself.

    >>> load(Path("missing"))
    Traceback (most recent call last):
    fastprep.errors.InvalidStore: missing: no such directory; make a store with `fastprep prepare`
    """
    return read(directory)[0]


def read(directory: Path) -> tuple[Manifest, FileIdentity]:
    """Read and check the manifest of a store, like :func:`load`, and return its file's identity."""
    path = directory / MANIFEST
    check_present(directory, path)
    with path.open("rb", buffering=0) as file:
        return decode(read_whole(file, path), path), FileIdentity.of(os.fstat(file.fileno()))


def read_whole(file: FileIO, path: Path) -> bytes:
    """Read a manifest or an index. Raises InvalidStore if it is too long, or no regular file."""
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise InvalidStore(f"{path}: not a regular file; {HOW_TO_FIX}")
    if status.st_size > MAX_MANIFEST_BYTES:
        raise InvalidStore(f"{path}: over {MAX_MANIFEST_BYTES} bytes; no manifest is that long")
    # Not read(limit): it allocates the limit first.
    content = bytearray()
    while chunk := file.read(status.st_size + 1 - len(content)):
        content += chunk
    return bytes(content)


def files_directory(directory: Path, manifest: Manifest) -> Path:
    """Return the directory of all files of a store but the manifest."""
    if not manifest.files:
        return directory
    # The store is on its way to the place of the one that it replaces.
    path = directory / manifest.files
    return path if path.is_dir() else directory


def decode(content: bytes, path: Path | str, *, whole: bool = True) -> Manifest:
    """Decode the content of a manifest, and check it; `path` is its name in errors.

    Without `whole` the content has no shards, and nothing is compared with them.
    """
    try:
        header = msgspec.json.decode(content, type=_Header)
        if header.format != FORMAT:
            raise InvalidStore(f"{path}: its format is {header.format!r}, not {FORMAT!r}")
        if header.version not in VERSIONS:
            raise InvalidStore(
                f"{path}: format version {header.version}, and this fastprep reads "
                f"{' and '.join(map(str, VERSIONS))}; "
                "use the fastprep that wrote it, or run `fastprep prepare` again"
            )
        manifest = msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidStore(
            f"{path}: not a manifest, or a damaged one: {error}; {HOW_TO_FIX}"
        ) from None
    fault = _contradiction(manifest) or (_contradiction_of_shards(manifest) if whole else None)
    if fault is not None:
        raise InvalidStore(f"{path}: {fault}; {HOW_TO_FIX}")
    return manifest


def check_present(directory: Path, path: Path) -> None:
    """Raise InvalidStore unless a directory has a manifest, at `path`."""
    if path.is_file():
        return
    if not directory.exists():
        raise InvalidStore(f"{directory}: no such directory; make a store with `fastprep prepare`")
    if not directory.is_dir():
        raise InvalidStore(f"{directory}: not a directory; a store is the directory itself")
    if path.exists():
        raise InvalidStore(f"{path}: not a regular file; no store has such a manifest")
    parts = [part for part in part_directories(directory) if (part / MANIFEST).is_file()]
    if parts:
        raise InvalidStore(
            f"{directory}: holds the stores {' and '.join(map(str, parts))}; open one of them"
        )
    if any(is_ours(entry.name) for entry in directory.iterdir()):
        raise InvalidStore(
            f"{directory}: shards but no {MANIFEST}: unfinished work; run the same "
            "`fastprep prepare` again to finish it"
        )
    raise InvalidStore(f"{directory}: no {MANIFEST}; this is not a token store")


def _contradiction(manifest: Manifest) -> str | None:
    """Return how fields of a manifest contradict each other, or None; its shards are left out."""
    if manifest.dtype != dtype_for(manifest.n_vocab):
        return f"dtype is {manifest.dtype} for a vocabulary of {manifest.n_vocab} ids"
    if manifest.end_token is not None and manifest.end_token >= manifest.n_vocab:
        return f"end_token {manifest.end_token} is outside the vocabulary of {manifest.n_vocab}"
    if (manifest.index is not msgspec.UNSET) is not (manifest.version == INDEXED_VERSION):
        return f"version {manifest.version} {'with' if manifest.index else 'without'} an index"
    if manifest.end_token is None and manifest.end_token_first:
        return "end_token_first is true, but end_token is null"
    if manifest.begin_token is not msgspec.UNSET:
        if manifest.begin_token >= manifest.n_vocab:
            return f"begin_token {manifest.begin_token} is outside the vocabulary"
        if manifest.end_token is None or manifest.end_token_first:
            return "begin_token is there without an end_token at the end"
    if manifest.part is not None and (
        (manifest.part.validation > 0) is (manifest.part.validation_documents is not msgspec.UNSET)
    ):
        return "part has neither or both of a fraction and a number of documents for validation"
    return None


def _contradiction_of_shards(manifest: Manifest) -> str | None:
    """Return how the shards of a manifest contradict its fields, or None."""
    for name in ("tokens", "documents"):
        stated = cast(int, getattr(manifest, name))
        total = sum(getattr(shard, name) for shard in manifest.shards)
        if stated != total:
            return f"{name} is {stated}, but the shards' add up to {total}"
    for each in manifest.appended or ():
        if each.first_shard >= len(manifest.shards):
            return f"shard {each.first_shard} was appended, but there are {len(manifest.shards)}"
    for index, shard in enumerate(manifest.shards):
        fault = shard_contradiction(manifest, shard)
        if fault is not None:
            return f"shards[{index}]: {fault}"
    return None


def shard_contradiction(manifest: Manifest, shard: ShardRecord) -> str | None:
    """Return how the record of a shard contradicts itself or the manifest's fields, or None."""
    itemsize = itemsize_of(manifest.dtype)
    if (shard.max_id is None) != (shard.tokens == 0):
        return f"max_id is {shard.max_id} with {shard.tokens} tokens"
    if shard.max_id is not None and shard.max_id >= manifest.n_vocab:
        return f"max_id {shard.max_id} is outside the vocabulary of {manifest.n_vocab} ids"
    if shard.tokens and not shard.documents:
        return f"{shard.tokens} tokens in no document"
    least = (manifest.end_token is not None) + (manifest.begin_token is not msgspec.UNSET)
    if least * shard.documents > shard.tokens:
        return f"{shard.documents} documents, each with {least} or more tokens, in {shard.tokens}"
    if len(shard.bad) > shard.bad_documents:
        return (
            f"{len(shard.bad)} bad documents are listed, but bad_documents is {shard.bad_documents}"
        )
    for span in shard.inputs:
        if not span.start <= span.end <= span.size:
            return f"bytes {span.start} to {span.end} of an input of {span.size}"
    if (shard.mask_crc32 is msgspec.UNSET) is not (manifest.messages is msgspec.UNSET):
        return "checksums of a mask without messages, or messages without them"
    if shard.mask_crc32 is not msgspec.UNSET and (shard.mask_tokens or 0) > shard.tokens:
        return f"mask_tokens is {shard.mask_tokens} of {shard.tokens} tokens"
    for name, size, stated in (
        ("bin", shard.tokens * itemsize, len(shard.bin_crc32)),
        ("ends", shard.documents * 8, len(shard.ends_crc32)),
        ("mask", shard.tokens * bool(manifest.messages), len(shard.checksums("mask"))),
    ):
        if stated != -(-size // CHECKSUM_BYTES):
            return f"{stated} checksums in {name}_crc32 for {-(-size // CHECKSUM_BYTES)} blocks"
    return None


def offsets(counts: Iterable[int]) -> list[int]:
    """Return where each of consecutive runs starts, and where the last one ends.

    >>> offsets([2, 0, 3])
    [0, 2, 2, 5]
    """
    return list(accumulate(counts, initial=0))


def block_ranges(count: int, itemsize: int) -> list[tuple[int, int]]:
    """Return the item ranges of an array's checksum blocks.

    >>> block_ranges(3, 2)
    [(0, 3)]
    """
    step = CHECKSUM_BYTES // itemsize
    return list(pairwise([*range(0, count, step), count])) if count else []
