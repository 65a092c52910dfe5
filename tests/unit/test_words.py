"""The word tokenizers as objects: vocabularies, copies, errors and later changes."""

from __future__ import annotations

import collections
import copy
import pickle
import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from fastprep.words.tokenizers import SimpleTokenizerV1, SimpleTokenizerV2, build_vocab, split_words
from fastprep_ext.words import WordTable, join_words, masks_of, unique_words

BOTH = pytest.mark.parametrize("tokenizer_type", [SimpleTokenizerV1, SimpleTokenizerV2])
Tokenizer = SimpleTokenizerV1 | SimpleTokenizerV2


# -- splitting -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        (" \t\n\x1c\x1f\x85\xa0\u3000", []),
        ("---", ["--", "-"]),
        ("----a-", ["--", "--", "a-"]),
        ("a---b", ["a", "--", "-b"]),
        ("well-known - fact", ["well-known", "-", "fact"]),
        ("snake_case", ["snake", "_", "case"]),
        ("<|endoftext|>", ["<|endoftext|>"]),
        ("a\0b", ["a\0b"]),
        ("\u200b\ufeff", ["\u200b\ufeff"]),
    ],
)
def test_a_text_is_split_by_the_rule(text: str, pieces: list[str]) -> None:
    assert split_words(text) == pieces


def test_a_word_of_a_million_letters_is_one_piece() -> None:
    assert split_words("," + "x" * 1_000_000 + "--y") == [",", "x" * 1_000_000, "--", "y"]


def test_the_simd_paths_see_the_same_classes_in_every_character() -> None:
    rnd = random.Random(1)
    blocks = [bytes(range(at, at + 64)) for at in range(0, 256, 64)]
    blocks += [rnd.randbytes(64) for _ in range(500)]
    ran = set()
    for block in blocks:
        masks = {path: masks_of(block, path) for path in ("portable", "sse2", "avx2", "neon")}
        ran |= {path for path, mask in masks.items() if mask is not None}
        assert all(mask == masks["portable"] for mask in masks.values() if mask is not None)
    assert "portable" in ran
    portable = masks_of(bytes([*b"a-,. b_\x85\xa0\xff", *b" " * 54]), "portable")
    assert portable is not None
    assert portable["word"] == 0b10_0010_0011
    assert portable["opens"] == portable["closes"] == 0b00_0100_1100
    assert portable["dash"] == 0b00_0000_0010


def test_block_of_another_size_or_an_unknown_path_is_refused() -> None:
    with pytest.raises(ValueError, match="64"):
        masks_of(b"short", "portable")
    assert masks_of(bytes(64), "abacus") is None


# -- vocabularies ----------------------------------------------------------------------------------


def test_a_vocabulary_is_sorted_by_code_point_and_the_specials_come_last() -> None:
    assert build_vocab("b B é 🙂 \uffff \ud800 --") == {
        **{"--": 0, "B": 1, "b": 2, "é": 3, "\ud800": 4, "\uffff": 5, "🙂": 6},
        **{"<|endoftext|>": 7, "<|unk|>": 8},
    }


def test_a_special_token_that_is_a_word_keeps_its_place_and_gets_the_later_id() -> None:
    vocab = build_vocab("a <|unk|> b", ["<|unk|>", "a", "a"])
    assert list(vocab.items()) == [("<|unk|>", 3), ("a", 5), ("b", 2)]


def test_many_texts_make_one_vocabulary() -> None:
    texts: Iterator[str] = iter(["b a", "", "c b"])
    assert build_vocab(texts, ()) == {"a": 0, "b": 1, "c": 2}
    assert build_vocab([], ()) == build_vocab("", ()) == {}


def test_a_hundred_thousand_words_are_each_kept_once() -> None:
    words = [f"w{number}" for number in range(100_000)] + ["ж" * k for k in range(1, 500)]
    assert sorted(unique_words([" ".join(words)] * 2)) == sorted(words)


