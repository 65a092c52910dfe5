"""From a recipe to its encoder, special tokens and decoder. Published encodings share encoders."""

from __future__ import annotations

from _thread import allocate_lock

from fastprep.encoding.special import SpecialTokens
from fastprep.errors import BadVocabulary
from fastprep.vocabulary.patterns import family_of, splitter
from fastprep.vocabulary.ranks import MAX_RANK, PUBLISHED_TABLES
from fastprep_ext.bpe import PATTERNS, Decoder, Encoder, missing_bytes, split_pieces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from fastprep.encoding.python_encoder import GeneralEncoder
    from fastprep.vocabulary.characters import Fallback
    from fastprep.vocabulary.merge_list import MergeList
    from fastprep.vocabulary.ranks import RankTable
    from fastprep.vocabulary.recipe import Recipe
    from fastprep_ext.bpe import Program, RunSplitter

    AnyEncoder: TypeAlias = Encoder | GeneralEncoder

_lock = allocate_lock()
# By the table's sha256, the splitter, and whether all ids are below 65,536.
_encoders: dict[tuple[str, int, int], Encoder] = {}


def encoder_of(recipe: Recipe) -> AnyEncoder:
    """Return an encoder for a recipe: the compiled one if it can encode what the recipe says.

    Raises BadVocabulary for tokens that are not a vocabulary, or for a pattern that is not a regular
    expression, or has constructs that are not supported.
    """
    if recipe.merge_list is not None:
        return _by_merges(recipe, recipe.merge_list)
    return _by_ranks(recipe.table, recipe.pat_str, max(recipe.special_tokens.values(), default=0))


def specials_of(recipe: Recipe) -> SpecialTokens:
    """Return the special tokens of a recipe, with the priorities of tiktoken or Hugging Face."""
    if recipe.merge_list is None:
        return SpecialTokens(recipe.special_tokens)
    from fastprep.encoding.sections import AddedTokens

    return AddedTokens(recipe)


def decoder_of(recipe: Recipe, specials: SpecialTokens) -> Decoder:
    """Return a decoder of a recipe's tokens and, for ids that none of them has, special ones."""
    table, ids = recipe.table, recipe.ids_outside
    names = list(ids)
    if len(set(ids.values())) < len(names):
        names = specials.order()[::-1]  # of two with the same id the last one is decoded
    extra = [(token.encode("utf-8"), ids[token]) for token in names]
    extra += recipe.others.items()
    if recipe.empty is not None:
        extra.insert(0, (b"", recipe.empty))
    return Decoder(table.blob, table.ends_buffer, table.ids_buffer, extra)


# -- ranks, as tiktoken ----------------------------------------------------------------------------


def _by_ranks(table: RankTable, pattern: str, largest: int) -> AnyEncoder:
    number = splitter(pattern)
    missing = missing_bytes(table.blob, table.ends_buffer) if table.halves is None else b""
    if not missing and number is not None:
        return _compiled(table, number, largest)
    if number is None:
        from fastprep.vocabulary.regex_program import compile_tiktoken
        from fastprep.vocabulary.spellings import equal_family

        family = equal_family((pattern,), "tiktoken")
        chosen: int | Program = compile_tiktoken(pattern) if family is None else PATTERNS[family]
    else:
        chosen = number
    if not missing:
        return _of_table(table, chosen, largest)
    import numpy as np

    from fastprep.encoding.python_encoder import GeneralEncoder

    # Each missing byte gets an extra token whose id no other token has, so that ids show it.
    stand_ins = {MAX_RANK - len(missing) + 1 + i: missing[i : i + 1] for i in range(len(missing))}
    if table.largest >= min(stand_ins):
        raise BadVocabulary(
            f"ids up to {table.largest} leave none for the {len(missing)} bytes that are not tokens; "
            f"use ids below {min(stand_ins)}, or give every byte a token"
        )
    last = np.uint64(len(table.blob))
    encoder = Encoder(
        table.blob + b"".join(stand_ins.values()),
        np.concatenate([table.ends, last + np.arange(1, len(missing) + 1, dtype=np.uint64)]),
        np.concatenate([table.ids, np.array(list(stand_ins), np.uint32)]),
        PATTERNS["r50k"],
    )
    return GeneralEncoder(encoder, _split_with(chosen), stand_ins)


