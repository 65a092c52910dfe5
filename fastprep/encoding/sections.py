"""Added tokens, and the changes of text before it is split, for the compiled encoder.

The rules are those of the tokenizers library of Hugging Face, 0.23. Added tokens that are not to be
normalized are searched for first, in the text as it is. Each part between them is normalized, and
the other added tokens, normalized as well, are searched for in it. Of tokens that match at the same
position the longest wins, and a special token that is not allowed hides those that start within it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from fastprep.encoding.special import SpecialTokens
from fastprep.vocabulary import changes
from fastprep.vocabulary.code_points import word
from fastprep.vocabulary.recipe import AddedToken, Recipe
from fastprep_ext.bpe import Specials, TextChange

_Found = tuple[bytes, int | None, int]


class AddedTokens(SpecialTokens):
    """The special and added tokens of a vocabulary with merges.

    >>> tokens = AddedTokens(Recipe("x", (), added=[AddedToken("<s>", 7), AddedToken("<sep>", 8)]))
    >>> tokens.screen("<sep>", {"<sep>"}, ()).cut(b"one<s>two<sep>three")
    [(9, 14, 8)]
    """

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self.change: TextChange | None = _change(recipe)
        super().__init__(recipe.special_tokens)

    def order(self) -> list[str]:
        """Return the tokens by priority."""
        return sorted(self._ids, key=len, reverse=True)

    def ordinary(self) -> Specials | None:
        """Return what happens to a text in which no special token is allowed; None if nothing does."""
        return self._with(())

    def _cutter(self, cuts: Mapping[str, bytes]) -> Specials:
        found = self._with(cuts)
        assert found is not None
        return found

    def _with(self, allowed: Collection[str]) -> Specials | None:
        added = self._recipe.added
        early = _table([t for t in added if not t.normalized], self._recipe, allowed, str)
        late = _table(
            [t for t in added if t.normalized],
            self._recipe,
            allowed,
            changes.function(self._recipe),
        )
        if not early and not late and self.change is None:
            return None
        words = None
        if any(token.single_word for token in added):
            words = np.array(word("tiktoken"), np.uint32).ravel()
        return Specials(early, late, self.change, passes_over=True, words=words)


def _table(
    tokens: list[AddedToken],
    recipe: Recipe,
    allowed: Collection[str],
    spelled: changes.Function,
) -> list[_Found]:
    """Return the tokens to search for, the longest first; none if all are text."""
    found: list[_Found] = []
    for token in tokens:
        sides = token.lstrip | token.rstrip << 1 | token.single_word << 2
        is_text = token.special and token.content not in allowed
        key = spelled(token.content).encode()
        if key:
            found.append((key, None if is_text else token.id, sides))
    found.sort(key=lambda item: len(item[0]), reverse=True)
    return found if any(id is not None for _, id, _ in found) else []


def _change(recipe: Recipe) -> TextChange | None:
    normalize, tables = changes.compiled(recipe)
    if normalize is None and not recipe.space_before and not recipe.marks:
        return None
    if recipe.space_before == 5:
        from fastprep.vocabulary.regex_program import compile_tokenizers

        return TextChange(normalize, tables, space=4, pieces=compile_tokenizers(recipe.patterns))
    return TextChange(normalize, tables, recipe.marks, min(int(recipe.space_before), 3))
