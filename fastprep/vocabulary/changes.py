"""Changes of text before it is split: the normalizers of a recipe as functions.

A step is a tuple: its name as in a ``tokenizer.json``, and its arguments. Normal form C alone is a
setting of the recipe; its compiled check calls Python for few texts. Other steps are functions of
all text.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import TypeAlias

from fastprep.vocabulary.nfc import Tables, nfc, nfkc, tables
from fastprep.vocabulary.recipe import Recipe

Function: TypeAlias = Callable[[str], str]


def _lower(text: str) -> str:
    # Character by character, as the library does: a final sigma is like others.
    return text.lower() if text.isascii() else "".join([one.lower() for one in text])


def _replace(old: str, new: str, text: str) -> str:
    return text.replace(old, new)


def _replace_white(new: str, text: str) -> str:
    return WHITE.sub(new, text)


def _prepend(new: str, text: str) -> str:
    return new + text if text else text


#: Whitespace, as the library's patterns have it.
WHITE = re.compile("[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")


def _step(name: str, *arguments: str) -> Function:
    if name == "NFC":
        return nfc
    if name == "NFKC":
        return nfkc
    if name == "Lowercase":
        return _lower
    if name == "Prepend":
        return functools.partial(_prepend, *arguments)
    if name == "ReplaceWhite":
        return functools.partial(_replace_white, *arguments)
    return functools.partial(_replace, *arguments)


class _Steps:
    """Several functions after one another."""

    def __init__(self, functions: list[Function]) -> None:
        self._functions = functions

    def __call__(self, text: str) -> str:
        for function in self._functions:
            text = function(text)
        return text


def function(recipe: Recipe) -> Function:
    """Return the function that normalizes an added token.

    >>> function(Recipe("x", (), steps=[("Lowercase",)], space_before=3))("A")
    ' a'
    """
    steps: list[tuple[str, ...]] = [("NFC",)] if recipe.normalize else [*recipe.steps]
    if recipe.marks:
        steps.append(("Replace", "\u2581", " "))
    if recipe.space_before == 3:
        steps.append(("Prepend", " "))
    return _Steps([_step(*step) for step in steps])


def compiled(recipe: Recipe) -> tuple[Function | None, Tables | None]:
    """Return the function that normalizes, and the tables by which it is called only where needed."""
    if recipe.normalize:
        return nfc, tables()
    return (_Steps([_step(*step) for step in recipe.steps]), None) if recipe.steps else (None, None)
