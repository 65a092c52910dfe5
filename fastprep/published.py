"""The encodings that come with fastprep: for each its rank table, pattern and special tokens.

These are facts about the published encodings, kept apart from the code that reads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from fastprep.patterns import CL100K_PATTERN, O200K_PATTERN, R50K_PATTERN

ENDOFTEXT: Final = "<|endoftext|>"
_FILL_IN_MIDDLE: Final = ("<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>")
_ENDOFPROMPT: Final = "<|endofprompt|>"


@dataclass(frozen=True)
class Published:
    """What an encoding is made of.

    Attributes
    ----------
    table
        the bundled rank table; encodings with the same table share it in memory, too.
    pattern
        the regular expression that splits text.
    special_tokens
        from special token to id.
    n_vocab
        the number of tokens as published, where the ids have no gap; else None.
    """

    table: str
    pattern: str
    special_tokens: MappingProxyType[str, int]
    n_vocab: int | None = None


def _fill_in_middle(first: int) -> dict[str, int]:
    return {token: first + i for i, token in enumerate(_FILL_IN_MIDDLE)}


def _harmony() -> dict[str, int]:
    """o200k_harmony: a named few, and the rest of 200013 to 201087 reserved."""
    named = {
        "<|startoftext|>": 199998,
        ENDOFTEXT: 199999,
        "<|return|>": 200002,
        "<|constrain|>": 200003,
        "<|channel|>": 200005,
        "<|start|>": 200006,
        "<|end|>": 200007,
        "<|message|>": 200008,
        "<|call|>": 200012,
        # Two tokens have this id: the other is <|reserved_200018|>.
        _ENDOFPROMPT: 200018,
    }
    unnamed = {200000, 200001, 200004, 200009, 200010, 200011, *range(200013, 201088)}
    both = {**named, **{f"<|reserved_{i}|>": i for i in unnamed}}
    return dict(sorted(both.items(), key=lambda item: item[1]))


def _encoding(
    table: str, pattern: str, special_tokens: dict[str, int], n_vocab: int | None = None
) -> Published:
    return Published(table, pattern, MappingProxyType(special_tokens), n_vocab)


#: By name.
PUBLISHED: Final = {
    "gpt2": _encoding("r50k_base", R50K_PATTERN, {ENDOFTEXT: 50256}, 50257),
    "r50k_base": _encoding("r50k_base", R50K_PATTERN, {ENDOFTEXT: 50256}, 50257),
    "p50k_base": _encoding("p50k_base", R50K_PATTERN, {ENDOFTEXT: 50256}, 50281),
    "p50k_edit": _encoding(
        "p50k_base", R50K_PATTERN, {ENDOFTEXT: 50256, **_fill_in_middle(50281)}, 50284
    ),
    "cl100k_base": _encoding(
        "cl100k_base",
        CL100K_PATTERN,
        {ENDOFTEXT: 100257, **_fill_in_middle(100258), _ENDOFPROMPT: 100276},
    ),
    "o200k_base": _encoding("o200k_base", O200K_PATTERN, {ENDOFTEXT: 199999, _ENDOFPROMPT: 200018}),
    "o200k_harmony": _encoding("o200k_base", O200K_PATTERN, _harmony()),
}
