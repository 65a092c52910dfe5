"""The word tokenizers equal the notebook's, on any text and with any vocabulary."""

from __future__ import annotations

import itertools
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastprep.checks import plain_words as reference
from fastprep.words import tokenizers as words

SEED = 20_479
TEXTS = 20_000

WHITE = [chr(point) for point in range(sys.maxunicode + 1) if chr(point).isspace()]
SEPARATORS = list(",.:;?_!\"()'")
ATOMS = [
    *SEPARATORS,
    *WHITE,
    *("-", "--", "---", "----", "-----", "- -", "-\n-", "<|endoftext|>", "<|unk|>", "..."),
    *("a", "I", "the", "It", "genius", "Gisburn", "x" * 15, "x" * 16, "x" * 17, "é" * 16, "ÿ"),
    *("don’t", "café", "straße", "\x80", "\xad", "\0", "a\0", "a\0\0", "\x7f"),
    *("слово", "word" * 9, "中文字", "ab中", "אב", "\u0301", "\u200b", "\ufeff", "\u180e"),
    *("🙂", "a🙂", "𝒜" * 17, "\U0010ffff", "\ud800", "\udfff", "a\udc80", "—", "“", "…"),
]


def mixed(rnd: random.Random) -> str:
    """Return a text of atoms in one of CPython's three storage kinds, or of random code points."""
    kind = rnd.random()
    if kind < 0.1:
        ranges = [range(0x80), range(0x100), range(0x3100), range(sys.maxunicode + 1)]
        return "".join(chr(rnd.choice(rnd.choice(ranges))) for _ in range(rnd.randrange(40)))
    widest = rnd.choice(["\x7f", "\xff", "\uffff", "\U0010ffff"])
    atoms = [atom for atom in ATOMS if max(atom) <= widest]
    if kind < 0.3:
        atoms = rnd.sample(atoms, 4)
    between = rnd.choice(["", " ", rnd.choice(atoms)])
    return between.join(rnd.choices(atoms, k=rnd.randrange(40)))


def random_vocab(rnd: random.Random, text: str) -> dict[Any, Any]:
    """Return some of the text's words, and keys that do not equal any word, with ids of many kinds."""
    found = sorted(set(reference.split_words(text)))
    keys: list[Any] = rnd.sample(found, rnd.randrange(len(found) + 1))
    keys += rnd.sample(
        ["", " ", "a b", "a,", "---", "\n", 7, None, ("a",), b"a", "<|endoftext|>"], 4
    )
    if rnd.random() < 0.8:
        keys.append("<|unk|>")
    rnd.shuffle(keys)
    ids = [0, 1, -1, True, 256, 257, 2**31, 2**32, 2**64, -(10**40), *range(1000, 1010)]
    return {key: rnd.choice(ids) for key in keys}


