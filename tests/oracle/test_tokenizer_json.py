"""Vocabularies out of files give the ids that the tokenizers library of Hugging Face gives."""

from __future__ import annotations

import functools
import itertools
import json
import pickle
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from texts import ATOMS, ROOT, mixed, mixed_texts
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)

from fastprep import Encoding, get_encoding, vocabulary
from fastprep.byte_level import ALPHABET
from fastprep.errors import BadVocabulary
from fastprep.huggingface import HuggingFaceEncoding
from fastprep.nfc import nfc
from fastprep.patterns import HUGGING_FACE
from fastprep.reference import merge
from fastprep.tokenizer_json_writer import by_merges
from fastprep_ext.encode import Encoder
from fastprep_ext.splitters import PATTERNS, split_pieces

# -- tokenizers to compare with: trained here, with the settings of published files ----------------

LLAMA3, QWEN2, O200K, CL100K = (HUGGING_FACE[f][0] for f in ("llama3", "qwen2", "o200k", "cl100k"))


def corpus() -> Iterator[str]:
    for path in sorted((ROOT / "data").glob("*.*")):
        yield path.read_text(encoding="utf-8")
    yield from mixed_texts(seed=31, count=400)


def trained(pre_tokenizer: Any, normalizer: Any = None, **model: Any) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(**model))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        corpus(),
        trainers.BpeTrainer(vocab_size=1500, initial_alphabet=alphabet, show_progress=False),
    )
    return tokenizer


def split(pattern: str, behavior: str = "isolated", invert: bool = False) -> Any:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior, invert),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def gpt2_style() -> Tokenizer:
    tokenizer = trained(pre_tokenizers.ByteLevel(add_prefix_space=False))
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>", normalized=True)])
    return tokenizer


def roberta_style() -> Tokenizer:
    tokenizer = trained(pre_tokenizers.ByteLevel(add_prefix_space=True))
    mask = AddedToken("<mask>", lstrip=True, normalized=False)
    tokenizer.add_special_tokens(["<s>", "</s>", "<|endoftext|>", mask])
    return tokenizer


def phi_style() -> Tokenizer:
    """Runs of spaces as added tokens that are not special, and looked for in the second pass."""
    tokenizer = trained(pre_tokenizers.ByteLevel(add_prefix_space=False))
    tokenizer.add_special_tokens(["<|endoftext|>"])
    tokenizer.add_tokens([AddedToken(" " * n, normalized=True) for n in range(2, 8)])
    tokenizer.add_tokens([AddedToken("\t\t", normalized=True), AddedToken("中", rstrip=True)])
    return tokenizer


def llama3_style() -> Tokenizer:
    tokenizer = trained(split(LLAMA3), ignore_merges=True)
    document = json.loads(tokenizer.to_str())
    # Llama 3 has tokens that no merge makes, and lists all pairs that make a token as merges.
    vocab = document["model"]["vocab"]
    for token in ("Ġwhole", "Ġ1234", "ĠĠĠĠthere", "zq"):
        vocab.setdefault(token, len(vocab))
    keys = sorted(vocab, key=vocab.__getitem__)
    document["model"]["merges"] = [
        [key[:at], key[at:]]
        for key in keys
        for at in range(1, len(key))
        if key[:at] in vocab and key[at:] in vocab and key != "zq"
    ]
    tokenizer = Tokenizer.from_str(json.dumps(document))
    specials = ["<|begin_of_text|>", "<|end_of_text|>", "<|endoftext|>", "<|eot_id|>"]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in specials])
    return tokenizer


def qwen2_style() -> Tokenizer:
    tokenizer = trained(split(QWEN2), normalizers.NFC())
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>", normalized=False)])
    tokenizer.add_special_tokens([AddedToken("<|im_start|>", normalized=False)])
    tokenizer.add_tokens([AddedToken("<tool_call>", normalized=False)])
    tokenizer.add_tokens([AddedToken("e\u0301t", normalized=True), AddedToken("<|", special=False)])
    return tokenizer


def o200k_style() -> Tokenizer:
    tokenizer = trained(split(O200K, "removed", invert=True))
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>"), AddedToken("<|end")])
    return tokenizer


def cl100k_style() -> Tokenizer:
    tokenizer = trained(split(CL100K, invert=True), normalizers.Sequence([normalizers.NFC()]))
    tokenizer.add_tokens([AddedToken("é", normalized=False), AddedToken("//", lstrip=True)])
    return tokenizer


STYLES: list[Callable[[], Tokenizer]] = [
    gpt2_style,
    roberta_style,
    phi_style,
    llama3_style,
    qwen2_style,
    o200k_style,
    cl100k_style,
]


# The patterns of DeepSeek V3, one after the other; they have no splitter of their own.
DEEPSEEK = (
    r"\p{N}{1,3}",
    "[一-龥\u3040-ゟ゠-ヿ]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
    "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
)


