"""Vocabulary files: detect the format, read it within limits into a recipe, and write it.

A vocabulary may come from an untrusted source: only regular files are read, of at most 64 MiB, with
fewer than 2**20 tokens of at most 64 KiB, and no pattern of a file is run unless the caller allows
it. A refused file raises :class:`~fastprep.errors.BadVocabulary`, which names the file, what was
found, and the fix.
"""

from __future__ import annotations

import base64
import hashlib
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from fastprep.errors import BadVocabulary, InvalidArgument
from fastprep.system.arguments import local_path
from fastprep.system.atomic import replacing
from fastprep.vocabulary.cached import recipe_of
from fastprep.vocabulary.configuration import configured
from fastprep.vocabulary.json_values import decoded, fields, number_parts
from fastprep.vocabulary.known_files import known_file
from fastprep.vocabulary.limits import MAX_ID, MAX_TOKEN_BYTES
from fastprep.vocabulary.merge_list import merge_list
from fastprep.vocabulary.patterns import HUGGING_FACE, TIKTOKEN
from fastprep.vocabulary.published import ENDOFTEXT, PUBLISHED
from fastprep.vocabulary.ranks import SHA256, RankTable, parse, published_table
from fastprep.vocabulary.recipe import AddedToken, Recipe
from fastprep.vocabulary.recipe_file import MAGIC, from_recipe_file, to_recipe_file
from fastprep.vocabulary.sentencepiece_model import from_model, is_model
from fastprep.vocabulary.tekken import from_tekken
from fastprep.vocabulary.token_list import token_list
from fastprep.vocabulary.tokenizer_json import from_tokenizer_json
from fastprep.vocabulary.tokenizer_json_writer import same_as_ranks, to_tokenizer_json

MAX_FILE_BYTES = 1 << 26
_WORD_PIECES = {b"[PAD]", b"[UNK]", b"[CLS]", b"[SEP]"}
_PART_CHARACTERS = 1 << 18  # of a list of merges

# Files that come in pairs: the ends of the names of the merges and of the vocabulary.
_PAIRS = (("vocab.bpe", "encoder.json"), ("merges.txt", "vocab.json"))


class _Content(msgspec.Struct):
    content: str


def load(
    path: str | Path,
    *,
    name: str | None = None,
    pat_str: str | None = None,
    special_tokens: dict[str, int] | None = None,
    missing: str = "drop",
) -> Recipe:
    """Read a vocabulary file; the arguments are those of :meth:`fastprep.Encoding.from_file`."""
    path = local_path(path, "a vocabulary file")
    if path.is_dir():
        path = _in_directory(path)
    recipe = _load(path, name, pat_str, special_tokens, missing)
    return configured(recipe, path.parent, _read)


def _load(
    path: Path,
    name: str | None,
    pat_str: str | None,
    special_tokens: dict[str, int] | None,
    missing: str,
) -> Recipe:
    """Read a vocabulary file without the configuration files beside it."""
    pair = _pair(path)
    if pair is not None:
        return _from_pair(*pair, name or path.stem, pat_str, special_tokens, missing)
    data = _read(path)
    _name_others(data, path)
    name_, source = name or path.stem, str(path)

    def cached(kind: str, read: Callable[[], Recipe]) -> Recipe:
        return recipe_of(data, kind, read, name=name_, source=source, missing=missing)

    if is_model(data):
        if pat_str is not None or special_tokens is not None:
            raise BadVocabulary(
                f"{path}: a SentencePiece model has neither pat_str nor special_tokens"
            )
        return cached("sentencepiece", lambda: from_model(data, name_, source))
    if data.startswith(MAGIC):
        if pat_str is not None or special_tokens is not None:
            raise BadVocabulary(
                f"{path}: a file of fastprep has a pattern and special tokens itself"
            )
        digest = hashlib.sha256(data).hexdigest()
        return from_recipe_file(data, name, source, missing).read_from(digest)
    if path.suffix == ".json" or (path.suffix != ".tiktoken" and data.lstrip()[:1] == b"{"):
        if pat_str is not None or special_tokens is not None:
            raise BadVocabulary(
                f"{path}: a tokenizer.json says itself what its pattern and special tokens are; "
                "leave out pat_str and special_tokens"
            )
        if _is_tekken(data):
            return cached("tekken", lambda: from_tekken(data, name_, source))
        return cached("json", lambda: from_tokenizer_json(data, name_, source, missing))
    digest = hashlib.sha256(data).hexdigest()
    return _from_tiktoken(data, path, name, pat_str, special_tokens).read_from(digest)