@pytest.mark.parametrize("texts", [["a", b"b"], b"ab", [1], 7, None])
def test_vocabulary_of_other_types_than_str_is_a_type_error(texts: Any) -> None:
    with pytest.raises(TypeError):
        build_vocab(texts)


def test_one_str_as_list_of_special_tokens_is_refused() -> None:
    with pytest.raises(TypeError, match="special_tokens"):
        build_vocab("a", "<|unk|>")


# -- encode and decode -----------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("text", [b"a", None, 7, ["a"], bytearray(b"a")])
def test_encoding_other_types_than_str_is_a_type_error(tokenizer_type: Any, text: Any) -> None:
    with pytest.raises(TypeError, match="text must be a str, not"):
        tokenizer_type({"a": 1}).encode(text)


@BOTH
def test_a_subclass_of_str_is_a_text_and_a_key(tokenizer_type: Any) -> None:
    tokenizer = tokenizer_type({np.str_("a"): 5})
    assert tokenizer.encode(np.str_("a a")) == [5, 5]


def test_v1_names_the_first_unknown_word() -> None:
    with pytest.raises(KeyError) as error:
        SimpleTokenizerV1({"a": 1}).encode("a " * 3000 + "Hello there")
    assert error.value.args == ("Hello",)


def test_v2_without_its_unknown_word_fails_only_where_it_is_needed() -> None:
    tokenizer = SimpleTokenizerV2({"a": 1})
    assert tokenizer.encode("a a") == [1, 1]
    with pytest.raises(KeyError) as error:
        tokenizer.encode("a b")
    assert error.value.args == ("<|unk|>",)


def test_a_lone_surrogate_is_a_word_like_any_other() -> None:
    tokenizer = SimpleTokenizerV2({"\ud800": 1, "<|unk|>": 0})
    assert tokenizer.encode("\ud800 \udfff") == [1, 0]


def test_words_with_nul_at_their_end_are_different_words() -> None:
    tokenizer = SimpleTokenizerV1({"a": 0, "a\0": 1, "a\0\0": 2, "\0": 3, "": 4})
    assert tokenizer.encode("a\0 a\0\0 a \0") == [1, 2, 0, 3]


@BOTH
def test_ids_are_the_very_objects_of_the_vocabulary(tokenizer_type: Any) -> None:
    ids = [10**30, -(10**30), 257, True]
    tokenizer = tokenizer_type(dict(zip("abcd", ids, strict=True)))
    assert [id(found) for found in tokenizer.encode("a b c d")] == list(map(id, ids))


@BOTH
def test_keys_of_other_types_decode_to_the_notebooks_errors(tokenizer_type: Any) -> None:
    tokenizer = tokenizer_type({7: 1, "a": 2})
    assert tokenizer.int_to_str == {1: 7, 2: "a"}
    with pytest.raises(TypeError, match="expected str instance, int found"):
        tokenizer.decode([2, 1])


@BOTH
def test_decode_takes_any_iterable_of_ids_and_names_an_unknown_one(tokenizer_type: Any) -> None:
    tokenizer = tokenizer_type({"a": 0, "b": 1})
    for ids in ([0, 1], range(2), iter([0, 1]), np.array([0, 1]), {0: "", 1: ""}, [0.0, True]):
        assert tokenizer.decode(ids) == "a b"
    assert tokenizer.decode([]) == ""
    with pytest.raises(KeyError) as error:
        tokenizer.decode([0, 99])
    assert error.value.args == (99,)
    with pytest.raises(TypeError):
        tokenizer.decode(5)


def test_v1_leaves_a_space_before_colon_and_semicolon_and_v2_does_not() -> None:
    vocab = build_vocab("a : b ; c , d")
    assert SimpleTokenizerV1(vocab).decode(range(7)) == ", : ; a b c d"
    assert SimpleTokenizerV1(vocab).decode([3, 1, 4, 2, 0]) == "a : b ;,"
    assert SimpleTokenizerV2(vocab).decode([3, 1, 4, 2, 0]) == "a: b;,"


