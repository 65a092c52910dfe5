"""Vocabularies from files give the ids of the tokenizers library of Hugging Face."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference.steps import merge
from tokenizer_styles import FOREIGN, STYLES, both, gpt2_style, ids_of, texts, trained
from tokenizers import AddedToken, Tokenizer, pre_tokenizers

from fastprep import Encoding, get_encoding
from fastprep.errors import BadVocabulary
from fastprep.vocabulary import ranks as vocabulary
from fastprep.vocabulary.byte_alphabet import ALPHABET
from fastprep.vocabulary.nfc import nfc
from fastprep.vocabulary.tokenizer_json_writer import by_merges
from fastprep_ext.bpe import PATTERNS, Encoder


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tokenizers")


@pytest.mark.parametrize("style", STYLES)
def test_ids_are_those_of_the_tokenizers_library(style, directory):
    theirs, ours = both(style, directory)
    for text in texts(seed=1, count=4_000):
        assert ours.encode(text, allowed_special="all") == ids_of(theirs, text), repr(text)


@pytest.mark.parametrize("style", FOREIGN)
def test_patterns_without_a_splitter_are_run(style, directory, tmp_path):
    theirs, ours = both(style, directory)
    ours.save(tmp_path / "tokenizer.json")
    again = Encoding.from_file(tmp_path)
    assert again.rank_table_sha256 == ours.rank_table_sha256
    for text in texts(seed=13, count=4_000):
        expected = ids_of(theirs, text)
        assert ours.encode(text, allowed_special="all") == expected, repr(text)
        assert again.encode(text, allowed_special="all") == expected, repr(text)


@pytest.mark.parametrize(
    "pattern",
    [r"\p{N}{1,3}+", r"\h+", r"[a]\[[b[c]||d]", r"(?i:[a[b]])", r"[a-z&&[^b]]"],
)
def test_patterns_that_differ_between_dialects_mean_what_they_mean_here(pattern, tmp_path):
    ours = Encoding.from_file(with_pattern(pattern, tmp_path))
    theirs = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in texts(seed=14, count=500):
        expected = ids_of(theirs, text)
        assert ours.encode(text, allowed_special="all") == expected, repr(text)


@pytest.mark.parametrize("pattern", [r"a\K", "(", r"(?~ab)", "(?m)^a"])
def test_patterns_that_are_not_supported_are_refused(pattern, tmp_path):
    with pytest.raises(BadVocabulary, match=r"tokenizer\.json.* the pattern .* not supported"):
        Encoding.from_file(with_pattern(pattern, tmp_path))


def with_pattern(pattern, folder):
    """Write a tokenizer.json of GPT-2's style with another pattern, and return its folder."""
    document = json.loads(gpt2_style().to_str())
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    document["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [
            {
                "type": "Split",
                "pattern": {"Regex": pattern},
                "behavior": "Isolated",
                "invert": False,
            },
            {**byte_level, "use_regex": False},
        ],
    }
    (folder / "tokenizer.json").write_text(json.dumps(document))
    return folder


def test_added_tokens_of_whitespace_may_be_stripped_by_others(tmp_path):
    tokenizer = gpt2_style()
    space = AddedToken(" ", lstrip=True, rstrip=True, normalized=False)
    word = AddedToken("w", rstrip=True, normalized=False)
    lines = AddedToken("\n", normalized=False)
    tokenizer.add_tokens([space, word, lines])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    ours = Encoding.from_file(tmp_path)
    for size in range(1, 7):
        for text in map("".join, itertools.product(" w\na", repeat=size)):
            try:
                expected = ids_of(tokenizer, text)
            except BaseException as error:
                if type(error).__name__ != "PanicException":  # which is not an Exception
                    raise
                continue
            assert ours.encode(text) == expected, repr(text)


@pytest.mark.parametrize("style", STYLES)
def test_special_tokens_are_ordinary_text_for_encode_ordinary(style, directory):
    theirs, ours = both(style, directory)
    theirs.encode_special_tokens = True
    try:
        for text in texts(seed=2, count=1_000):
            ids = ids_of(theirs, text)
            assert ours.encode_ordinary(text) == ids, repr(text)
            assert ours.encode(text, disallowed_special=()) == ids, repr(text)
    finally:
        theirs.encode_special_tokens = False


