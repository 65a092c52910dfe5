"""Spans of the original text that tokens come from are those of the tokenizers library."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from tokenizer_styles import (
    gpt2_style,
    llama3_style,
    phi_style,
    qwen2_style,
    roberta_style,
    texts,
    trained,
)
from tokenizers import AddedToken, Tokenizer, normalizers, pre_tokenizers
from vocabulary_kinds import (
    clip_style,
    falcon_style,
    gemma_style,
    llama_style,
    mistral_style,
    read,
    unknown_style,
    without,
)

from fastprep import Encoding, get_encoding
from fastprep.errors import TextIsChanged

STYLES = [
    *(gpt2_style, phi_style, roberta_style, llama3_style, qwen2_style, falcon_style),
    *(llama_style, mistral_style, gemma_style, clip_style),
]
ATOMS = [
    "e\u0301",
    "\u212b",
    "\u0958",
    "가\u11a8",
    "\u1100\u1161",
    "q\u0307\u0323",
    "  ",
    " ",
    "\n",
]
ATOMS += ["the", "The", "é", "中", "🙂", "<s>", "</s>", "<|endoftext|>", "<mask>", "<|user|>", "½"]
ATOMS += ["12345", "x", "don't", "\t\t", "▁", "<|startoftext|>", "WORD"]


def expected(theirs: Tokenizer, text: str) -> tuple[list[int], list[tuple[int, int]]]:
    found = theirs.encode(text, add_special_tokens=False)
    return found.ids, found.offsets


def untrimmed(tokenizer: Tokenizer) -> Tokenizer:
    """Return a tokenizer whose post-processor leaves offsets as they are."""
    document = json.loads(tokenizer.to_str())
    document["post_processor"] = None
    return Tokenizer.from_str(json.dumps(document))


def same_spans(theirs: Tokenizer, ours: Encoding, batch: list[str]) -> None:
    for text in batch:
        found = ours.encode_with_offsets(text, allowed_special="all")
        assert found == expected(theirs, text), ascii(text)


@pytest.mark.parametrize("style", STYLES)
def test_spans(style, tmp_path):
    theirs, ours = read(untrimmed(style()), tmp_path)
    rnd = random.Random(1)
    batch = ["".join(rnd.choices(ATOMS, k=rnd.randrange(1, 12))) for _ in range(400)]
    same_spans(theirs, ours, [*ATOMS, "", *batch, *texts(seed=16, count=100)])


@pytest.mark.parametrize("name", ["NFKC", "Lowercase"])
def test_spans_under_other_normalizers(name, tmp_path):
    steps = {
        "NFKC": normalizers.NFKC(),
        "Lowercase": normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()]),
    }
    tokenizer = trained(pre_tokenizers.ByteLevel(add_prefix_space=False), steps[name])
    tokenizer.add_tokens([AddedToken("THE", normalized=True), AddedToken("<s>", lstrip=True)])
    theirs, ours = read(tokenizer, tmp_path)
    same_spans(theirs, ours, [*ATOMS, "thethe a the", "xﬁy½", "A <s> the É"])


def test_replaced_text_and_text_after_lost_bytes_have_their_own_spans(tmp_path):
    """The library gives the end of what is replaced, and counts lost bytes after a piece."""
    tokenizer = trained(
        pre_tokenizers.ByteLevel(add_prefix_space=False), normalizers.Replace("the", "x")
    )
    theirs, ours = read(tokenizer, tmp_path)
    assert ours.encode_with_offsets("the thing")[0] == expected(theirs, "the thing")[0]
    assert ours.encode_with_offsets("the")[1] == [(0, 3)]
    _, ours = read(gpt2_style(), tmp_path, model=without(gpt2_style(), "e"))
    with pytest.warns(RuntimeWarning, match="0x65"):
        assert ours.encode_with_offsets("been")[1] == [(0, 1), (3, 4)]
    assert ours.encode_with_offsets("thei") == (ours.encode("thi"), [(0, 2), (3, 4)])


@pytest.mark.filterwarnings("ignore:a text has the byte:RuntimeWarning")
def test_spans_where_bytes_are_left_out(tmp_path):
    theirs, ours = read(gpt2_style(), tmp_path, model=without(gpt2_style(), "e", "Ã"))
    same_spans(theirs, ours, ["the tree é", "e", "eee", "to you é e"])


def test_spans_of_published_encodings():
    enc = get_encoding("cl100k_base")
    text = "One 🙂 é<|endoftext|>\n two"
    ids, spans = enc.encode_with_offsets(text, allowed_special="all")
    assert ids == enc.encode(text, allowed_special="all")
    assert [text[a:b] for a, b in spans][-3:] == ["<|endoftext|>", "\n", " two"]
    assert {index for a, b in spans for index in range(a, b)} == set(range(len(text)))
    with pytest.raises(UnicodeEncodeError):
        enc.encode_with_offsets("\ud800")
    with pytest.raises(ValueError, match="disallowed special token"):
        enc.encode_with_offsets(text)


def test_one_id_for_unknown_characters_has_no_spans(tmp_path):
    _, ours = read(unknown_style(), tmp_path)
    with pytest.raises(TextIsChanged, match="one id for unknown characters"):
        ours.encode_with_offsets("a")


# -- incremental decoding --------------------------------------------------------------------------


@pytest.mark.parametrize("style", [gpt2_style, llama_style, mistral_style, clip_style])
def test_a_stream_gives_the_decoded_text_and_whole_characters(style, tmp_path: Path):
    _, ours = read(style(), tmp_path)
    rnd = random.Random(2)
    stream = ours.decode_stream()
    for text in [*ATOMS, "", " ", "".join(ATOMS) * 3, *texts(seed=17, count=50)]:
        ids = ours.encode(text, allowed_special="all")
        parts = [stream.push(id) for id in ids]
        assert all("\ufffd" not in part or "\ufffd" in text for part in parts)
        assert "".join(parts) + stream.finish() == ours.decode(ids)
        rnd.shuffle(ids)  # which spell no text
        assert "".join([*map(stream.push, ids), stream.finish()]) == ours.decode(ids)
    with pytest.raises(KeyError):
        stream.push(ours.n_vocab + 1)


def test_a_stream_has_the_errors_of_decoding():
    enc = get_encoding("gpt2")
    half = enc.encode("🙂")[:1]
    stream = enc.decode_stream("strict")
    assert stream.push(half[0]) == ""
    with pytest.raises(UnicodeDecodeError):
        stream.finish()
    stream = enc.decode_stream("ignore")
    assert stream.push(half[0]) + stream.push(64) + stream.finish() == "a"


def test_spans_of_long_text_that_is_in_part_not_normal(tmp_path):
    tokenizer, encoding = read(qwen2_style(), tmp_path)
    parts = ["plain words ", "e\u0301 ", "\u1100\u1161\u11a8", " \u0301", "中文 ", "a" * 300]
    rnd = random.Random(5)
    for _ in range(20):
        text = "".join(rnd.choices(parts, k=120))
        assert encoding.encode_with_offsets(text) == expected(untrimmed(tokenizer), text)
