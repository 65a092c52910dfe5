"""gpt2 ids are tiktoken's, id for id."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from texts import ATOMS, corpus_documents, mixed_texts
from tiktoken_ext.openai_public import r50k_pat_str

from fastprep.registry import get_encoding


def test_the_pattern_is_tiktokens():
    assert get_encoding("gpt2")._pat_str == r50k_pat_str


def test_ids_of_20000_generated_texts(gpt2, oracle):
    for text in mixed_texts(seed=20479, count=20_000):
        ids = gpt2.encode_ordinary(text)
        assert ids == oracle.encode_ordinary(text), repr(text)
        assert gpt2.decode(ids) == text


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.text(), st.lists(st.sampled_from(ATOMS)).map("".join)))
def test_ids_of_texts_that_hypothesis_finds(oracle, text):
    assert get_encoding("gpt2").encode_ordinary(text) == oracle.encode_ordinary(text)


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(codec=None, categories=["Cs", "L", "Zs"]), max_size=20))
def test_lone_surrogates_are_repaired_as_tiktoken_repairs_them(oracle, text):
    assert get_encoding("gpt2").encode_ordinary(text) == oracle.encode_ordinary(text)
    assert get_encoding("gpt2").encode(text) == oracle.encode(text)


@pytest.mark.parametrize("corpus", ["prose", "code", "multi"])
def test_every_document_of_the_corpora(gpt2, oracle, corpus):
    differing = [
        number
        for number, text in enumerate(corpus_documents(corpus))
        if gpt2.encode_to_numpy(text, disallowed_special=()).tolist()
        != oracle.encode_ordinary(text)
    ]
    assert differing == []


def test_every_scalar_value_in_four_contexts(gpt2, oracle):
    points = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    for context in ("{}", "a{}b", "  {}'s", "\u3000{} {}"):
        for first in range(0, len(points), 0x800):
            # Newlines on both sides separate the cases within one text.
            text = "\n".join(context.format(c, c) for c in points[first : first + 0x800])
            assert gpt2.encode_ordinary(text) == oracle.encode_ordinary(text), hex(ord(text[0]))


@pytest.mark.parametrize("allowed", [set(), {"<|endoftext|>"}, "all"])
@pytest.mark.parametrize("disallowed", [(), "all", {"<|endoftext|>"}, ["a"]])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain",
        "<|endoftext|>",
        "a <|endoftext|> b",
        "  <|endoftext|>  ",
        "<|endoftext|><|endoftext|>",
        "<|endoftext|",
        "x\ud800<|endoftext|>",
    ],
)
def test_special_tokens_are_handled_as_tiktoken_handles_them(
    gpt2, oracle, text, allowed, disallowed
):
    arguments = {"allowed_special": allowed, "disallowed_special": disallowed}

    def outcome(encode):
        try:
            return list(encode(text, **arguments))
        except ValueError as error:  # UnicodeEncodeError is one too
            return type(error), str(error)

    assert outcome(gpt2.encode) == outcome(oracle.encode)
    assert outcome(gpt2.encode_to_numpy) == outcome(oracle.encode_to_numpy)
