"""Classes of characters of several bytes, in blocks of 64 bytes, on every SIMD path."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
import regex

from fastprep.errors import InvalidUtf8
from fastprep.vocabulary.patterns import (
    BYTE_LEVEL_PATTERN,
    CL100K_PATTERN,
    LLAMA3_PATTERN,
    O200K_PATTERN,
)
from fastprep_ext.base import unicode_class
from fastprep_ext.bpe import PATTERNS, blocks_of, split_pieces

PATHS = [path for path in ("portable", "sse2", "avx2", "neon") if blocks_of(b"a", 0, path)]
# The classes of unicode_class that make each mask of a block.
MASKS = {
    "letter": {"LU", "LT", "LL", "LM", "LO"},
    "upper": {"LU", "LT"},
    "lower": {"LL"},
    "mark": {"M"},
    "digit": {"N"},
    "white": {"SPACE"},
}
NAMES = ("OTHER", "LU", "LT", "LL", "LM", "LO", "M", "N", "SPACE", "SIGN")
SCALARS = [point for point in range(0x110000) if not 0xD800 <= point < 0xE000]
# Scripts of two, three and four bytes, and what is between words in any.
SCRIPTS = (
    (0x80, 0x250), (0x370, 0x530), (0x5D0, 0x700), (0x900, 0xA00), (0xE00, 0xE80), (0x1780, 0x1800),
    (0x1E00, 0x2070), (0x3000, 0x3100), (0x3400, 0x3500), (0x4DB0, 0x4E10), (0x4E00, 0x9FF0),
    (0xAC00, 0xD7A4), (0xF900, 0xFFF0), (0x10400, 0x10450), (0x1F300, 0x1F600), (0x20000, 0x20100),
)  # fmt: skip
BETWEEN = [*" \n\r'/aB1", "\u00a0", "\u3000", "\u0301", "\u2019", "'s", "'LL", "  ", "\n\n"]


def classes_of_bytes(text: str) -> npt.NDArray[np.uint8]:
    """Return the class of the character of each byte, as an index of NAMES."""
    kinds = np.array([NAMES.index(unicode_class(ord(c))) for c in text], np.uint8)
    points = np.array([ord(c) for c in text])
    return np.repeat(
        kinds, 1 + sum((points >= first).astype(int) for first in (0x80, 0x800, 0x10000))
    )


def check_blocks(text: str, path: str) -> None:
    """Compare all masks of a text with the classes of its characters."""
    blocks = blocks_of(text.encode(), PATTERNS["cl100k"], path)
    assert blocks is not None
    classes = classes_of_bytes(text)
    classes = np.pad(classes, (0, -len(classes) % 64), constant_values=NAMES.index("SPACE"))
    tails = np.frombuffer(text.encode() + bytes(-len(text.encode()) % 64), np.uint8) >> 6 == 2
    expected = {
        name: np.isin(classes, [NAMES.index(kind) for kind in kinds])
        for name, kinds in MASKS.items()
    }
    for name, bits in {**expected, "tail": tails}.items():
        masks = np.packbits(bits, bitorder="little").view(np.uint64)
        assert np.array_equal(masks, np.array([block[name] for block in blocks], np.uint64)), name


@pytest.mark.parametrize("path", PATHS)
def test_every_character_has_its_class_wherever_it_is_in_a_block(path):
    for shift in range(4):
        check_blocks("a" * shift + "".join(map(chr, SCALARS[shift::4])), path)
    rnd = random.Random(1)
    common = SCALARS[0x80:0xF800]
    rnd.shuffle(common)
    check_blocks("".join(map(chr, common)), path)


@pytest.mark.parametrize("path", PATHS)
def test_classes_at_each_place_of_a_block(path):
    for character in "éΩ中\u3000\u0301٣\U0001f600\U00010400":
        for place in range(60, 68):
            check_blocks("a" * place + character + "b", path)
            check_blocks("a" * place + character * 20, path)
            check_blocks("中" * 30 + "a" * place + character, path)


def mixes(seed: int, count: int) -> Iterator[str]:
    """Yield texts of a few scripts each."""
    rnd = random.Random(seed)
    for _ in range(count):
        scripts = rnd.choices(SCRIPTS, k=rnd.randrange(1, 5))
        between = rnd.choice((0.1, 0.3, 0.6))
        yield "".join(
            rnd.choice(BETWEEN)
            if rnd.random() < between
            else chr(rnd.randrange(*rnd.choice(scripts)))
            for _ in range(rnd.randrange(1, 150))
        )


@pytest.mark.parametrize("path", PATHS)
def test_classes_of_mixed_scripts(path):
    check_blocks("".join(mixes(seed=2, count=500)), path)
    for text in mixes(seed=3, count=100):
        check_blocks(text, path)


# Patterns as the regex package spells them.
PUBLISHED = {
    "r50k": BYTE_LEVEL_PATTERN,
    "cl100k": CL100K_PATTERN.replace("$", r"\Z"),
    "llama3": LLAMA3_PATTERN,
    "o200k": O200K_PATTERN,
}


@pytest.mark.parametrize("family", PUBLISHED)
def test_pieces_of_mixed_scripts_are_those_of_the_pattern(family):
    published = regex.compile(PUBLISHED[family])
    for text in mixes(seed=4, count=1_500):
        # Without those that another version of Unicode may have given a class.
        kept = "".join(c for c in text if unicode_class(ord(c)) != "OTHER")
        pieces = published.findall(kept)
        ends = list(itertools.accumulate(len(piece.encode()) for piece in pieces))
        assert split_pieces(kept.encode(), PATTERNS[family]) == ends, repr(kept)


@pytest.mark.parametrize("family", ["cl100k", "deepseek3", "kimi"])
def test_texts_that_are_not_utf8_are_refused_where_python_refuses_them(family):
    rnd = random.Random(5)
    wrong = [0x80, 0xBF, 0xC0, 0xC1, 0xC2, 0xE0, 0xED, 0xEF, 0xF0, 0xF4, 0xF5, 0xFF]
    for text in mixes(seed=6, count=1_500):
        data = bytearray(text.encode())
        at = rnd.randrange(len(data))
        if rnd.random() < 0.5:
            data[at] = rnd.choice(wrong)
        else:
            del data[at : at + rnd.choice((1, len(data)))]
        expected = first_wrong(bytes(data))
        if expected is None:
            split_pieces(bytes(data), PATTERNS[family])
            continue
        with pytest.raises(InvalidUtf8) as found:
            split_pieces(bytes(data), PATTERNS[family])
        assert found.value.offset == expected


def first_wrong(data: bytes) -> int | None:
    """Return where Python finds the first byte that is not UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.start
    return None


@pytest.mark.parametrize("place", range(58, 68))
def test_a_character_that_the_text_cuts_short_is_refused(place):
    for character in "é中\U0001f600":
        whole = character.encode()
        for kept in range(1, len(whole)):
            for after in (b"", b"a", b"a" * 70, "é".encode() * 40):
                data = b"a" * place + whole[:kept] + after
                with pytest.raises(InvalidUtf8, match=f"byte {place}"):
                    split_pieces(data, PATTERNS["cl100k"])
