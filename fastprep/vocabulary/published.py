"""The encodings that come with fastprep: for each its rank table, pattern and special tokens.

These are facts about the published encodings, kept apart from the code that reads them.
"""

from __future__ import annotations

from fastprep.vocabulary.patterns import CL100K_PATTERN, O200K_PATTERN, R50K_PATTERN

TYPE_CHECKING = False  # typing.TYPE_CHECKING without typing, which takes long to import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

ENDOFTEXT: Final = "<|endoftext|>"
_FILL_IN_MIDDLE: Final = ("<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>")
_ENDOFPROMPT: Final = "<|endofprompt|>"


class Published:
    """What an encoding is made of.

    Attributes
    ----------
    table
        the bundled rank table; encodings with the same table share it in memory, too.
    pattern
        the regular expression that splits text.
    special_tokens
        what makes the dict from special token to id; o200k_harmony's takes a while.
    n_vocab
        the number of tokens as published, where the ids have no gap; else None.
    """

    __slots__ = ("n_vocab", "pattern", "special_tokens", "table")

    def __init__(
        self,
        table: str,
        pattern: str,
        special_tokens: Callable[[], dict[str, int]],
        n_vocab: int | None = None,
    ) -> None:
        self.table = table
        self.pattern = pattern
        self.special_tokens = special_tokens
        self.n_vocab = n_vocab


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


#: By name.
PUBLISHED: Final = {
    "gpt2": Published("r50k_base", R50K_PATTERN, lambda: {ENDOFTEXT: 50256}, 50257),
    "r50k_base": Published("r50k_base", R50K_PATTERN, lambda: {ENDOFTEXT: 50256}, 50257),
    "p50k_base": Published("p50k_base", R50K_PATTERN, lambda: {ENDOFTEXT: 50256}, 50281),
    "p50k_edit": Published(
        "p50k_base", R50K_PATTERN, lambda: {ENDOFTEXT: 50256, **_fill_in_middle(50281)}, 50284
    ),
    "cl100k_base": Published(
        "cl100k_base",
        CL100K_PATTERN,
        lambda: {ENDOFTEXT: 100257, **_fill_in_middle(100258), _ENDOFPROMPT: 100276},
    ),
    "o200k_base": Published(
        "o200k_base", O200K_PATTERN, lambda: {ENDOFTEXT: 199999, _ENDOFPROMPT: 200018}
    ),
    "o200k_harmony": Published("o200k_base", O200K_PATTERN, _harmony),
}
