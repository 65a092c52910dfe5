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
from texts import corpus_documents, mixed_texts, packed_vocabulary
from tokenizers import Tokenizer
from vocabulary_table import published

from fastprep import Encoding

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
@pytest.mark.parametrize("name", published())
def test_a_published_file(name, batch, tmp_path):
    path = packed_vocabulary(name, tmp_path)
    theirs, ours = library(path), Encoding.from_file(path)
    # What the documentation says of it.
    known = published()[name]
    assert (known["tokens"], known["added"]) == (ours.n_vocab, len(ours.recipe.added))
    texts = [text for text in batch if "\0" not in text or path.suffix != ".model"]
    expected = [theirs(text) for text in texts]
    for text, ids in zip(texts, expected, strict=True):
        assert ours.encode_ordinary(text) == ids, ascii(text)
    assert ours.encode_ordinary_batch(texts, num_threads=2) == expected
    stream = ours.decode_stream()
    for text, ids in zip(texts, expected, strict=True):
        assert "".join([*map(stream.push, ids), stream.finish()]) == ours.decode(ids)
        assert ours.encode_with_offsets(text, disallowed_special=())[0] == ids
