"""Checks of texts that are slow for some tokenizers: long runs, long pieces, unique pieces."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator

import numpy as np
from oracles import theirs
from texts import corpus_documents

from checks import Found
from fastprep import Encoding, get_encoding
from fastprep.vocabulary.published import PUBLISHED
from fastprep.vocabulary.ranks import bundled
from fastprep.vocabulary.recipe import Recipe

ALPHABET = "abcdefghijklmnopqrstuvwxyz"


def _random(letters: str) -> Callable[[int], str]:
    def shape(size: int) -> str:
        return "".join(random.Random(size).choices(letters, k=size))

    return shape


def _repeat(part: str) -> Callable[[int], str]:
    def shape(size: int) -> str:
        return (part * (size // len(part) + 1))[:size]

    return shape


#: The name of a shape, and a function from a number of characters to a text.
SHAPES: dict[str, Callable[[int], str]] = {
    "one letter": _repeat("a"),
    "random letters": _random(ALPHABET),
    "two letters": _random("ab"),
    "letters in both cases": _random(ALPHABET + ALPHABET.upper()),
    "spaces and a letter": lambda size: " " * (size - 1) + "a",
    "newlines and spaces": _random(" \n\r\t"),
    "one punctuation mark": _repeat("="),
    "punctuation marks": _random("!?=-_/.,;:"),
    "digits": _random("0123456789"),
    "Han": lambda size: _random("".join(map(chr, range(0x4E00, 0x9FA5))))(size // 3),
    "marks": lambda size: _repeat("e\u0301\u0302")(size // 2),
    "emoji": lambda size: _repeat("\U0001f469\u200d\U0001f469\u200d\U0001f467")(size // 4),
}
FAMILIES = ("r50k_base", "cl100k_base", "o200k_base")
SIZES = [1 << power for power in range(16, 25)]  # 64 KiB to 16 MiB
ROUNDS = 5


def shapes(seed: int, cases: int, size: int = SIZES[0]) -> Iterator[Found]:
    """Compare the ids of every shape with tiktoken's, at a size that tiktoken can handle."""
    for name in FAMILIES:
        ours, oracle = get_encoding(name), theirs(name)
        differing = sum(
            ours.encode_ordinary(text) != oracle.encode_ordinary(text)
            for text in (shape(size) for shape in SHAPES.values())
        )
        yield Found(f"shapes of {size} bytes, {name}", len(SHAPES), differing)


def _seconds(ours: Encoding, texts: list[bytes], rounds: int = ROUNDS) -> list[float]:
    """Return the best time of each text in several rounds, so that a slow moment affects all texts.

    The ids go into one array whose pages are mapped already: new pages cost more than some shapes.
    """
    best = [float("inf")] * len(texts)
    out = np.zeros(max(map(len, texts)) + 8, np.uint32)
    ends = np.zeros(1, np.uint64)
    for _ in range(rounds):
        for number, text in enumerate(texts):
            start = time.perf_counter()
            ours.encode_documents([text], out, ends)
            best[number] = min(best[number], time.perf_counter() - start)
    return best


def growth(seed: int, cases: int) -> Iterator[Found]:
    """Measure how the time grows with the size of each shape, and the speed relative to prose.

    A case differs if doubling the text takes more than 2.3 times as long, or the speed is below a
    twentieth of that on prose whose pieces are all in the cache.
    """
    prose = "\n".join(corpus_documents("prose")).encode()[: SIZES[-1]]
    for name in FAMILIES:
        ours = get_encoding(name)
        speed_of_prose = len(prose) / _seconds(ours, [prose])[0]
        # The first pass of a new encoding: the cost of tokenizing a corpus once.
        new = Encoding._from_recipe(
            Recipe(
                name,
                (ours.pat_str,),
                ours.special_tokens,
                ranks=bundled(PUBLISHED[name].table),
            )
        )
        new.encode_ordinary("")
        speed_of_new_prose = len(prose) / _seconds(new, [prose], rounds=1)[0]
        for what, shape in SHAPES.items():
            texts = [shape(size).encode() for size in SIZES]
            seconds = _seconds(ours, texts)
            # Per byte, because a shape with several bytes per character can miss its size by a few.
            costs = [took / len(text) for took, text in zip(seconds, texts, strict=True)]
            ratios = [2 * b / a for a, b in itertools.pairwise(costs)]
            slowest = 1 / max(costs)
            figures = {
                "prose_megabytes_per_second": round(speed_of_prose / 1e6, 1),
                "new_prose_megabytes_per_second": round(speed_of_new_prose / 1e6, 1),
                "megabytes_per_second": [round(1e-6 / cost, 1) for cost in costs],
                "doubling_takes_at_most": round(max(ratios), 2),
                "doubling_takes_on_average": round(float(np.prod(ratios)) ** (1 / len(ratios)), 3),
                "slowest_relative_to_prose": round(slowest / speed_of_prose, 3),
                "slowest_relative_to_new_prose": round(slowest / speed_of_new_prose, 3),
            }
            beyond = max(ratios) > 2.3 or slowest < speed_of_prose / 20
            yield Found(f"{what}, {name}", len(SIZES), int(beyond), figures)
