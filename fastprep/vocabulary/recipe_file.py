"""Files of whole recipes: any vocabulary as its arrays, which need not be parsed.

The content is ``MAGIC``; the size of a header in JSON as 8 bytes, and the header, padded to a multiple
of 8; the ends (uint64), ids and merges (uint32) of the tokens, the lengths of lefts, and their bytes;
and a crc32 of all before it. Numbers are little-endian. Equal recipes have equal files.
"""

from __future__ import annotations

import re
import zlib

import msgspec
import numpy as np

from fastprep.errors import BadVocabulary
from fastprep.vocabulary.characters import Fallback
from fastprep.vocabulary.json_values import decoded
from fastprep.vocabulary.limits import MAX_ID, MAX_TOKEN_BYTES
from fastprep.vocabulary.merge_list import MAX_MERGES, MergeList
from fastprep.vocabulary.ranks import RankTable
from fastprep.vocabulary.recipe import AddedToken, Recipe
from fastprep_ext import base

#: How such a file begins. The number is that of the format.
MAGIC = b"fastprep vocabulary 1\n\0\0"
_ADDED = ("content", "id", "special", "normalized", "lstrip", "rstrip", "single_word")
_crc32 = base.crc32 if base.is_crc32_fast else zlib.crc32


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    """What a recipe has beside its arrays, and their sizes."""

    name: str
    patterns: tuple[str, ...]
    special_tokens: dict[str, int]
    added: list[tuple[str, int, bool, bool, bool, bool, bool]]
    normalize: bool
    space_before: bool | int  # hashes of vocabularies tell False from 0
    empty: int | None
    others: list[tuple[bytes, int]]
    missing: str
    marks: bool
    steps: tuple[tuple[str, ...], ...]
    fallback: tuple[tuple[int, ...] | None, int | None, bool, bool] | None
    strips: bool
    roles: dict[str, int]
    template: tuple[tuple[int, ...], tuple[int, ...]]
    whole_pieces: bool | None
    sha256: str
    tokens: int
    merges: int
    lefts: int
    blob: int


def to_recipe_file(recipe: Recipe) -> bytes:
    """Return a recipe as the content of a file, without its source."""
    table, merge_list, fallback = recipe.table, recipe.merge_list, recipe.fallback
    header = msgspec.json.encode(
        _Header(
            name=recipe.name,
            patterns=recipe.patterns,
            special_tokens=recipe.special_tokens,
            added=[tuple(getattr(token, key) for key in _ADDED) for token in recipe.added],
            normalize=recipe.normalize,
            space_before=recipe.space_before,
            empty=recipe.empty,
            others=list(recipe.others.items()),
            missing=recipe.missing,
            marks=recipe.marks,
            steps=recipe.steps,
            fallback=None
            if fallback is None
            else (fallback.bytes, fallback.unk, fallback.fuse, fallback.splits),
            strips=recipe.strips,
            roles=dict(recipe.roles),
            template=recipe.template,
            whole_pieces=None if merge_list is None else merge_list.whole_pieces,
            sha256=table.sha256,
            tokens=len(table.ids),
            merges=0 if merge_list is None else len(merge_list.merges),
            lefts=len(table.lefts or b""),
            blob=len(table.blob),
        )
    )
    header += b" " * (-len(header) % 8)
    parts = [
        MAGIC,
        len(header).to_bytes(8, "little"),
        header,
        table.ends.astype("<u8").tobytes(),
        table.ids.astype("<u4").tobytes(),
        b"" if merge_list is None else merge_list.merges.astype("<u4").tobytes(),
        table.lefts or b"",
        table.blob,
    ]
    content = b"".join(parts)
    return content + _crc32(content).to_bytes(4, "little")


