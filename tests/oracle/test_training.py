"""Merges equal those of other trainers: Hugging Face's by documents and by lines, and of fast ones."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from texts import corpus_documents, mixed_texts
from trainers import hugging_face, merges_of

from fastprep import train_bpe
from fastprep.vocabulary.byte_alphabet import to_bytes
from fastprep.vocabulary.patterns import BYTE_LEVEL_PATTERN

SIZE = 1200


def documents(kind: str) -> list[str]:
    """Return documents of one kind; of the corpora only the first ones."""
    if kind == "mixed":
        return [text for text in mixed_texts(7, 400) if text]
    return [text[:4000] for text in itertools.islice(corpus_documents(kind), 60)]


@pytest.mark.parametrize("kind", ["mixed", "prose", "code", "multi"])
@pytest.mark.parametrize("pattern", ["r50k", "cl100k", "o200k"])
def test_merges_are_those_of_hugging_face_by_documents(kind: str, pattern: str) -> None:
    texts = documents(kind)
    tokenizer, trainer = hugging_face(pattern, vocab_size=SIZE)
    tokenizer.train_from_iterator(texts, trainer)
    found = train_bpe(iter(texts), SIZE, pattern=pattern, special_tokens=[])
    assert found.merges == merges_of(tokenizer)


@pytest.mark.parametrize("kind", ["mixed", "prose", "code", "multi"])
def test_merges_are_those_of_hugging_face_by_lines(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "text.txt"
    path.write_text("\n".join(documents(kind)), newline="")
    tokenizer, trainer = hugging_face("r50k", vocab_size=SIZE)
    tokenizer.train([str(path)], trainer)
    options: dict[str, Any] = {"special_tokens": [], "separator": None}
    found = train_bpe(path, SIZE, documents="lines", **options)
    assert found.merges == merges_of(tokenizer)
    assert found.merges != train_bpe(path, SIZE, **options).merges


@pytest.mark.parametrize("seed", range(3))
def test_options_mean_the_same(seed: int) -> None:
    rnd = random.Random(seed)
    texts = [rnd.choice(["ab", "abc", "a", "aab", "字漢"]) * rnd.randrange(1, 9) for _ in range(80)]
    for length, frequency in itertools.product([None, 2, 3, 6], [0, 2, 9]):
        options: dict[str, Any] = {} if length is None else {"max_token_length": length}
        tokenizer, trainer = hugging_face(
            "r50k", vocab_size=400, min_frequency=frequency, **options
        )
        tokenizer.train_from_iterator(texts, trainer)
        found = train_bpe(
            iter(texts),
            400,
            special_tokens=[],
            min_frequency=frequency,
            max_token_length=length,
            log=lambda event: None,
        )
        assert found.merges == merges_of(tokenizer)


def test_special_tokens_first_are_the_ids_of_hugging_face() -> None:
    texts, specials = documents("mixed"), ["<s>", "<|endoftext|>"]
    tokenizer, trainer = hugging_face("r50k", vocab_size=500, special_tokens=specials)
    tokenizer.train_from_iterator(texts, trainer)
    found = train_bpe(iter(texts), 500, special_tokens=specials, specials="first")
    ids = {to_bytes(key): id for key, id in tokenizer.get_vocab().items() if key not in specials}
    assert found._mergeable_ranks == ids
    assert found.special_tokens == {token: tokenizer.token_to_id(token) for token in specials}


def common(one: Sequence[Any], other: Sequence[Any], least: int) -> None:
    count = min(len(one), len(other))
    assert count >= least
    assert list(one[:count]) == list(other[:count])


def test_merges_are_those_of_gigabpe(tmp_path: Path) -> None:
    gigabpe = pytest.importorskip("gigabpe")
    path = tmp_path / "text.txt"
    path.write_text("\n".join(documents("mixed")), newline="")
    _, theirs = gigabpe.train_bpe([str(path)], SIZE, threads=1, pretokenizer="bytelevel")
    found = train_bpe(path, SIZE, documents="lines", separator=None, special_tokens=[])
    common(found.merges, [tuple(map(to_bytes, pair)) for pair in theirs], 900)


def test_merges_are_those_of_rustbpe_with_ties_by_bytes() -> None:
    rustbpe = pytest.importorskip("rustbpe")
    texts = documents("mixed")
    tokenizer = rustbpe.Tokenizer()
    tokenizer.train_from_iterator(iter(texts), SIZE, pattern=BYTE_LEVEL_PATTERN)
    theirs = [bytes(token) for token, id in tokenizer.get_mergeable_ranks() if id >= 256]
    found = train_bpe(iter(texts), SIZE, special_tokens=[], ties="bytes")
    common([left + right for left, right in found.merges], theirs, 900)
    assert found.merges != train_bpe(iter(texts), SIZE, special_tokens=[]).merges


def test_the_check_at_full_size_compares_all_trainers() -> None:
    from checks.training import training

    found = [*training(1, 1000)]
    assert len(found) >= 3 * 6
    assert all(each.cases > 100 and each.differing == 0 for each in found)
