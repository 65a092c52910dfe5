"""Vocabularies of every kind in which BPE is published give the ids of the tokenizers library."""

from __future__ import annotations

import itertools
import json
import random
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pytest
from texts import mixed_texts
from tokenizer_styles import gpt2_style, ids_of, texts, trained
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    normalizers,
    pre_tokenizers,
)
from vocabulary_kinds import (
    clip_style,
    falcon_style,
    gemma_style,
    llama_style,
    mistral_style,
    read,
    unknown_style,
    without,
    words_style,
)

from fastprep import Encoding
from fastprep.errors import BadVocabulary, MissingByte
from fastprep.vocabulary.nfc import nfc, tables
from fastprep.vocabulary.patterns import PUNCTUATION_PATTERN
from fastprep.vocabulary.regex_program import compile_tokenizers
from fastprep_ext.bpe import Specials, TextChange, split_pieces


def every_way(ours: Encoding, batch: list[str]) -> Iterator[list[list[int]]]:
    """Yield the ids of ordinary texts by each way to encode."""
    yield [ours.encode(text, disallowed_special=()) for text in batch]
    yield ours.encode_ordinary_batch(batch, num_threads=2)
    yield [ours.encode_to_numpy(text, disallowed_special=()).tolist() for text in batch]
    yield [ours.encode_bytes(text.encode()).tolist() for text in batch]
    yield ours.encode_arrow(pa.array(batch, pa.string())).to_pylist()
    size = sum(len(text.encode()) for text in batch)
    out = np.empty(ours.most_ids(size, len(batch)) + len(batch), np.uint32)
    ends = np.empty(len(batch), np.uint64)
    written = ours.encode_documents(batch, out, ends)
    yield [ids.tolist() for ids in np.split(out[:written], ends[:-1].astype(int))]


def same(theirs: Tokenizer, ours: Encoding, batch: list[str]) -> None:
    """Compare ids with special tokens, and without them by each way, and the decoded text."""
    for text in batch:
        expected = ids_of(theirs, text)
        assert ours.encode(text, allowed_special="all") == expected, repr(text)
        assert ours.decode(expected) == theirs.decode(expected, skip_special_tokens=False)
    theirs.encode_special_tokens = True
    ordinary = [ids_of(theirs, text) for text in batch]
    theirs.encode_special_tokens = False
    for found in every_way(ours, batch):
        assert found == ordinary
    assert [ours.count(text, disallowed_special=()) for text in batch] == list(map(len, ordinary))


# -- byte-level ------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:a text has the byte:RuntimeWarning")
@pytest.mark.parametrize("ignore_merges", [False, True])
def test_bytes_that_are_no_tokens_are_left_out_before_merging(ignore_merges, tmp_path):
    model = without(gpt2_style(), "e", "Ġ", "Ã", "x") | {"ignore_merges": ignore_merges}
    theirs, ours = read(gpt2_style(), tmp_path, model=model)
    same(
        theirs,
        ours,
        [*texts(seed=3, count=400), "the tree", "e", "eee", "e" * 3_000, "thexex" * 99],
    )


def test_lost_bytes_are_reported_once_counted_and_refused_on_request(tmp_path):
    _, ours = read(gpt2_style(), tmp_path, model=without(gpt2_style(), "e"))
    with pytest.warns(RuntimeWarning, match="byte 0x65"):
        lost = ours.encode("eye")
    assert lost == ours.encode("y")
    assert ours.encode("beech trees") == ours.encode(
        "bch trs"
    )  # a second warning would be an error
    assert ours.count_missing("eye é") == 2
    strict = Encoding.from_file(tmp_path / "tokenizer.json", missing="error")
    assert strict.encode("yy") == ours.encode("yy")
    for ask in (strict.encode, strict.encode_to_numpy, strict.count):
        with pytest.raises(MissingByte, match="0x65"):
            ask("an eye")