class Reference(NamedTuple):
    """A vocabulary file by path and content, how it is read, and what files beside it said."""

    path: str
    content: str
    arguments: dict[str, Any]
    configuration: dict[str, Any]


def by_reference(recipe: Recipe) -> Reference | None:
    """Return the reference to the file of a recipe, if it still has the content that was read.

    None also for a file that its recipe may not be read from again, as one that needs others.
    """
    path = Path(recipe.source).absolute()
    arguments: dict[str, Any] = {"name": recipe.name}
    if recipe.ranks is None or recipe.fallback is not None:
        arguments["missing"] = recipe.missing
    elif recipe.ranks.sha256 == recipe.content:  # a rank file, which has nothing else
        arguments |= {"pat_str": recipe.pat_str, "special_tokens": recipe.special_tokens}
    elif path.suffix != ".json":
        return None
    try:
        if hashlib.sha256(_read(path)).hexdigest() != recipe.content:
            return None
    except (OSError, BadVocabulary):
        return None
    configuration = {"roles": recipe.roles, "template": recipe.template}
    return Reference(str(path), recipe.content, arguments, configuration)


def of_reference(reference: Reference) -> Recipe:
    """Return the recipe of a reference. Raises BadVocabulary if the file is another one, or gone."""
    arguments: dict[str, Any] = {
        "name": None,
        "pat_str": None,
        "special_tokens": None,
        "missing": "drop",
    }
    try:
        recipe = _load(Path(reference.path), **(arguments | reference.arguments))
    except FileNotFoundError:
        recipe = None
    if recipe is None or recipe.content != reference.content:
        how = "missing" if recipe is None else "changed"
        raise BadVocabulary(
            f"{reference.path}: {how} since an encoding of it was pickled; make it from its file here"
        )
    return recipe.replaced(**reference.configuration)


def save(recipe: Recipe, path: str | Path, *, as_published: bool = False) -> None:
    """Write a vocabulary file; see :meth:`fastprep.Encoding.save`."""
    path = local_path(path, "a vocabulary file")
    pair = _pair(path)
    if as_published and (pair is not None or path.suffix != ".json"):
        raise InvalidArgument(f"{path}: as_published is for a tokenizer.json; leave it out")
    if pair is not None:
        from fastprep.vocabulary.pair_writer import to_pair

        for place, content in zip(pair, to_pair(recipe), strict=True):
            with replacing(place) as file:
                file.write(content)
        return
    if path.suffix == ".tiktoken":
        data = _to_tiktoken(recipe)
    elif path.suffix == ".json":
        data = to_tokenizer_json(recipe, as_published=as_published)
    elif path.suffix == ".fastprep":
        data = to_recipe_file(recipe)
    else:
        raise ValueError(
            f"{path}: name it .tiktoken, tokenizer.json, vocab.bpe or .fastprep, to choose the format"
        )
    with replacing(path) as file:
        file.write(data)


def _read(path: Path) -> bytes:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise BadVocabulary(f"{path} is not a regular file; give a vocabulary file")
    if status.st_size > MAX_FILE_BYTES:
        raise BadVocabulary(
            f"{path} has {status.st_size} bytes; a vocabulary file has {MAX_FILE_BYTES} at most"
        )
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise BadVocabulary(f"{path} grew beyond {MAX_FILE_BYTES} bytes while it was read")
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise BadVocabulary(f"{path} starts with a byte order mark; save it as UTF-8 without one")
    if not data.strip():
        raise BadVocabulary(f"{path} is empty; its writing or copying may not have finished")
    return data


def _name_others(data: bytes, path: Path) -> None:
    """Refuse files that are known to hold something else, by what they are."""
    what = ""
    if data.startswith(b"GGUF"):
        what = "a GGUF file, a model with a vocabulary in it; get the tokenizer.json of the model"
    elif data.startswith(b"version https://git-lfs"):
        what = "a Git LFS pointer in place of the file; get the file with `git lfs pull`"
    elif not data.lstrip().startswith(b"{") and len(_WORD_PIECES & set(data[:2000].split())) > 1:
        what = "a WordPiece vocabulary, which is not BPE; use the tokenizers library for this file"
    if what:
        raise BadVocabulary(f"{path}: this is {what}")


