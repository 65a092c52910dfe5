"""train_bpe: an encoding with its merges, whose files mean the same to all who read them."""

from __future__ import annotations

import pickle
import random
import re
from pathlib import Path
from typing import Any

import pytest
import tiktoken
from texts import mixed_texts
from tokenizers import Tokenizer

import fastprep
from fastprep import Encoding, PieceCounts, TrainedEncoding, count_pieces, train_bpe
from fastprep.errors import BadVocabulary, InvalidArgument, InvalidInput

END = "<|endoftext|>"


def documents(seed: int, count: int = 60) -> list[str]:
    rnd = random.Random(seed)
    words = [
        "the",
        "tokens",
        "of",
        "training",
        "naïve",
        "字漢中",
        "don't",
        "1234",
        "x" * 30,
        "\n\n",
    ]
    prose = [" ".join(rnd.choices(words, k=30)) for _ in range(count)]
    return [*prose, *mixed_texts(seed, count)]


@pytest.fixture(scope="module")
def trained() -> TrainedEncoding:
    return train_bpe(iter(documents(1)), 700)


def test_the_result_is_an_encoding_with_merges_and_a_report(trained: TrainedEncoding) -> None:
    assert isinstance(trained, Encoding)
    assert trained.n_vocab == 700
    assert len(trained.merges) == 700 - 256 - 1
    assert trained.encode_single_token(END) == 699
    assert [left + right for left, right in trained.merges] == [
        trained.decode_single_token_bytes(id) for id in range(256, 699)
    ]
    report = trained.report
    assert (report.vocab_size, report.asked, report.merges) == (700, 700, 443)
    assert not report.ended_early
    assert report.last_count >= 1
    text = documents(2, 5)[0]
    assert trained.decode(trained.encode(text)) == text
    # Byte ids are those of GPT-2.
    gpt2 = fastprep.get_encoding("gpt2")
    assert [trained.decode_single_token_bytes(id) for id in range(256)] == [
        gpt2.decode_single_token_bytes(id) for id in range(256)
    ]


@pytest.mark.parametrize("pattern", ["gpt2", "cl100k_base", "o200k_base", "llama3", "tekken"])
@pytest.mark.parametrize("specials", ["first", "last"])
def test_files_mean_the_same_to_all_who_read_them(
    tmp_path: Path, pattern: str, specials: Any
) -> None:
    enc = train_bpe(
        iter(documents(3)), 600, pattern=pattern, specials=specials, special_tokens=["<s>", END]
    )
    held_out = documents(4, 30)
    ids = [enc.encode_ordinary(text) for text in held_out]
    marked = f"<s>{held_out[0]}{END}"
    assert enc.encode(marked, allowed_special="all") == [
        enc.special_tokens["<s>"], *ids[0], enc.special_tokens[END],
    ]  # fmt: skip
    assert sorted(enc.special_tokens.values()) == ([0, 1] if specials == "first" else [598, 599])
    theirs = tiktoken.Encoding(
        "trained",
        pat_str=enc.pat_str,
        mergeable_ranks=enc._mergeable_ranks,
        special_tokens=enc.special_tokens,
    )
    assert [theirs.encode_ordinary(text) for text in held_out] == ids
    enc.save(tmp_path / "tokenizer.json")
    library = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert library.encode(marked).ids == enc.encode(marked, allowed_special="all")
    library.encode_special_tokens = True
    assert [library.encode(text).ids for text in held_out] == ids
    listed = [tuple(merge) for merge in library_merges(library)]
    assert listed == [tuple(map(characters, merge)) for merge in enc.merges]
    enc.save(tmp_path / "a.tiktoken")
    options: dict[str, Any] = {"pat_str": enc.pat_str, "special_tokens": enc.special_tokens}
    for path, given in ((tmp_path / "tokenizer.json", {}), (tmp_path / "a.tiktoken", options)):
        again = Encoding.from_file(path, **given)
        assert [again.encode_ordinary(text) for text in held_out] == ids
        assert again.special_tokens == enc.special_tokens


def library_merges(library: Tokenizer) -> list[list[str]]:
    import json

    return json.loads(library.to_str())["model"]["merges"]  # type: ignore[no-any-return]


def characters(token: bytes) -> str:
    from fastprep.vocabulary.byte_alphabet import to_characters

    return to_characters(token)


@pytest.mark.parametrize(
    "names", [("vocab.bpe", "encoder.json"), ("my-merges.txt", "my-vocab.json")]
)
def test_two_files_as_of_gpt2(tmp_path: Path, trained: TrainedEncoding, names: Any) -> None:
    for name in names:
        for other in names:
            (tmp_path / other).unlink(missing_ok=True)
        trained.save(tmp_path / name)
        assert {path.name for path in tmp_path.iterdir()} == {*names}
        again = Encoding.from_file(tmp_path / name)
        for text in documents(5, 10):
            assert again.encode_ordinary(text) == trained.encode_ordinary(text)
        assert again.special_tokens == trained.special_tokens


def test_a_chain_of_patterns_makes_a_list_of_merges(tmp_path: Path) -> None:
    enc = train_bpe(iter(documents(3)), 500, pattern="starcoder")
    enc.save(tmp_path / "tokenizer.json")
    library = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    library.encode_special_tokens = True
    for text in documents(6, 20):
        assert library.encode(text).ids == enc.encode_ordinary(text)
    assert enc.pat_str.count(" and then ") == 1


def test_a_regular_expression_is_a_pattern() -> None:
    enc = train_bpe(iter(documents(3)), 400, pattern=r"\w+|\W")
    assert enc.pat_str == r"\w+|\W"
    assert not any(b" " in left + right for left, right in enc.merges)
    assert enc.decode(enc.encode_ordinary("one two")) == "one two"