def deepseek_style() -> Tokenizer:
    splits = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in DEEPSEEK]
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer = trained(pre_tokenizers.Sequence([*splits, byte_level]))
    tokenizer.add_special_tokens(["<｜begin▁of▁sentence｜>", "<|endoftext|>"])
    tokenizer.add_tokens([AddedToken("<｜tool▁sep｜>", normalized=False)])
    return tokenizer


def lines_style() -> Tokenizer:
    """What the two dialects of regular expressions write differently, and matches with gaps."""
    tokenizer = trained(split(r"^ +|[a-z]+$|\p{Lu}+|\n\z"), ignore_merges=True)
    tokenizer.add_special_tokens(["<|endoftext|>"])
    return tokenizer


FOREIGN = [deepseek_style, lines_style]


@functools.cache
def both(style: Callable[[], Tokenizer], directory: Path) -> tuple[Tokenizer, Encoding]:
    path = directory / f"{style.__name__}.json"
    style().save(str(path))
    # Read back: a file's added tokens are numbered anew when it is read.
    return Tokenizer.from_file(str(path)), Encoding.from_file(path, allow_pattern=True)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tokenizers")


def texts(seed: int, count: int) -> Iterator[str]:
    """Texts of atoms, some with added tokens among them."""
    rnd = random.Random(seed)
    added = ["<s>", "<mask>", "<tool_call>", "<|end", "<|endoftext|>", "e\u0301t", "ét", "  ", "//"]
    words = ["whole", " whole", " 1234", "    there", "zq", " hello", "Hello", "e\u0301", "\u0344"]
    for text in mixed_texts(seed, count // 2):
        yield text
        atoms = rnd.choices([*ATOMS, *added, *added, *words, *words], k=rnd.randrange(1, 30))
        yield "".join(atoms)
    yield from ("", " ", "\n", "<s>", "<mask> <mask>", "  <mask>  x", "<|endoftext|><|end<|")


def ids_of(tokenizer: Tokenizer, text: str) -> list[int]:
    return tokenizer.encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize("style", STYLES)
def test_ids_are_those_of_the_tokenizers_library(style, directory):
    theirs, ours = both(style, directory)
    for text in texts(seed=1, count=4_000):
        assert ours.encode(text, allowed_special="all") == ids_of(theirs, text), repr(text)


@pytest.mark.parametrize("style", FOREIGN)
def test_patterns_without_a_splitter_are_run_if_the_caller_asks(style, directory, tmp_path):
    theirs, ours = both(style, directory)
    with pytest.raises(BadVocabulary, match="allow_pattern=True"):
        Encoding.from_file(directory / f"{style.__name__}.json")
    ours.save(tmp_path / "tokenizer.json")
    again = Encoding.from_file(tmp_path, allow_pattern=True)
    assert again.rank_table_sha256 == ours.rank_table_sha256
    # The two know Unicode in different versions, so: no code points at random.
    known = set("".join(ATOMS))
    for text in texts(seed=13, count=4_000):
        text = "".join(filter(known.__contains__, text))
        expected = ids_of(theirs, text)
        assert ours.encode(text, allowed_special="all") == expected, repr(text)
        assert again.encode(text, allowed_special="all") == expected, repr(text)


@pytest.mark.parametrize(
    "pattern", [r"\p{N}{1,3}+", r"\h+", r"[a-z&&[^b]]", r"a\K", "(", r"(?~ab)"]
)
def test_patterns_that_the_dialects_do_not_mean_alike_are_refused(pattern, tmp_path):
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
    (tmp_path / "tokenizer.json").write_text(json.dumps(document))
    with pytest.raises(
        BadVocabulary, match=r"tokenizer\.json.*(the tokenizers library does|no regular)"
    ):
        Encoding.from_file(tmp_path, allow_pattern=True)


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
def test_what_is_saved_is_read_by_both_as_it_was(style, directory, tmp_path):
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
def test_all_ways_to_encode_agree(style, directory):
    _, ours = both(style, directory)
    copy = pickle.loads(pickle.dumps(ours))
    batch = list(texts(seed=4, count=200))
    out = np.empty(4 * sum(len(text.encode()) for text in batch) + 100, np.uint32)
    ends = np.empty(len(batch), np.uint64)
    sources = [text.encode() if i % 2 else text for i, text in enumerate(batch)]
    written = ours.encode_documents(sources, out, ends, end_token=7)
    assert written == int(ends[-1])
    for text, end, start in zip(batch, ends.tolist(), [0, *ends.tolist()], strict=False):
        ordinary = ours.encode_ordinary(text)
        assert out[start:end].tolist() == [*ordinary, 7]
        assert copy.encode_ordinary(text) == ordinary
        allowed = ours.encode(text, allowed_special="all")
        assert ours.encode_to_numpy(text, allowed_special="all").tolist() == allowed


@pytest.mark.parametrize("style", STYLES)
def test_ids_decode_to_the_text_that_was_encoded(style, directory):
    _, ours = both(style, directory)
    assert isinstance(ours, HuggingFaceEncoding)
    if any(token.lstrip or token.rstrip for token in ours.added):
        pytest.skip("its added tokens swallow whitespace")
    for text in texts(seed=5, count=500):
        decoded = ours.decode(ours.encode(text, allowed_special="all"))
        # Added tokens are spelled as they are written, normalized or not.
        assert decoded == text or (ours.normalize and nfc(decoded) == nfc(text))


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
    # Read back it is a list of merges, which still means no more than ranks do.
    again.save(tmp_path / "back.tiktoken")
    assert (tmp_path / "back.tiktoken").read_bytes() == published.read_bytes()


def random_ranks(rnd: random.Random, size: int) -> dict[bytes, int]:
    """A vocabulary whose tokens need not come from merges: any strings over a few letters."""
    tokens = {bytes([i]) for i in range(256)}
    while len(tokens) < 256 + size:
        tokens.add(bytes(rnd.choices(b"abc", k=rnd.randrange(2, 9))))
    order = sorted(tokens)
    rnd.shuffle(order)
    return {token: rank for rank, token in enumerate(order)}


def test_one_merge_a_token_means_the_same_as_ranks_whatever_the_vocabulary():
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
    """Merging as the list says, slow and readable."""
    parts = [piece[i : i + 1] for i in range(len(piece))]
    while True:
        pairs = list(itertools.pairwise(parts))
        listed = [pair for pair in pairs if pair in place]
        if not listed:
            return parts
        at = pairs.index(min(listed, key=place.__getitem__))
        parts[at : at + 2] = [b"".join(pairs[at])]


def test_merging_goes_by_the_list_and_not_by_the_ids():
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


# All code points but the inner ones of the large blocks whose characters are all alike.
LARGE = [(0x3401, 0x4DBE), (0x4E01, 0x9FFE), (0xAC1D, 0xD7A2), (0xD800, 0xDFFF), (0xE001, 0xF8FE)]
LARGE += [(0x17001, 0x187F6), (0x20001, 0x2FFFD), (0x30001, 0x3FFFD), (0x40001, 0xE0000)]
LARGE += [(0xE0200, 0x10FFFD)]
POINTS = [c for c in range(0x110000) if not any(a <= c <= b for a, b in LARGE)]

# -- the parts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "pattern"), [(f, p) for f, patterns in HUGGING_FACE.items() for p in patterns]
)
def test_a_known_pattern_splits_as_the_tokenizers_library_splits(family, pattern):
    theirs = pre_tokenizers.Split(Regex(pattern), "isolated")
    representatives = "aA1 \n'!sſ/\u3000é\u0301中l"
    short = ("".join(c) for n in range(1, 4) for c in itertools.product(representatives, repeat=n))
    for text in itertools.chain(short, mixed_texts(seed=11, count=3_000)):
        ends = itertools.accumulate(len(p.encode()) for p, _ in theirs.pre_tokenize_str(text))
        assert split_pieces(text.encode(), PATTERNS[family]) == list(ends), repr(text)