def _of_table(table: RankTable, pattern: int | Program, largest: int) -> Encoder:
    return Encoder(
        table.blob,
        table.ends_buffer,
        table.ids_buffer,
        pattern,
        lefts=table.lefts,
        halves=table.halves,
        largest_added=largest,
    )


def _compiled(table: RankTable, pattern: int, largest: int) -> Encoder:
    if not any(table is published for published in PUBLISHED_TABLES.values()):
        return _of_table(table, pattern, largest)
    # Ids of as many bits are packed alike.
    key = table.sha256, pattern, max(table.largest, largest).bit_length()
    _lock.acquire()
    try:
        if key not in _encoders:
            _encoders[key] = _of_table(table, pattern, largest)
        return _encoders[key]
    finally:
        _lock.release()  # by a with statement, this would need memory


def _split_with(pattern: int | Program) -> Callable[[str], list[str]]:
    def split(text: str) -> list[str]:
        data = text.encode("utf-8")
        ends = split_pieces(data, pattern)
        starts = [0, *ends][:-1]
        return [data[a:b].decode("utf-8") for a, b in zip(starts, ends, strict=True)]

    return split


# -- merges, as Hugging Face -----------------------------------------------------------------------


def _by_merges(recipe: Recipe, merge_list: MergeList) -> AnyEncoder:
    if recipe.fallback is not None:
        return _by_characters(recipe, merge_list, recipe.fallback)
    table = merge_list.table
    chosen = chain_splitter(recipe.patterns if recipe.space_before != 5 else ("[^ ]* ",))
    from fastprep.encoding.sections import AddedTokens

    return Encoder(
        table.blob,
        table.ends_buffer,
        table.ids_buffer,
        chosen,
        merge_list.merges.ravel(),
        merge_list.whole_pieces,
        missing=recipe.missing,
        added=AddedTokens(recipe).ordinary(),
        largest_added=max(recipe.ids_outside.values(), default=0),
        growth=recipe.growth,
    )


def chain_splitter(patterns: tuple[str, ...]) -> int | Program | RunSplitter:
    """Return the splitter of a chain of patterns as the tokenizers library reads them.

    Raises BadVocabulary as :func:`encoder_of`.
    """
    family = family_of(patterns)
    if family is None:
        from fastprep.vocabulary.regex_program import compile_tokenizers
        from fastprep.vocabulary.run_rules import run_splitter
        from fastprep.vocabulary.spellings import equal_family

        family = equal_family(patterns, "tokenizers")
        if family is None:
            return run_splitter(patterns) or compile_tokenizers(patterns)
    return PATTERNS[family]


def _by_characters(recipe: Recipe, merge_list: MergeList, fallback: Fallback) -> Encoder:
    import numpy as np

    from fastprep.encoding.sections import AddedTokens
    from fastprep.vocabulary.characters import assembled
    from fastprep_ext.bpe import CharacterBorders

    whole = assembled(merge_list)
    borders = CharacterBorders(
        merge_list.table.blob,
        merge_list.table.ends_buffer,
        np.unique(merge_list.merges[:, 2]),
        " " if fallback.splits else "",
        fallback.bytes is None and fallback.fuse and fallback.unk is not None,
    )
    ids = None if fallback.bytes is None else np.array(fallback.bytes, np.uint32)
    return Encoder(
        whole.table.blob,
        whole.table.ends_buffer,
        whole.table.ids_buffer,
        borders,
        whole.merges.ravel(),
        False,
        added=AddedTokens(recipe).ordinary(),
        largest_added=max([*recipe.ids_outside.values(), *(fallback.bytes or (0,))], default=0),
        growth=recipe.growth,
        fragments=(
            whole.first_fragment,
            ids,
            -1 if fallback.unk is None else fallback.unk,
            fallback.fuse,
        ),
    )
