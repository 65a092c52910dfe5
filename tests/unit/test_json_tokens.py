"""Tokens and merges in JSON are read without objects as the decoder of all of JSON reads them."""

from __future__ import annotations

import json
import random

import pytest

from fastprep.errors import BadVocabulary
from fastprep.vocabulary.byte_alphabet import ALPHABET
from fastprep.vocabulary.json_values import number_parts, string_parts
from fastprep.vocabulary.limits import MAX_ID
from fastprep.vocabulary.merge_list import merge_list, rows_of_json
from fastprep.vocabulary.token_list import TokenList, token_list, token_list_of_json

LETTERS = {letter: id for id, letter in enumerate(ALPHABET)}
VOCAB = LETTERS | {
    "ab": 300,
    '"a': 301,
    "\\": LETTERS["\\"],
    "Ġ中": 302,
    "": 303,
    "🙂": 304,
    "/b": 305,
}


def by_decoder(data: bytes) -> TokenList:
    return token_list(number_parts(data, MAX_ID, "x"), "x")


def facts(tokens: TokenList) -> tuple[object, ...]:
    return tokens.blob, tokens.ends.tolist(), tokens.ids.tolist(), tokens.others, tokens.empty


@pytest.mark.parametrize("ascii", [True, False])
@pytest.mark.parametrize("indent", [None, 2])
def test_tokens_are_those_of_the_decoder(ascii, indent):
    items = list(VOCAB.items())
    random.Random(1).shuffle(items)
    vocab = dict(items)
    if ascii:
        del vocab["🙂"]  # two \u, which are left to the decoder
    data = json.dumps(vocab, ensure_ascii=ascii, indent=indent).encode()
    found = token_list_of_json(data, "x")
    assert found is not None
    assert facts(found) == facts(by_decoder(data))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b'{"a": 1',
        b'{"a": 1,}',
        b'{"a": 1} x',
        b'{"a": 01}',
        b'{"a": -1}',
        b'{"a": 1.0}',
        b'{"a": 1e2}',
        b'{"a": 123456789}',
        b'{"a": "b"}',
        b'{"a\n": 1}',
        b'{"\\x": 1}',
        b'{"\\ud800": 1}',
        b'{"\xff": 1}',
        b'{"a" 1}',
        b'{"a": 1, "a": 2}',
        b'{"a": 1, "b": 1}',
    ],
)
def test_other_objects_are_left_to_the_decoder(data):
    assert token_list_of_json(data, "x") is None


def test_random_damage_is_never_read_in_another_way():
    whole = json.dumps(VOCAB, ensure_ascii=False).encode()
    rnd = random.Random(2)
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(rnd.randint(1, 2)):
            data[rnd.randrange(len(data))] = rnd.choice(b'"\\,:{}0 1a\xe4')
        found = token_list_of_json(bytes(data), "x")
        if found is not None:
            try:
                expected = by_decoder(bytes(data))
            except BadVocabulary as error:
                raise AssertionError(bytes(data)) from error
            assert facts(found) == facts(expected)


@pytest.mark.parametrize(
    "data",
    [
        b'["a b", "ab a"]',
        b'[["a", "b"], [ "ab" , "a" ]]',
        b'["a b", ["ab", "a"]]',
        b'["\\u0061 b"]',
        b'["a  b"]',
        b'["a"]',
        b'["a b\\n"]',
        b'["a b",]',
        b'["a b" "ab a"]',
        b'[["a"]]',
        b'[["a", "b", "c"]]',
        b'["a c"]',
        b'["\xe4 b"]',
        b"[]",
        b"{}",
    ],
)
def test_merges_are_those_of_the_decoder(data):
    tokens = token_list([LETTERS | {"ab": 300, "aba": 301}], "x")
    found = rows_of_json(data, tokens)
    if found is None:
        return
    parts = string_parts(data, 10, "x")
    listed = merge_list(tokens, parts, whole_pieces=True, apart=(), source="x")
    assert found.tolist() == listed.merges.tolist()


def test_usual_merges_are_read_at_once():
    tokens = token_list([LETTERS | {"ab": 300, "aba": 301}], "x")
    for data in (b'["a b", "ab a"]', b'[["a","b"],["ab","a"]]'):
        rows = rows_of_json(data, tokens)
        assert rows is not None
        assert rows.tolist() == [[97, 98, 256], [256, 97, 257]]
