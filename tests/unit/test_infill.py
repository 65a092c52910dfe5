"""Fill-in-the-middle: documents are rearranged as the reference does it, whatever makes the store."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from reference.infill import infilled
from tokenizer_styles import gpt2_style

from fastprep import Encoding, SimpleTokenizerV2, build_vocab, get_encoding, prepare
from fastprep.checks.verification import verify
from fastprep.cli.main import main
from fastprep.errors import InvalidArgument, InvalidInput, InvalidUtf8, StoreExists
from fastprep.jobs.estimate import estimate
from fastprep.store.infill import KNOWN, infill_of
from fastprep.store.manifest import InfillRecord
from fastprep.store.reader import TokenStore

WORDS = ["def ", "tea", "  ", "\n", "naïve", "東京", "😀", "e\u0301", "1234", "<|fim_prefix|>"]
TEXTS = ["".join(random.Random(n).choices(WORDS, k=n % 30)) for n in range(150)]
CL100K = {"encoding": "cl100k_base", "progress": False, "shard_bytes": 2000}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    return path


def contents(output: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in output.iterdir() if path.is_file()}


@pytest.mark.parametrize(("rate", "spm"), [(0.5, 0.5), (1, 0.0), ("100%", 1), (0.2, "90%")])
@pytest.mark.parametrize("eot", ["append", "prepend", "none"])
def test_documents_are_those_of_the_reference(
    corpus: Path, tmp_path: Path, rate: Any, spm: Any, eot: Any
) -> None:
    encoding = get_encoding("cl100k_base")
    store = prepare(
        corpus, tmp_path / "store", fim_rate=rate, fim_spm_rate=spm, fim_seed=7, eot=eot, **CL100K
    )
    assert store.num_shards > 1
    rule = store.head.infill
    assert isinstance(rule, InfillRecord)
    names = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")
    assert rule.tokens == tuple(encoding.special_tokens[name] for name in names)
    end = [encoding.eot_token]
    before, after = end * (eot == "prepend"), end * (eot == "append")
    for number, text in enumerate(TEXTS):
        ids = infilled(text, rule.rate, rule.spm_rate, 7, rule.tokens, encoding.encode_ordinary)
        assert store.document(number).tolist() == [*before, *ids, *after], number
    verify(store)
    with pytest.raises(InvalidInput, match="rearranged by fim_rate"):
        verify(store, against="tiktoken")


def test_bytes_depend_on_inputs_and_settings_only(corpus: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"fim_rate": 0.5, "fim_seed": 1, **CL100K}
    store = prepare(corpus, tmp_path / "one", workers=1, **settings)
    prepare(corpus, tmp_path / "four", workers=4, block_bytes=300, **settings)
    for share in ((1, 2), (0, 2)):
        prepare(corpus, tmp_path / "shares", task=share, **settings)
    assert (
        contents(tmp_path / "one") == contents(tmp_path / "four") == contents(tmp_path / "shares")
    )
    # The same documents in another order and other shards are rearranged in the same way.
    lines = corpus.read_text().splitlines(keepends=True)
    (tmp_path / "b.jsonl").write_text("".join(reversed(lines)))
    other = prepare(tmp_path / "b.jsonl", tmp_path / "b", **{**settings, "shard_bytes": 1 << 20})
    for number in range(len(TEXTS)):
        assert other.document(-1 - number).tolist() == store.document(number).tolist()
    shuffled = prepare(corpus, tmp_path / "shuffled", shuffle=3, **settings)
    found = sorted(shuffled.document(n).tobytes() for n in range(len(TEXTS)))
    assert found == sorted(store.document(n).tobytes() for n in range(len(TEXTS)))
    del settings["progress"]
    guess = estimate(corpus, **settings)
    assert guess.tokens == store.num_tokens
    with pytest.raises(StoreExists, match="fim_rate was"):
        prepare(corpus, tmp_path / "one", **{**settings, "fim_seed": 2, "progress": False})


def test_seeds_draw_other_documents(corpus: Path, tmp_path: Path) -> None:
    made = [
        prepare(corpus, tmp_path / str(seed), fim_rate=0.5, fim_seed=seed, **CL100K)
        for seed in (0, 1)
    ]
    first = [{store.document(n)[0] for n in range(150)} for store in made]
    assert made[0] != made[1]
    assert all(100258 in ids for ids in first)  # <|fim_prefix|>


def test_tokens_of_published_models() -> None:
    for names in KNOWN:
        tokenizer = gpt2_style()
        tokenizer.add_special_tokens(list(names[:2]))
        tokenizer.add_tokens([names[2]])  # as some of DeepSeek's are
        encoding = Encoding.from_tokenizers(tokenizer)
        ids = tuple(tokenizer.token_to_id(name) for name in names)
        found = infill_of(0.5, 0.5, 0, None, encoding)
        assert found is not None
        assert found.tokens == ids
        own = infill_of(0.5, 0.5, 0, names[::-1], encoding)
        assert own is not None
        assert own.tokens == ids[::-1]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"fim_rate": 1.5}, "fim_rate is 1.5"),
        ({"fim_rate": True}, "fim_rate is True"),
        ({"fim_rate": 0.5, "fim_spm_rate": -1}, "fim_spm_rate is -1"),
        ({"fim_rate": 0.5, "fim_seed": -1}, "fim_seed"),
        ({"fim_rate": 0.5, "fim_tokens": ["<|endoftext|>"]}, "three special tokens"),
        ({"fim_rate": 0.5, "fim_tokens": ["a", "b", "c"]}, "has no token 'a'"),
        ({"fim_tokens": ["<|endoftext|>"] * 3}, "go with fim_rate"),
        ({"fim_rate": 0.5, "encoding": "gpt2"}, "no tokens for fill-in-the-middle"),
        ({"fim_rate": 0.5, "encoding": SimpleTokenizerV2(build_vocab("a b"))}, "no tokens"),
    ],
)
def test_wrong_settings(corpus: Path, tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        prepare(corpus, tmp_path / "store", **{"progress": False, **CL100K, **settings})


def test_documents_that_cannot_be_rearranged(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one<|endoftext|>tw\xff")
    with pytest.raises(InvalidUtf8, match=r"a.txt, byte 18"):
        prepare(tmp_path / "a.txt", tmp_path / "x", fim_rate=1, **CL100K)
    store = prepare(tmp_path / "a.txt", tmp_path / "y", fim_rate=1, on_error="replace", **CL100K)
    assert store.num_documents == 2
    (tmp_path / "b.jsonl").write_text('{"text": [1, 2]}\n')
    with pytest.raises(InvalidInput, match=r"b.jsonl, line 1: .*token ids"):
        prepare(tmp_path / "b.jsonl", tmp_path / "z", fim_rate=1, **CL100K)


def test_the_command(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["prepare", corpus, "-o", tmp_path / "store", "--encoding", "cl100k_base"]
    words += ["--fim-rate", "50%", "--fim-spm-rate", "0", "--fim-seed", "3", "--fim-tokens"]
    words += ["<|fim_suffix|>", "<|fim_prefix|>", "<|fim_middle|>"]
    assert main([*map(str, words)]) == 0
    expected = InfillRecord(0.5, 0.0, 3, (100260, 100258, 100259))
    assert TokenStore(tmp_path / "store").head.infill == expected
    capsys.readouterr()
    assert main(["info", str(tmp_path / "store")]) == 0
    assert "infill rate        0.5" in capsys.readouterr().out