def test_counts_and_mappings_train_the_same(trained: TrainedEncoding) -> None:
    counts = count_pieces(iter(documents(1)))
    for inputs in (counts, 5 * counts, dict(counts.items())):
        assert train_bpe(inputs, 700).merges == trained.merges
    other = count_pieces(iter(documents(1)), pattern="o200k_base")
    assert train_bpe(other, 500).pat_str == fastprep.get_encoding("o200k_base").pat_str


def test_memory_and_threads_change_nothing(trained: TrainedEncoding) -> None:
    again = train_bpe(iter(documents(1)[::-1]), 700, workers=3, memory="2MB")
    assert again.merges == trained.merges
    assert again.recipe.sha256() == trained.recipe.sha256()


def test_fewer_tokens_than_asked_for_are_reported() -> None:
    with pytest.warns(UserWarning, match="259 tokens of 1,000 asked for"):
        enc = train_bpe({b"abc": 3}, 1000)
    assert enc.merges == [(b"a", b"b"), (b"ab", b"c")]
    assert enc.report.ended_early
    events: list[dict[str, object]] = []
    enc = train_bpe({b"abc": 3}, 1000, log=events.append)
    assert events[-1]["event"] == "trained"
    assert events[-1]["merges"] == 2
    enc = train_bpe({b"abc": 3}, 1000, min_frequency=4, log=events.append)
    assert (enc.merges, enc.report.last_count, enc.n_vocab) == ([], 0, 257)


def test_options_of_the_merges() -> None:
    words = {b"abab": 5, b"bc": 9, b"\xc3\xa9": 9}
    assert train_bpe(words, 256 + 2, special_tokens=[]).merges == [(b"a", b"b"), (b"b", b"c")]
    assert train_bpe(words, 258, special_tokens=[], ties="bytes").merges[0] == (b"a", b"b")
    tied = {b"\n\n": 2, b"!!": 2}
    assert train_bpe(tied, 257, special_tokens=[]).merges == [(b"!", b"!")]
    assert train_bpe(tied, 257, special_tokens=[], ties="bytes").merges == [(b"\n", b"\n")]
    long = train_bpe(
        {b"abc": 9, b"abcdefgh": 1}, 270, special_tokens=[], max_token_length=4, log=print
    )
    assert max(len(left + right) for left, right in long.merges) == 3
    assert train_bpe(words, 256, special_tokens=[]).merges == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"vocab_size": 256}, "at least 257: 256 bytes and 1 special token"),
        ({"vocab_size": 258, "special_tokens": ["a", "b", "c"]}, "at least 259"),
        ({"vocab_size": "many"}, "vocab_size"),
        ({"vocab_size": 1 << 30}, "vocab_size"),
        ({"special_tokens": "<s>"}, "a list of strings"),
        ({"special_tokens": ["<s>", "<s>"]}, "twice"),
        ({"special_tokens": [""]}, "not empty"),
        ({"specials": "middle"}, "first, last"),
        ({"ties": "random"}, "huggingface, bytes"),
        ({"min_frequency": -1}, "min_frequency"),
        ({"max_token_length": 0}, "max_token_length"),
        ({"memory": 100}, "memory"),
    ],
)
def test_wrong_arguments_are_named_before_anything_is_read(
    options: dict[str, Any], said: str
) -> None:
    settings: dict[str, Any] = {"vocab_size": 300, **options}
    with pytest.raises(InvalidArgument, match=said):
        train_bpe("does-not-exist.txt", **settings)


def test_memory_that_is_too_small_is_named_with_what_is_needed() -> None:
    words = {b"%09d" % number: 1 for number in range(20_000)}
    with pytest.raises(InvalidArgument, match=r"memory is 1,048,576 bytes, and .* need about 1,8"):
        train_bpe(words, 300, memory="1MiB")


def test_inputs_without_text_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text('{"text": ""}\n')
    for inputs in (iter([""]), tmp_path / "empty.jsonl", {}, PieceCounts.from_dict({})):
        with pytest.raises(InvalidInput, match="no text to train on"):
            train_bpe(inputs, 300)


def test_a_special_token_that_is_also_merged_cannot_be_written_as_one(tmp_path: Path) -> None:
    enc = train_bpe({b"abc": 3}, 259, special_tokens=["abc"])
    assert enc.encode("abc", disallowed_special=()) == [257]
    assert enc.encode("abc", allowed_special="all") == [258]
    for name in ("tokenizer.json", "vocab.bpe"):
        with pytest.raises(BadVocabulary, match="'abc'"):
            enc.save(tmp_path / name)


def test_it_is_pickled_whole(trained: TrainedEncoding) -> None:
    again = pickle.loads(pickle.dumps(trained))
    assert again.merges == trained.merges
    assert again.report == trained.report
    assert again.encode("the tokens") == trained.encode("the tokens")


def test_progress_is_shown_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    from fastprep.trainer.progress import Bar

    with Bar("merging", 100, " merges", show=True) as bar:
        bar._updated = 0.0
        bar.update(50)
        bar.update(100)  # too soon to be drawn, but for the end
    said = capsys.readouterr().err
    assert "merging  50%" in said
    assert "merging 100%" in said


def test_rates_of_a_bar_are_since_the_work_began(capsys: pytest.CaptureFixture[str]) -> None:
    from fastprep.trainer.progress import Bar

    with Bar("counting", 100, "B", show=True) as bar:
        bar._start -= 10.0
        bar._updated = 0.0
        bar.update(50)
    rates = re.findall(r"([\d.]+)B/s", capsys.readouterr().err)
    assert rates
    assert all(float(rate) <= 5.0 for rate in rates)
