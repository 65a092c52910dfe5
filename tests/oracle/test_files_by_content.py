"""Vocabulary files are read, or refused, by what they are and not by their names."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import pytest
import sentencepiece
import tiktoken
from texts import ROOT
from tokenizer_styles import texts

from fastprep import Encoding
from fastprep.errors import BadVocabulary
from fastprep.vocabulary.known_files import KIMI_PATTERN, known_file
from fastprep.vocabulary.patterns import QWEN2_PATTERN, R50K_PATTERN, TEKKEN_PATTERN
from fastprep.vocabulary.ranks import table_of

BYTES = [bytes([byte]) for byte in range(256)]
TOKENS = [*BYTES, b"ab", b"abc", b" a", b"  "]


def model(**options: object) -> bytes:
    """Train a small SentencePiece model."""
    out = io.BytesIO()
    settings = {
        "model_type": "bpe",
        "vocab_size": 600,
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "character_coverage": 0.98,
        "hard_vocab_limit": False,
        "minloglevel": 2,
    }
    found = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "data").glob("*.*"))]
    lines = [line for text in found for line in text.splitlines() if 0 < len(line) < 1_000][:2_000]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=out, **settings | options
    )
    return out.getvalue()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"add_dummy_prefix": False},
        {"user_defined_symbols": ["<x>", "  ", "\u2581\u2581", "the"]},
        {"byte_fallback": False},
    ],
    ids=str,
)
def test_sentencepiece_models_give_the_librarys_ids(options, tmp_path):
    (tmp_path / "tokenizer.model").write_bytes(model(**options))
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "tokenizer.model"))
    ours = Encoding.from_file(tmp_path)
    batch = ["<x>the  x", " <x>", "  ", "▁a▁", "中" * 99, *texts(seed=1, count=600)]
    for text in batch:
        if "\0" not in text:  # where the library stops
            assert ours.encode_ordinary(text) == theirs.encode(text), repr(text)
    assert ours.special_tokens["<s>"] == theirs.bos_id()
    assert ours.decode(ours.encode_ordinary("the end ")) == "the end "


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"model_type": "unigram"}, "of the kind Unigram"),
        ({"normalization_rule_name": "nmt_nfkc"}, "precompiled_charsmap"),
        ({"remove_extra_whitespaces": True}, "remove_extra_whitespaces"),
    ],
)
def test_other_sentencepiece_models_are_named(options, complaint, tmp_path):
    path = tmp_path / "some.model"
    path.write_bytes(model(**options))
    with pytest.raises(BadVocabulary, match=rf"some\.model: .*{complaint}"):
        Encoding.from_file(path)


def test_a_sentencepiece_model_that_ends_early_is_refused(tmp_path):
    path = tmp_path / "some.model"
    data = model()
    for size in (40, len(data) // 2, len(data) - 3):
        path.write_bytes(data[:size])
        with pytest.raises(BadVocabulary, match=r"some\.model"):
            Encoding.from_file(path)


def tekken(**changes: object) -> dict[str, object]:
    config = {
        "pattern": TEKKEN_PATTERN,
        "default_vocab_size": 30 + len(TOKENS) - 1,
        "default_num_special_tokens": 30,
    }
    vocab = [
        {"rank": rank, "token_bytes": base64.b64encode(token).decode(), "token_str": None}
        for rank, token in enumerate(TOKENS)
    ]
    return {"config": config, "vocab": vocab} | changes


def test_tekken_json(tmp_path):
    (tmp_path / "tekken.json").write_text(json.dumps(tekken()))
    ours = Encoding.from_file(tmp_path)
    ranks = {
        token: rank for rank, token in enumerate(TOKENS[:-1])
    }  # the last is beyond the vocabulary
    theirs = tiktoken.Encoding(
        "x", pat_str=TEKKEN_PATTERN, mergeable_ranks=ranks, special_tokens={}
    )
    for text in texts(seed=2, count=200):
        assert ours.encode_ordinary(text) == [id + 30 for id in theirs.encode_ordinary(text)]
    assert ours.encode("<s>[INST]", allowed_special="all") == [1, 3]
    named = [{"rank": 3, "token_str": "[OTHER]", "is_control": True}]
    (tmp_path / "tekken.json").write_text(json.dumps(tekken(special_tokens=named)))
    assert Encoding.from_file(tmp_path).special_tokens["[OTHER]"] == 3


def lines(tokens: list[bytes]) -> bytes:
    return b"".join(b"%s %d\n" % (base64.b64encode(token), id) for id, token in enumerate(tokens))


@pytest.mark.parametrize(
    ("count", "name", "pattern", "special"),
    [
        (151_643, "qwen", QWEN2_PATTERN, {"<|endoftext|>": 151_643, "<|extra_204|>": 151_850}),
        (163_584, "kimi_k2", KIMI_PATTERN, {"[BOS]": 163_584, "[EOS]": 163_585}),
        (50_257, "whisper", R50K_PATTERN, {"<|endoftext|>": 50_257, "<|30.00|>": 51_864}),
    ],
)
def test_published_files_without_a_pattern(count, name, pattern, special):
    tokens = [*BYTES, *(b"%x" % (i + 16) for i in range(count - 256))]
    known = known_file(table_of({token: id for id, token in enumerate(tokens)}), count)
    assert known is not None
    assert (known.name, known.pattern) == (name, pattern)
    assert special.items() <= known.special_tokens.items()


def test_the_empty_token_of_a_tiktoken_file_and_the_config_beside_it(tmp_path):
    (tmp_path / "tiktoken.model").write_bytes(lines(TOKENS) + b"= 260\n")
    config = {"added_tokens_decoder": {"261": {"content": "<e>", "special": True}}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    ours = Encoding.from_file(tmp_path / "tiktoken.model", pat_str=R50K_PATTERN)
    assert ours.encode("abc a<e>", allowed_special="all") == [257, 258, 261]
    assert ours.decode([260]) == ""


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"GGUF\x03\0\0\0", "GGUF"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "Git LFS pointer"),
        (b"[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\n", "WordPiece"),
    ],
)
@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer.model", "vocab.tiktoken"])
def test_files_of_other_kinds_are_named(name, data, what, tmp_path: Path):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BadVocabulary, match=rf"{name}: this is a {what}"):
        Encoding.from_file(tmp_path / name)