@pytest.mark.parametrize("style", STYLES)
def test_saved_file_is_read_alike_by_both(style, directory, tmp_path):
    theirs, ours = both(style, directory)
    ours.save(tmp_path / "tokenizer.json")
    again = Encoding.from_file(tmp_path)
    saved = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert again.rank_table_sha256 == ours.rank_table_sha256
    assert again.n_vocab == ours.n_vocab
    for text in texts(seed=3, count=800):
        expected = ids_of(theirs, text)
        assert again.encode(text, allowed_special="all") == expected, repr(text)
        assert ids_of(saved, text) == expected, repr(text)


@pytest.mark.parametrize("style", STYLES)
def test_ids_decode_to_the_text_that_was_encoded(style, directory):
    _, ours = both(style, directory)
    assert ours.recipe.merge_list is not None
    if any(token.lstrip or token.rstrip for token in ours.recipe.added):
        pytest.skip("its added tokens swallow whitespace")
    for text in texts(seed=5, count=500):
        decoded = ours.decode(ours.encode(text, allowed_special="all"))
        # Added tokens decode as they are written, normalized or not.
        assert decoded == text or (ours.recipe.normalize and nfc(decoded) == nfc(text))


# -- tiktoken's tables -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", vocabulary.SHA256)
def test_a_published_table_means_the_same_as_a_tokenizer_json(name, tmp_path):
    published = Path(vocabulary.BUNDLED) / f"{name}.tiktoken"
    ours = Encoding.from_file(published)
    assert ours.special_tokens_set == get_encoding(name).special_tokens_set
    ours.save(tmp_path / "again.tiktoken")
    assert (tmp_path / "again.tiktoken").read_bytes() == published.read_bytes()
    ours.save(tmp_path / "tokenizer.json")
    again = Encoding.from_file(tmp_path / "tokenizer.json")
    theirs = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in texts(seed=6, count=1_500):
        expected = ours.encode(text, allowed_special="all")
        assert again.encode(text, allowed_special="all") == expected, repr(text)
        assert ids_of(theirs, text) == expected, repr(text)
    # Read back, it is a list of merges that is equivalent to the ranks.
    again.save(tmp_path / "back.tiktoken")
    assert (tmp_path / "back.tiktoken").read_bytes() == published.read_bytes()


def random_ranks(rnd: random.Random, size: int) -> dict[bytes, int]:
    """Return a vocabulary whose tokens need not come from merges: any strings over a few letters."""
    tokens = {bytes([i]) for i in range(256)}
    while len(tokens) < 256 + size:
        tokens.add(bytes(rnd.choices(b"abc", k=rnd.randrange(2, 9))))
    order = sorted(tokens)
    rnd.shuffle(order)
    return {token: rank for rank, token in enumerate(order)}


def test_one_merge_per_token_is_equal_to_ranks_for_any_vocabulary():
    rnd = random.Random(7)
    for _ in range(300):
        ranks = random_ranks(rnd, rnd.randrange(1, 80))
        listed = by_merges(ranks)
        encoder = encoder_of(listed)
        for _ in range(20):
            piece = bytes(rnd.choices(b"abcd", k=rnd.randrange(1, 97)))
            assert encoder.merge_piece(piece, "search") == merge(piece, ranks)


# -- lists of merges -------------------------------------------------------------------------------


def encoder_of(listed: Any) -> Encoder:
    table = listed.table
    return Encoder(
        table.blob,
        table.ends,
        table.ids,
        PATTERNS["r50k"],
        listed.merges.ravel(),
        listed.whole_pieces,
    )


def merge_by_list(piece: bytes, place: dict[tuple[bytes, bytes], int]) -> list[bytes]:
    """Merge in the order of the list, slowly and readably."""
    parts = [piece[i : i + 1] for i in range(len(piece))]
    while True:
        pairs = list(itertools.pairwise(parts))
        listed = [pair for pair in pairs if pair in place]
        if not listed:
            return parts
        at = pairs.index(min(listed, key=place.__getitem__))
        parts[at : at + 2] = [b"".join(pairs[at])]


