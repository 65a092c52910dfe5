"""train_bpe with a base: training continues from an encoding, and across words without a pattern."""

from __future__ import annotations

import json
import pickle
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import tiktoken
from reference.training import train_from
from tokenizers import Tokenizer

import fastprep
from fastprep import Encoding, PieceCounts, TrainedEncoding, count_pieces, train_bpe
from fastprep.errors import InvalidArgument, InvalidUtf8, UnknownEncoding
from fastprep_ext.bpe import PATTERNS, split_pieces

END = "<|endoftext|>"
WORDS = ["the ", "of a ", "token", "don't ", "1234 ", "字漢", "\n\n", "aaaa", "New York ", "é"]


def documents(seed: int, count: int = 40) -> list[str]:
    rnd = random.Random(seed)
    return ["".join(rnd.choices(WORDS, k=rnd.randrange(1, 40))) for _ in range(count)]


def pieces(texts: list[str], family: str | None) -> Counter[bytes]:
    """Count the pieces of texts, each text as one without a family."""
    counts: Counter[bytes] = Counter()
    for text in map(str.encode, texts):
        ends = [len(text)] if family is None else split_pieces(text, PATTERNS[family])
        counts.update(text[a:b] for a, b in zip([0, *ends], ends, strict=False))
    return counts


@pytest.fixture(scope="module")
def first() -> TrainedEncoding:
    return train_bpe(iter(documents(1)), 300)


def new_merges(trained: TrainedEncoding, base: Encoding) -> list[tuple[bytes, bytes, int]]:
    merges = trained.merges[len(trained.merges) - trained.report.merges :]
    known = {id: base.decode_single_token_bytes(id) for id in base._mergeable_ranks.values()}
    assert {id: trained.decode_single_token_bytes(id) for id in known} == known
    made = [left + right for left, right in merges]
    ids = range(base.n_vocab, base.n_vocab + len(made))
    assert [trained.decode_single_token_bytes(id) for id in ids] == made
    return [(*merge, n) for merge, n in zip(merges, trained.merge_counts, strict=True)]


@pytest.mark.parametrize("family", ["r50k", "o200k", None])
@pytest.mark.parametrize("kind", ["trained", "gpt2", "deepseek3"])
def test_merges_are_those_of_counting_all_pairs_again(
    family: str | None, kind: str, first: TrainedEncoding
) -> None:
    base: Encoding = first
    if kind == "gpt2":
        base = fastprep.get_encoding("gpt2")
    elif kind != "trained":
        base = train_bpe(iter(documents(2)), 290, pattern=kind)
        assert base.recipe.merge_list is not None
    texts = documents(3)
    for least, length in ((0, None), (3, 9)):
        options: dict[str, Any] = {"min_frequency": least, "max_token_length": length}
        size = base.n_vocab + 60
        found = train_bpe(iter(texts), size, pattern=family, base=base, log=print, **options)
        expected = train_from(
            pieces(texts, family), 60, base._mergeable_ranks, max(least, 1), length or 0
        )
        assert new_merges(found, base) == expected
        assert found.special_tokens == base.special_tokens
        # What the result encodes is what training ended with.
        for text in documents(4, 10):
            assert found.decode(found.encode_ordinary(text)) == text


def test_training_in_two_steps_is_training_in_one(first: TrainedEncoding) -> None:
    texts = documents(1)
    whole = train_bpe(iter(texts), 400)
    for base in (first, train_bpe(iter(texts), 350, base=first)):
        found = train_bpe(iter(texts), 400, base=base)
        assert found.merges == whole.merges
        # Only the id of the special token, which does not change, is another one.
        assert found.encode_single_token(END) == 299
        assert found.n_vocab == 401 - 1
    by_bytes = train_bpe(iter(texts), 299, ties="bytes", special_tokens=[])
    found = train_bpe(iter(texts), 399, base=by_bytes, special_tokens=[])
    assert found.merges == train_bpe(iter(texts), 399, ties="bytes", special_tokens=[]).merges


def test_a_base_is_an_encoding_a_name_or_a_file(tmp_path: Path, first: TrainedEncoding) -> None:
    texts = documents(5)
    first.save(tmp_path / "tokenizer.json")
    expected = train_bpe(iter(texts), 340, base=first)
    for base in (tmp_path / "tokenizer.json", str(tmp_path / "tokenizer.json")):
        again = train_bpe(iter(texts), 340, base=base)
        assert again.merges == expected.merges
        assert again._mergeable_ranks == expected._mergeable_ranks
    found = train_bpe(iter(texts), 50_290, base="gpt2")
    assert found.special_tokens == {END: 50256}
    assert found.report.merges == 50_290 - 50_257
    with pytest.raises(UnknownEncoding):
        train_bpe(iter(texts), 50_290, base="gpt-none")


def test_special_tokens_of_the_base_keep_their_ids(first: TrainedEncoding) -> None:
    texts = documents(5)
    found = train_bpe(iter(texts), 330, base=first, special_tokens=["<s>", END])
    assert found.special_tokens == {END: 299, "<s>": 329}
    assert (found.n_vocab, found.report.merges) == (330, 29)
    assert train_bpe(iter(texts), 330, base=first, special_tokens=[]).special_tokens == {END: 299}


