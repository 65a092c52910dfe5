"""Ids and spans as arrays: those of the lists, in bulk, and by both ways of finding them."""

from __future__ import annotations

import random

import numpy as np
import pytest
from tokenizer_styles import gpt2_style, llama3_style, phi_style, qwen2_style
from vocabulary_kinds import gemma_style, llama_style, mistral_style, read, unknown_style

from fastprep import Encoding, get_encoding
from fastprep.encoding.offsets import _by_parts
from fastprep.errors import InvalidInput, TextIsChanged

ATOMS = ["e\u0301", "\u0958", "가\u11a8", "  ", " ", "\n", "the", "é", "中", "🙂", "<s>", "</s>"]
ATOMS += ["<|endoftext|>", "<|user|>", "12", "x" * 70, "\t\t", "▁", " word", "½", "中文" * 40]


def batch(seed: int = 3, count: int = 60) -> list[str]:
    rnd = random.Random(seed)
    return [
        *ATOMS,
        "",
        *("".join(rnd.choices(ATOMS, k=rnd.randrange(1, 14))) for _ in range(count)),
    ]


@pytest.mark.parametrize(
    "style",
    [gpt2_style, phi_style, llama3_style, qwen2_style, llama_style, mistral_style, gemma_style],
)
def test_arrays_are_the_lists_and_those_of_parts(style, tmp_path):
    _, encoding = read(style(), tmp_path)
    texts = batch()
    for allowed in ("all", frozenset()):
        options = {"allowed_special": allowed, "disallowed_special": ()}
        specials = encoding._specials.screen("", allowed, ())
        for text in texts:
            ids, spans = encoding.encode_with_offsets_to_numpy(text, **options)
            assert (ids.dtype, spans.dtype, spans.shape) == (np.uint32, np.int64, (len(ids), 2))
            apart, found = _by_parts(encoding, text, specials)
            assert (ids.tolist(), spans.tolist()) == (apart.tolist(), found.tolist()), ascii(text)
            listed = encoding.encode_with_offsets(text, **options)
            assert listed == (ids.tolist(), [*map(tuple, spans.tolist())])
            assert listed[0] == encoding.encode(text, **options)
        ids, offsets, spans = encoding.encode_batch_with_offsets_to_numpy(iter(texts), **options)
        flat = encoding.encode_batch_to_numpy(texts, **options)
        assert (ids.tolist(), offsets.tolist()) == (flat[0].tolist(), flat[1].tolist())
        whole = [encoding.encode_with_offsets(text, **options)[1] for text in texts]
        assert [*map(tuple, spans.tolist())] == [span for row in whole for span in row]


def test_spans_reach_over_blocks_of_64_bytes_and_large_places():
    encoding = get_encoding("cl100k_base")
    for text in ("é" * 31 + "a" * 3 + "🙂" * 40, "a" * 64, "a" * 63 + "é", "word " * 30_000):
        ids, spans = encoding.encode_with_offsets(text)
        assert ids == encoding.encode(text)
        assert {place for a, b in spans for place in range(a, b)} == set(range(len(text)))
        places = np.cumsum([0, *(len(character.encode()) for character in text)])
        ends = np.cumsum([len(encoding.decode_single_token_bytes(id)) for id in ids])
        begins = np.concatenate([[0], ends[:-1]])
        firsts = np.searchsorted(places, begins, "right") - 1
        lasts = np.searchsorted(places, ends, "left")
        assert spans == [*zip(firsts.tolist(), lasts.tolist(), strict=True)]


def test_special_tokens_of_a_template_have_no_characters(tmp_path):
    from tokenizers.processors import TemplateProcessing

    tokenizer = gpt2_style()
    tokenizer.add_special_tokens(["<s>", "</s>"])
    numbers = [(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>")]
    tokenizer.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=numbers)
    _, encoding = read(tokenizer, tmp_path)
    ids, spans = encoding.encode_with_offsets_to_numpy("the", add_special_tokens=True)
    assert ids.tolist() == encoding.encode("the", add_special_tokens=True)
    assert spans[[0, -1]].tolist() == [[0, 0], [0, 0]]
    assert encoding.encode_with_offsets("the", add_special_tokens=True)[1][1:-1] == [
        tuple(span) for span in spans[1:-1].tolist()
    ]


def test_errors_are_those_of_encode(tmp_path):
    encoding = get_encoding("gpt2")
    calls = [
        encoding.encode_with_offsets_to_numpy,
        lambda text, **how: encoding.encode_batch_with_offsets_to_numpy(["a", text], **how),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="disallowed special token"):
            call("a <|endoftext|>")
        with pytest.raises(UnicodeEncodeError):
            call("\ud800")
        call("a <|endoftext|>", disallowed_special=())
    with pytest.raises(InvalidInput):
        encoding.encode_batch_with_offsets_to_numpy(["a"], num_threads=0)
    assert [len(part) for part in encoding.encode_batch_with_offsets_to_numpy([])] == [0, 1, 0]
    _, unknown = read(unknown_style(), tmp_path)
    for method in (
        Encoding.encode_with_offsets_to_numpy,
        Encoding.encode_batch_with_offsets_to_numpy,
    ):
        with pytest.raises(TextIsChanged, match="one id for unknown characters"):
            method(unknown, "a")
