"""Checks of ids against tiktoken, and of pieces against the reference."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import numpy as np
from oracles import DISTINCT, theirs
from reference import splits
from texts import ATOMS, MORE_ATOMS, corpus_documents, dense, mixed

from checks import Found
from fastprep import get_encoding
from fastprep_ext.bpe import PATTERNS, split_pieces

CONTEXTS = ("{}", "a{}b", "A{}b", "!{}\n", " {}'s", "\n{} {}", "\u3000{} {}", "1{}\u0301")
SPLITS = {
    "r50k": (splits.split_r50k, "a1 \n'ls\u3000é!"),
    "cl100k": (splits.split_cl100k, "a1 \n'!ſL\u3000é"),
    "o200k": (splits.split_o200k, "aA中1 \n'!s/\u0301\u3000"),
}


def any_code_points(rnd: random.Random) -> str:
    return "".join(chr(code) for code in rnd.choices(SCALARS, k=rnd.randrange(1, 40)))


def ascii_only(rnd: random.Random) -> str:
    return "".join(chr(rnd.randrange(128)) for _ in range(rnd.randrange(1, 100)))


def few_atoms(rnd: random.Random) -> str:
    return "".join(rnd.choices(rnd.sample(ATOMS + MORE_ATOMS, 3), k=rnd.randrange(1, 80)))


def long_pieces(rnd: random.Random) -> str:
    return "".join(rnd.choice(" a=\n中é1") * rnd.randrange(1, 200) for _ in range(4))


SCALARS = [*range(0xD800), *range(0xE000, 0x110000)]
GENERATORS = (mixed, dense, any_code_points, ascii_only, few_atoms, long_pieces)


def random_texts(seed: int, cases: int) -> Iterator[Found]:
    """Compare the ids of generated texts, from six generators in turn."""
    for name in DISTINCT:
        ours, oracle = get_encoding(name), theirs(name)
        rnd = random.Random(seed)
        differing = 0
        for number in range(cases // len(DISTINCT)):
            text = GENERATORS[number % len(GENERATORS)](rnd)
            differing += ours.encode_ordinary(text) != oracle.encode_ordinary(text)
        yield Found(f"random texts, {name}", cases // len(DISTINCT), differing)


def scalar_values(seed: int, cases: int) -> Iterator[Found]:
    """Compare the ids of every Unicode scalar value in eight contexts, each a text of its own."""
    for name in DISTINCT:
        ours, oracle = get_encoding(name), theirs(name)
        differing = 0
        for context in CONTEXTS:
            for first in range(0, len(SCALARS), 1 << 12):
                codes = SCALARS[first : first + (1 << 12)]
                texts = [context.format(chr(code), chr(code)) for code in codes]
                pairs = zip(ours.encode_ordinary_batch(texts), texts, strict=True)
                differing += sum(ids != oracle.encode_ordinary(text) for ids, text in pairs)
        yield Found(f"scalar values, {name}", len(SCALARS) * len(CONTEXTS), differing)


def short_strings(seed: int, cases: int) -> Iterator[Found]:
    """Compare the pieces of all strings of up to six representatives, up to `cases` of them."""
    for family, (split, letters) in SPLITS.items():
        count = differing = 0
        for length in range(7):
            if len(letters) ** length > cases:
                break
            for characters in itertools.product(letters, repeat=length):
                text = "".join(characters)
                ends = list(itertools.accumulate(len(piece.encode()) for piece in split(text)))
                differing += split_pieces(text.encode(), PATTERNS[family]) != ends
                count += 1
        yield Found(f"short strings, {family}", count, differing)


def corpora(seed: int, cases: int) -> Iterator[Found]:
    """Compare the ids of every document of every corpus."""
    for name, corpus in itertools.product(DISTINCT, ("prose", "code", "multi")):
        ours, oracle = get_encoding(name), theirs(name)
        count = differing = 0
        for text in corpus_documents(corpus):
            ids = np.array(oracle.encode_ordinary(text), np.uint32)
            differing += not np.array_equal(ours.encode_bytes(text.encode()), ids)
            count += 1
        yield Found(f"{corpus} corpus, {name}", count, differing)