def test_classes_of_characters_are_those_of_the_tokenizers_library():
    from fastprep_ext.utf8 import unicode_class

    classes = {"L": ("LU", "LL", "LT", "LM", "LO"), "N": ("N",), "M": ("M",), "Lu": ("LU",)}
    classes |= {"Ll": ("LL",), "Lt": ("LT",)}
    for name, ours in classes.items():
        splitter = pre_tokenizers.Split(Regex(rf"\p{{{name}}}"), "removed")
        others: set[str] = set()
        for at in range(0, len(POINTS), 4096):
            text = "".join(map(chr, POINTS[at : at + 4096]))
            for piece, _ in splitter.pre_tokenize_str(text):
                others.update(piece)
        theirs = {c for c in POINTS if chr(c) not in others}
        assert theirs == {c for c in POINTS if unicode_class(c) in ours}


def test_the_normal_form_is_that_of_the_tokenizers_library():
    theirs = normalizers.NFC()
    for at in range(0, len(POINTS), 512):
        for between in ("\u0301", "\u0323", "\u0345", "a\u0323"):
            text = between.join(map(chr, POINTS[at : at + 512]))
            assert nfc(text) == theirs.normalize_str(text), hex(POINTS[at])
    marks = [chr(c) for c in POINTS if c > 0x300 and not theirs_ignores(theirs, chr(c))]
    rnd = random.Random(12)
    for _ in range(3_000):
        text = mixed(rnd) + "".join(rnd.choices([*marks, "a", "e", "\u1100", "\uac00"], k=8))
        assert nfc(text) == theirs.normalize_str(text), ascii(text)


def theirs_ignores(normalizer: normalizers.NFC, character: str) -> bool:
    """Whether a character moves nothing and does not move."""
    text = "ʔ" + character + "\u0334\u0345" + character
    return normalizer.normalize_str(text) == text
