"""Reader of Mistral's ``tekken.json``: ranks, a pattern, and special tokens with the first ids."""

from __future__ import annotations

import base64
import binascii

import msgspec
import numpy as np

from fastprep.errors import BadVocabulary
from fastprep.vocabulary.json_values import decoded
from fastprep.vocabulary.limits import MAX_ID
from fastprep.vocabulary.ranks import RankTable
from fastprep.vocabulary.recipe import Recipe

_SPECIAL = (
    *("<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]"),
    *("[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]"),
    *("[IMG_END]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"),
    "[TOOL_CONTENT]",
)


_ROLES = {"bos": "<s>", "eos": "</s>", "pad": "<pad>", "unk": "<unk>"}


class _Config(msgspec.Struct):
    pattern: str
    default_vocab_size: int
    default_num_special_tokens: int


class _Token(msgspec.Struct):
    rank: int
    token_bytes: str


class _Special(msgspec.Struct):
    rank: int
    token_str: str


class _Tekken(msgspec.Struct):
    config: _Config
    vocab: list[_Token]
    special_tokens: list[_Special] | None = None


def from_tekken(data: bytes, name: str, source: str) -> Recipe:
    """Read the bytes of a ``tekken.json``. Raises BadVocabulary for a file that is damaged."""
    file = decoded(data, _Tekken, source)
    first, size = file.config.default_num_special_tokens, file.config.default_vocab_size
    if not 0 <= first < size <= MAX_ID or len(file.vocab) < size - first:
        raise BadVocabulary(
            f"{source}: {len(file.vocab)} tokens, where {size} with {first} special ones are to be; the "
            "file is damaged"
        )
    tokens: list[bytes] = []
    for rank, token in enumerate(file.vocab[: size - first]):
        try:
            tokens.append(base64.b64decode(token.token_bytes, validate=True))
        except (binascii.Error, ValueError):
            tokens.append(b"")
        if token.rank != rank or not tokens[-1]:
            raise BadVocabulary(
                f"{source}, vocab[{rank}]: the rank {token.rank} and the token in base64 "
                f"{token.token_bytes!r:.80}; the file is damaged"
            )
    ends = np.cumsum(np.fromiter(map(len, tokens), np.uint64, len(tokens)), dtype=np.uint64)
    ids = np.arange(first, first + len(tokens), dtype=np.uint32)
    names = [*_SPECIAL[:first], *(f"<SPECIAL_{i}>" for i in range(len(_SPECIAL), first))]
    for special in file.special_tokens or ():
        if not 0 <= special.rank < first:
            raise BadVocabulary(
                f"{source}: the special token {special.token_str!r:.80} has no place"
            )
        names[special.rank] = special.token_str
    if len(set(names)) < len(names):
        raise BadVocabulary(f"{source}: a special token is there twice; the file is damaged")
    table = RankTable(b"".join(tokens), ends, ids, "")
    specials = {token: id for id, token in enumerate(names)}
    roles = {role: specials[token] for role, token in _ROLES.items() if token in specials}
    return Recipe(name, (file.config.pattern,), specials, ranks=table, source=source, roles=roles)