def outcome(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return the value of a call, or its exception's type and arguments."""
    try:
        return function(*arguments)
    except Exception as error:
        return type(error), error.args


def check_tokenizers(text: str, vocab: dict[Any, Any], rnd: random.Random) -> None:
    for name in ("SimpleTokenizerV1", "SimpleTokenizerV2"):
        ours = getattr(words, name)(vocab)
        theirs = getattr(reference, name)(vocab)
        assert ours.int_to_str == theirs.int_to_str
        expected = outcome(theirs.encode, text)
        found = outcome(ours.encode, text)
        assert found == expected, (name, text, vocab)
        if isinstance(expected, list):
            assert all(a is b for a, b in zip(found, expected, strict=True)), (name, text, vocab)
            assert outcome(ours.decode, expected) == outcome(theirs.decode, expected)
        ids = rnd.choices([*vocab.values(), 0, 12345], k=12)
        assert outcome(ours.decode, ids) == outcome(theirs.decode, ids), (name, ids, vocab)


def all_words(text: str) -> dict[str, int]:
    """Return a vocabulary of all the text's words."""
    return reference.build_vocab([text])


# -- random texts ----------------------------------------------------------------------------------


def test_20000_mixed_texts_give_the_notebooks_ids_texts_and_errors() -> None:
    rnd = random.Random(SEED)
    for _ in range(TEXTS):
        text = mixed(rnd)
        assert words.split_words(text) == reference.split_words(text), ascii(text)
        check_tokenizers(text, random_vocab(rnd, text), rnd)


def test_mixed_texts_give_the_notebooks_vocabulary_in_its_order() -> None:
    rnd = random.Random(SEED + 1)
    for _ in range(2000):
        texts = [mixed(rnd) for _ in range(rnd.randrange(4))]
        specials = rnd.choices(ATOMS, k=rnd.randrange(3))
        expected = reference.build_vocab(texts, specials)
        assert list(words.build_vocab(texts, specials).items()) == list(expected.items())


def test_decode_closes_up_what_the_notebook_closes_up() -> None:
    rnd = random.Random(SEED + 2)
    for _ in range(5000):
        vocab = {word: number for number, word in enumerate({mixed(rnd)[:5] for _ in range(9)})}
        ids = rnd.choices(range(len(vocab)), k=rnd.randrange(20))
        for name in ("SimpleTokenizerV1", "SimpleTokenizerV2"):
            expected = getattr(reference, name)(vocab).decode(ids)
            assert getattr(words, name)(vocab).decode(ids) == expected, (name, vocab, ids)


any_piece = st.one_of(st.characters(exclude_categories=()), st.sampled_from(ATOMS))
any_text = st.lists(any_piece, max_size=30).map("".join)


@settings(max_examples=300, deadline=None)
@given(text=any_text, vocab=st.dictionaries(any_text, st.integers()), seed=st.integers())
def test_any_text_with_any_vocabulary_gives_the_notebooks_ids(
    text: str, vocab: dict[str, int], seed: int
) -> None:
    check_tokenizers(text, vocab, random.Random(seed))
    check_tokenizers(text, all_words(text), random.Random(seed))


# -- every text of a kind --------------------------------------------------------------------------


def test_every_text_of_up_to_six_characters_is_split_as_the_notebook_splits_it() -> None:
    for wide in ("é", "’", "🙂"):
        for length in range(7 if wide == "’" else 6):
            for text in map("".join, itertools.product("a-, " + wide + "\u2003", repeat=length)):
                assert words.split_words(text) == reference.split_words(text), ascii(text)


@pytest.mark.parametrize("context", ["x{} ", "{}x ", "-{}- ", "{}\n"])
def test_every_code_point_is_in_the_class_that_python_gives_it(context: str) -> None:
    text = "".join(context.replace("{}", chr(point)) for point in range(sys.maxunicode + 1))
    assert words.split_words(text) == reference.split_words(text)
    latin = text[: 256 * (len(context) - 1)]
    assert words.split_words(latin) == reference.split_words(latin)


def boundary_texts() -> Iterator[str]:
    """Yield texts whose pieces begin and end at all positions near the end of a window and a block."""
    tails = ["-", "--", "---", "-- --", ",", " ", " b", "--b", ",b", "é,"]
    tails += ["b" * 20, "b" * 70 + "--c"]
    sizes = [*range(58, 70), *range(2034, 2054)]
    for fill, size in itertools.product(["a", "a ", "-", ",", "\u3000"], sizes):
        for tail in tails:
            start = (fill * size)[:size]
            yield start + tail
            yield start + tail + " then more of it, " * 130
    for size in (4090, 4096, 5000, 70_000):
        for tail in tails:
            yield " " * 5 + "a" * size + tail + " end" * 9


def test_pieces_at_the_edges_of_blocks_and_windows_are_whole() -> None:
    for text in boundary_texts():
        for kind in ("", " é", " ’", " 🙂"):
            stored = text + kind
            assert words.split_words(stored) == reference.split_words(stored), ascii(stored)
            stored = kind + text
            assert words.split_words(stored) == reference.split_words(stored), ascii(stored)


def test_one_word_has_one_id_in_all_three_storage_kinds() -> None:
    rnd = random.Random(SEED + 3)
    texts = [mixed(rnd) for _ in range(300)]
    vocab = words.build_vocab(texts)
    theirs = reference.SimpleTokenizerV2(vocab)
    ours = words.SimpleTokenizerV2(vocab)
    for text in texts:
        for kind in ("", " é", " ’", " 🙂"):
            assert ours.encode(text + kind) == theirs.encode(text + kind)


# -- real text -------------------------------------------------------------------------------------


def test_the_notebooks_printed_outputs_come_out(verdict: str) -> None:
    assert len(verdict) == 20_479
    pieces = words.split_words(verdict)
    assert len(pieces) == 4690
    assert " ".join(pieces[:30]) == (
        "I HAD always thought Jack Gisburn rather a cheap genius -- though a good fellow enough -- "
        "so it was no great surprise to me to hear that , in"
    )

    vocab = words.build_vocab(verdict, special_tokens=())
    assert len(vocab) == 1130
    assert list(vocab.values()) == list(range(1130))
    assert " ".join(list(vocab)[:51]) == (
        "! \" ' ( ) , -- . : ; ? A Ah Among And Are Arrt As At Be Begin Burlington But By Carlo "
        "Chicago Claude Come Croft Destroyed Devonshire Don Dubarry Emperors Florence For Gallery "
        "Gideon Gisburn Gisburns Grafton Greek Grindle Grindles HAD Had Hang Has He Her Hermia"
    )

    v1 = words.SimpleTokenizerV1(vocab)
    text = """"It's the last he painted, you know,"
           Mrs. Gisburn said with pardonable pride."""
    ids = v1.encode(text)
    assert ids == [
        *(1, 56, 2, 850, 988, 602, 533, 746, 5, 1126, 596, 5, 1, 67, 7, 38, 851, 1108, 754, 793, 7)
    ]
    assert v1.decode(ids) == (
        '" It\' s the last he painted, you know," Mrs. Gisburn said with pardonable pride.'
    )
    with pytest.raises(KeyError) as error:
        v1.encode("Hello, do you like tea. Is this-- a test?")
    assert error.value.args == ("Hello",)

    vocab = words.build_vocab(verdict)
    assert len(vocab) == 1132
    assert list(vocab.items())[-2:] == [("<|endoftext|>", 1130), ("<|unk|>", 1131)]
    v2 = words.SimpleTokenizerV2(vocab)
    text = " <|endoftext|> ".join(
        ("Hello, do you like tea. Is this-- a test?", "In the sunlit terraces of the palace.")
    )
    ids = v2.encode(text)
    assert ids == [
        *(1131, 5, 355, 1126, 628, 975, 7, 1131, 999, 6, 115, 1131, 10),
        *(1130, 55, 988, 956, 984, 722, 988, 1131, 7),
    ]
    assert v2.decode(ids) == (
        "<|unk|>, do you like tea. <|unk|> this -- a <|unk|>? <|endoftext|> "
        "In the sunlit terraces of the <|unk|>."
    )


def test_the_whole_of_the_verdict_is_encoded_and_decoded_as_in_the_notebook(verdict: str) -> None:
    vocab = reference.build_vocab([verdict])
    for name in ("SimpleTokenizerV1", "SimpleTokenizerV2"):
        ours = getattr(words, name)(vocab)
        theirs = getattr(reference, name)(vocab)
        ids = theirs.encode(verdict)
        assert ours.encode(verdict) == ids
        assert ours.decode(ids) == theirs.decode(ids)