def test_closing_up_may_leave_a_text_of_a_narrower_kind() -> None:
    assert join_words({0: "a\u3000", 1: ".", 2: "🙂"}, [0, 1], ".") == "a."
    assert join_words({0: "a\u3000", 1: ".", 2: "🙂"}, [0, 1, 2], ".") == "a. 🙂"
    with pytest.raises(ValueError, match="closer"):
        join_words({}, [], "_")


# -- the vocabulary, later -------------------------------------------------------------------------


@BOTH
def test_a_word_that_is_added_or_removed_later_is_noticed(tokenizer_type: Any) -> None:
    vocab = {"a": 0, "<|unk|>": 1}
    tokenizer = tokenizer_type(vocab)
    vocab["b"] = 2
    assert tokenizer.encode("a b") == [0, 2]
    assert tokenizer.str_to_int is vocab
    assert tokenizer.int_to_str == {0: "a", 1: "<|unk|>"}
    del vocab["a"]
    del vocab["<|unk|>"]
    with pytest.raises(KeyError):
        tokenizer.encode("a")


@BOTH
def test_changed_id_is_noticed_after_the_vocabulary_is_set_again(
    tokenizer_type: Any,
) -> None:
    vocab = {"a": 0}
    tokenizer = tokenizer_type(vocab)
    vocab["a"] = 9
    tokenizer.str_to_int = vocab
    assert tokenizer.encode("a") == [9]


def test_vocabulary_with_a_default_is_used() -> None:
    counter = collections.Counter(a=5)
    assert SimpleTokenizerV1(counter).encode("b a b") == [0, 5, 0]
    numbers: collections.defaultdict[str, int] = collections.defaultdict(lambda: len(numbers))
    tokenizer = SimpleTokenizerV1(numbers)
    assert tokenizer.encode("to be or not to be") == [0, 1, 2, 3, 0, 1]
    assert tokenizer.encode("not to worry") == [3, 0, 4]
    assert numbers == {"to": 0, "be": 1, "or": 2, "not": 3, "worry": 4}


@pytest.mark.parametrize("size", [0, 1, 2, 5, 1000, 65_537])
def test_every_word_of_a_vocabulary_of_any_size_is_found(size: int) -> None:
    vocab = {f"w{number}": number for number in range(size)}
    table = WordTable(vocab)
    assert len(table) == size
    assert table.encode(" ".join(vocab)) == list(range(size))
    with pytest.raises(KeyError):
        table.encode("v")


# -- the object ------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_copy_encodes_and_decodes_alike(
    tokenizer_type: Any, copied: Callable[[Tokenizer], Tokenizer]
) -> None:
    tokenizer = tokenizer_type(build_vocab("to be, or not to be"))
    tokenizer.int_to_str[99] = "mended"
    tokenizer.note = "kept"
    other = copied(tokenizer)
    assert type(other) is tokenizer_type
    assert vars(other).keys() == vars(tokenizer).keys()
    assert other.encode("not to be") == tokenizer.encode("not to be")
    assert other.decode([1, 99]) == tokenizer.decode([1, 99])
    assert (other.str_to_int is tokenizer.str_to_int) == (copied is copy.copy)


@BOTH
def test_repr_shows_class_and_size(tokenizer_type: Any) -> None:
    assert repr(tokenizer_type({"a": 1})) == f"<{tokenizer_type.__name__}: 1 words>"


def test_threads_share_a_tokenizer() -> None:
    text = " ".join(f"w{number % 1000}" for number in range(50_000))
    tokenizer = SimpleTokenizerV2(build_vocab(text))
    expected = tokenizer.encode(text)
    found: list[list[int]] = []
    threads = [
        threading.Thread(target=lambda: found.append(tokenizer.encode(text))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 8