def test_bytes_that_no_text_has_may_be_missing_without_a_word(tmp_path):
    never = [chr(byte) for byte in (0xC0, 0xC1, *range(0xF5, 0x100))]
    theirs, ours = read(gpt2_style(), tmp_path, model=without(gpt2_style(), *never))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same(theirs, ours, list(texts(seed=4, count=300)))


def test_tokens_that_no_text_reaches_are_carried(tmp_path):
    model = json.loads(gpt2_style().to_str())["model"]
    start = len(model["vocab"])
    more = {key: start + i for i, key in enumerate(["", "a b", "中", "中文", "ab中"])}
    model["merges"] += [["中", "文"], ["ab", "中"], ["中", "中"]][:2]
    model["vocab"] |= more | {"文": start + 5}
    document = json.loads(gpt2_style().to_str()) | {"added_tokens": [], "model": model}
    (tmp_path / "tokenizer.json").write_text(json.dumps(document))
    theirs = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    ours = Encoding.from_file(tmp_path)
    same(theirs, ours, ["中文", "a b", "", "ab中", *texts(seed=5, count=200)])
    for token, id in more.items():
        assert ours.decode([id]) == theirs.decode([id]) == token
        assert ours.encode_single_token(token) in (id, ours.encode_single_token(token.encode()))
    assert ours.n_vocab == start + 6
    ours.save(tmp_path / "again.json")
    assert Encoding.from_file(tmp_path / "again.json").decode([start + 2]) == "中"


@pytest.mark.parametrize("normalizer", ["NFKC", "Lowercase", "Replace"])
def test_other_normalizers(normalizer, tmp_path):
    steps = {
        "NFKC": normalizers.NFKC(),
        "Lowercase": normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()]),
        "Replace": normalizers.Sequence([normalizers.Replace("ab", "<b>c"), normalizers.NFC()]),
    }
    tokenizer = trained(pre_tokenizers.ByteLevel(add_prefix_space=False), steps[normalizer])
    tokenizer.add_special_tokens(["<s>"])
    tokenizer.add_tokens([AddedToken("ABC", normalized=True), AddedToken("ﬁ", normalized=False)])
    theirs, ours = read(tokenizer, tmp_path)
    batch = ["ABCabc<s>ﬁ ﬃ ½ Å ΑΣ İ", "\u1e9b\u0323", "ABab" * 50, *texts(seed=6, count=300)]
    for text in batch:
        assert ours.encode(text, allowed_special="all") == ids_of(theirs, text), repr(text)
    ordinary = [ours.encode_ordinary(text) for text in batch]
    assert all(found == ordinary for found in every_way(ours, batch))


# -- added tokens, and normal form C ---------------------------------------------------------------


def test_single_words(tmp_path):
    tokenizer = gpt2_style()
    for options in ({}, {"lstrip": True}, {"rstrip": True}):
        word = "".join(["w", *options])
        tokenizer.add_tokens([AddedToken(word, single_word=True, normalized=False, **options)])
    theirs, ours = read(tokenizer, tmp_path)
    parts = ["w", "wlstrip", "wrstrip", " ", "a", "_", "é", "\u0301", "²", "-", "中", "\u200d", "5"]
    for size in range(1, 4):
        for text in map("".join, itertools.product(parts, repeat=size)):
            assert ours.encode(text) == ids_of(theirs, text), repr(text)


def test_many_added_tokens_of_all_kinds(tmp_path):
    rnd = random.Random(7)
    tokenizer = gpt2_style()
    contents = {"".join(rnd.choices("ab<>é ", k=rnd.randrange(1, 9))) for _ in range(20_000)}
    tokens = [
        AddedToken(
            content,
            normalized=rnd.random() < 0.5,
            lstrip=rnd.random() < 0.02 and not content.isspace(),
            rstrip=rnd.random() < 0.02 and not content.isspace(),
            single_word=rnd.random() < 0.02,
        )
        for content in sorted(contents)
        if content.strip() == content
    ]
    tokenizer.add_tokens(tokens)
    theirs, ours = read(tokenizer, tmp_path)
    for _ in range(300):
        text = "".join(rnd.choices(["a", "b", "<", ">", "é", "e\u0301", "c", "x y"], k=40))
        assert ours.encode(text) == ids_of(theirs, text), repr(text)


