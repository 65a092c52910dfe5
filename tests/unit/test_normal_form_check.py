"""The compiled check finds all text that is not in normal form C, and little else."""

from __future__ import annotations

import random
import unicodedata

from fastprep.vocabulary import changes
from fastprep.vocabulary.nfc import nfc
from fastprep.vocabulary.recipe import Recipe
from fastprep_ext.bpe import TextChange

SAFE = [
    "a",
    " ",
    "abcdefgh" * 5,
    "é",
    "ж",
    "α",
    "ω",
    "ا",
    "ה",
    "हि",
    "ท",
    "中",
    "。",
    "…",
    "가",
    "🙂",
]
SAFE += ["\U0010ffff"]


def test_text_that_the_check_leaves_is_in_normal_form():
    change = TextChange(*changes.compiled(Recipe("x", (), normalize=True)))
    rnd = random.Random(1)
    points = [chr(c) for c in range(0x80, 0x30000) if not 0xD800 <= c < 0xE000]
    affected = [c for c in points if unicodedata.normalize("NFC", c) != c]
    marks = [c for c in points if unicodedata.combining(c)]
    seconds = ["\u1161", "\u11a8", "\u09be", "\u0bbe", "\u3099", "\U000110ba"]
    left = 0
    for _ in range(20_000):
        kinds = rnd.choices([SAFE, points, affected, marks, seconds], [8, 2, 1, 2, 1], k=6)
        text = "".join(rnd.choice(kind) for kind in kinds[: rnd.randrange(1, 7)])
        if change.leaves(text.encode()):
            left += 1
            assert nfc(text) == text, ascii(text)
    assert left > 2_000
    for character in points:
        assert not change.leaves(character.encode()) or nfc(character) == character
    for text in SAFE:
        for other in SAFE:
            assert change.leaves(f"{text}{other}".encode()), ascii(text + other)