def from_recipe_file(
    data: bytes, name: str | None, source: str, missing: str | None = None
) -> Recipe:
    """Read the content of such a file, with other values for some fields of the recipe.

    Raises BadVocabulary if it is damaged.
    """
    if len(data) < len(MAGIC) + 12 or not data.startswith(MAGIC):
        raise BadVocabulary(
            f"{source}: a vocabulary of another format than {MAGIC[:21]!r}; make it again"
        )
    if _crc32(memoryview(data)[:-4]) != int.from_bytes(data[-4:], "little"):
        raise BadVocabulary(f"{source}: its checksum is wrong; the file is damaged")
    at = len(MAGIC) + 8
    size = int.from_bytes(data[at - 8 : at], "little")
    header = decoded(data[at : at + size], _Header, f"{source}, header")
    at += size
    sizes = (header.tokens, header.merges, header.lefts, header.blob)
    total = at + 12 * header.tokens + 12 * header.merges + header.lefts + header.blob + 4
    if min(sizes) < 0 or total != len(data):
        raise BadVocabulary(f"{source}: {len(data)} bytes, and its header says {total}")
    ends = np.frombuffer(data, "<u8", header.tokens, at)
    at += 8 * header.tokens
    ids = np.frombuffer(data, "<u4", header.tokens, at)
    at += 4 * header.tokens
    merges = np.frombuffer(data, "<u4", 3 * header.merges, at).reshape(-1, 3)
    at += 12 * header.merges
    lefts = data[at : at + header.lefts] or None
    at += header.lefts
    blob = data[at : at + header.blob]
    fault = _fault(header, ends, ids, merges)
    if fault:
        raise BadVocabulary(f"{source}: {fault}; the file is damaged")
    table = RankTable(
        blob,
        ends.astype(np.uint64, copy=False),
        ids.astype(np.uint32, copy=False),
        header.sha256,
        lefts,
    )
    of_merges = header.whole_pieces is not None
    listed = MergeList(table, merges.astype(np.uint32, copy=False), bool(header.whole_pieces))
    return Recipe(
        name or header.name,
        header.patterns,
        header.special_tokens,
        ranks=None if of_merges else table,
        merge_list=listed if of_merges else None,
        added=[AddedToken(*token) for token in header.added],
        normalize=header.normalize,
        space_before=header.space_before,
        empty=header.empty,
        others=dict(header.others),
        missing=missing or header.missing,
        source=source,
        marks=header.marks,
        steps=header.steps,
        fallback=header.fallback and Fallback(*header.fallback),
        strips=header.strips,
        roles=header.roles,
        template=header.template,
    )


def _fault(
    header: _Header,
    ends: np.ndarray[tuple[int], np.dtype[np.uint64]],
    ids: np.ndarray[tuple[int], np.dtype[np.uint32]],
    merges: np.ndarray[tuple[int, int], np.dtype[np.uint32]],
) -> str:
    """Return what is wrong with values that the encoder does not check itself, or an empty string."""
    if not 0 < header.tokens < MAX_ID or header.merges > MAX_MERGES:
        return f"{header.tokens} tokens and {header.merges} merges"
    sizes = np.diff(ends.astype(np.int64), prepend=0)
    if sizes.min() < 1 or sizes.max() > MAX_TOKEN_BYTES or int(ends[-1]) != header.blob:
        return "the sizes of its tokens are wrong"
    numbers = [int(ids[-1]), *header.special_tokens.values(), *(t[1] for t in header.added)]
    numbers += [id for _, id in header.others]
    numbers += [*header.roles.values(), *header.template[0], *header.template[1]]
    numbers += [id for id in (header.empty,) if id is not None]
    if header.fallback is not None:
        of_bytes, unk = header.fallback[:2]
        if of_bytes is not None and len(of_bytes) != 256:
            return f"{len(of_bytes)} ids of bytes"
        numbers += [*(of_bytes or ()), *(() if unk is None else (unk,))]
    if np.any(ids[1:] <= ids[:-1]) or min(numbers) < 0 or max(numbers) >= MAX_ID:
        return "an id is out of order, or out of range"
    if len(merges) and int(merges.max()) >= header.tokens:
        return "a merge of tokens that are not there"
    if header.lefts not in (0, header.tokens) or (header.lefts and header.merges):
        return f"{header.lefts} lengths for {header.tokens} tokens"
    if header.missing not in ("drop", "error") or not 0 <= header.space_before <= 5:
        return "a setting with a value that is not known"
    if header.fallback is None and not header.patterns:
        return "no pattern"
    return "" if re.fullmatch("[0-9a-f]{64}|", header.sha256) else "a sha256 of other characters"