@pytest.mark.parametrize("pattern", ["default", None])
def test_files_mean_the_same_to_all_who_read_them(
    tmp_path: Path, pattern: str | None, first: TrainedEncoding
) -> None:
    found = train_bpe(iter(documents(6)), 400, base=first, pattern=pattern)
    if pattern is None:
        assert any(b" " in token[1:-1] for token in found._mergeable_ranks)
    found.save(tmp_path / "tokenizer.json")
    library = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    library.encode_special_tokens = True
    listed = json.loads(library.to_str())["model"]["merges"]
    assert len(listed) == len(found.merges)
    theirs = tiktoken.Encoding(
        "trained",
        pat_str=found.pat_str,
        mergeable_ranks=found._mergeable_ranks,
        special_tokens=found.special_tokens,
    )
    again = Encoding.from_file(tmp_path / "tokenizer.json")
    copy = pickle.loads(pickle.dumps(found))
    assert (copy.merges, copy.report) == (found.merges, found.report)
    for text in documents(7, 20):
        ids = found.encode_ordinary(text)
        assert library.encode(text).ids == ids
        assert theirs.encode_ordinary(text) == ids
        assert again.encode_ordinary(text) == ids
        assert copy.encode_ordinary(text) == ids


def test_counts_train_as_their_texts_do(tmp_path: Path, first: TrainedEncoding) -> None:
    texts = documents(8)
    for pattern in ("o200k_base", None):
        expected = train_bpe(iter(texts), 350, base=first, pattern=pattern)
        counts = count_pieces(iter(texts), pattern=pattern)
        counts.save(tmp_path / "a.counts")
        loaded = PieceCounts.load(tmp_path / "a.counts")
        assert loaded == counts
        for inputs in (counts, loaded, 3 * counts):
            found = train_bpe(inputs, 350, base=first)
            assert found.merges == expected.merges
            assert found.pat_str == expected.pat_str
    assert len(count_pieces(iter(texts), pattern=None)) == len(set(texts))
    # Pieces that are no UTF-8 are bytes as all others.
    mapping = {b"\xff\xfe\xff\xfe": 5, b"the the": 2}
    found = train_bpe(mapping, 302, base=first)
    assert new_merges(found, first) == train_from(mapping, 2, first._mergeable_ranks)


def test_memory_and_threads_change_nothing(first: TrainedEncoding) -> None:
    texts = [*documents(9), "x" * 3_000_000]
    for pattern in ("default", None):
        expected = train_bpe(iter(texts), 340, base=first, pattern=pattern)
        again = train_bpe(
            iter(texts[::-1]), 340, base=first, pattern=pattern, workers=3, memory="60MB"
        )
        assert again.merges == expected.merges
        assert again.recipe.sha256() == expected.recipe.sha256()


def test_words_in_tokens_need_a_fraction_of_the_memory(first: TrainedEncoding) -> None:
    with pytest.raises(InvalidArgument, match=r"memory is 1,048,576 bytes, and the merges need"):
        train_bpe(
            iter(["the token " * 80_000]), 340, base=first, pattern=None, memory="1MiB", log=print
        )
    found = train_bpe(
        iter(["the token " * 20_000]), 310, base=first, pattern=None, memory="1MiB", log=print
    )
    assert found.merges


def test_text_that_is_not_utf8_is_named_without_a_pattern(
    tmp_path: Path, first: TrainedEncoding
) -> None:
    (tmp_path / "a.txt").write_bytes(b"fine<|endoftext|>not \xff fine")
    with pytest.raises(InvalidUtf8, match=r"a\.txt"):
        train_bpe(tmp_path / "a.txt", 340, base=first, pattern=None)
    found = train_bpe(tmp_path / "a.txt", 302, base=first, pattern=None, on_error="skip", log=print)
    assert found.report.pieces == 1


def test_what_cannot_be_a_base_is_named(tmp_path: Path, first: TrainedEncoding) -> None:
    texts = documents(1)
    with pytest.raises(InvalidArgument, match="there is no base"):
        train_bpe(iter(texts), 300, pattern=None)
    with pytest.raises(
        InvalidArgument, match="at least 300: the 300 ids of the base and 0 special"
    ):
        train_bpe(iter(texts), 299, base=first)
    with pytest.raises(InvalidArgument, match="would change the ids of the base"):
        train_bpe(iter(texts), 340, base=first, specials="first")
    few = Encoding("few", pat_str=r"\w+|\W", mergeable_ranks={b"a": 0, b"b": 1}, special_tokens={})
    with pytest.raises(InvalidArgument, match="no tokens for 254 of the bytes"):
        train_bpe(iter(texts), 340, base=few)
    alone = {bytes([byte]): byte for byte in range(256)} | {b"abc": 256}
    gap = Encoding("gap", pat_str=r"\w+|\W", mergeable_ranks=alone, special_tokens={})
    with pytest.raises(InvalidArgument, match="no merge makes the token b'abc'"):
        train_bpe(iter(texts), 340, base=gap)
    lists = train_bpe(iter(texts), 280, pattern="starcoder")
    with pytest.raises(InvalidArgument, match="pass the name of a family"):
        train_bpe(iter(texts), 340, base=lists, pattern=r"\w+|\W")
    words = fastprep.SimpleTokenizerV2(fastprep.build_vocab("a b"))
    with pytest.raises(InvalidArgument, match="continues from encodings of byte pairs"):
        train_bpe(iter(texts), 340, base=words)
    normalized = json.loads(lists_json(lists, tmp_path))
    normalized["normalizer"] = {"type": "NFC"}
    (tmp_path / "nfc.json").write_text(json.dumps(normalized))
    with pytest.raises(InvalidArgument, match="changes text before it is split"):
        train_bpe(iter(texts), 340, base=tmp_path / "nfc.json")


def lists_json(encoding: Encoding, folder: Path) -> str:
    encoding.save(folder / "lists.json")
    return (folder / "lists.json").read_text()
