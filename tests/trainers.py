"""Other trainers of byte-pair vocabularies, set to make the merges that fastprep should make."""

from __future__ import annotations

import json
from typing import Any

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from fastprep.vocabulary.byte_alphabet import to_bytes
from fastprep.vocabulary.patterns import BYTE_LEVEL_PATTERN, HUGGING_FACE


def hugging_face(pattern: str, **options: Any) -> tuple[Tokenizer, trainers.BpeTrainer]:
    """Return an untrained tokenizer, with the pattern as its engine spells it, and a trainer."""
    tokenizer = Tokenizer(models.BPE())
    (chain, *_) = HUGGING_FACE[pattern]
    if chain == (BYTE_LEVEL_PATTERN,):
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    else:
        steps = [pre_tokenizers.Split(Regex(one), "isolated") for one in chain]
        last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*steps, last])
    trainer = trainers.BpeTrainer(
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False, **options
    )
    return tokenizer, trainer


def merges_of(tokenizer: Tokenizer) -> list[tuple[bytes, bytes]]:
    """Return the merges of a trained tokenizer, in order."""
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    return [(to_bytes(left), to_bytes(right)) for left, right in merges]