def test_merges_follow_the_list_and_not_the_ids():
    rnd = random.Random(8)
    for _ in range(200):
        tokens = [bytes([i]) for i in range(256)]
        merges: list[tuple[int, int, int]] = []
        for _ in range(rnd.randrange(1, 60)):
            left, right = (rnd.choice([*range(97, 100), *range(256, len(tokens))]) for _ in "12")
            whole = tokens[left] + tokens[right]
            if any(merge[:2] == (left, right) for merge in merges):
                continue
            if whole not in tokens:
                tokens.append(whole)
            merges.append((left, right, tokens.index(whole)))
        rnd.shuffle(merges)
        ids = np.sort(rnd.sample(range(5_000), len(tokens))).astype(np.uint32)
        ends = np.cumsum([len(token) for token in tokens], dtype=np.uint64)
        encoder = Encoder(
            b"".join(tokens), ends, ids, 0, np.array(merges, np.uint32).ravel(), False
        )
        place = {(tokens[a], tokens[b]): at for at, (a, b, _) in enumerate(merges)}
        for size in (1, 2, 7, 20, 95, 200):
            piece = bytes(rnd.choices(b"abcd", k=size))
            expected = [int(ids[tokens.index(t)]) for t in merge_by_list(piece, place)]
            for way in ("search", "heap", "windows") if size < 97 else ("heap", "windows"):
                assert encoder.merge_piece(piece, way) == expected
            assert encoder.encode_piece(piece) == expected


def test_a_list_that_is_not_by_rank_is_not_saved_as_ranks(tmp_path):
    letters = {letter: i for i, letter in enumerate(ALPHABET)}
    document = json.loads(gpt2_style().to_str())
    document["added_tokens"] = []
    document["model"]["vocab"] = letters | {"ab": 256, "bc": 257}
    document["model"]["merges"] = ["b c", "a b"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(document))
    encoding = Encoding.from_file(tmp_path / "tokenizer.json")
    assert encoding.encode("abc") == [letters["a"], 257]
    with pytest.raises(ValueError, match="by rank"):
        encoding.save(tmp_path / "x.tiktoken")


def test_vocab_and_merges_files_are_read_in_pairs(tmp_path):
    theirs = trained(pre_tokenizers.ByteLevel(add_prefix_space=False))
    theirs.model.save(str(tmp_path))
    by_merges_file = Encoding.from_file(tmp_path / "merges.txt")
    by_vocab_file = Encoding.from_file(tmp_path / "vocab.json")
    (tmp_path / "vocab.json").rename(tmp_path / "encoder.json")
    crlf = (tmp_path / "merges.txt").read_bytes().replace(b"\n", b"\r\n")
    (tmp_path / "vocab.bpe").write_bytes(crlf)
    (tmp_path / "merges.txt").unlink()
    for encoding in (by_merges_file, by_vocab_file, Encoding.from_file(tmp_path)):
        for text in texts(seed=9, count=500):
            assert encoding.encode_ordinary(text) == ids_of(theirs, text), repr(text)


def test_gpt2s_own_files_give_gpt2(gpt2, tmp_path):
    listed = by_merges(gpt2._mergeable_ranks)
    characters = "".join(ALPHABET[byte] for byte in listed.table.blob)
    ends = listed.table.ends.tolist()
    keys = [characters[a:b] for a, b in zip([0, *ends], ends, strict=False)]
    vocab = {key: i for i, key in enumerate(keys)} | {"<|endoftext|>": 50256}
    (tmp_path / "encoder.json").write_text(json.dumps(vocab))
    lines = [f"{keys[a]} {keys[b]}\n" for a, b, _ in listed.merges.tolist()]
    (tmp_path / "vocab.bpe").write_text("#version: 0.2\n" + "".join(lines), encoding="utf-8")
    encoding = Encoding.from_file(tmp_path)
    assert encoding.eot_token == 50256
    assert encoding.n_vocab == 50257
    for text in texts(seed=10, count=2_000):
        expected = gpt2.encode(text, allowed_special="all")
        assert encoding.encode(text, allowed_special="all") == expected