def _is_tekken(data: bytes) -> bool:
    head = data[:4096].lstrip()
    return head.startswith(b"{") and b'"config"' in head and b'"default_num_special_tokens"' in head


def _in_directory(path: Path) -> Path:
    names = [
        *("tokenizer.json", "tekken.json", *(name for pair in _PAIRS for name in pair)),
        *("tokenizer.model", "tiktoken.model", "qwen.tiktoken", "multilingual.tiktoken"),
    ]
    for name in names:
        if (path / name).exists():
            return path / name
    raise BadVocabulary(f"{path}: none of {', '.join(names)} is in this directory")


def _pair(path: Path) -> tuple[Path, Path] | None:
    for merges, vocab in _PAIRS:
        if path.name.endswith(merges):
            return path, path.with_name(path.name.removesuffix(merges) + vocab)
        if path.name.endswith(vocab):
            return path.with_name(path.name.removesuffix(vocab) + merges), path
    return None


# -- .tiktoken -------------------------------------------------------------------------------------


def _from_tiktoken(
    data: bytes,
    path: Path,
    name: str | None,
    pat_str: str | None,
    special_tokens: dict[str, int] | None,
) -> Recipe:
    if data.count(b"\n") > MAX_ID:
        raise BadVocabulary(f"{path}: more than {MAX_ID} lines; a vocabulary has {MAX_ID} at most")
    data, empty = _without_empty(data)
    table = parse(data, str(path))
    if int(table.ids[-1]) >= MAX_ID:
        raise BadVocabulary(f"{path}: the rank {table.ids[-1]}; ranks must be below {MAX_ID}")
    longest = int(np.diff(table.ends, prepend=np.uint64(0)).max())
    if longest > MAX_TOKEN_BYTES:
        raise BadVocabulary(
            f"{path}: a token of {longest} bytes; the limit is {MAX_TOKEN_BYTES} bytes"
        )
    bundled = {digest: name for name, digest in SHA256.items()}.get(table.sha256)
    known_one = known_file(table, len(table.ids) + (empty is not None)) if bundled is None else None
    if special_tokens is None and bundled is None:
        special_tokens = _beside(path)
    if pat_str is None and known_one is not None:
        name = name or known_one.name
        pat_str = known_one.pattern
        if special_tokens is None:
            special_tokens = known_one.special_tokens
    if pat_str is None:
        if bundled is None:
            raise BadVocabulary(
                f"{path}: a .tiktoken file does not say how text is split, and this is not one of the "
                f"published ones ({', '.join(SHA256)}); give pat_str and special_tokens"
            )
        known = PUBLISHED[bundled]
        pat_str = known.pattern
        if special_tokens is None:
            special_tokens = known.special_tokens()
    if bundled is not None:
        table = published_table(bundled)
    special_tokens = dict(special_tokens or {})
    _check_specials(special_tokens, table, str(path))
    _check_bytes(table, str(path))
    name = name or bundled or path.stem
    return Recipe(name, (pat_str,), special_tokens, ranks=table, empty=empty, source=str(path))


def _without_empty(data: bytes) -> tuple[bytes, int | None]:
    """Return a file without the line of the token that has no bytes, as Whisper's has, and its id."""
    start = 0 if data.startswith(b"= ") else data.find(b"\n= ") + 1
    if not start and not data.startswith(b"= "):
        return data, None
    line, _, rest = data[start:].partition(b"\n")
    if not line[2:].strip().isdigit() or len(line) > 12:
        return data, None
    return data[:start] + rest, int(line[2:])


def _beside(path: Path) -> dict[str, int] | None:
    """Return the special tokens that a ``tokenizer_config.json`` in the same directory lists."""
    config = path.with_name("tokenizer_config.json")
    if not config.is_file():
        return None
    found = fields(_read(config), str(config)).get("added_tokens_decoder")
    if found is None:
        return None
    place = f"{config}, added_tokens_decoder"
    tokens = decoded(found, dict[str, _Content], place)
    if not all(id.isdigit() and len(id) < 8 for id in tokens):
        raise BadVocabulary(f"{place}: its keys are to be ids")
    return {token.content: int(id) for id, token in tokens.items()}