def changed(text: str) -> str:
    """Return a text after the compiled normal form C, seen through the bytes as ids."""
    from fastprep_ext.bpe import Encoder

    blob = bytes(range(256))
    encoder = Encoder(
        blob,
        np.arange(1, 257, dtype=np.uint64),
        np.arange(256, dtype=np.uint32),
        0,
        added=Specials([], change=TextChange(nfc, tables())),
        growth=(3, 0),
    )
    return bytes(encoder.encode(text)).decode()


def test_compiled_normal_form_is_that_of_each_character_in_context():
    characters = [chr(c) for c in range(0x300, 0x3100)] + [chr(c) for c in range(0xAC00, 0xAD00)]
    characters += [chr(c) for c in (*range(0x1D150, 0x1D170), *range(0xF900, 0xFB50), 0x1E000)]
    rnd = random.Random(8)
    text = "".join(f"{a}{b}" for a, b in zip(characters, rnd.choices(characters), strict=False))
    assert changed(text) == nfc(text)
    starts = "aAeoiuEÄạâ가갸\u1100\u09c7\u0b47\u0dd9\u1025\u30ab\u0928\U0001d157中жи"
    marks = "\u0301\u0323\u0327\u0308\u0334\u1161\u11a8\u09be\u0dca\u0ddf\u102e\u3099\u093c\u0338"
    for length in (1, 2, 3):
        for _ in range(4_000):
            word = (
                rnd.choice(starts) + "".join(rnd.choices(marks, k=length)) + rnd.choice(["", "x"])
            )
            assert changed(word) == nfc(word), ascii(word)
    for text in mixed_texts(seed=9, count=2_000):
        assert changed(text) == nfc(text), ascii(text)


# -- characters, with bytes for those that are no tokens -------------------------------------------

Style = Callable[[], Tokenizer]


@pytest.mark.parametrize(
    "style", [llama_style, gemma_style, mistral_style, words_style, unknown_style]
)
def test_vocabularies_of_characters(style, tmp_path):
    theirs, ours = read(style(), tmp_path)
    rnd = random.Random(10)
    atoms = [
        "<s>",
        "</s>",
        "<unk>",
        "<|user|>",
        "▁",
        "▁▁",
        "<0x41>",
        " ",
        "    ",
        "\n",
        "\n\n",
        "the",
    ]
    atoms += ["é", "中", "文中", "🙂", "\u0301", "x", "hello", " world", "()", "..."]
    batch = ["".join(rnd.choices(atoms, k=rnd.randrange(1, 15))) for _ in range(600)]
    batch += [*texts(seed=11, count=300), "ab" * 5_000, " " * 3_000, "中文" * 2_000, "🙂" * 500]
    for text in batch:
        expected = ids_of(theirs, text)
        assert ours.encode(text, allowed_special="all") == expected, repr(text)
    theirs.encode_special_tokens = True
    ordinary = [ids_of(theirs, text) for text in batch]
    for found in every_way(ours, batch):
        assert found == ordinary
    plain = [text for text in batch if "▁" not in text and "<" not in text]
    for text in plain if style in (llama_style, gemma_style) else []:
        assert ours.decode(ours.encode_ordinary(text)) == text


def test_characters_are_refused_by_what_is_wrong(tmp_path):
    document = json.loads(llama_style().to_str())
    path = tmp_path / "tokenizer.json"
    for changes, complaint in (
        ({"ignore_merges": True}, "ignore_merges without a ByteLevel"),
        ({"merges": [["no", "such"]]}, "merge 0, of 'no' and 'such'"),
        (
            {"vocab": {k: v for k, v in document["model"]["vocab"].items() if k != "<0x07>"}},
            "255 of",
        ),
    ):
        model = {**document["model"], **changes}
        path.write_text(json.dumps({**document, "model": model}))
        with pytest.raises(BadVocabulary, match=complaint):
            Encoding.from_file(path)


