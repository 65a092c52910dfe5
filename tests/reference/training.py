"""Byte-pair training in slow, plain Python: all pairs are counted again after each merge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence


def train(
    counts: Mapping[bytes, int],
    merges: int,
    order: Sequence[int],
    least: int = 1,
    max_length: int = 0,
) -> list[tuple[bytes, bytes, int]]:
    """Return the merges, each with the count of its pair.

    `order` ranks the bytes, and merged tokens come after them in the order of merging: of two pairs
    with equal counts the one with the smaller tokens is merged.
    """
    rank = {bytes([byte]): order[byte] for byte in range(256)}
    words = [([bytes([byte]) for byte in word], count) for word, count in counts.items()]
    return train_words(words, merges, rank, least, max_length)


def train_from(
    counts: Mapping[bytes, int],
    merges: int,
    ranks: Mapping[bytes, int],
    least: int = 1,
    max_length: int = 0,
) -> list[tuple[bytes, bytes, int]]:
    """Return the merges after those of a vocabulary, in which `ranks` are the ids of the tokens."""
    words = [(encoded(piece, ranks), count) for piece, count in counts.items()]
    return train_words(words, merges, dict(ranks), least, max_length)


def encoded(piece: bytes, ranks: Mapping[bytes, int]) -> list[bytes]:
    """Return a piece in tokens: the leftmost pair of the lowest rank merges, again and again."""
    word = [bytes([byte]) for byte in piece]
    while True:
        made = [a + b for a, b in zip(word, word[1:]) if a + b in ranks]  # noqa: B905, RUF007
        if not made:
            return word
        best = min(made, key=ranks.__getitem__)
        at = next(i for i in range(len(word) - 1) if word[i] + word[i + 1] == best)
        word[at : at + 2] = [best]


def train_words(
    words: list[tuple[list[bytes], int]],
    merges: int,
    rank: dict[bytes, int],
    least: int,
    max_length: int,
) -> list[tuple[bytes, bytes, int]]:
    """Return the merges of words in tokens, whose order `rank` says."""
    done: list[tuple[bytes, bytes, int]] = []
    while len(done) < merges:
        pairs: Counter[tuple[bytes, bytes]] = Counter()
        for word, count in words:
            for a, b in zip(word, word[1:]):  # noqa: B905, RUF007
                size = len(a) + len(b)
                if size == 2 or not max_length or size < max_length:
                    pairs[a, b] += count
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], rank[pair[0]], rank[pair[1]]))
        if pairs[best] < max(least, 1):
            break
        done.append((*best, pairs[best]))
        rank.setdefault(best[0] + best[1], max(rank.values()) + 1)
        words = [(merged(word, best), count) for word, count in words]
    return done


def merged(word: list[bytes], pair: tuple[bytes, bytes]) -> list[bytes]:
    """Return a word with each occurrence of the pair merged, from left to right."""
    made: list[bytes] = []
    at = 0
    while at < len(word):
        if tuple(word[at : at + 2]) == pair:
            made.append(pair[0] + pair[1])
            at += 2
        else:
            made.append(word[at])
            at += 1
    return made
