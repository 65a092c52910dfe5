"""A tokenizer.json saved as published: each id has a token, and libraries know its pattern."""

from __future__ import annotations

import json

import pytest
from texts import MORE_ATOMS, mixed_texts
from tokenizers import Tokenizer

from fastprep import Encoding, get_encoding
from fastprep.errors import BadVocabulary, InvalidArgument
from fastprep.vocabulary.patterns import LLAMA3_PATTERN, O200K_PATTERN

BYTES = {bytes([i]): i for i in range(256)}


def saved(encoding: Encoding, folder, **options):
    path = folder / "tokenizer.json"
    encoding.save(path, **options)
    document = json.loads(path.read_text(encoding="utf-8"))
    ids = {*document["model"]["vocab"].values(), *(t["id"] for t in document["added_tokens"])}
    return path, document, ids


def pattern_of(document):
    return document["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"]


@pytest.mark.parametrize(
    ("name", "pattern"), [("cl100k_base", LLAMA3_PATTERN), ("o200k_base", O200K_PATTERN)]
)
def test_published_encodings_have_no_holes_and_the_published_pattern(name, pattern, tmp_path):
    encoding = get_encoding(name)
    path, document, ids = saved(encoding, tmp_path, as_published=True)
    assert ids == {*range(encoding.n_vocab)}
    assert pattern_of(document) == pattern
    theirs, ours = Tokenizer.from_file(str(path)), Encoding.from_file(path)
    unused = [
        id for token, id in document["model"]["vocab"].items() if token.startswith("<|unused_")
    ]
    assert len(unused) == encoding.n_vocab - len(encoding._mergeable_ranks) - len(
        encoding.special_tokens
    )
    for text in [*mixed_texts(seed=12, count=150), *MORE_ATOMS, f"<|unused_{min(unused)}|>"]:
        found = theirs.encode(text, add_special_tokens=False).ids
        assert found == ours.encode(text, allowed_special="all")
        # The end of a text is the only place where the patterns differ.
        closed = text.rstrip() + "."
        found = theirs.encode(closed, add_special_tokens=False).ids
        assert found == encoding.encode(closed, allowed_special="all")
        assert not {*found} & {*unused}


def test_without_it_the_ids_of_all_texts_are_tiktokens(tmp_path):
    path, document, ids = saved(get_encoding("cl100k_base"), tmp_path)
    assert pattern_of(document) != LLAMA3_PATTERN
    assert len(ids) < get_encoding("cl100k_base").n_vocab
    text = "one\n  "
    found = Tokenizer.from_file(str(path)).encode(text, add_special_tokens=False).ids
    assert found == get_encoding("cl100k_base").encode(text)


def test_a_name_that_is_taken_gets_another(tmp_path):
    pattern = get_encoding("gpt2").pat_str
    special = {"<|unused_256|>": 257, "<e>": 259}
    made = Encoding("holes", pat_str=pattern, mergeable_ranks=BYTES, special_tokens=special)
    path, document, ids = saved(made, tmp_path, as_published=True)
    assert ids == {*range(260)}
    assert document["model"]["vocab"]["<<|unused_256|>>"] == 256
    theirs = Tokenizer.from_file(str(path))
    text = "<|unused_256|><|unused_258|><e>"
    expected = made.encode(text, allowed_special="all")
    assert theirs.encode(text, add_special_tokens=False).ids == expected


def test_what_cannot_be_filled_is_named(tmp_path):
    pattern = get_encoding("gpt2").pat_str
    far = Encoding("far", pat_str=pattern, mergeable_ranks=BYTES, special_tokens={"<e>": 1 << 20})
    with pytest.raises(BadVocabulary, match="far: 1048320 ids have no token, and 4096 at most"):
        far.save(tmp_path / "tokenizer.json", as_published=True)
    for name in ("x.tiktoken", "vocab.bpe"):
        with pytest.raises(InvalidArgument, match=r"as_published is for a tokenizer\.json"):
            get_encoding("gpt2").save(tmp_path / name, as_published=True)


@pytest.mark.parametrize("name", ["gpt2", "cl100k_base"])
def test_what_is_added_to_a_text_is_kept(name, tmp_path):
    encoding = Encoding._from_recipe(
        get_encoding(name).recipe.replaced(template=((get_encoding(name).eot_token,), ()))
    )
    for as_published in (False, True):
        path = tmp_path / f"{as_published}.json"
        encoding.save(path, as_published=as_published)
        read = Encoding.from_file(path)
        assert read.encode("tea", add_special_tokens=True)[0] == encoding.eot_token
