"""The ids of each document in a store are those of tiktoken."""

from __future__ import annotations

import importlib
import json
import random
from pathlib import Path

import pytest
import regex
import tiktoken
from hypothesis import example, given, settings
from hypothesis import strategies as st
from texts import corpus_documents
from tiktoken_ext import openai_public

from fastprep.checks.verification import verify
from fastprep.encoding.cutting import cut
from fastprep.jobs.prepare import prepare
from fastprep.registry import get_encoding

EOT = 50256
PATTERNS = {
    "r50k": get_encoding("gpt2")._pat_str,
    "cl100k": (
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
        r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
    ),
    "o200k": "|".join(
        [
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
            r"\p{N}{1,3}",
            r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
            r"\s*[\r\n]+",
            r"\s+(?!\S)",
            r"\s+",
        ]
    ),
}


# Every class that a pattern distinguishes, and every kind of whitespace that it treats differently.
ALPHABET = "aB'sſ 1٣漢。.!/-\u0301\u00a0\u3000\u2028\u0085\t\n\r\x0b\x1c\u200b€😀ǅ"


def test_the_patterns_are_tiktokens_own() -> None:
    module = importlib.import_module("tiktoken_ext.openai_public")
    assert PATTERNS["r50k"] == openai_public.r50k_pat_str
    source = Path(str(module.__file__)).read_text()
    assert PATTERNS["cl100k"] in source


@pytest.mark.parametrize("name", list(PATTERNS))
@settings(max_examples=2500, deadline=None)
@given(
    text=st.text(alphabet=st.sampled_from(ALPHABET + "    \n\n\nab"), max_size=30),
    size=st.integers(1, 12),
)
@example(text="a!\n/b c", size=2)
@example(text="a\n\n b\n c", size=2)
def test_parts_have_the_pieces_of_the_whole_under_every_known_pattern(
    name: str, text: str, size: int
) -> None:
    # Pieces are compared, not ids: `regex` agrees with tiktoken on this alphabet's classes.
    pattern = regex.compile(PATTERNS[name])
    parts = [part.decode() for part in cut(text.encode(), size)]
    assert "".join(parts) == text
    found = [piece for part in parts for piece in pattern.findall(part)]
    assert found == pattern.findall(text)


@pytest.mark.parametrize("corpus", ["prose", "code", "multi"])
def test_real_documents_come_out_as_from_tiktoken(
    corpus: str, tmp_path: Path, oracle: tiktoken.Encoding
) -> None:
    documents = []
    size = 0
    for document in corpus_documents(corpus):
        documents.append(document)
        size += len(document)
        if size > 1_500_000:
            break
    half = len(documents) // 2
    lines = tmp_path / "first.jsonl"
    lines.write_text("".join(json.dumps({"text": text}) + "\n" for text in documents[:half]))
    plain = tmp_path / "second.txt"
    documents[half:] = [
        text for text in documents[half:] if text.strip(" \t\n\r\x0b\x0c") and "\x1e" not in text
    ]
    plain.write_bytes("\x1e".join(documents[half:]).encode())
    store = prepare(
        [lines, plain],
        tmp_path / "store",
        separator="\x1e",
        workers=1,
        shard_bytes=300_000,
        block_bytes=random.Random(corpus).randrange(2_000, 20_000),
    )
    assert store.num_documents == len(documents)
    for number, text in enumerate(documents):
        assert store.document(number).tolist() == [*oracle.encode_ordinary(text), EOT]
    assert verify(store, against="tiktoken", sample=50).compared == min(50, len(documents))
