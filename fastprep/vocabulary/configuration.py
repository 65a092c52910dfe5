"""Configuration files beside a vocabulary: which tokens begin, end and pad a text, and when they do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from fastprep.vocabulary.json_values import NULL, decoded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import TypeVar

    from fastprep.vocabulary.recipe import Recipe

    T = TypeVar("T")

#: What a token is for; `bos` begins a text, `eos` ends one.
ROLES = ("bos", "eos", "pad", "unk")


class _Content(msgspec.Struct):
    content: str


_Token = str | _Content | None


class _Map(msgspec.Struct):
    """``special_tokens_map.json``, and the same keys in ``tokenizer_config.json``."""

    bos_token: _Token = None
    eos_token: _Token = None
    pad_token: _Token = None
    unk_token: _Token = None


class _Config(_Map):
    """``tokenizer_config.json``."""

    added_tokens_decoder: msgspec.Raw = NULL
    add_bos_token: bool | None = None
    add_eos_token: bool | None = None


class _Generation(msgspec.Struct):
    """``generation_config.json``; where several ids end a text, the first one is the token's."""

    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    pad_token_id: int | None = None


def configured(recipe: Recipe, directory: Path, read: Callable[[Path], bytes]) -> Recipe:
    """Return a recipe with the roles and the template that files in a directory give it.

    Parameters
    ----------
    recipe
        as its vocabulary file has it.
    directory
        that of ``tokenizer_config.json``, ``special_tokens_map.json`` and ``generation_config.json``,
        each of which may be missing.
    read
        returns the content of a file.

    The rules are those of transformers: the second file is read where the first one does not list the
    added tokens, and then wins. A third one counts for what no other says. ``add_bos_token`` and
    ``add_eos_token`` count where the vocabulary file has no template of its own. A token that the
    vocabulary does not have has no role.

    Raises BadVocabulary for a file that is not JSON, or has a value of another type there.
    """
    named: dict[str, str] = {}
    config = _read(directory / "tokenizer_config.json", _Config, read)
    if config is not None:
        named |= _named(config)
    if config is None or bytes(config.added_tokens_decoder) == b"null":
        listed = _read(directory / "special_tokens_map.json", _Map, read)
        if listed is not None:
            named |= _named(listed)
    roles = dict(recipe.roles)
    if named:
        roles |= ids_of(recipe, named)
    generation = _read(directory / "generation_config.json", _Generation, read)
    if generation is not None:
        ends = generation.eos_token_id
        if isinstance(ends, list):
            ends = ends[0] if ends else None
        found = {"bos": generation.bos_token_id, "eos": ends, "pad": generation.pad_token_id}
        missing = {role: id for role, id in found.items() if id is not None and role not in roles}
        roles |= {role: id for role, id in missing.items() if recipe.is_token(id)}
    template = recipe.template
    if config is not None and template == ((), ()):
        added = {"bos": config.add_bos_token, "eos": config.add_eos_token}
        before, after = (
            (roles[role],) if added[role] and role in roles else () for role in ("bos", "eos")
        )
        template = before, after
    if roles == recipe.roles and template == recipe.template:
        return recipe
    return recipe.replaced(roles=roles, template=template)


def ids_of(recipe: Recipe, named: Mapping[str, str]) -> dict[str, int]:
    """Return the ids of tokens by role, without those that the vocabulary does not have."""
    ids = recipe.ids_outside
    found = {role: ids.get(token) for role, token in named.items()}
    if None in found.values():
        from fastprep_ext.bpe import TokenRows

        table = recipe.table
        rows = TokenRows(table.blob, table.ends_buffer)
        for role, token in named.items():
            if found[role] is None:
                key = token.encode()
                row = rows.find(key)
                # The token without bytes has no row, and may have an id.
                other = recipe.others.get(key) if key or recipe.empty is None else recipe.empty
                found[role] = other if row < 0 else table.ids_buffer[row]
    return {role: id for role, id in found.items() if id is not None}


def _read(path: Path, type: type[T], read: Callable[[Path], bytes]) -> T | None:
    return decoded(read(path), type, str(path)) if path.is_file() else None


def _named(found: _Map) -> dict[str, str]:
    named = {}
    for role in ROLES:
        token = getattr(found, f"{role}_token")
        if token is not None:
            named[role] = token.content if isinstance(token, _Content) else token
    return named