def _check_bytes(table: RankTable, source: str) -> None:
    single = np.flatnonzero(np.diff(table.ends, prepend=np.uint64(0)) == 1)
    found = {table.blob[int(end) - 1] for end in table.ends[single]}
    missing = next((byte for byte in range(256) if byte not in found), None)
    if missing is not None:
        raise BadVocabulary(
            f"{source}: byte 0x{missing:02X} is not a token, so text with it has no ids; a "
            "byte-level vocabulary has all 256 single bytes"
        )


def _check_specials(special_tokens: dict[str, int], table: RankTable, source: str) -> None:
    taken: set[int] = set()
    for token, id in special_tokens.items():
        if not token or not 0 <= id < MAX_ID:
            raise BadVocabulary(
                f"{source}: the special token {token!r:.80} with the id {id}: it must not be "
                f"empty, and its id must be between 0 and {MAX_ID - 1}"
            )
        if id in taken or id in table.ids:
            raise BadVocabulary(
                f"{source}: the special token {token!r:.80} has the id {id} of another token; give "
                "it one that is free"
            )
        taken.add(id)


def _to_tiktoken(recipe: Recipe) -> bytes:
    if not recipe.is_plain:
        raise BadVocabulary(
            f"{recipe.name}: a .tiktoken file cannot say that text is normalized, gets a space before "
            "it, or has added tokens that are not special; save it as tokenizer.json"
        )
    if recipe.merge_list is not None and not same_as_ranks(recipe.merge_list):
        raise BadVocabulary(
            f"{recipe.name}: its list of merges gives other tokens than merging by rank would, and a "
            ".tiktoken file holds ranks only; save it as tokenizer.json"
        )
    ranks = recipe.mergeable_ranks()
    return b"".join(
        base64.b64encode(token) + b" %d\n" % ranks[token]
        for token in sorted(ranks, key=ranks.__getitem__)
    )


# -- vocab.bpe and encoder.json --------------------------------------------------------------------


def _from_pair(
    merges_path: Path,
    vocab_path: Path,
    name: str,
    pat_str: str | None,
    special_tokens: dict[str, int] | None,
    missing: str,
) -> Recipe:
    family = "r50k" if pat_str is None else TIKTOKEN.get(pat_str)
    if family is None:
        raise BadVocabulary(f"there is no compiled splitter for the pattern {pat_str!r:.400}")
    parts = number_parts(_read(vocab_path), MAX_ID, str(vocab_path))
    tokens = token_list(parts, str(vocab_path))
    merges = _merges(_read(merges_path), str(merges_path))
    source = f"{merges_path} and {vocab_path.name}"
    vocab = tokens.ids_of([ENDOFTEXT, *(special_tokens or ())])
    if special_tokens is None:
        special_tokens = {ENDOFTEXT: vocab[ENDOFTEXT]} if ENDOFTEXT in vocab else {}
    listed = merge_list(
        tokens,
        merges,
        whole_pieces=False,
        apart=special_tokens,
        source=source,
    )
    for token, id in special_tokens.items():
        if vocab.get(token, id) != id:
            raise BadVocabulary(
                f"{vocab_path}: the special token {token!r:.80} has the id {vocab[token]} there, "
                f"not {id}"
            )
    _check_specials(
        {token: id for token, id in special_tokens.items() if token not in vocab},
        listed.table,
        str(vocab_path),
    )
    return Recipe(
        name,
        HUGGING_FACE[family][0],
        merge_list=listed,
        added=[AddedToken(token, id) for token, id in special_tokens.items()],
        empty=tokens.empty,
        others={key.encode(): id for key, id in tokens.others.items() if key not in special_tokens},
        missing=missing,
        source=source,
    )


def _merges(data: bytes, source: str) -> Iterator[list[str]]:
    if data.count(b"\n") > MAX_ID:
        raise BadVocabulary(
            f"{source}: more than {MAX_ID} lines; a list of merges has {MAX_ID} at most"
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadVocabulary(
            f"{source}: no UTF-8 character starts at byte {error.start}; the file is damaged"
        ) from None
    # Not splitlines(): it also splits at characters that tokens may contain.
    text = text.replace("\r\n", "\n").removesuffix("\n")
    if text.startswith("#version"):
        text = text.partition("\n")[2]
    start = 0
    while start < len(text):
        end = text.find("\n", start + _PART_CHARACTERS)
        end = len(text) if end < 0 else end
        yield text[start:end].split("\n")
        start = end + 1
