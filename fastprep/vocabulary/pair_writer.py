"""Writer of GPT-2's two files: ``vocab.bpe`` and ``encoder.json``, or those of other names."""

from __future__ import annotations

import msgspec

from fastprep.errors import BadVocabulary
from fastprep.vocabulary.recipe import Recipe
from fastprep.vocabulary.tokenizer_json_writer import keys_of_tokens, with_merges


def to_pair(recipe: Recipe) -> tuple[bytes, bytes]:
    """Return the list of merges and the vocabulary, special tokens included, as files have them.

    Raises BadVocabulary if the two cannot express the recipe.

    >>> from fastprep import get_encoding
    >>> merges, _ = to_pair(get_encoding("gpt2").recipe)
    >>> merges.decode().splitlines()[:2]
    ['#version: 0.2', 'Ġ t']
    """
    merge_list = recipe.merge_list
    if not recipe.is_plain:
        raise BadVocabulary(
            f"{recipe.name}: two files of merges and tokens cannot say that text is normalized, gets a "
            "space before it, or has added tokens that are not special; save it as tokenizer.json"
        )
    if merge_list is None:
        recipe, merge_list = with_merges(recipe)
    if merge_list.whole_pieces:
        raise BadVocabulary(
            f"{recipe.name}: it has tokens that no merge makes, which two files of merges and tokens "
            "cannot say; save it as tokenizer.json"
        )
    keys = keys_of_tokens(merge_list)
    vocab = dict(zip(keys, merge_list.table.ids.tolist(), strict=True))
    for token, id in recipe.special_tokens.items():
        if vocab.get(token, id) != id:
            raise BadVocabulary(
                f"{recipe.name}: the special token {token!r:.80} is spelled as the token {vocab[token]} "
                "is; a file cannot tell the two apart"
            )
        vocab[token] = id
    lines = [f"{keys[a]} {keys[b]}" for a, b, _ in merge_list.merges.tolist()]
    merges = "\n".join(["#version: 0.2", *lines]) + "\n"
    return merges.encode(), msgspec.json.encode(vocab)
