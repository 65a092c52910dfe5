"""Writer of ``tokenizer.json``, from which the tokenizers library of Hugging Face gives equal ids.

tiktoken merges any two tokens that together spell a token, the one of lowest rank first. A
``tokenizer.json`` lists merges. Both mean the same with one merge per token that merging produces,
in the order of ranks; :meth:`fastprep_ext.bpe.Encoder.last_merges` has the proof. A token that
no merge produces is found only where it is a whole piece, which Hugging Face calls
``ignore_merges``.
"""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from fastprep.errors import BadVocabulary
from fastprep.vocabulary.byte_alphabet import to_bytes, to_characters
from fastprep.vocabulary.merge_list import MergeList, listed_table
from fastprep.vocabulary.patterns import (
    BYTE_LEVEL_PATTERN,
    DIGIT_PATTERN,
    HUGGING_FACE,
    LLAMA3_PATTERN,
    OF_BYTES,
    TIKTOKEN,
    family_of,
)
from fastprep.vocabulary.recipe import AddedToken, Recipe
from fastprep.vocabulary.regex_program import compile_tokenizers
from fastprep_ext.bpe import PATTERNS, Encoder, missing_bytes, split_pieces

#: The most ids without a token that a file gets tokens for.
MAX_HOLES = 1 << 12


def to_tokenizer_json(recipe: Recipe, *, as_published: bool = False) -> bytes:
    """Return the bytes of a ``tokenizer.json`` for a recipe.

    With `as_published` it has the pattern of the published file, where that means another, and tokens
    for ids that no token has, which no text reaches.

    Raises BadVocabulary if the format cannot express the recipe.
    """
    merge_list = recipe.merge_list
    if merge_list is None:
        recipe, merge_list = with_merges(recipe)
    keys = keys_of_tokens(merge_list)
    vocab = dict(zip(keys, merge_list.table.ids.tolist(), strict=True))
    of_bytes = any(pattern.startswith(OF_BYTES) for pattern in recipe.patterns)
    if recipe.fallback is not None or recipe.steps or of_bytes or recipe.space_before > 1:
        raise BadVocabulary(
            f"{recipe.name}: a vocabulary of characters, or one with normalizers other than NFC, "
            "ends of words, or a pattern after its ByteLevel, is not written; keep its file"
        )
    vocab |= {token.decode(): id for token, id in recipe.others.items()}
    if recipe.empty is not None:
        vocab[""] = recipe.empty
    added = sorted(recipe.added, key=lambda token: token.id)
    for one, other in itertools.pairwise(added):
        if one.id == other.id:
            raise BadVocabulary(
                f"{recipe.name}: {one.content!r:.80} and {other.content!r:.80} both have the id "
                f"{one.id}, and a tokenizer.json gives each token its own; save an encoding without "
                "one of the two"
            )
    if as_published:
        _fill_holes(added, vocab, recipe, merge_list.whole_pieces)
    _add_outside(added, vocab, recipe, merge_list.whole_pieces)
    if as_published and family_of(recipe.patterns) == "cl100k":
        recipe = recipe.replaced(patterns=(LLAMA3_PATTERN,))
    document = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(token) for token in added],
        "normalizer": {"type": "NFC"} if recipe.normalize else None,
        "pre_tokenizer": _pre_tokenizer(recipe),
        "post_processor": _post_processor(recipe, vocab),
        "decoder": _byte_level(space_before=True, use_regex=True),
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": merge_list.whole_pieces,
            "vocab": vocab,
            "merges": [f"{keys[a]} {keys[b]}" for a, b, _ in merge_list.merges.tolist()],
        },
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2)


def _post_processor(recipe: Recipe, vocab: dict[str, int]) -> dict[str, Any] | None:
    """Return the template of a recipe; of a pair of texts each has what a single one has."""
    before, after = recipe.template
    if not before and not after:
        return None
    names = {id: key for key, id in vocab.items()} | {t.id: t.content for t in recipe.added}

    def pieces(text: str, type: int) -> list[dict[str, Any]]:
        return [
            *({"SpecialToken": {"id": names[id], "type_id": type}} for id in before),
            {"Sequence": {"id": text, "type_id": type}},
            *({"SpecialToken": {"id": names[id], "type_id": type}} for id in after),
        ]

    tokens = {names[id]: id for id in (*before, *after)}
    return {
        "type": "TemplateProcessing",
        "single": pieces("A", 0),
        "pair": pieces("A", 0) + pieces("B", 1),
        "special_tokens": {
            name: {"id": name, "ids": [id], "tokens": [name]} for name, id in tokens.items()
        },
    }


def with_merges(recipe: Recipe) -> tuple[Recipe, MergeList]:
    """Return a recipe with a merge list, and that list, for the same ids as one with ranks."""
    family = TIKTOKEN.get(recipe.pat_str)
    if family is None:
        raise BadVocabulary(
            f"{recipe.name}: its pattern has no spelling that is known to mean the same to "
            f"Hugging Face: {recipe.pat_str!r:.400}"
        )
    merge_list = by_merges(recipe.mergeable_ranks())
    added = [AddedToken(token, id) for token, id in recipe.special_tokens.items()]
    return Recipe(
        recipe.name,
        HUGGING_FACE[family][0],
        merge_list=merge_list,
        added=added,
        template=recipe.template,
    ), merge_list