# -- patterns on bytes, and ends of words ----------------------------------------------------------


NUMBERS = [
    "²",
    "³¼½¾¹",
    "üéñ",
    "1²34",
    "12345",
    "...",
    "!?",
    "—",
    "¿",
    "a¡b",
    "中。",
    "\u0661\u0662",
]


@pytest.mark.parametrize(
    "after",
    [
        (),
        (pre_tokenizers.Split(Regex("Ã[^a-z]|[ĠĊ]+|(?<=¼)."), "isolated"),),
        (pre_tokenizers.Split(Regex("x"), "isolated"), pre_tokenizers.Digits(True)),
    ],
)
def test_patterns_after_a_byte_level_split_bytes(after, tmp_path):
    theirs, ours = read(falcon_style(*after), tmp_path)
    rnd = random.Random(12)
    batch = ["".join(rnd.choices([*NUMBERS, " ", "x", "\n"], k=12)) for _ in range(400)]
    same(theirs, ours, [*batch, *texts(seed=13, count=300), "".join(NUMBERS) * 200])
    with pytest.raises(BadVocabulary, match="after its ByteLevel"):
        ours.save(tmp_path / "again.json")


def test_the_characters_of_punctuation():
    step = pre_tokenizers.Punctuation("isolated")
    program = compile_tokenizers([PUNCTUATION_PATTERN])
    letters = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    for at in range(0, len(letters), 5_000):
        text = "".join(f"a{letter}" for letter in letters[at : at + 5_000])
        ends = split_pieces(text.encode(), program)
        assert ends == list(
            itertools.accumulate(len(piece.encode()) for piece, _ in step.pre_tokenize_str(text))
        )


def test_ends_of_words(tmp_path):
    theirs, ours = read(clip_style(), tmp_path)
    rnd = random.Random(14)
    atoms = ["<|endoftext|>", "<|startoftext|>", "word", "Word's", "'s", "''s", " ", "\t \n", "<x>"]
    atoms += ["É", "e\u0301", "中", "½", "12", "</w>", "...", "\u0085", "\x1c", "İ", "a"]
    batch = ["".join(rnd.choices(atoms, k=rnd.randrange(1, 12))) for _ in range(600)]
    batch += [*texts(seed=15, count=300), "ab" * 4_000, " " * 500, ""]
    for text in batch:
        assert ours.encode(text, allowed_special="all") == ids_of(theirs, text), repr(text)
    theirs.encode_special_tokens = True
    ordinary = [ids_of(theirs, text) for text in batch]
    for found in every_way(ours, batch):
        assert found == ordinary
    assert ours.decode(ours.encode("Hello  World!")) == "hello world !"
    with pytest.raises(BadVocabulary, match="ends of words"):
        ours.save(tmp_path / "again.json")


def test_ends_of_words_are_refused_by_what_is_wrong(tmp_path):
    document = json.loads(clip_style().to_str())
    path = tmp_path / "tokenizer.json"
    path.write_text(
        json.dumps({**document, "pre_tokenizer": {"type": "Digits", "individual_digits": True}})
    )
    with pytest.raises(BadVocabulary, match="the pre-tokenizer Digits"):
        Encoding.from_file(path)
    byte_level = json.loads(gpt2_style().to_str())["pre_tokenizer"]
    path.write_text(json.dumps({**document, "pre_tokenizer": byte_level}))
    with pytest.raises(BadVocabulary, match="end_of_word_suffix '</w>' with other patterns"):
        Encoding.from_file(path)
    vocab = document["model"]["vocab"]
    del vocab["Ā</w>"]
    path.write_text(json.dumps(document))
    with pytest.raises(BadVocabulary, match="'Ā</w>' is not a token"):
        Encoding.from_file(path)
