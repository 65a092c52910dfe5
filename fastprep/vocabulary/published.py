"""The encodings that come with fastprep: the rank table, pattern and special tokens of each.

These are facts about the published encodings, kept apart from the code that reads them.
"""

from __future__ import annotations

from fastprep.vocabulary.patterns import CL100K_PATTERN, O200K_PATTERN, R50K_PATTERN
from fastprep.vocabulary.ranks import published_table
from fastprep.vocabulary.recipe import Recipe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

ENDOFTEXT: Final = "<|endoftext|>"
_FILL_IN_MIDDLE: Final = ("<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>")
_ENDOFPROMPT: Final = "<|endofprompt|>"


class Published:
    """The parts of a published encoding.

    Attributes
    ----------
    table
        the name of the bundled rank table; encodings with the same table share it in memory.
    pattern
        the regular expression that splits text.
    special_tokens
        function that returns the ids of the special tokens; o200k_harmony has many.
    """

    __slots__ = ("pattern", "special_tokens", "table")

    def __init__(
        self, table: str, pattern: str, special_tokens: Callable[[], dict[str, int]]
    ) -> None:
        self.table: str = table
        self.pattern: str = pattern
        self.special_tokens: Callable[[], dict[str, int]] = special_tokens

    def recipe(self, name: str) -> Recipe:
        """Return the recipe of the encoding; its table is loaded if it is not in use yet."""
        return Recipe(
            name, (self.pattern,), self.special_tokens(), ranks=published_table(self.table)
        )


def _fill_in_middle(first: int) -> dict[str, int]:
    return {token: first + i for i, token in enumerate(_FILL_IN_MIDDLE)}


def _harmony() -> dict[str, int]:
    """Return the special tokens of o200k_harmony: a few with names, the others reserved."""
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


#: The published encodings by name.
PUBLISHED: Final = {
    "gpt2": Published("r50k_base", R50K_PATTERN, lambda: {ENDOFTEXT: 50256}),
    "r50k_base": Published("r50k_base", R50K_PATTERN, lambda: {ENDOFTEXT: 50256}),
    "p50k_base": Published("p50k_base", R50K_PATTERN, lambda: {ENDOFTEXT: 50256}),
    "p50k_edit": Published(
        "p50k_base", R50K_PATTERN, lambda: {ENDOFTEXT: 50256, **_fill_in_middle(50281)}
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