def by_merges(ranks: dict[bytes, int]) -> MergeList:
    """Return the merge list that means the same as tiktoken's rank table.

    >>> ranks = {bytes([i]): i for i in range(256)} | {b"ab": 256, b"bc": 257, b"abc": 258}
    >>> by_merges(ranks).merges.tolist()  # abc merges from ab and c: bc never forms there
    [[97, 98, 256], [98, 99, 257], [256, 99, 258]]
    """
    tokens = sorted(ranks, key=ranks.__getitem__)
    blob = b"".join(tokens)
    ends = np.cumsum(np.fromiter(map(len, tokens), np.uint64, len(tokens)), dtype=np.uint64)
    ids = np.fromiter(map(ranks.__getitem__, tokens), np.uint32, len(tokens))
    merges = _last_merges(Encoder(blob, ends, ids, PATTERNS["r50k"]), len(tokens))
    return listed_table(blob, ends, ids, merges, whole_pieces=256 + len(merges) != len(tokens))


def same_as_ranks(merge_list: MergeList) -> bool:
    """Return whether merging by id, as tiktoken does, gives the same tokens as the merge list.

    It does if both merge each token from the same two, and the list has these in the order of ids.
    """
    table, n = merge_list.table, len(merge_list.table.ids)
    if missing_bytes(table.blob, table.ends):
        return False
    listed = Encoder(table.blob, table.ends, table.ids, PATTERNS["r50k"], merge_list.merges.ravel())
    live = _last_merges(listed, n)
    place = {(a, b): at for at, (a, b, _) in enumerate(merge_list.merges.tolist())}
    places = [place[a, b] for a, b, _ in live.tolist()]
    ranked = Encoder(table.blob, table.ends, table.ids, PATTERNS["r50k"])
    return (
        np.array_equal(live, _last_merges(ranked, n))
        and places == sorted(places)
        and (merge_list.whole_pieces or 256 + len(live) == n)
    )


def _last_merges(encoder: Encoder, tokens: int) -> npt.NDArray[np.uint32]:
    rows = np.empty((tokens, 3), np.uint32)
    return rows[: encoder.last_merges(rows.ravel())]


def keys_of_tokens(merge_list: MergeList) -> list[str]:
    """Return the tokens of a merge list as files write them, in the order of their ids."""
    characters = to_characters(merge_list.table.blob)
    ends = merge_list.table.ends.tolist()
    return [characters[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]


def _add_outside(
    added: list[AddedToken], vocab: dict[str, int], recipe: Recipe, whole_pieces: bool
) -> None:
    """Put added tokens into `vocab`, unless Hugging Face gives them their ids without that.

    It does not read the ids of added tokens: one that is in the vocabulary has its id from there,
    the others are counted from the vocabulary's size.
    """
    apart = [token for token in added if vocab.get(token.content) != token.id]
    counted = list(range(len(vocab), len(vocab) + len(apart)))
    if [token.id for token in apart] == counted and not vocab.keys() & {t.content for t in apart}:
        return
    for token in apart:
        content = token.content
        if content in vocab:
            raise BadVocabulary(
                f"{recipe.name}: the added token {content!r:.80} is spelled as the token "
                f"{vocab[content]} is; a tokenizer.json cannot tell the two apart"
            )
        if whole_pieces and _may_be_a_piece(content, recipe.patterns):
            raise BadVocabulary(
                f"{recipe.name}: the added token {content!r:.80} may be a piece of ordinary "
                "text, where a tokenizer.json would encode it as the added token"
            )
        vocab[content] = token.id


def _fill_holes(
    added: list[AddedToken], vocab: dict[str, int], recipe: Recipe, whole_pieces: bool
) -> None:
    """Put a token into `vocab` for each id below the largest that none has; no merge makes them."""
    used = {*vocab.values(), *(token.id for token in added)}
    holes = max(used) + 1 - len(used)
    if holes > MAX_HOLES:
        raise BadVocabulary(
            f"{recipe.name}: {holes} ids have no token, and {MAX_HOLES} at most are filled; save it "
            "without as_published"
        )
    names = {*vocab, *(token.content for token in added)}
    for id in sorted({*range(max(used) + 1)} - used):
        name = f"<|unused_{id}|>"
        while name in names:
            name = f"<{name}>"
        if whole_pieces and _may_be_a_piece(name, recipe.patterns):
            raise BadVocabulary(
                f"{recipe.name}: id {id} has no token, and {name!r} may be a piece of ordinary text; "
                "save it without as_published"
            )
        vocab[name] = id


def _may_be_a_piece(content: str, patterns: tuple[str, ...]) -> bool:
    try:
        piece = to_bytes(content).decode("utf-8")
        family = family_of(patterns)
        known = compile_tokenizers(patterns) if family is None else PATTERNS[family]
        return len(split_pieces(piece.encode(), known)) == 1
    except UnicodeError:
        return False


def _added(token: AddedToken) -> dict[str, Any]:
    return {
        "id": token.id,
        "content": token.content,
        "single_word": token.single_word,
        "lstrip": token.lstrip,
        "rstrip": token.rstrip,
        "normalized": token.normalized,
        "special": token.special,
    }


def _pre_tokenizer(recipe: Recipe) -> dict[str, Any]:
    *first, last = recipe.patterns
    again = last == BYTE_LEVEL_PATTERN
    steps = [_isolated(pattern) for pattern in (first if again else recipe.patterns)]
    byte_level = _byte_level(bool(recipe.space_before), use_regex=again)
    return {"type": "Sequence", "pretokenizers": [*steps, byte_level]} if steps else byte_level


def _isolated(pattern: str) -> dict[str, Any]:
    if pattern == DIGIT_PATTERN:
        return {"type": "Digits", "individual_digits": True}
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def _byte_level(space_before: bool, use_regex: bool) -> dict[str, Any]:
    return {
        "type": "ByteLevel",
        "add_prefix_space": space_before,
        "trim_offsets": True,
        "use_regex": use_regex,
    }
