"""Merges compared with those of other trainers: whole lists, on three kinds of text."""

from __future__ import annotations

import hashlib
import importlib
import itertools
import json
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from texts import corpus_documents
from trainers import hugging_face, merges_of

from checks import Found
from fastprep import train_bpe
from fastprep.vocabulary.byte_alphabet import to_bytes
from fastprep.vocabulary.patterns import BYTE_LEVEL_PATTERN

CORPORA = ("prose", "code", "multi")
PATTERNS = ("r50k", "cl100k", "o200k")
#: Of a smaller size the first merges are the same: a trainer only stops earlier.
SIZES = (32_000, 100_000)
BYTES_PER_CASE = 40

Merges = Sequence[tuple[bytes, bytes] | bytes]


def training(seed: int, cases: int) -> Iterator[Found]:
    """Compare merges on about 40 bytes of each corpus per case, in `seed`'s order of documents."""
    for corpus in CORPORA:
        documents = chosen(corpus, seed, cases * BYTES_PER_CASE)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "documents.jsonl"
            path.write_text("".join(json.dumps({"text": text}) + "\n" for text in documents))
            lines = Path(folder) / "lines.txt"
            lines.write_text("\n".join(documents), encoding="utf-8", newline="")
            for pattern in PATTERNS:
                yield by_documents(corpus, pattern, documents, path)
                yield by_lines(corpus, pattern, lines)
            if find_spec("gigabpe"):
                yield as_gigabpe(corpus, lines)
            if find_spec("rustbpe"):
                yield as_rustbpe(corpus, documents, path)


def chosen(corpus: str, seed: int, size: int) -> list[str]:
    """Return documents of a corpus up to this many bytes."""
    documents = [text for text in corpus_documents(corpus) if text]
    random.Random(seed).shuffle(documents)
    ends = itertools.accumulate(len(text.encode()) for text in documents)
    return [text for text, end in zip(documents, ends, strict=True) if end <= size] or documents[:1]


def found(what: str, corpus: str, ours: Merges, theirs: Merges, size: int) -> Found:
    """Return how many merges differ over the length that both have."""
    count = min(len(ours), len(theirs))
    differing = sum(a != b for a, b in zip(ours, theirs, strict=False))
    digest = hashlib.sha256(repr([*ours]).encode()).hexdigest()
    figures = {"corpus": corpus, "bytes": size, "ours": len(ours), "theirs": len(theirs)}
    return Found(what, count, differing, {**figures, "sha256": digest})


def ours(path: Path, size: int = SIZES[-1], **options: Any) -> list[tuple[bytes, bytes]]:
    """Return the merges of fastprep."""
    quiet: Callable[[object], None] = lambda event: None  # noqa: E731
    return train_bpe(path, size, special_tokens=[], separator=None, log=quiet, **options).merges


def by_documents(corpus: str, pattern: str, documents: list[str], path: Path) -> Found:
    """Compare with Hugging Face's trainer, each document a text."""
    tokenizer, trainer = hugging_face(pattern, vocab_size=SIZES[-1])
    tokenizer.train_from_iterator(documents, trainer)
    what = f"merges of tokenizers, documents, {pattern}"
    merges = ours(path, pattern=pattern)
    assert merges[: SIZES[0] - 256] == ours(path, SIZES[0], pattern=pattern)
    return found(what, corpus, merges, merges_of(tokenizer), path.stat().st_size)


def by_lines(corpus: str, pattern: str, path: Path) -> Found:
    """Compare with Hugging Face's trainer, each line of a file a text."""
    tokenizer, trainer = hugging_face(pattern, vocab_size=SIZES[-1])
    tokenizer.train([str(path)], trainer)
    what = f"merges of tokenizers, lines, {pattern}"
    merges = ours(path, pattern=pattern, documents="lines")
    return found(what, corpus, merges, merges_of(tokenizer), path.stat().st_size)


def as_gigabpe(corpus: str, path: Path) -> Found:
    """Compare with gigabpe, which has no merges of bytes that do not occur."""
    gigabpe = importlib.import_module("gigabpe")
    _, theirs = gigabpe.train_bpe([str(path)], SIZES[-1], pretokenizer="bytelevel")
    pairs = [(to_bytes(left), to_bytes(right)) for left, right in theirs]
    merges = ours(path, documents="lines")
    return found("merges of gigabpe, lines, r50k", corpus, merges, pairs, path.stat().st_size)


def as_rustbpe(corpus: str, documents: list[str], path: Path) -> Found:
    """Compare with rustbpe, whose ties are by bytes."""
    rustbpe = importlib.import_module("rustbpe")
    tokenizer = rustbpe.Tokenizer()
    tokenizer.train_from_iterator(iter(documents), SIZES[-1], pattern=BYTE_LEVEL_PATTERN)
    theirs = [bytes(token) for token, id in tokenizer.get_mergeable_ranks() if id >= 256]
    made = [left + right for left, right in ours(path, ties="bytes")]
    return found("merges of rustbpe, documents, r50k", corpus, made, theirs, path.stat().st_size)
