"""Published vocabulary files give the ids of the programs they were made for.

The files are not part of the project: FASTPREP_SHARED names the folder that has them.
"""

from __future__ import annotations

import base64
import itertools
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import sentencepiece
import tiktoken
from texts import ROOT, SHARED, corpus_documents, mixed_texts, packed_vocabulary
from tokenizers import Tokenizer

from fastprep import Encoding

# The file, and its family in the table of docs/vocabularies.md.
FILES = {
    "deepseek-coder.json": "DeepSeek Coder",
    "deepseek_v3.json": "DeepSeek V3, R1",
    "falcon.json": "Falcon",
    "mistral-v1.model": "Mistral 7B, Mixtral",
    "phi2.json": "Phi-2",
    "phi3_mini.json": "Llama 2, Phi-3",
    "pythia.json": "Pythia, GPT-NeoX, MPT, OLMo 1",
    "qwen3.json": "Llama 3, Qwen 2 and 3, OLMo 2, Phi-4, Nemotron",
    "smollm2.json": "StarCoder 2, SmolLM 2",
    "starcoder.json": "StarCoder 2, SmolLM 2",
    "tekken.json": "Mistral NeMo and later",
    "whisper_tiny.json": "Whisper",
}
NASTY = [
    "",
    " ",
    "  a",
    "\0",
    "\x7f\x1f",
    "e\u0301",
    "\u212b",
    "²³½",
    "a" * 500,
    " " * 300,
    "\r\n\r\n",
]
NASTY += [
    "</s><s><|endoftext|>",
    "▁▁ ▁",
    "<0x41>",
    "\u2028\u3000",
    "👩‍👩‍👧",
    "\U0010ffff",
    "\ufeff",
    "中文" * 99,
]

Ids = Callable[[str], list[int]]


@pytest.fixture(scope="module")
def batch() -> list[str]:
    """Return texts of three kinds, of the corpora, of atoms, and nasty ones."""
    rnd = random.Random(1)
    found = [*NASTY, *mixed_texts(seed=18, count=200)]
    for kind in ("prose", "code", "multi"):
        for text in itertools.islice(corpus_documents(kind), 200):
            start = rnd.randrange(max(1, len(text) - 400))
            found.append(text[start : start + 400])
    return found


def library(path: Path) -> Ids:
    """Return the function of the program that a file was made for."""
    if path.suffix == ".model":
        model = sentencepiece.SentencePieceProcessor(model_file=str(path))
        # It ends a text at a NUL.
        return lambda text: model.encode(text)
    if path.name == "tekken.json":
        document = json.loads(path.read_text(encoding="utf-8"))
        special = document["config"]["default_num_special_tokens"]
        count = document["config"]["default_vocab_size"] - special
        ranks = {
            base64.b64decode(token["token_bytes"]): token["rank"]
            for token in document["vocab"][:count]
        }
        theirs = tiktoken.Encoding(
            "x",
            pat_str=document["config"]["pattern"],
            mergeable_ranks=ranks,
            special_tokens={},
        )
        return lambda text: [id + special for id in theirs.encode_ordinary(text)]
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.encode_special_tokens = True
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


@pytest.mark.filterwarnings("ignore:a text has the byte:RuntimeWarning")
@pytest.mark.parametrize("name", FILES)
def test_a_published_file(name, batch, tmp_path):
    path = packed_vocabulary(name, tmp_path)
    theirs, ours = library(path), Encoding.from_file(path)
    texts = [text for text in batch if "\0" not in text or path.suffix != ".model"]
    expected = [theirs(text) for text in texts]
    for text, ids in zip(texts, expected, strict=True):
        assert ours.encode_ordinary(text) == ids, ascii(text)
    assert ours.encode_ordinary_batch(texts, num_threads=2) == expected
    stream = ours.decode_stream()
    for text, ids in zip(texts, expected, strict=True):
        assert "".join([*map(stream.push, ids), stream.finish()]) == ours.decode(ids)
        assert ours.encode_with_offsets(text, disallowed_special=())[0] == ids


def test_the_table_of_families_says_which_files_are_tested():
    table = (
        (ROOT / "docs" / "vocabularies.md").read_text(encoding="utf-8").partition("## Families")[2]
    )
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("|")]
    own = {row[0] for row in rows if any(word in row[-1] for word in (" own", "its own", "itself"))}
    assert own == set(FILES.values())
    folder = SHARED / "vocabularies"
    if folder.is_dir():
        there = {path.name.removesuffix(".zst") for path in folder.glob("*.zst")}
        assert there == set(FILES)
